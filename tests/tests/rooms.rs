//! Rooms: who subscribes hears what is posted from then on, until it unsubscribes; in a room with a history it learns
//! where it stands and which message is which; what is meant for oneself is heard without asking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, TestClient, TestGateway,
    rooms::{agent, dashboard, kinds, unlimited},
    tokens::token,
};
use serde_json::{Value, json};

/// Notes go to a user; what is said to a room goes there.
const NOTES: &str = "[[routes]]\ntypes = [\"note\"]\nto = \"user:{payload.to}\"\n\
                     [[routes]]\ntypes = [\"say\"]\nto = \"room:{payload.room}\"\n";

fn event(n: u64) -> Value {
    json!({"type": "event", "payload": {"n": n}})
}

/// The members that say where in which room a message was.
fn place(message: &Value) -> (&Value, &Value) {
    (&message["room"], &message["offset"])
}

#[tokio::test]
async fn a_subscriber_hears_an_agent_with_room_and_offset_until_it_unsubscribes() {
    let gateway = unlimited("");
    let mut drone = agent(&gateway, "a1").await;
    let (mut ann, mut bob) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    let told = ann.join("agent:a1").await;
    let mut members: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["epoch", "offset", "presence", "room"], "without `since` there is no word of a recovery");
    assert_eq!(told["presence"], json!([{"userId": "ann", "role": "dashboard", "connections": 1}]));
    let before = told["offset"].as_u64().unwrap();

    assert_eq!(drone.tell(event(1)).await, 1, "ann, and not bob");
    assert_eq!(drone.tell(event(2)).await, 1);
    let heard = ann.heard().await;
    assert_eq!(kinds(&heard), ["event", "event"]);
    for (n, message) in (1..).zip(&heard) {
        assert_eq!(place(message), (&json!("agent:a1"), &json!(before + n)));
        assert_eq!(message["payload"], json!({"n": n}));
        assert_eq!(message["from"]["agentId"], "a1", "{message}");
        assert!(message.get("ack").is_none(), "{message}");
    }
    let ids: Vec<_> = heard.iter().map(|message| &message["id"]).collect();
    assert!(ids[0].is_string() && ids[0] != ids[1], "the sender's own ids came along");
    assert!(bob.heard().await.is_empty() && drone.heard().await.is_empty());

    assert!(ann.part("agent:a1").await.is_empty());
    assert_eq!(drone.tell(event(3)).await, 0);
    assert!(ann.heard().await.is_empty());
    // Who comes later learns where the room stands, and hears nothing of before.
    let later = bob.join("agent:a1").await;
    assert_eq!((&later["epoch"], &later["offset"]), (&told["epoch"], &json!(before + 3)));
    assert!(bob.heard().await.is_empty());
    assert_eq!(drone.tell(event(4)).await, 1);
    assert_eq!(place(&bob.json().await), (&json!("agent:a1"), &json!(before + 4)));
}

#[tokio::test]
async fn to_subscribe_twice_begins_anew_and_to_leave_a_room_twice_is_no_fault() {
    let gateway = unlimited("");
    let (mut drone, mut ann) = (agent(&gateway, "a1").await, dashboard(&gateway, "ann").await);
    let first = ann.join("agent:a1").await;
    let again = ann.join("agent:a1").await;
    assert_eq!((&again["epoch"], &again["offset"]), (&first["epoch"], &first["offset"]));
    assert_eq!(again["presence"][0]["connections"], 1, "it is one connection still: {again}");
    assert_eq!(drone.tell(event(1)).await, 1);
    assert_eq!(kinds(&ann.heard().await), ["event"], "once");
    assert!(ann.part("agent:a1").await.is_empty());
    assert!(ann.part("agent:a1").await.is_empty());
    assert_eq!(drone.tell(event(2)).await, 0);
}

#[tokio::test]
async fn a_room_without_a_history_tells_no_position() {
    let gateway = unlimited(&format!(
        "{NOTES}[[rooms.rules]]\nmatch = \"kept\"\njoin = [{{}}]\n\
         [[rooms.rules]]\nmatch = \"fleeting\"\njoin = [{{}}]\nhistory = \"off\"\n"
    ));
    let (mut ann, mut bob) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    let kept = ann.join("kept").await;
    assert_eq!(kept["offset"], 0, "nothing was ever said here");
    let fleeting = ann.join("fleeting").await;
    assert!(fleeting.get("epoch").is_none() && fleeting.get("offset").is_none(), "{fleeting}");
    for room in ["kept", "fleeting", "kept"] {
        assert_eq!(bob.tell(json!({"type": "say", "payload": {"room": room}})).await, 1);
    }
    let heard = ann.heard().await;
    let places: Vec<_> = heard.iter().map(place).collect();
    let (room, none) = (json!("kept"), Value::Null);
    assert_eq!(places, [(&room, &json!(1)), (&none, &none), (&room, &json!(2))]);
    // Another room's history is another's.
    let (_, other) = (bob.join("kept").await, bob.join("fleeting").await);
    assert!(other.get("offset").is_none());
}

#[tokio::test]
async fn whoever_posts_to_its_own_room_does_not_hear_itself() {
    let gateway =
        unlimited(&format!("{NOTES}[[rooms.rules]]\nmatch = \"lounge\"\njoin = [{{}}]\npresence = \"off\"\n"));
    let (mut ann, mut bob) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    ann.join("lounge").await;
    bob.join("lounge").await;
    assert_eq!(ann.tell(json!({"type": "say", "payload": {"room": "lounge"}})).await, 1);
    assert!(ann.heard().await.is_empty());
    assert_eq!(kinds(&bob.heard().await), ["say"]);
    // Its offset is taken all the same.
    assert_eq!(bob.tell(json!({"type": "say", "payload": {"room": "lounge"}})).await, 1);
    assert_eq!(place(&ann.json().await), (&json!("lounge"), &json!(2)));
}

async fn without_autojoin(gateway: &TestGateway, user: &str) -> TestClient {
    let url = gateway.ws(&format!("/ws?autojoin=false&token={}", token(user, "viewer")));
    let mut client = TestClient::open(&url, &[]).await.unwrap();
    assert_eq!(client.json().await["type"], "connection_ready");
    client
}

#[tokio::test]
async fn what_is_meant_for_a_user_is_heard_unasked_unless_the_client_wants_to_ask_itself() {
    let gateway = unlimited(NOTES);
    let note = |to: &str| json!({"type": "note", "payload": {"to": to}});
    let ann = token("ann", "viewer");
    let (mut unasked, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
    let (mut asking, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
    let mut reserved = without_autojoin(&gateway, "ann").await;
    let (mut bob, _) = TestClient::greeted(&gateway, "/ws", &token("bob", "viewer")).await;

    assert_eq!(bob.tell(note("ann")).await, 2, "the one without autojoin has not asked");
    assert!(reserved.heard().await.is_empty());
    let heard = unasked.heard().await;
    assert_eq!((kinds(&heard), place(&heard[0])), (vec!["note"], (&Value::Null, &Value::Null)));
    assert_eq!(asking.heard().await, heard, "the same bytes for all");

    // Who subscribed hears it once, with room and offset; the others as before.
    let told = asking.join("user:ann").await;
    assert_eq!(told["offset"], 1);
    assert_eq!(reserved.join("user:ann").await["presence"][0]["connections"], 2);
    assert_eq!(bob.tell(note("ann")).await, 3);
    let plain = unasked.heard().await;
    assert_eq!((plain.len(), place(&plain[0])), (1, (&Value::Null, &Value::Null)));
    for client in [&mut asking, &mut reserved] {
        let heard = client.heard().await;
        assert_eq!((heard.len(), place(&heard[0])), (1, (&json!("user:ann"), &json!(2))));
    }
    // Nobody else's.
    assert_eq!(bob.tell(note("bob")).await, 0, "the sending connection is bob's only one");
    for client in [&mut unasked, &mut asking, &mut reserved, &mut bob] {
        assert!(client.heard().await.is_empty());
    }
    // Who unsubscribes from its own room hears no more in it, asked for or not.
    for client in [&mut unasked, &mut asking] {
        client.part("user:ann").await;
    }
    assert_eq!(bob.tell(note("ann")).await, 1, "the reserved one alone");
    assert_eq!(reserved.heard().await.len(), 1);
    for client in [&mut unasked, &mut asking] {
        assert!(client.heard().await.is_empty());
    }
    let url = gateway.ws(&format!("/ws?autojoin=perhaps&token={ann}"));
    assert_eq!(TestClient::open(&url, &[]).await.unwrap_err().code(), "INVALID_REQUEST");
}

#[tokio::test]
async fn an_endpoint_puts_its_connections_into_rooms_by_itself() {
    let gateway = unlimited(&format!(
        "{NOTES}[[endpoints]]\npath = \"/nodes\"\njoin = [\"nodes\", \"team:{{sender.claims.team}}\"]\n\
         [[endpoints]]\npath = \"/plain\"\n\
         [[rooms.rules]]\nmatch = \"nodes\"\njoin = [{{}}]\n[[rooms.rules]]\nmatch = \"team:{{id}}\"\n"
    ));
    let say = |room: &str| json!({"type": "say", "payload": {"room": room}});
    let of_team = |user: &str| Claims::of(user, "viewer").with("team", "red").sign();
    let (mut ann, _) = TestClient::greeted(&gateway, "/nodes", &of_team("ann")).await;
    let (mut bob, _) = TestClient::greeted(&gateway, "/nodes", &token("bob", "viewer")).await;
    let (mut eve, _) = TestClient::greeted(&gateway, "/plain", &of_team("eve")).await;
    assert_eq!(eve.tell(say("nodes")).await, 2);
    assert_eq!(eve.tell(say("team:red")).await, 1, "bob's token names no team");
    let heard = ann.heard().await;
    assert_eq!(kinds(&heard), ["say", "say"]);
    assert!(heard.iter().all(|message| place(message) == (&Value::Null, &Value::Null)), "{heard:?}");
    assert_eq!(kinds(&bob.heard().await), ["say"]);

    // Who was put there is not present, but may subscribe, and then knows where it stands.
    let told = bob.join("nodes").await;
    assert_eq!((&told["offset"], told["presence"].as_array().unwrap().len()), (&json!(1), 1), "{told}");
    assert_eq!(eve.tell(say("nodes")).await, 2);
    assert_eq!(place(&bob.json().await), (&json!("nodes"), &json!(2)));
    assert_eq!(place(&ann.json().await), (&Value::Null, &Value::Null));
    // It may leave, too; and who does not want to be put anywhere says so.
    assert!(ann.part("nodes").await.is_empty());
    let url = gateway.ws(&format!("/nodes?autojoin=false&token={}", of_team("dan")));
    let mut dan = TestClient::open(&url, &[]).await.unwrap();
    assert_eq!(dan.json().await["type"], "connection_ready");
    assert_eq!(eve.tell(say("nodes")).await, 1);
    assert!(ann.heard().await.is_empty() && dan.heard().await.is_empty());
}

#[tokio::test]
async fn a_wish_that_is_not_understood_says_what_would_be() {
    let gateway = unlimited("");
    let mut ann = dashboard(&gateway, "ann").await;
    let long = format!("agent:{}", "x".repeat(640));
    for payload in [
        json!(null),
        json!({}),
        json!({"room": 7}),
        json!({"room": ""}),
        json!({"room": "agent:\u{7}"}),
        json!({"room": long}),
        json!({"room": "agent:a1", "since": 5}),
        json!({"room": "agent:a1", "since": {"epoch": "e"}}),
        json!({"room": "agent:a1", "since": {"epoch": "e", "offset": -1}}),
    ] {
        let answer = ann.ask(json!({"type": "subscribe", "id": "w", "payload": payload})).await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!("w")), "{payload}: {answer}");
        assert_eq!(answer["payload"]["code"], "INVALID_MESSAGE", "{payload}");
        assert!(answer["payload"]["message"].as_str().unwrap().contains("since"), "{answer}");
    }
    let mut bob = dashboard(&gateway, "bob").await;
    let answer = bob.ask(json!({"type": "unsubscribe", "id": "u", "payload": {"room": 7}})).await;
    assert_eq!((&answer["id"], &answer["payload"]["code"]), (&json!("u"), &json!("INVALID_MESSAGE")));
}
