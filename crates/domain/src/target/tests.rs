use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Target, TargetFault> {
    text.parse()
}

#[test]
fn every_form_is_read_and_written_back() {
    let id = "00000000-0000-0000-0000-000000000007";
    let user = |user: &str, role: Option<&str>| Target::User {
        user: user.parse().unwrap(),
        role: role.map(|role| role.parse().unwrap()),
    };
    for (text, target) in [
        ("user:ann", user("ann", None)),
        ("user:t:ann", user("t:ann", None)),
        ("user:ann?role=dashboard", user("ann", Some("dashboard"))),
        ("user:ann?role=x?role=y", user("ann?role=x", Some("y"))),
        ("user:ann?role=x?role=", user("ann?role=x", None)),
        ("agent:a/1", Target::Agent("a/1".parse().unwrap())),
        (&format!("connection:{id}"), Target::Connection(id.parse().unwrap())),
        ("room:agent:7?role=x", Target::Room("agent:7?role=x".parse().unwrap())),
        ("role:agent", Target::Role("agent".parse().unwrap())),
        ("endpoint:/ws/{id}", Target::Endpoint("/ws/{id}".into())),
        ("webhook:backend", Target::Webhook("backend".into())),
        ("sender", Target::Sender),
        ("subscribe:agents", Target::Subscribe("agents".parse().unwrap())),
    ] {
        assert_eq!(parse(text).unwrap(), target, "{text}");
        assert_eq!(target.to_string(), text);
        assert_eq!(target.kind().is_none(), text == "sender");
    }
}

#[test]
fn what_is_no_target_is_told_why() {
    for text in ["", "ann", "users:ann", "User:ann", "sender:", ":x", "room"] {
        let fault = parse(text).unwrap_err();
        assert_eq!(fault, TargetFault::Kind(text.into()));
        assert!(fault.to_string().contains("`room:NAME`"), "{fault}");
    }
    for (text, kind) in [
        ("user:", "user"),
        ("user:?role=x", "user"),
        ("user:ann?role=", "role"),
        ("agent:", "agent"),
        ("room:\n", "room"),
        ("role:", "role"),
        ("webhook:", "webhook"),
        ("subscribe:", "subscribe"),
    ] {
        assert!(matches!(parse(text), Err(TargetFault::Name { kind: told, .. }) if told == kind), "{text}");
    }
    assert_eq!(parse("connection:7"), Err(TargetFault::ConnectionId));
    assert_eq!(parse("endpoint:ws"), Err(TargetFault::Path));
    let long = format!("endpoint:/{}", "x".repeat(1024));
    assert!(matches!(parse(&long), Err(TargetFault::Name { fault: NameFault::TooLong(1024), .. })));
    assert!(matches!(parse("endpoint:/\u{1}"), Err(TargetFault::Name { fault: NameFault::Control, .. })));
}

proptest! {
    #[test]
    fn whatever_the_names_hold_a_target_reads_back(name in "(\\?role=|[a:/?=*{}é ]){1,6}", role in prop::option::of("[a:/*é]{1,4}"), kind in 0usize..8) {
        let kind = Kind::ALL[kind];
        let role = role.filter(|_| kind == Kind::User).map(|role| role.parse().unwrap());
        let name = if kind == Kind::Endpoint { format!("/{name}") } else { name };
        if let Ok(target) = kind.target(&name, role) {
            prop_assert_eq!(parse(&target.to_string()).unwrap(), target);
        }
    }
}
