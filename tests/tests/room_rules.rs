//! The rules of rooms: the first that matches decides who may subscribe, a refusal is told and written down, the caps
//! hold against names that strangers invent, and a token that permits less takes its connection out again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, TestClient, TestGateway,
    rooms::{UNLIMITED, agent, dashboard, kinds, subscribe, unlimited},
    scrape::Scrape,
    tokens::token,
};
use serde_json::{Value, json};

const SAY: &str = "[[routes]]\ntypes = [\"say\"]\nto = \"room:{payload.room}\"\n";

async fn refused(client: &mut TestClient, room: &str) -> String {
    let answer = client.ask(subscribe(room, None)).await;
    assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!(format!("to {room}"))), "{answer}");
    answer["payload"]["code"].as_str().unwrap().to_owned()
}

fn say(room: &str) -> Value {
    json!({"type": "say", "payload": {"room": room}})
}

#[tokio::test]
async fn what_ships_lets_dashboards_follow_agents_and_everybody_hear_what_is_its_own() {
    let gateway = unlimited("");
    let (mut ann, mut drone) = (dashboard(&gateway, "ann").await, agent(&gateway, "a1").await);
    for room in ["agents", "agent:a1", "agent:nobody", "user:ann"] {
        ann.join(room).await;
    }
    drone.join("user:a1").await;
    for room in ["user:bob", "user:", "lobby", "agent", "agents:x", "role:agent", "user:ann?role=dashboard"] {
        assert_eq!(refused(&mut ann, room).await, "FORBIDDEN", "{room}");
    }
    for room in ["agents", "agent:a1", "user:ann"] {
        assert_eq!(refused(&mut drone, room).await, "FORBIDDEN", "{room}");
    }
}

#[tokio::test]
async fn a_refusal_is_written_down_and_changes_nothing() {
    let gateway = unlimited("");
    let (mut ann, greeting) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    ann.join("agents").await;
    assert_eq!(refused(&mut ann, "user:bob").await, "FORBIDDEN");
    let line = gateway.audited("the refusal", |line| line["event"] == "message.refused").await;
    assert_eq!((&line["code"], &line["userId"]), (&json!("FORBIDDEN"), &json!("ann")), "{line}");
    assert_eq!(line["connectionId"], greeting["connectionId"]);
    assert!(line["reason"].as_str().unwrap().contains("user:bob"), "{line}");
    // It stays, and so does what it had.
    let _drone = agent(&gateway, "a1").await;
    assert_eq!(kinds(&ann.heard().await), ["agent.online"]);
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_by_all_keys_of_any_entry() {
    let gateway = unlimited(&format!(
        "{SAY}[[endpoints]]\npath = \"/any\"\n[[endpoints]]\npath = \"/agents\"\nroles = [\"agent\"]\nagents = true\n\
         [[rooms.rules]]\nmatch = \"site:closed\"\n\
         [[rooms.rules]]\nmatch = \"site:{{id}}\"\n\
         join = [{{ role = \"dashboard\", permission = \"sites.read\" }}, {{ plan = \"professional\" }}]\n\
         [[rooms.rules]]\nmatch = \"own:{{who}}:{{what}}\"\njoin = [{{ user = \"{{who}}\" }}, {{ agent = \"x-{{what}}\" }}]\n\
         [[rooms.rules]]\nmatch = \"all:{{rest}}\"\njoin = [{{}}]\n"
    ));
    let of = |user: &str, role: &str| Claims::of(user, role);
    let reader = of("ann", "dashboard").with("permissions", "sites.read");
    let (mut reader, _) = TestClient::greeted(&gateway, "/any", &reader.sign()).await;
    let (mut plain, _) = TestClient::greeted(&gateway, "/any", &of("bob", "dashboard").sign()).await;
    let viewer = of("eve", "viewer").with("permissions", "sites.read");
    let (mut viewer, _) = TestClient::greeted(&gateway, "/any", &viewer.sign()).await;
    let paying = of("pat", "viewer").with("plan", "professional");
    let (mut paying, _) = TestClient::greeted(&gateway, "/any", &paying.sign()).await;
    let (mut drone, _) = TestClient::greeted(&gateway, "/agents", &of("x-7", "agent").sign()).await;

    reader.join("site:north").await;
    paying.join("site:north").await;
    assert_eq!(refused(&mut plain, "site:north").await, "FORBIDDEN", "no permission");
    assert_eq!(refused(&mut viewer, "site:north").await, "FORBIDDEN", "another role");
    for client in [&mut reader, &mut paying] {
        client.heard().await;
        assert_eq!(refused(client, "site:closed").await, "FORBIDDEN", "the rule before lets in nobody");
    }
    plain.join("own:bob:things").await;
    plain.join("own:bob:7:8").await;
    drone.join("own:whoever:7").await;
    assert_eq!(refused(&mut viewer, "own:bob:7").await, "FORBIDDEN");
    assert_eq!(refused(&mut drone, "own:whoever:8").await, "FORBIDDEN");
    for room in ["own:bob", "all:", "nowhere"] {
        assert_eq!(refused(&mut plain, room).await, "FORBIDDEN", "{room}: no rule matches");
    }
    for client in [&mut plain, &mut viewer, &mut drone] {
        client.heard().await;
        client.join("all:a:b:c").await;
    }
}

#[tokio::test]
async fn a_connection_is_in_so_many_rooms_and_no_more() {
    let gateway = unlimited("rooms_per_connection = 3\n");
    let (mut ann, mut other) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "ann").await);
    for n in 0..3 {
        ann.join(&format!("agent:{n}")).await;
    }
    assert_eq!(refused(&mut ann, "agent:3").await, "LIMIT_EXCEEDED");
    ann.join("agent:1").await;
    assert_eq!(refused(&mut ann, "user:bob").await, "FORBIDDEN", "what it may not is not a question of numbers");
    other.join("agent:3").await;
    assert!(ann.part("agent:0").await.is_empty());
    ann.join("agent:3").await;
    assert_eq!(refused(&mut ann, "agent:0").await, "LIMIT_EXCEEDED");
    gateway.audited("the limit", |line| line["code"] == "LIMIT_EXCEEDED").await;
}

#[tokio::test]
async fn names_of_strangers_fill_the_house_with_rooms_up_to_its_cap_only() {
    // How many rooms there may be is a matter of each node's memory.
    let gateway = TestGateway::alone(&format!(
        "{UNLIMITED}[rooms]\nmax = 5\n{SAY}[[rooms.rules]]\nmatch = \"x:{{name}}\"\njoin = [{{}}]\npresence = \"off\"\n"
    ));
    let (mut ann, mut eve) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "eve").await);
    let mut epochs = Vec::new();
    for n in 0..5 {
        epochs.push(ann.join(&format!("x:{n}")).await["epoch"].clone());
    }
    assert_eq!(refused(&mut eve, "x:new").await, "LIMIT_EXCEEDED");
    eve.join("x:4").await;
    // What is said to rooms that nobody is in is said to nobody, and makes no room.
    for n in 0..300 {
        eve.send(say(&format!("x:invented-{n}"))).await;
    }
    assert_eq!(eve.tell(say("x:1")).await, 1);
    assert_eq!(kinds(&ann.heard().await), ["say"]);
    assert_eq!(metric(&gateway, "gateway_rooms").await, 5);

    // A room that everybody left makes way, and begins anew if somebody comes back.
    assert!(ann.part("x:0").await.is_empty());
    eve.join("x:new").await;
    for n in 0..300 {
        eve.send(say(&format!("x:invented-{n}"))).await;
    }
    assert!(eve.part("x:new").await.is_empty());
    let again = ann.join("x:0").await;
    assert_ne!(again["epoch"], epochs[0]);
    assert_eq!(again["offset"], 0);
    assert_eq!(ann.join("x:1").await["epoch"], epochs[1], "rooms with members stayed what they were");
    assert_eq!(metric(&gateway, "gateway_rooms").await, 5);
    assert_eq!(metric(&gateway, "gateway_room_memberships").await, 6);
}

async fn metric(gateway: &TestGateway, name: &str) -> u64 {
    let scrape = Scrape::of(gateway).await;
    assert!(scrape.names().contains(name), "{name} is not in\n{}", scrape.text);
    scrape.sum(name, &[]) as u64
}

#[tokio::test]
async fn a_refresh_that_takes_a_permission_away_takes_its_connection_out_of_rooms() {
    let gateway = TestGateway::with(&format!(
        "{UNLIMITED}{SAY}[[rooms.rules]]\nmatch = \"site:{{id}}\"\njoin = [{{ permission = \"sites.read\" }}]\n\
         [[rooms.rules]]\nmatch = \"lobby\"\njoin = [{{}}]\n"
    ));
    let of = |user: &str, permissions: &str| Claims::of(user, "dashboard").with("permissions", permissions).sign();
    let (mut ann, _) = TestClient::greeted(&gateway, "/ws", &of("ann", "sites.read sites.write")).await;
    let (mut bob, _) = TestClient::greeted(&gateway, "/ws", &of("bob", "sites.read")).await;
    for room in ["site:1", "site:2", "lobby"] {
        ann.join(room).await;
        bob.join(room).await;
        assert_eq!(kinds(&ann.heard().await), ["presence.joined"]);
    }
    // One that still permits it changes nothing.
    let refreshed = |token: String| json!({"type": "auth.refresh", "id": "r", "payload": {"token": token}});
    assert_eq!(ann.ask(refreshed(of("ann", "sites.read"))).await["type"], "auth.refreshed");
    assert!(ann.heard().await.is_empty() && bob.heard().await.is_empty());

    assert_eq!(ann.ask(refreshed(of("ann", "sites.write"))).await["type"], "auth.refreshed");
    let mut heard = ann.heard().await;
    heard.sort_by_key(ToString::to_string);
    let gone = |room: &str| json!({"type": "unsubscribed", "payload": {"room": room, "code": "FORBIDDEN"}});
    assert_eq!(heard, [gone("site:1"), gone("site:2")]);
    let left = bob.heard().await;
    assert_eq!(kinds(&left), ["presence.left", "presence.left"]);
    assert!(left.iter().all(|told| told["payload"]["member"]["userId"] == "ann"), "{left:?}");

    let mut carl = dashboard(&gateway, "carl").await;
    assert_eq!(carl.tell(say("site:1")).await, 1, "bob alone");
    assert_eq!(carl.tell(say("lobby")).await, 2);
    let heard = ann.heard().await;
    assert_eq!((kinds(&heard), &heard[0]["room"]), (vec!["say"], &json!("lobby")));
    assert_eq!(refused(&mut ann, "site:1").await, "FORBIDDEN");
}
