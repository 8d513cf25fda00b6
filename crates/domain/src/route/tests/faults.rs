//! Every fault of a table, each with its place, what is wrong and what to do.

use super::*;

struct Case {
    route: RouteSpec,
    field: &'static str,
    entry: Option<usize>,
    what: &'static str,
    remedy: &'static str,
}

fn case(
    route: RouteSpec,
    field: &'static str,
    entry: impl Into<Option<usize>>,
    what: &'static str,
    remedy: &'static str,
) -> Case {
    Case { route, field, entry: entry.into(), what, remedy }
}

fn to(targets: &[&str]) -> RouteSpec {
    spec("*", &["x"], targets)
}

fn from(origins: &[&str]) -> RouteSpec {
    RouteSpec { from: texts(origins), ..to(&["sender"]) }
}

fn types(types: &[&str]) -> RouteSpec {
    spec("*", types, &["sender"])
}

fn check(cases: Vec<Case>) {
    for Case { route, field, entry, what, remedy } in cases {
        let faults = Routes::compile(std::slice::from_ref(&route), &around()).unwrap_err();
        let [fault] = &*faults else { panic!("{route:?}: {faults:#?}") };
        assert_eq!((fault.route, fault.field, fault.entry), (0, field, entry), "{fault}");
        assert!(fault.what.contains(what) && fault.remedy.contains(remedy), "{fault}");
        assert_eq!(fault.to_string(), format!("{}: {}", fault.what, fault.remedy));
    }
}

#[test]
fn a_sender_that_cannot_be_is_a_fault() {
    check(vec![
        case(from(&[]), "from", None, "`from` is empty", "`*` for everybody"),
        case(from(&["agent", "dashbord"]), "from", 1, "no role `dashbord`", "did you mean `dashboard`?"),
        case(from(&["role:agent"]), "from", 0, "by its name alone", "write `agent`"),
        case(from(&["dash*"]), "from", 0, "`*` stands alone", "write the name of a role"),
        case(from(&[""]), "from", 0, "the role is empty", "write the name of a role"),
        case(from(&["endpoint:/wss"]), "from", 0, "no endpoint `/wss`", "did you mean `/ws`?"),
        case(from(&["endpoint:/echo"]), "from", 0, "returns what it gets", "`handler`"),
        case(from(&["*", "*"]), "from", 1, "`*` comes twice", "take one"),
    ]);
}

#[test]
fn a_type_that_cannot_be_is_a_fault() {
    let long = "x".repeat(257);
    check(vec![
        case(types(&[]), "types", None, "`types` is empty", "`*` for all"),
        case(types(&["x", "a*b"]), "types", 1, "has a `*` where none may be", "at the end"),
        case(types(&["a**"]), "types", 0, "has a `*` where none may be", "at the end"),
        case(types(&[""]), "types", 0, "the type is empty", "`command`"),
        case(types(&["a\n"]), "types", 0, "control character", "`command`"),
        case(types(&[&long]), "types", 0, "longer than 256", "`command`"),
        case(types(&["ping"]), "types", 0, "`ping` is a type of the gateway's own", "another type"),
        case(types(&["auth.*"]), "types", 0, "`auth.*` is a type of the gateway's own", "another type"),
        case(types(&["presence.j*"]), "types", 0, "gateway's own", "another type"),
        case(types(&["a", "b", "a"]), "types", 2, "`a` comes twice", "take one"),
        case(RouteSpec { renamed: Some("reply".into()), ..types(&["x"]) }, "as", None, "gateway's own", "another type"),
        case(RouteSpec { renamed: Some(String::new()), ..types(&["x"]) }, "as", None, "is empty", "`command`"),
        case(RouteSpec { renamed: Some("X_*".into()), ..types(&["x"]) }, "as", None, "has a `*`", "whole types"),
    ]);
    assert!(Routes::compile(&[types(&["ping*", "aut*", "agent.*", "a"])], &around()).is_ok());
}

#[test]
fn a_target_that_cannot_be_is_a_fault() {
    check(vec![
        case(to(&[]), "to", None, "`to` is empty", "name a target"),
        case(to(&["sender", "rooms:x"]), "to", 1, "is no target", "did you mean `room:`"),
        case(to(&["agent:{payload.}"]), "to", 0, "a step of the path is empty", "single dots"),
        case(to(&["agent:{foo}"]), "to", 0, "no placeholder `foo`", "payload.PATH"),
        case(to(&["agent:x?role=agent"]), "to", 0, "narrows only `user:`", "`user:ID?role=ROLE`"),
        case(to(&["user:x?role=agnt"]), "to", 0, "no role `agnt`", "did you mean `agent`?"),
        case(to(&["user:{sender.userId}?role=agnt"]), "to", 0, "no role `agnt`", "did you mean `agent`?"),
        case(to(&["role:agnt"]), "to", 0, "no role `agnt`", "did you mean `agent`?"),
        case(to(&["endpoint:/ws/agnt"]), "to", 0, "no endpoint `/ws/agnt`", "did you mean `/ws/agent`?"),
        case(to(&["endpoint:/echo"]), "to", 0, "returns what it gets", "`handler`"),
        case(to(&["webhook:backnd"]), "to", 0, "no webhook `backnd`", "did you mean `backend`?"),
        case(to(&["webhook:ends"]), "to", 0, "`ends` takes no messages", "add \"message\" to its `events`"),
        case(to(&["webhook:{payload.w}"]), "to", 0, "not for a message to say", "without placeholders"),
        case(to(&["sender", "sender"]), "to", 1, "comes twice", "take one"),
        case(to(&["subscribe:a", "sender"]), "to", 0, "sends nothing to anybody else", "make two routes"),
        case(to(&["sender", "subscribe:{payload.a}"]), "to", 1, "sends nothing to anybody else", "make two routes"),
    ]);
    assert!(Routes::compile(&[to(&["subscribe:a", "subscribe:b"])], &around()).is_ok());
    let agentless = Surroundings { agents: false, ..around() };
    for target in ["agent:7", "agent:{payload.id}"] {
        let faults = Routes::compile(&[to(&[target])], &agentless).unwrap_err();
        assert!(faults[0].what.contains("no endpoint has agents") && faults[0].remedy.contains("agents = true"));
    }
}

#[test]
fn a_request_that_could_not_be_answered_is_a_fault() {
    let timed = |seconds| RouteSpec { reply_timeout: Some(Duration::from_secs(seconds)), ..to(&["role:agent"]) };
    let no_reply = RouteSpec { reply_timeout: None, ..correlating() };
    let uncorrelated = |progress: &[&str], answers: &[&str]| RouteSpec {
        progress: texts(progress),
        answers: texts(answers),
        ..request("*", &["x"], "role:agent")
    };
    let at = |path: &str| RouteSpec { correlate: Some(path.into()), ..correlating() };
    let with = |progress: &[&str], answers: &[&str]| RouteSpec {
        progress: texts(progress),
        answers: texts(answers),
        ..correlating()
    };
    check(vec![
        case(timed(0), "reply_timeout", None, "more than no time", "\"30s\""),
        case(timed(3601), "reply_timeout", None, "at most an hour", "\"30s\""),
        case(request("*", &["x"], "sender"), "to", 0, "`sender` never answers", "take `reply_timeout` out"),
        case(request("*", &["x"], "webhook:backend"), "to", 0, "never answers", "take `reply_timeout` out"),
        case(request("*", &["x"], "subscribe:a"), "to", 0, "never answers", "take `reply_timeout` out"),
        case(no_reply, "correlate", None, "this route is none", "reply_timeout = \"30s\""),
        case(with(&["A"], &[]), "correlate", None, "no message would ever answer", "answers = ["),
        case(
            uncorrelated(&["A"], &[]),
            "progress",
            None,
            "`progress` finds no request",
            "correlate = \"payload.commandId\"",
        ),
        case(
            uncorrelated(&[], &["A"]),
            "answers",
            None,
            "`answers` finds no request",
            "correlate = \"payload.commandId\"",
        ),
        case(at("commandId"), "correlate", None, "is not in the payload", "\"payload.commandId\""),
        case(at("payload."), "correlate", None, "a step of the path is empty", "\"payload.commandId\""),
        case(at("payload.list.0"), "correlate", None, "cannot stand in a list", "\"payload.commandId\""),
        case(with(&["A", "ack"], &["B"]), "progress", 1, "gateway's own", "another type"),
        case(with(&[], &["B", "reply"]), "answers", 1, "gateway's own", "another type"),
        case(with(&[], &["B*"]), "answers", 0, "has a `*`", "whole types"),
        case(with(&["A", "B"], &["B"]), "progress", 1, "progress and answer at once", "else in `answers`"),
        case(with(&[], &["B", "B"]), "answers", 1, "comes twice", "take one"),
    ]);
    assert!(Routes::compile(&[timed(3600)], &around()).is_ok());
}

#[test]
fn one_answer_cannot_end_one_request_and_not_the_other() {
    let other = RouteSpec {
        progress: texts(&["COMMAND_COMPLETE"]),
        answers: texts(&["DONE"]),
        types: texts(&["JOB"]),
        ..correlating()
    };
    let faults = Routes::compile(&[correlating(), other], &around()).unwrap_err();
    let [fault] = &*faults else { panic!("{faults:?}") };
    assert_eq!((fault.route, fault.field, fault.entry), (1, "progress", Some(0)));
    assert!(fault.what.contains("in `answers` of route 1 and in `progress` here"), "{fault}");
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_routes() {
    let specs = [
        RouteSpec { from: texts(&["agnt"]), ..to(&["foo", "room:{"]) },
        to(&["sender"]),
        RouteSpec { types: vec![], ..to(&["webhook:x"]) },
    ];
    let faults = Routes::compile(&specs, &around()).unwrap_err();
    let places: Vec<_> = faults.iter().map(|fault| (fault.route, fault.field, fault.entry)).collect();
    assert_eq!(
        places,
        [(0, "from", Some(0)), (0, "to", Some(0)), (0, "to", Some(1)), (2, "to", Some(0)), (2, "types", None)]
    );
}

#[test]
fn where_any_role_may_turn_up_none_is_unknown() {
    let open = Surroundings { roles: None, ..around() };
    assert!(Routes::compile(&[RouteSpec { from: texts(&["guest"]), ..to(&["role:other"]) }], &open).is_ok());
}

#[test]
fn a_route_to_which_nothing_ever_comes_is_a_fault() {
    let dead = |specs: &[RouteSpec]| -> Vec<usize> {
        Routes::compile(specs, &around())
            .map_or_else(|faults| faults.iter().map(|fault| fault.route).collect(), |_| vec![])
    };
    let fixed = |from: &str, types: &[&str]| spec(from, types, &["room:x"]);
    assert_eq!(dead(&[fixed("*", &["*"]), fixed("agent", &["x"])]), [1]);
    assert_eq!(dead(&[fixed("agent", &["a*"]), fixed("agent", &["ab*", "ac"])]), [1]);
    assert_eq!(dead(&[fixed("agent", &["a*"]), fixed("agent", &["ab*", "bc"])]), [] as [usize; 0]);
    assert_eq!(dead(&[fixed("agent", &["a*"]), fixed("*", &["a*"])]), [] as [usize; 0]);
    assert_eq!(dead(&[fixed("agent", &["a"]), fixed("agent", &["a*"])]), [] as [usize; 0]);
    assert_eq!(dead(&[fixed("endpoint:/ws", &["a"]), fixed("agent", &["a"])]), [] as [usize; 0]);
    assert_eq!(dead(&[spec("*", &["*"], &["room:{sender.userId}"]), fixed("agent", &["a"])]), [] as [usize; 0]);
    assert_eq!(dead(&[spec("*", &["*"], &["room:{sender.connectionId}"]), fixed("agent", &["a"])]), [1]);

    let both = RouteSpec { from: texts(&["agent", "admin"]), ..fixed("", &["a"]) };
    let specs = [fixed("agent", &["*"]), fixed("admin", &["a"]), both];
    let faults = Routes::compile(&specs, &around()).unwrap_err();
    let [fault] = &*faults else { panic!("{faults:?}") };
    assert_eq!((fault.route, fault.field, fault.entry), (2, "types", None));
    assert!(fault.what.contains("route 1 and 2 takes it all") && fault.remedy.contains("before route 1"), "{fault}");
}
