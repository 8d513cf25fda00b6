//! Who may subscribe, and every fault of a rule.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::sender::fixture::Somebody;

const DEFAULTS: RoomLaw = RoomLaw { history: None, presence: Some(100) };
const BOUNDS: HistoryBounds = HistoryBounds { messages: 5, age: Duration::from_secs(60), bytes: 1000 };

fn around() -> Surroundings {
    Surroundings {
        roles: Some(["agent", "dashboard", "admin"].map(|role| role.parse().unwrap()).into()),
        ..Surroundings::default()
    }
}

fn rule(pattern: &str, join: Vec<JoinSpec>) -> RuleSpec {
    RuleSpec { pattern: pattern.into(), join, ..RuleSpec::default() }
}

fn role(name: &str) -> JoinSpec {
    JoinSpec { role: Some(name.parse().unwrap()), ..JoinSpec::default() }
}

fn user(text: &str) -> JoinSpec {
    JoinSpec { user: Some(text.into()), ..JoinSpec::default() }
}

fn agent(text: &str) -> JoinSpec {
    JoinSpec { agent: Some(text.into()), ..JoinSpec::default() }
}

fn compiled(specs: &[RuleSpec]) -> RoomRules {
    RoomRules::compile(specs, DEFAULTS, &around()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn may(rules: &RoomRules, room: &str, who: &Somebody) -> bool {
    rules.may_join(&room.parse().unwrap(), &who.sender())
}

#[test]
fn the_first_rule_that_matches_decides_and_without_one_nobody_may() {
    let rules = compiled(&[
        rule("agent:secret", vec![role("admin")]),
        rule("agent:{id}", vec![role("dashboard"), agent("{id}")]),
        rule("user:{id}", vec![user("{id}")]),
        rule("closed", vec![]),
        rule("lobby", vec![JoinSpec::default()]),
    ]);
    let ann = Somebody::new("ann", "dashboard", "/ws");
    assert!(may(&rules, "agent:7", &ann) && may(&rules, "agent:a:b", &ann) && may(&rules, "lobby", &ann));
    assert!(!may(&rules, "agent:secret", &ann), "a later, wider rule does not open it");
    assert!(may(&rules, "user:ann", &ann) && !may(&rules, "user:ann2", &ann) && !may(&rules, "user:an", &ann));
    assert!(!may(&rules, "closed", &ann) && !may(&rules, "else", &ann) && !may(&rules, "agent:", &ann));
    let robot = Somebody::new("r", "agent", "/ws").agent("7");
    assert!(may(&rules, "agent:7", &robot) && !may(&rules, "agent:8", &robot));
}

#[test]
fn all_keys_of_an_entry_must_hold() {
    let all = JoinSpec {
        role: Some("dashboard".parse().unwrap()),
        permission: Some("read".parse().unwrap()),
        user: Some("{org}/{id}".into()),
        agent: None,
        plan: Some("free".parse().unwrap()),
    };
    let rules = compiled(&[rule("org:{org}:user:{id}", vec![all])]);
    let fits = || Somebody::new("acme/ann", "dashboard", "/ws").permission("read");
    let room = "org:acme:user:ann";
    assert!(may(&rules, room, &fits()));
    assert!(!may(&rules, "org:other:user:ann", &fits()));
    assert!(!may(&rules, room, &Somebody { role: None, ..fits() }));
    assert!(!may(&rules, room, &Somebody { plan: "other".parse().unwrap(), ..fits() }));
    assert!(!may(&rules, room, &Somebody::new("acme/ann", "dashboard", "/ws")));
    assert!(!may(&rules, room, &Somebody::new("acme/bob", "dashboard", "/ws").permission("read")));
    let of_agents = compiled(&[rule("a:{id}", vec![agent("{id}")])]);
    assert!(!may(&of_agents, "a:ann", &Somebody::new("ann", "agent", "/ws")), "who is no agent has no agent's id");
}

#[test]
fn a_rule_changes_what_it_names_of_the_law_and_no_more() {
    let rules = compiled(&[
        RuleSpec { history: Some(Some(BOUNDS)), ..rule("a:{x}", vec![]) },
        RuleSpec { presence: Some(None), ..rule("b", vec![]) },
        RuleSpec { history: Some(None), presence: Some(Some(3)), ..rule("c", vec![]) },
    ]);
    let law = |room: &str| *rules.law(&room.parse().unwrap());
    assert_eq!(law("a:1"), RoomLaw { history: Some(BOUNDS), presence: Some(100) });
    assert_eq!(law("b"), RoomLaw { history: None, presence: None });
    assert_eq!(law("c"), RoomLaw { history: None, presence: Some(3) });
    assert_eq!((law("else"), *rules.defaults()), (DEFAULTS, DEFAULTS));
    assert_eq!(rules.iter().map(RoomRule::pattern).collect::<Vec<_>>(), ["a:{x}", "b", "c"]);
    assert_eq!(rules.rule(&"b".parse().unwrap()).map(RoomRule::join), Some(&[][..]));
}

#[test]
fn every_fault_is_told_with_its_place_and_remedy() {
    let long = "x".repeat(641);
    let table: Vec<(RuleSpec, &str, Option<usize>, &str, &str)> = vec![
        (rule("", vec![]), "match", None, "is empty", "`agent:{id}`"),
        (rule(&long, vec![]), "match", None, "longer than 640", "`agent:{id}`"),
        (rule("a\n", vec![]), "match", None, "control character", "`agent:{id}`"),
        (rule("agent:*", vec![]), "match", None, "would stand for itself", "names in braces"),
        (rule("a:{id", vec![]), "match", None, "is not closed", "put a `}`"),
        (rule("a:{}", vec![]), "match", None, "are empty", "put a name"),
        (rule("{a}:{a}", vec![]), "match", None, "`{a}` comes twice", "name of its own"),
        (rule("{a}{b}", vec![]), "match", None, "nothing parts `{b}`", "put a `:`"),
        (rule("r:{id}", vec![user("{ids}")]), "join", Some(0), "called `ids`", "did you mean `id`?"),
        (rule("r", vec![agent("{id}")]), "join", Some(0), "called `id`", "put `{id}` into `match`"),
        (rule("r", vec![agent("{id")]), "join", Some(0), "is not closed", "put a `}`"),
        (rule("r", vec![user("")]), "join", Some(0), "nobody has it", "write an id"),
        (rule("r", vec![JoinSpec::default(), role("admn")]), "join", Some(1), "no role `admn`", "`admin`"),
        (rule("r", vec![role("admin"), role("admin")]), "join", Some(1), "comes twice", "take one"),
    ];
    for (spec, field, entry, what, remedy) in table {
        let faults = RoomRules::compile(std::slice::from_ref(&spec), DEFAULTS, &around()).unwrap_err();
        let [fault] = &*faults else { panic!("{spec:?}: {faults:?}") };
        assert_eq!((fault.rule, fault.field, fault.entry), (0, field, entry), "{fault}");
        assert!(fault.what.contains(what) && fault.remedy.contains(remedy), "{fault}");
    }
}

#[test]
fn a_rule_behind_a_wider_one_is_a_fault_and_all_faults_come_at_once() {
    let specs = ["{any}", "agent:{id}", "x*", "agent:7"].map(|pattern| rule(pattern, vec![]));
    let faults = RoomRules::compile(&specs, DEFAULTS, &around()).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.rule).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(faults[0].what.contains("rule 1 (`{any}`)") && faults[0].remedy.contains("before rule 1"), "{}", faults[0]);
    for (first, second, dead) in [
        ("agent:{id}", "agent:{other}", true),
        ("agent:{id}", "agent:a:{x}", true),
        ("agent:{id}", "{kind}:{id}", false),
        ("{a}:{b}", "agent:{id}", true),
        ("{a}:x", "{a}-{b}:x", true),
        ("{a}-{b}", "{a}", false),
        ("{a}:x", "{a}:{b}:x", false),
        ("a", "a", true),
        ("a", "{a}", false),
    ] {
        let outcome = RoomRules::compile(&[rule(first, vec![]), rule(second, vec![])], DEFAULTS, &around());
        assert_eq!(outcome.is_err(), dead, "{first} before {second}");
    }
}

#[test]
fn a_room_has_one_reading() {
    let read = |pattern: &str, room: &str| {
        let pattern = Pattern::parse(pattern).unwrap();
        pattern.matches(room).map(|captures| captures.iter().map(|(_, value)| (*value).to_owned()).collect::<Vec<_>>())
    };
    let some = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
    assert_eq!(read("chat-{a}-{b}", "chat-x-y-z"), some(&["x", "y-z"]));
    assert_eq!(read("{a}x", "axx"), some(&["ax"]));
    assert_eq!(read("{a}x{b}x", "1xx2x"), some(&["1", "x2"]));
    assert_eq!((read("{a}é{b}", "éé"), read("{a}é{b}", "a:é:")), (None, None));
    assert_eq!(read("{a}é{b}", "éé:é"), some(&["é", ":é"]));
    assert_eq!(read("{a}:{b}", "a:b:c"), some(&["a", "b:c"]));
    assert_eq!(read("{a}:{b}:z", "a:b:c:z"), None);
    assert_eq!(read("xx", "x"), None);
}

/// All ways to read a room, tried one by one.
fn reads(parts: &[&str], room: &str) -> bool {
    match parts.split_first() {
        None => room.is_empty(),
        Some((name, rest)) if name.starts_with('{') => {
            room.char_indices().skip(1).map(|(at, _)| at).chain([room.len()]).any(|at| {
                let (value, behind) = room.split_at(at);
                !value.is_empty() && (rest.is_empty() || !value.contains(':')) && reads(rest, behind)
            })
        }
        Some((text, rest)) => room.strip_prefix(text).is_some_and(|behind| reads(rest, behind)),
    }
}

fn parts() -> impl Strategy<Value = Vec<&'static str>> {
    let literal = prop::sample::select(vec!["a", "b", ":", "ab", "a:", ":b", "b:a"]);
    (any::<bool>(), prop::collection::vec(literal, 1..4), any::<bool>()).prop_map(|(first, literals, last)| {
        let names = ["{p}", "{q}", "{r}", "{s}"];
        let mut parts: Vec<&'static str> = Vec::new();
        for (literal, name) in literals.iter().zip(names) {
            if first || !parts.is_empty() {
                parts.push(name);
            }
            parts.push(literal);
        }
        if last {
            parts.push("{z}");
        }
        parts
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_pattern_matches_where_any_reading_does(parts in parts(), room in "[ab:é]{1,10}") {
        let pattern = Pattern::parse(&parts.concat()).unwrap();
        let captures = pattern.matches(&room);
        prop_assert_eq!(captures.is_some(), reads(&parts, &room));
        if let Some(captures) = captures {
            let written = captures.iter().fold(parts.concat(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
            prop_assert_eq!(written, room);
        }
    }

    #[test]
    fn a_pattern_that_covers_another_matches_all_that_it_matches(one in parts(), other in parts(), room in "[ab:]{1,8}") {
        let (one, other) = (Pattern::parse(&one.concat()).unwrap(), Pattern::parse(&other.concat()).unwrap());
        if one.covers(&other) && other.matches(&room).is_some() {
            prop_assert!(one.matches(&room).is_some());
        }
    }
}
