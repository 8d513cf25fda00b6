//! Finding routes; the checks of a table stand in `faults`, its laws in `properties`.

mod faults;
mod properties;

use serde_json::json;

use super::*;
use crate::sender::fixture::Somebody;

pub(super) fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn spec(from: &str, types: &[&str], to: &[&str]) -> RouteSpec {
    RouteSpec { from: texts(&[from]), types: texts(types), to: texts(to), ..RouteSpec::default() }
}

pub(super) fn request(from: &str, types: &[&str], to: &str) -> RouteSpec {
    RouteSpec { reply_timeout: Some(Duration::from_secs(30)), ..spec(from, types, &[to]) }
}

pub(super) fn correlating() -> RouteSpec {
    RouteSpec {
        correlate: Some("payload.commandId".into()),
        progress: texts(&["COMMAND_ACK", "COMMAND_STATUS"]),
        answers: texts(&["COMMAND_COMPLETE"]),
        renamed: Some("AGENT_COMMAND".into()),
        ..request("dashboard", &["COMMAND_REQUEST"], "agent:{payload.agentId}")
    }
}

pub(super) fn around() -> Surroundings {
    Surroundings {
        roles: Some(["agent", "dashboard", "admin"].map(|role| role.parse().unwrap()).into()),
        endpoints: [("/ws".into(), true), ("/ws/agent".into(), true), ("/echo".into(), false)].into(),
        webhooks: [("backend".into(), true), ("ends".into(), false)].into(),
        agents: true,
    }
}

pub(super) fn compiled(specs: &[RouteSpec]) -> Routes {
    Routes::compile(specs, &around()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn found(routes: &Routes, who: &Somebody, message: serde_json::Value) -> Option<(usize, Vec<String>)> {
    let text = message.to_string();
    let found = routes.find(&who.sender(), &Message::parse(&text).unwrap())?;
    Some((found.route.index(), found.targets.iter().map(Target::to_string).collect()))
}

fn dashboard() -> Somebody {
    Somebody::new("ann", "dashboard", "/ws")
}

#[test]
fn the_first_route_that_matches_by_sender_type_and_placeholders_decides() {
    let routes = compiled(&[
        spec("dashboard", &["command", "COMMAND_*"], &["agent:{payload.agentId}"]),
        spec("endpoint:/ws", &["COMMAND_ALL"], &["role:agent", "room:{sender.userId}"]),
        spec("*", &["*"], &["webhook:backend"]),
    ]);
    let command = |kind: &str| json!({"type": kind, "payload": {"agentId": "7"}});
    assert_eq!(found(&routes, &dashboard(), command("command")), Some((0, texts(&["agent:7"]))));
    assert_eq!(found(&routes, &dashboard(), command("COMMAND_X")), Some((0, texts(&["agent:7"]))));
    assert_eq!(found(&routes, &dashboard(), command("COMMAND_")), Some((0, texts(&["agent:7"]))));
    assert_eq!(found(&routes, &dashboard(), command("Command")), Some((2, texts(&["webhook:backend"]))));
    let all = found(&routes, &dashboard(), json!({"type": "COMMAND_ALL"}));
    assert_eq!(all, Some((1, texts(&["role:agent", "room:ann"]))), "without its value the first does not match");
    assert_eq!(found(&routes, &Somebody::new("x", "", "/else"), command("COMMAND_ALL")).unwrap().0, 2);
    assert_eq!((routes.len(), routes.is_empty(), Routes::default().is_empty()), (3, false, true));
}

#[test]
fn the_admitted_role_counts_and_no_other_of_the_sender() {
    let routes = compiled(&[spec("admin", &["x"], &["sender"])]);
    let mut who = dashboard();
    who.principal.roles.push("admin".parse().unwrap());
    assert_eq!(found(&routes, &who, json!({"type": "x"})), None);
    who.role = Some("admin".parse().unwrap());
    assert_eq!(found(&routes, &who, json!({"type": "x"})), Some((0, texts(&["sender"]))));
}

#[test]
fn the_types_of_the_gateway_go_by_no_route() {
    let routes = compiled(&[spec("*", &["p*", "agent.*", "*"], &["sender"])]);
    for kind in ["ping", "pong", "agent.online", "auth.refresh", "auth.x", "presence.joined", "reply", "error"] {
        assert_eq!(found(&routes, &dashboard(), json!({"type": kind})), None, "{kind}");
        assert!(!routes.takes(&dashboard().sender(), kind));
    }
    for kind in ["pinged", "agent.status", "authx", "x"] {
        assert!(found(&routes, &dashboard(), json!({"type": kind})).is_some(), "{kind}");
    }
}

#[test]
fn a_missing_permission_makes_no_other_route_match() {
    let first = RouteSpec { permission: Some("do".parse().unwrap()), ..spec("*", &["x"], &["room:{payload.a}"]) };
    let routes = compiled(&[first, spec("*", &["x"], &["sender"])]);
    let text = json!({"type": "x", "payload": {"a": 1}}).to_string();
    let message = Message::parse(&text).unwrap();
    let who = dashboard();
    let found = routes.find(&who.sender(), &message).unwrap();
    assert_eq!(found.route.permission().map(Permission::as_str), Some("do"));
}

#[test]
fn two_placeholders_with_one_value_are_one_receiver() {
    let routes = compiled(&[spec("*", &["x"], &["user:{payload.a}", "user:{payload.b}", "role:agent"])]);
    let found = found(&routes, &dashboard(), json!({"type": "x", "payload": {"a": "u", "b": "u"}}));
    assert_eq!(found, Some((0, texts(&["user:u", "role:agent"]))));
}

#[test]
fn whether_a_type_is_taken_at_all_does_not_hang_on_the_rest_of_the_message() {
    let routes = compiled(&[spec("dashboard", &["command"], &["agent:{payload.agentId}"])]);
    assert_eq!(found(&routes, &dashboard(), json!({"type": "command"})), None);
    assert!(routes.takes(&dashboard().sender(), "command"));
    assert!(!routes.takes(&dashboard().sender(), "other"));
    assert!(!routes.takes(&Somebody::new("r", "agent", "/ws").sender(), "command"));
}

#[test]
fn requests_and_answers_find_each_other_by_what_they_carry() {
    let routes = compiled(&[correlating()]);
    let request = r#"{"type":"COMMAND_REQUEST","payload":{"agentId":"7","commandId":"c1"}}"#;
    let who = dashboard();
    let asked = Message::parse(request).unwrap();
    let correlation = routes.find(&who.sender(), &asked).unwrap().correlation.unwrap();
    assert_eq!((&*correlation.path, correlation.as_payload()), ("payload.commandId", r#"{"commandId":"c1"}"#.into()));
    assert!(routes.correlations(&asked).eq([correlation.clone()]));

    let answer = |kind: &str, payload: &str| {
        let text = format!(r#"{{"type":"{kind}","payload":{payload}}}"#);
        routes.answer(kind, &Message::parse(&text).unwrap())
    };
    let same = r#"{"commandId":"c1","x":1}"#;
    assert_eq!(answer("COMMAND_ACK", same), Some(Answer { more: true, correlation: Some(correlation.clone()) }));
    assert_eq!(answer("COMMAND_COMPLETE", same), Some(Answer { more: false, correlation: Some(correlation) }));
    assert_eq!(answer("COMMAND_OTHER", same), None);
    assert_eq!(
        answer("COMMAND_COMPLETE", r#"{"commandId":2}"#).unwrap().correlation.unwrap().value,
        Scalar::Integer(2)
    );
    let long = format!(r#"{{"commandId":"{}"}}"#, "c".repeat(129));
    for payload in ["{}", "1", r#"{"commandId":null}"#, r#"{"other":{"commandId":"c1"}}"#] {
        assert_eq!(answer("COMMAND_COMPLETE", payload), None, "{payload}");
    }
    for payload in [
        r#"{"commandId":""}"#,
        r#"{"commandId":"a\n"}"#,
        r#"{"commandId":"c","commandId":"c"}"#,
        r#"{"commandId":null,"command\u0049d":"c1"}"#,
        r#"{"commandId":7.0}"#,
        r#"{"commandId":["c1"]}"#,
        &long,
    ] {
        let unreadable = Answer { more: false, correlation: None };
        assert_eq!(answer("COMMAND_COMPLETE", payload), Some(unreadable), "{payload}");
    }
    assert_eq!(Routes::default().answer("COMMAND_COMPLETE", &asked), None);
}

#[test]
fn a_request_without_its_correlation_still_goes() {
    let routes = compiled(&[correlating()]);
    let message = Message::parse(r#"{"type":"COMMAND_REQUEST","payload":{"agentId":"7"}}"#).unwrap();
    let who = dashboard();
    assert_eq!(routes.find(&who.sender(), &message).unwrap().correlation, None);
}

#[test]
fn routes_that_correlate_by_different_members_may_share_the_types_of_their_answers() {
    let other = RouteSpec {
        types: texts(&["JOB"]),
        correlate: Some("payload.job.id".into()),
        progress: texts(&["COMMAND_COMPLETE"]),
        answers: texts(&["JOB_DONE"]),
        ..correlating()
    };
    let same = RouteSpec { types: texts(&["AGAIN"]), ..correlating() };
    let routes = compiled(&[correlating(), other, same]);
    let answer = |text: &str| {
        let message = Message::parse(text).unwrap();
        routes
            .answer(&message.kind, &message)
            .map(|answer| (answer.more, answer.correlation.map(|carried| carried.as_payload())))
    };
    assert_eq!(
        answer(r#"{"type":"COMMAND_COMPLETE","payload":{"job":{"id":"j"}}}"#),
        Some((true, Some(r#"{"job":{"id":"j"}}"#.into())))
    );
    assert_eq!(
        answer(r#"{"type":"COMMAND_COMPLETE","payload":{"commandId":"c","job":{"id":"j"}}}"#),
        Some((false, Some(r#"{"commandId":"c"}"#.into())))
    );
}

#[test]
fn a_route_tells_what_it_is() {
    let routes = compiled(&[RouteSpec { priority: true, ..correlating() }, spec("*", &["a", "b*"], &["sender"])]);
    let [first, second] = &routes.iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(first.reply_timeout(), Some(Duration::from_secs(30)));
    assert_eq!(
        (first.renamed(), first.correlate().map(|path| &**path)),
        (Some("AGENT_COMMAND"), Some("payload.commandId"))
    );
    assert!(first.is_priority() && !second.is_priority());
    assert_eq!(first.progress().collect::<Vec<_>>(), ["COMMAND_ACK", "COMMAND_STATUS"]);
    assert_eq!(first.answers().collect::<Vec<_>>(), ["COMMAND_COMPLETE"]);
    assert_eq!(second.from().chain(second.types()).chain(second.to()).collect::<Vec<_>>(), ["*", "a", "b*", "sender"]);
    assert_eq!((second.index(), second.correlate(), second.renamed(), second.permission()), (1, None, None, None));
}
