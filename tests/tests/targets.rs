//! Targets: a route of each kind reaches exactly those whom it names, each once; who says something hears itself only by
//! `sender`; and a request goes to one of those whom its targets mean.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::collections::BTreeMap;

use gateway_tests::{
    Actor, Claims, TestGateway,
    stage::{NO_QUOTAS, replied, reply},
};
use serde_json::{Value, json};

const HOUSE: &str = r#"
[limits]
handshakes_per_ip = "off"
handshakes_per_user = "off"
[rooms.default]
presence = "off"
[[endpoints]]
path = "/agent"
roles = ["agent"]
agents = true
[[endpoints]]
path = "/desk"
roles = ["dashboard"]
[[endpoints]]
path = "/view"
roles = ["viewer", "dashboard"]
[[rooms.rules]]
match = "hall"
join = [{}]
[[rooms.rules]]
match = "user:{id}"
join = [{ user = "{id}" }]
"#;

/// One route of that type for each target; those whose type begins with `ask` are requests.
fn routes(table: &[(&str, Value)]) -> String {
    let route = |(kind, to): &(&str, Value)| {
        let wait = if kind.starts_with("ask") { "reply_timeout = \"30s\"\n" } else { "" };
        format!("[[routes]]\nfrom = \"*\"\ntypes = [\"{kind}\"]\nto = {to}\n{wait}")
    };
    table.iter().map(route).collect()
}

/// Everybody who is in the house, by name.
struct World {
    all: BTreeMap<&'static str, Actor>,
    _gateway: TestGateway,
}

impl World {
    /// Ann and Bob at a desk and in a view each, two agents, and Eve at a desk.
    async fn with(table: &[(&str, Value)]) -> Self {
        let gateway = TestGateway::with(&format!("{NO_QUOTAS}{HOUSE}{}", routes(table)));
        let mut all = BTreeMap::new();
        for (name, path, user, roles) in [
            ("ann", "/desk", "ann", json!(["dashboard", "viewer"])),
            ("ann's view", "/view", "ann", json!(["dashboard", "viewer"])),
            ("bob", "/desk", "bob", json!(["dashboard"])),
            ("bob's view", "/view", "bob", json!(["dashboard"])),
            ("eve", "/desk", "eve", json!(["dashboard"])),
            ("a-1", "/agent", "a-1", json!(["agent"])),
            ("a-2", "/agent", "a-2", json!(["agent"])),
        ] {
            let claims = Claims::of(user, "x").with("roles", roles);
            all.insert(name, Actor::enter_with(&gateway, path, &claims).await);
        }
        Self { all, _gateway: gateway }
    }

    fn of(&mut self, name: &str) -> &mut Actor {
        self.all.get_mut(name).expect(name)
    }

    /// What each of them heard since, the place in a room apart; whoever heard nothing is left out.
    async fn heard(&mut self) -> BTreeMap<&'static str, Vec<Value>> {
        let mut all = BTreeMap::new();
        for (name, actor) in &mut self.all {
            let heard = actor.heard().await;
            if !heard.is_empty() {
                all.insert(*name, heard);
            }
        }
        all
    }

    /// One says that, and those hear it, each once; nobody else hears anything, and the count told is theirs.
    async fn reaches(&mut self, sender: &str, kind: &str, to: &str, receivers: &[&str]) {
        let message = json!({"type": kind, "id": "m", "payload": {"to": to}, "ack": true});
        let from = self.of(sender).from.clone();
        self.of(sender).say(message).await;
        let mut own = self.of(sender).heard().await;
        let told = own.pop().expect("an ack");
        let what = format!("{kind} to {to:?} by {sender}");
        assert_eq!(told, json!({"type": "ack", "id": "m", "payload": {"delivered": receivers.len()}}), "{what}");
        let mut heard = self.heard().await;
        if !own.is_empty() {
            heard.insert(*self.all.keys().find(|name| **name == sender).unwrap(), own);
        }
        let names: Vec<_> = heard.keys().copied().collect();
        assert_eq!(names, receivers, "{what}");
        for (name, mut messages) in heard {
            for message in &mut messages {
                message.as_object_mut().unwrap().retain(|member, _| member != "room" && member != "offset");
            }
            let wanted = json!({"type": kind, "id": "m", "payload": {"to": to}, "from": from});
            assert_eq!(messages, [wanted], "{what}: {name}");
        }
    }
}

#[tokio::test]
async fn every_kind_of_target_reaches_exactly_those_it_names() {
    let mut world = World::with(&[
        ("user", json!("user:{payload.to}")),
        ("viewer", json!("user:{payload.to}?role=viewer")),
        ("agent", json!("agent:{payload.to}")),
        ("connection", json!("connection:{payload.to}")),
        ("room", json!("room:{payload.to}")),
        ("role", json!("role:{payload.to}")),
        ("endpoint", json!("endpoint:/view")),
        ("sender", json!("sender")),
    ])
    .await;
    for name in ["a-1", "ann's view", "bob"] {
        world.of(name).subscribe("hall").await;
    }
    let (eves, anns) = (world.of("eve").id().to_owned(), world.of("ann").id().to_owned());
    let desks = ["ann", "bob", "bob's view", "eve"];
    for (sender, kind, to, receivers) in [
        ("eve", "user", "ann", vec!["ann", "ann's view"]),
        ("eve", "user", "a-2", vec!["a-2"]),
        ("eve", "user", "nobody", vec![]),
        ("eve", "user", "ann?role=viewer", vec![]),
        ("eve", "viewer", "ann", vec!["ann's view"]),
        // His token does not make Bob a viewer, wherever he sits.
        ("eve", "viewer", "bob", vec![]),
        ("bob", "agent", "a-1", vec!["a-1"]),
        ("a-1", "agent", "a-2", vec!["a-2"]),
        ("bob", "agent", "ann", vec![]),
        ("bob", "agent", "a-3", vec![]),
        ("bob", "connection", &eves, vec!["eve"]),
        ("bob", "connection", "00000000-0000-4000-8000-000000000000", vec![]),
        ("eve", "room", "hall", vec!["a-1", "ann's view", "bob"]),
        ("eve", "room", "user:ann", vec!["ann", "ann's view"]),
        ("eve", "room", "agent:a-1", vec![]),
        ("a-1", "role", "dashboard", desks.to_vec()),
        ("a-1", "role", "viewer", vec!["ann's view"]),
        ("eve", "role", "agent", vec!["a-1", "a-2"]),
        ("eve", "role", "nobody", vec![]),
        ("eve", "endpoint", "", vec!["ann's view", "bob's view"]),
        ("eve", "sender", "", vec!["eve"]),
    ] {
        world.reaches(sender, kind, to, &receivers).await;
    }
    // Nobody hears itself, but by `sender`.
    for (sender, kind, to, receivers) in [
        ("ann", "user", "ann", vec!["ann's view"]),
        ("ann's view", "viewer", "ann", vec![]),
        ("a-1", "agent", "a-1", vec![]),
        ("bob", "room", "hall", vec!["a-1", "ann's view"]),
        ("eve", "role", "dashboard", vec!["ann", "bob", "bob's view"]),
        ("bob's view", "endpoint", "", vec!["ann's view"]),
        ("ann", "sender", "", vec!["ann"]),
    ] {
        world.reaches(sender, kind, to, &receivers).await;
    }
    // A connection that is named is not `sender`, even where it is the same one.
    world.reaches("ann", "connection", &anns, &[]).await;
}

#[tokio::test]
async fn a_list_reaches_each_once_and_a_list_of_which_one_entry_has_no_value_reaches_nobody() {
    let mut world = World::with(&[
        ("all", json!(["user:ann", "user:{payload.to}", "role:viewer", "room:hall", "endpoint:/view", "agent:a-1"])),
        ("me too", json!(["role:dashboard", "sender", "user:{sender.userId}"])),
        ("some", json!(["agent:a-1", "agent:{payload.other}"])),
    ])
    .await;
    for name in ["a-1", "ann", "ann's view", "eve"] {
        world.of(name).subscribe("hall").await;
    }
    world.reaches("a-2", "all", "bob", &["a-1", "ann", "ann's view", "bob", "bob's view", "eve"]).await;
    world.reaches("ann", "all", "ann", &["a-1", "ann's view", "bob's view", "eve"]).await;
    world.reaches("ann", "me too", "x", &["ann", "ann's view", "bob", "bob's view", "eve"]).await;
    world.of("ann").say(json!({"type": "some", "id": "s", "payload": {"to": "x"}})).await;
    world.of("ann").hears_error("INVALID_MESSAGE", "s").await;
    assert_eq!(world.heard().await, BTreeMap::new());
}

#[tokio::test]
async fn a_request_to_many_goes_to_one_of_them_never_to_its_sender_and_is_spread() {
    let mut world = World::with(&[
        ("ask-role", json!("role:{payload.to}")),
        ("ask-user", json!("user:{payload.to}")),
        ("ask-view", json!("endpoint:/view")),
        ("ask-room", json!(["room:hall", "agent:a-2"])),
    ])
    .await;
    for name in ["a-1", "bob"] {
        world.of(name).subscribe("hall").await;
    }
    for (asker, kind, to, receivers) in [
        ("eve", "ask-role", "agent", &["a-1", "a-2"][..]),
        ("eve", "ask-user", "ann", &["ann", "ann's view"]),
        ("ann", "ask-user", "ann", &["ann's view"]),
        ("bob's view", "ask-view", "", &["ann's view"]),
        ("eve", "ask-view", "", &["ann's view", "bob's view"]),
        ("eve", "ask-room", "", &["a-1", "a-2", "bob"]),
    ] {
        // Nobody answers meanwhile: each has as much to do as the others.
        let count = receivers.len() * 4;
        for n in 0..count {
            world.of(asker).tell(json!({"type": kind, "id": n.to_string(), "payload": {"to": to}})).await;
        }
        let heard = world.heard().await;
        assert_eq!(heard.keys().copied().collect::<Vec<_>>(), receivers, "{kind} {to:?} by {asker}");
        let mut ids = Vec::new();
        for (receiver, requests) in heard {
            assert_eq!(requests.len(), 4, "{receiver} of {kind}");
            for request in requests {
                ids.push(request["id"].as_str().unwrap().parse::<usize>().unwrap());
                world.of(receiver).say(reply(&request["requestId"], receiver)).await;
                let wanted = replied(request["id"].as_str().unwrap(), &request, world.of(receiver), receiver);
                assert_eq!(world.of(asker).hear().await, wanted);
            }
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..count).collect::<Vec<_>>(), "each of {kind} went to one");
        assert_eq!(world.heard().await, BTreeMap::new());
    }
    // Those who are meant are nobody but the asker, or nobody.
    for (asker, kind, to) in
        [("a-1", "ask-user", "a-1"), ("eve", "ask-user", "nobody"), ("ann's view", "ask-role", "viewer")]
    {
        world.of(asker).say(json!({"type": kind, "id": "n", "payload": {"to": to}})).await;
        world.of(asker).hears_error("TARGET_OFFLINE", "n").await;
    }
    assert_eq!(world.heard().await, BTreeMap::new());
}

#[tokio::test]
async fn of_several_who_are_idle_not_always_the_same_one_is_asked() {
    let mut world = World::with(&[("ask", json!("role:agent"))]).await;
    let mut asked = BTreeMap::new();
    for n in 0..40 {
        world.of("eve").tell(json!({"type": "ask", "id": n.to_string()})).await;
        for (receiver, requests) in world.heard().await {
            *asked.entry(receiver).or_insert(0) += requests.len();
            for request in requests {
                world.of(receiver).say(reply(&request["requestId"], 1)).await;
                world.of("eve").hear().await;
            }
        }
    }
    assert_eq!((asked.len(), asked.values().sum::<usize>()), (2, 40), "{asked:?}");
    assert!(asked.values().all(|count| *count >= 4), "{asked:?}");
}
