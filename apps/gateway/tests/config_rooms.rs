//! Rooms and their limits: what holds, and what an operator reads about the rest.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

#[path = "config/support.rs"]
mod support;

use std::time::Duration;

use gateway::config::{Loaded, Sources, WhenFull, load};
use gateway_domain::Room;

use support::{KEY, each_beside_a_key_has_one, load_in, warnings};

fn loaded(text: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    load_in(folder.path(), &format!("{KEY}{text}")).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

fn room(name: &str) -> Room {
    name.parse().unwrap()
}

#[test]
fn what_ships_holds() {
    let config = loaded("").config;
    let bounds = config.rooms.bounds();
    assert_eq!((bounds.rooms, bounds.history_bytes), (100_000, 64 << 20));
    let law = config.rooms.law();
    let history = law.history.unwrap();
    assert_eq!((history.messages, history.age, history.bytes), (100, Duration::from_secs(300), 1 << 20));
    assert_eq!(law.presence, Some(100));
    let rules = config.room_rules().unwrap();
    assert_eq!(rules.iter().map(|rule| rule.pattern()).collect::<Vec<_>>(), ["agents", "agent:{id}", "user:{id}"]);
    assert_eq!(*rules.law(&room("agent:a1")), law);
    let limits = &config.limits;
    let pending = limits.pending();
    assert_eq!((limits.rooms_of_connection(), pending.in_all, pending.of_asker), (100, 100_000, 256));
    let outbox = limits.outbox;
    assert_eq!((outbox.messages.get(), outbox.bytes.bytes(), outbox.when_full), (1_024, 4 << 20, WhenFull::Close));
}

#[test]
fn a_rule_leaves_to_the_default_what_it_does_not_say() {
    let config = loaded(
        "[rooms.default]\nhistory = { messages = 7, age = \"1m\" }\npresence = \"off\"\n\
         [[rooms.rules]]\nmatch = \"a:{id}\"\nhistory = { bytes = \"2MiB\" }\npresence = 5\n\
         [[rooms.rules]]\nmatch = \"b:{id}\"\nhistory = \"off\"\n\
         [[rooms.rules]]\nmatch = \"c\"\n",
    )
    .config;
    let rules = config.room_rules().unwrap();
    let a = rules.law(&room("a:1")).history.unwrap();
    assert_eq!((a.messages, a.age, a.bytes), (7, Duration::from_secs(60), 2 << 20));
    assert_eq!(rules.law(&room("a:1")).presence, Some(5));
    assert_eq!((rules.law(&room("b:1")).history, rules.law(&room("b:1")).presence), (None, None));
    for name in ["c", "none-of-these"] {
        assert_eq!(rules.law(&room(name)).history.unwrap().bytes, 1 << 20, "{name}");
    }
    assert!(rules.iter().all(|rule| rule.join().is_empty()));
}

#[test]
fn a_rule_may_remember_where_the_default_does_not() {
    let text = "[rooms.default]\nhistory = \"off\"\n[[rooms.rules]]\nmatch = \"a\"\nhistory = { messages = 3 }\n";
    let rules = loaded(text).config.room_rules().unwrap();
    assert_eq!(rules.law(&room("b")).history, None);
    let history = rules.law(&room("a")).history.unwrap();
    assert_eq!((history.messages, history.age.as_secs(), history.bytes), (3, 300, 1 << 20));
}

#[test]
fn limits_can_be_off_and_variables_set_single_ones() {
    let config = loaded(
        "[limits]\nrooms_per_connection = \"off\"\nrequests = \"off\"\nrequests_per_connection = 1\n\
         outbox = { when_full = \"drop_oldest\" }\n[rooms]\nmax = \"off\"\n",
    )
    .config;
    assert_eq!((config.limits.rooms_of_connection(), config.limits.pending().in_all), (usize::MAX, usize::MAX));
    assert_eq!((config.limits.pending().of_asker, config.rooms.bounds().rooms), (1, usize::MAX));
    assert_eq!((config.limits.outbox.when_full, config.limits.outbox.messages.get()), (WhenFull::DropOldest, 1_024));
    let env = [
        ("SECRET", "ssssssssssssssssssssssssssssssss"),
        ("GATEWAY__ROOMS__MAX", "9"),
        ("GATEWAY__ROOMS__DEFAULT__HISTORY__MESSAGES", "3"),
        ("GATEWAY__ROOMS__DEFAULT__PRESENCE", "off"),
        ("GATEWAY__LIMITS__OUTBOX__BYTES", "64KiB"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, KEY).unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let config = load(Sources { file: Some(file), env, ..Sources::default() }).unwrap().config;
    let law = config.rooms.law();
    assert_eq!((config.rooms.bounds().rooms, law.history.unwrap().messages, law.presence), (9, 3, None));
    assert_eq!(law.history.unwrap().bytes, 1 << 20);
    assert_eq!(config.limits.outbox.bytes.bytes(), 64 << 10);
}

#[test]
fn rules_that_cannot_work_are_told_with_their_place() {
    let door = "[[endpoints]]\npath = \"/d\"\nroles = [\"dashboard\"]\n";
    let cases: &[(&str, &str, &[&str])] = &[
        ("[[rooms.rules]]\njoin = []", "8:1  rooms.rules[0].match", &["this key is missing"]),
        ("[[rooms.rules]]\nmatch = \"a:{id\"", "9:1  rooms.rules[0].match", &["not closed"]),
        ("[[rooms.rules]]\nmatch = \"a:{id}:{id}\"", "9:1  rooms.rules[0].match", &["id"]),
        (
            "[[rooms.rules]]\nmatch = \"a\"\n[[rooms.rules]]\nmatch = \"a\"",
            "11:1  rooms.rules[1].match",
            &["rule 1 (`a`)"],
        ),
        (
            "[[rooms.rules]]\nmatch = \"a\"\njoin = [{ user = \"ann\" }, { role = \"dashbord\" }]",
            "10:27  rooms.rules[0].join[1]",
            &["Did you mean `dashboard`?"],
        ),
        ("[[rooms.rules]]\nmatch = \"a:{id}\"\njoin = [{ user = \"{di}\" }]", "10:9  rooms.rules[0].join[0]", &["di"]),
        (
            "[[rooms.rules]]\nmatch = \"a\"\njoin = [{ rolle = \"dashboard\" }]",
            "10:11  rooms.rules[0].join[0].rolle",
            &["Did you mean `role`?"],
        ),
        ("[[rooms.rules]]\nmatch = \"a\"\nhistory = \"none\"", "10:1  rooms.rules[0].history", &["or \"off\""]),
        (
            "[[rooms.rules]]\nmatch = \"a\"\nhistory = { messages = 0 }",
            "10:13  rooms.rules[0].history.messages",
            &["at least 1"],
        ),
        ("[rooms]\ndefaults = 1", "9:1  rooms.defaults", &["Did you mean `default`?"]),
        ("[rooms.default]\npresence = \"on\"", "9:1  rooms.default.presence", &["or \"off\""]),
        ("[limits]\noutbox = \"off\"", "9:1  limits.outbox", &["bytes = ..., messages = ..., when_full = ..."]),
        (
            "[limits]\noutbox = { when_full = \"drop\" }",
            "9:12  limits.outbox.when_full",
            &["\"close\", \"drop_oldest\""],
        ),
    ];
    let texts: Vec<_> = cases.iter().map(|(text, ..)| format!("{door}{text}")).collect();
    let cases: Vec<_> =
        cases.iter().zip(&texts).map(|((_, place, words), text)| (text.as_str(), *place, *words)).collect();
    each_beside_a_key_has_one(&cases);
}

#[test]
fn a_room_that_may_remember_more_than_all_together_is_warned_of() {
    for (text, begins) in [
        ("[rooms]\nhistory_budget = \"1KiB\"", "5:2  rooms.default.history.bytes"),
        (
            "[rooms]\n[[rooms.rules]]\nmatch = \"a\"\nhistory = { bytes = \"65MiB\" }",
            "8:13  rooms.rules[0].history.bytes",
        ),
    ] {
        let found = warnings(&format!("{KEY}{text}\n"));
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].contains(begins) && found[0].contains("all rooms together"), "{found:#?}");
    }
}

#[test]
fn the_policy_tells_who_may_subscribe() {
    let text = "[[rooms.rules]]\nmatch = \"a\"\njoin = [{ role = \"dashboard\", permission = \"p\" }, { user = \"ann\" }, { agent = \"x\", plan = \"free\" }]\n\
                [[rooms.rules]]\nmatch = \"b\"\n[[rooms.rules]]\nmatch = \"c\"\njoin = [{}]\n";
    let shown = loaded(text).show(None);
    for line in [
        "# rooms a: role dashboard with permission p, or user ann, or agent x with plan free may subscribe.",
        "# rooms b: nobody may subscribe.",
        "# rooms c: everybody may subscribe.",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let none = loaded("[rooms]\nrules = []\n").show(None);
    assert!(none.contains("# No rules of rooms: nobody may subscribe to any."), "{none}");
}
