//! Routes: the first that takes a message by its sender, its type and its placeholders decides; what lacks a value falls
//! through to the next; and the gateway's own types go by none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{Actor, Claims, TestGateway, stage::NO_QUOTAS};
use serde_json::{Value, json};

const ROOMS: &str = "[[rooms.rules]]\nmatch = \"p:{name}\"\njoin = [{ role = \"viewer\" }]\n";

fn gateway(config: &str) -> TestGateway {
    TestGateway::with(&format!(
        "{NO_QUOTAS}[plans.free]\nmessages = \"off\"\n[limits]\nrooms_per_connection = 1000\n{ROOMS}{config}"
    ))
}

/// Ann, whose token says where she works; and somebody who follows rooms.
async fn ann_and_a_follower(gateway: &TestGateway) -> (Actor, Actor) {
    let claims = Claims::of("ann", "dashboard").with("plan", "free").with("team", json!({"name": "blue", "no": 7}));
    let ann = Actor::enter_with(gateway, "/ws/dashboard", &claims).await;
    (ann, Actor::enter(gateway, "/ws", "vic", "viewer").await)
}

/// The name that a placeholder had, by the room that the follower heard the message in.
async fn name_in_room(follower: &mut Actor) -> String {
    let message = follower.hear().await;
    message["room"].as_str().unwrap_or_else(|| panic!("{message}")).strip_prefix("p:").unwrap().to_owned()
}

#[tokio::test]
async fn placeholders_take_what_fits_and_what_lacks_a_value_goes_by_the_next_route() {
    let long = "x".repeat(128);
    let too_long = "x".repeat(129);
    let at = |path: &str, value: Value| (format!("{{payload.{path}}}"), json!({"payload": value}));
    let of = |template: &str, message: Value| (template.to_owned(), message);
    let mut cases = vec![
        (of("{sender.userId}", json!({})), Some("ann".to_owned())),
        (of("{sender.agentId}", json!({})), Some("ann".into())),
        (of("{sender.plan}", json!({})), Some("free".into())),
        (of("{sender.role}", json!({})), Some("dashboard".into())),
        (of("{sender.claims.team.name}", json!({})), Some("blue".into())),
        (of("{sender.claims.team.no}", json!({})), Some("7".into())),
        (of("{sender.claims.team}", json!({})), None),
        (of("{sender.claims.team.absent}", json!({})), None),
        (of("{message.region}", json!({"region": "north"})), Some("north".into())),
        (of("{message.region}", json!({"region": 12})), Some("12".into())),
        (of("{message.region}", json!({"Region": "north"})), None),
        (of("{message.region}", json!({"region": ["north"]})), None),
        (of("{message.id}", json!({"id": "m-1"})), Some("m-1".into())),
        (of("{message.id}", json!({})), None),
        (of("{payload.a}-{sender.userId}-{payload.b}", json!({"payload": {"b": 2, "a": 1}})), Some("1-ann-2".into())),
        (of("{payload.a}-{payload.b}", json!({"payload": {"a": "x:y", "b": "z"}})), None),
        (of("{payload.a}-{payload.b}", json!({"payload": {"a": "x", "b": "y:z"}})), Some("x-y:z".into())),
        (of("{payload.a}", json!({})), None),
    ];
    for (path, payload, value) in [
        ("a", json!({"a": "x"}), Some("x")),
        ("a.b.c", json!({"a": {"b": {"c": "deep"}}}), Some("deep")),
        ("items.1.id", json!({"items": [{"id": "no"}, {"id": "yes"}]}), Some("yes")),
        ("a", json!({"a": u64::MAX}), Some("18446744073709551615")),
        ("a", json!({"a": i64::MIN}), Some("-9223372036854775808")),
        ("a", json!({"a": long}), Some(&long)),
        ("a", json!({"a": "ä:ö/? ="}), Some("ä:ö/? =")),
        ("a", json!({"a": "{sender.userId}"}), Some("{sender.userId}")),
        ("a", json!({"a": too_long}), None),
        ("a", json!({"a": ""}), None),
        ("a", json!({"a": "*"}), None),
        ("a", json!({"a": "x*"}), None),
        ("a", json!({"a": "x\ny"}), None),
        ("a", json!({"a": "x\u{7f}y"}), None),
        ("a", json!({"a": 1.5}), None),
        ("a", json!({"a": true}), None),
        ("a", json!({"a": null}), None),
        ("a", json!({"a": {"a": "x"}}), None),
        ("a", json!(["x"]), None),
        ("a", json!("a"), None),
        ("items.1.id", json!({"items": [{"id": "no"}]}), None),
    ] {
        cases.push((at(path, payload), value.map(str::to_owned)));
    }
    let routes: String = cases
        .iter()
        .enumerate()
        .map(|(n, ((template, _), _))| {
            format!("[[routes]]\nfrom = \"dashboard\"\ntypes = [\"t{n}\"]\nto = 'room:p:{template}'\n")
        })
        .collect();
    let gateway = gateway(&format!("{routes}[[routes]]\nfrom = \"*\"\ntypes = [\"*\"]\nto = \"room:p:fallen\"\n"));
    let (mut ann, mut follower) = ann_and_a_follower(&gateway).await;
    let mut names: Vec<_> = cases.iter().filter_map(|(_, name)| name.clone()).chain(["fallen".into()]).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        follower.subscribe(&format!("p:{name}")).await;
    }
    for (n, ((template, mut message), name)) in cases.into_iter().enumerate() {
        message["type"] = json!(format!("t{n}"));
        ann.say(message.clone()).await;
        let found = name_in_room(&mut follower).await;
        assert_eq!(found, name.unwrap_or("fallen".into()), "{template} of {message}");
    }
    follower.hears_nothing().await;
    ann.hears_nothing().await;
}

#[tokio::test]
async fn a_value_that_is_there_twice_is_absent_and_an_escaped_one_is_what_it_means() {
    let config = "[[routes]]\nfrom = \"*\"\ntypes = [\"t\"]\nto = \"room:p:{payload.a.b}\"\n\
                  [[routes]]\nfrom = \"*\"\ntypes = [\"t\"]\nto = \"room:p:fallen\"\n";
    let gateway = gateway(config);
    let (mut ann, mut follower) = ann_and_a_follower(&gateway).await;
    for name in ["one", "two", "fallen"] {
        follower.subscribe(&format!("p:{name}")).await;
    }
    for (payload, name) in [
        (r#"{"a":{"b":"one"}}"#, "one"),
        (r#"{"c":{"b":"two","b":"two"},"a":{"c":0,"c":1,"b":"one"}}"#, "one"),
        (r#"{"\u0061":{"b":"\u006fne"}}"#, "one"),
        (r#"{"a":{"b":"one","b":"one"}}"#, "fallen"),
        (r#"{"a":{"b":"one","\u0062":"two"}}"#, "fallen"),
        (r#"{"a":{"b":"one"},"a":{"b":"two"}}"#, "fallen"),
        (r#"{"a":{"b":"one"},"a":7}"#, "fallen"),
        (r#"{"A":{"b":"one"}}"#, "fallen"),
        (r#"{"a.b":"one"}"#, "fallen"),
    ] {
        ann.client.send(format!(r#"{{"type":"t","payload":{payload}}}"#)).await;
        assert_eq!(name_in_room(&mut follower).await, name, "{payload}");
    }
}

#[tokio::test]
async fn the_first_route_that_takes_sender_and_type_wins() {
    let mut config = String::new();
    for (from, types, room) in [
        (json!("viewer"), json!(["COMMAND_*"]), "viewers"),
        (json!(["operator", "dashboard"]), json!(["COMMAND_STOP", "stop"]), "stops"),
        (json!("endpoint:/ws/dashboard"), json!(["COMMAND_*"]), "desk commands"),
        (json!("dashboard"), json!(["COMMAND_*"]), "commands"),
        (json!("*"), json!(["COMMAND*"]), "near commands"),
        (json!("dashboard"), json!(["*"]), "others"),
    ] {
        config.push_str(&format!("[[routes]]\nfrom = {from}\ntypes = {types}\nto = \"room:p:{room}\"\n"));
    }
    let gateway = gateway(&config);
    let (mut ann, mut follower) = ann_and_a_follower(&gateway).await;
    let mut elsewhere = Actor::enter(&gateway, "/ws", "eli", "dashboard").await;
    let mut operator = Actor::enter(&gateway, "/ws", "olga", "operator").await;
    for room in ["viewers", "stops", "desk commands", "commands", "near commands", "others"] {
        follower.subscribe(&format!("p:{room}")).await;
    }
    let of_ann = [
        ("COMMAND_STOP", "stops"),
        ("stop", "stops"),
        ("COMMAND_START", "desk commands"),
        ("COMMAND_", "desk commands"),
        ("COMMAND_STOP_NOW", "desk commands"),
        ("COMMANDS", "near commands"),
        ("command_stop", "others"),
        ("Stop", "others"),
        ("*", "others"),
        ("MY_COMMAND_STOP", "others"),
    ];
    let of_others = [("COMMAND_STOP", "stops"), ("COMMAND_START", "commands")];
    let of_operators = [("COMMAND_STOP", "stops"), ("COMMAND_START", "near commands")];
    for (actor, said) in [(&mut ann, &of_ann[..]), (&mut elsewhere, &of_others), (&mut operator, &of_operators)] {
        for (kind, room) in said {
            actor.say(json!({"type": kind})).await;
            assert_eq!(name_in_room(&mut follower).await, *room, "{kind} by {}", actor.from);
        }
    }
    // Where no route is, nothing goes.
    for kind in ["start", "*"] {
        operator.say(json!({"type": kind, "id": "n"})).await;
        operator.hears_error("INVALID_MESSAGE", "n").await;
    }
    follower.hears_nothing().await;
}

#[tokio::test]
async fn the_gateways_own_types_go_by_no_route_however_they_are_written() {
    let gateway =
        gateway("[[routes]]\nfrom = \"*\"\ntypes = [\"*\"]\nto = [\"room:p:all\", \"role:viewer\", \"sender\"]\n");
    let (mut ann, mut follower) = ann_and_a_follower(&gateway).await;
    follower.subscribe("p:all").await;
    let own = [
        "connection_ready",
        "ack",
        "error",
        "subscribed",
        "unsubscribed",
        "auth.refreshed",
        "auth.expiring",
        "auth.",
        "auth.x",
        "presence.joined",
        "presence.left",
        "presence.",
        "presence.of.mine",
        "agent.online",
        "agent.offline",
    ];
    for kind in own {
        let escaped: String = kind.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
        // Ten messages that are not understood are a violation: that is another story, and so each has its speaker.
        let mut speaker = Actor::enter(&gateway, "/ws", kind, "dashboard").await;
        for written in [kind, &escaped] {
            speaker.client.send(format!(r#"{{"id":"own","type":"{written}","payload":{{"agentId":"a-1"}}}}"#)).await;
            speaker.hears_error("INVALID_MESSAGE", "own").await;
        }
        speaker.hears_nothing().await;
        speaker.leave().await;
    }
    follower.hears_nothing().await;
    // What only looks like them is the client's own affair.
    for kind in ["auth", "authx", "presence", "agent.", "agent.onlined", "AGENT.ONLINE", "Error", "error ", "pings"] {
        ann.say(json!({"type": kind})).await;
        let (by_sender, by_room) = (ann.hear().await, follower.hear().await);
        for heard in [by_sender, by_room] {
            assert_eq!((&heard["type"], &heard["from"]), (&json!(kind), &ann.from));
        }
    }
    follower.hears_nothing().await;
}

#[tokio::test]
async fn a_route_can_send_on_under_another_type() {
    let config = "[[routes]]\nfrom = \"dashboard\"\ntypes = [\"SAY\"]\nto = \"room:p:all\"\nas = \"SAID\"\n\
                  [[routes]]\nfrom = \"dashboard\"\ntypes = [\"ASK\"]\nto = \"role:viewer\"\nas = \"ASKED\"\nreply_timeout = \"5s\"\n";
    let gateway = gateway(config);
    let (mut ann, mut follower) = ann_and_a_follower(&gateway).await;
    follower.subscribe("p:all").await;
    ann.say(json!({"type": "SAY", "id": "s", "payload": {"type": "SAY"}, "own": 1})).await;
    let said = json!({
        "type": "SAID", "id": "s", "payload": {"type": "SAY"}, "own": 1, "from": ann.from, "room": "p:all", "offset": 1,
    });
    assert_eq!(follower.hear().await, said);
    ann.say(json!({"type": "ASK", "id": "a"})).await;
    let asked = follower.hear().await;
    assert_eq!(asked, json!({"type": "ASKED", "id": "a", "from": ann.from, "requestId": asked["requestId"]}));
    follower.say(json!({"type": "reply", "replyTo": "a"})).await;
    assert_eq!(ann.hear().await["type"], "reply");
    // The other name is no route's type.
    ann.say(json!({"type": "SAID", "id": "n"})).await;
    ann.hears_error("INVALID_MESSAGE", "n").await;
    follower.hears_nothing().await;
}

#[tokio::test]
async fn a_subscribe_target_puts_its_sender_into_the_room_where_the_rules_let_it() {
    let config = "[[routes]]\nfrom = \"*\"\ntypes = [\"FOLLOW\"]\nto = \"subscribe:p:{payload.name}\"\n\
                  [[routes]]\nfrom = \"dashboard\"\ntypes = [\"SAY\"]\nto = \"room:p:{payload.name}\"\n";
    let gateway = gateway(config);
    let (mut ann, mut follower) = ann_and_a_follower(&gateway).await;
    follower.say(json!({"type": "FOLLOW", "id": "f", "payload": {"name": "all"}})).await;
    let subscribed = follower.hear().await;
    assert_eq!((&subscribed["type"], &subscribed["id"]), (&json!("subscribed"), &json!("f")));
    assert_eq!((&subscribed["payload"]["room"], &subscribed["payload"]["offset"]), (&json!("p:all"), &json!(0)));
    // Ann is no viewer, and the route does not make her one.
    ann.say(json!({"type": "FOLLOW", "id": "f", "payload": {"name": "all"}})).await;
    ann.hears_error("FORBIDDEN", "f").await;
    follower.say(json!({"type": "FOLLOW", "id": "f", "payload": {}})).await;
    follower.hears_error("INVALID_MESSAGE", "f").await;
    for name in ["all", "other"] {
        ann.say(json!({"type": "SAY", "payload": {"name": name}})).await;
    }
    ann.hears_nothing().await;
    let heard = follower.heard().await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!((&heard[0]["room"], &heard[0]["offset"]), (&json!("p:all"), &json!(1)));
    // It recovers where the payload says from where on.
    let since = json!({"epoch": subscribed["payload"]["epoch"], "offset": 0});
    follower.say(json!({"type": "FOLLOW", "id": "again", "payload": {"name": "all", "since": since}})).await;
    let told = follower.hear().await["payload"].clone();
    assert_eq!((&told["recovered"], &told["missed"]), (&json!(true), &json!(1)));
    assert_eq!(follower.hear().await, heard[0]);
}
