//! A service of the embedder's own: it sees each message that may pass before the routes do, answers at once or later,
//! and leaves the rest to the routes. The gateway's own words never come to it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use gateway_domain::{Code, Refusal, envelope, target::Target};
use gateway_server::{
    endpoint::{Endpoint, Handler},
    handler::{Handled, MessageHandler, Visit},
    hub::{Class, Post},
};
use gateway_tests::{
    house::{TestHouse, Visit as Guest},
    tokens::token,
};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

const ROUTES: &str = r#"
[[endpoints]]
path = "/ws"
[[endpoints]]
path = "/raw"
handler = "echo"
[[routes]]
types = ["say"]
to = "room:hall"
[[rooms.rules]]
match = "hall"
join = [{}]
history = "off"
presence = "off"
"#;

/// It notes what it saw, and does with it what its type says.
#[derive(Debug, Default)]
struct Service {
    seen: Mutex<Vec<String>>,
    found: Arc<Notify>,
}

impl MessageHandler for Service {
    fn handle(&self, message: &envelope::Message<'_>, visit: &Visit<'_>) -> Handled {
        self.seen.lock().unwrap().push(message.kind.to_string());
        match &*message.kind {
            "double" => match message.payload_as::<i64>() {
                Ok(number) => Handled::Answer(json!(number * 2)),
                Err(fault) => Handled::Refused(Refusal::new(Code::InvalidMessage, fault.to_string())),
            },
            "search" => {
                let found = Arc::clone(&self.found);
                let who = visit.sender.principal.user.clone();
                Handled::Later(Box::pin(async move {
                    found.notified().await;
                    Handled::Answer(json!({ "for": who }))
                }))
            }
            "ring" => {
                let targets = ["room:hall".parse::<Target>().unwrap()];
                let text = json!({ "type": "bell" }).to_string();
                visit.hub.post(Post::new(text, &targets, Class::Event), visit.now).unwrap();
                Handled::Done
            }
            "never" => Handled::Refused(Refusal::new(Code::Forbidden, "not here")),
            _ => Handled::NotMine,
        }
    }
}

/// A house whose door at `/ws` has that service.
fn house(service: &Arc<Service>) -> TestHouse {
    house_with(service, "")
}

fn house_with(service: &Arc<Service>, more: &str) -> TestHouse {
    let mut test = TestHouse::with(&format!("{ROUTES}{more}"));
    let house = Arc::get_mut(&mut test.house).unwrap();
    let own = |endpoint: &Arc<Endpoint>| match &endpoint.handler {
        Handler::Routes => {
            let handler = Handler::Own(Arc::<Service>::clone(service));
            Endpoint { handler, ..Endpoint::clone(endpoint) }
        }
        Handler::Own(_) | Handler::Echo => Endpoint::clone(endpoint),
    };
    house.endpoints = house.endpoints.iter().map(own).collect();
    test
}

async fn greeted(house: &TestHouse, user: &str) -> Guest {
    let mut guest = house.visit("/ws", &token(user, "dashboard")).await;
    assert_eq!(guest.json().await.unwrap()["type"], "connection_ready");
    guest
}

/// Sends something, and takes what comes next.
async fn ask(guest: &mut Guest, message: Value) -> Value {
    guest.send(message).await;
    tokio::time::timeout(Duration::from_secs(10), guest.json()).await.expect("in time").expect("an answer")
}

async fn in_the_hall(guest: &mut Guest) {
    let answer = ask(guest, json!({"type": "subscribe", "payload": {"room": "hall"}})).await;
    assert_eq!(answer, json!({"type": "subscribed", "payload": {"room": "hall"}}));
}

#[tokio::test]
async fn a_service_answers_at_once_with_the_id_of_the_question() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let mut ann = greeted(&house, "ann").await;
    let answer = ask(&mut ann, json!({"type": "double", "id": "1", "payload": 21})).await;
    assert_eq!(answer, json!({"type": "reply", "replyTo": "1", "payload": 42}), "the gateway's own word has no `from`");
    assert_eq!(ask(&mut ann, json!({"type": "double", "payload": 4})).await, json!({"type": "reply", "payload": 8}));
}

#[tokio::test]
async fn a_service_refuses_with_a_code_and_the_connection_stays() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let mut ann = greeted(&house, "ann").await;
    let answer = ask(&mut ann, json!({"type": "never", "id": "1"})).await;
    assert_eq!(answer, json!({"type": "error", "id": "1", "payload": {"code": "FORBIDDEN", "message": "not here"}}));
    let answer = ask(&mut ann, json!({"type": "double", "id": "2", "payload": "x"})).await;
    assert_eq!((&answer["id"], &answer["payload"]["code"]), (&json!("2"), &json!("INVALID_MESSAGE")));
    assert_eq!(ask(&mut ann, json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn while_a_service_is_at_work_the_next_message_waits_and_what_others_say_goes_on() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let (mut ann, mut bob) = (greeted(&house, "ann").await, greeted(&house, "bob").await);
    in_the_hall(&mut ann).await;
    ann.send(json!({"type": "search", "id": "s"})).await;
    ann.send(json!({"type": "double", "id": "d", "payload": 1})).await;
    // The service has seen the question, or it could not have been told that it is found.
    bob.send(json!({"type": "say", "payload": "hello"})).await;
    let heard = ann.json().await.unwrap();
    assert_eq!((&heard["type"], &heard["payload"]), (&json!("say"), &json!("hello")));
    assert!(!service.seen.lock().unwrap().contains(&"double".to_owned()), "the next message must wait");
    service.found.notify_one();
    let answers = [ann.json().await.unwrap(), ann.json().await.unwrap()];
    assert_eq!(
        answers,
        [
            json!({"type": "reply", "replyTo": "s", "payload": {"for": "ann"}}),
            json!({"type": "reply", "replyTo": "d", "payload": 2})
        ]
    );
}

#[tokio::test]
async fn a_connection_that_ends_takes_the_work_for_it_along() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let mut ann = greeted(&house, "ann").await;
    ann.send(json!({"type": "search", "id": "s"})).await;
    tokio::time::timeout(Duration::from_secs(10), async {
        while Arc::strong_count(&service.found) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is at work");
    ann.occupant.end(Refusal::plain(Code::Disconnected));
    let (_, code, _) = ann.rest().await;
    assert_eq!(code, 4011);
    tokio::time::timeout(Duration::from_secs(10), ann.task).await.expect("it ends").unwrap();
    assert_eq!((house.connections(), Arc::strong_count(&service.found)), (0, 1));
}

#[tokio::test]
async fn while_a_service_is_at_work_pings_are_answered_and_a_goodbye_is_heard() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let mut ann = greeted(&house, "ann").await;
    ann.send(json!({"type": "search", "id": "s"})).await;
    ann.socket.send(Message::Ping("there?".into())).await.unwrap();
    let pong = async {
        while let Some(frame) = ann.socket.next().await {
            if matches!(frame, Ok(Message::Pong(_))) {
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), pong).await.expect("in time"));
    ann.socket.close(None).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), ann.task).await.expect("it ends").unwrap();
    assert_eq!((house.connections(), Arc::strong_count(&service.found)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn long_work_makes_nobody_look_dead_whose_next_message_waits() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let mut ann = greeted(&house, "ann").await;
    ann.send(json!({"type": "search", "id": "s"})).await;
    ann.send(json!({"type": "double", "id": "2", "payload": 1})).await;
    // Far longer than a heartbeat and its time-out; the client's pongs stand behind its message.
    tokio::time::sleep(Duration::from_secs(200)).await;
    service.found.notify_one();
    let mut answers = Vec::new();
    while answers.len() < 2 {
        answers.push(ann.json().await.expect("it is still there")["replyTo"].clone());
    }
    assert_eq!(answers, ["s", "2"]);
}

#[tokio::test]
async fn what_a_service_leaves_alone_goes_by_the_routes() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let (mut ann, mut bob) = (greeted(&house, "ann").await, greeted(&house, "bob").await);
    in_the_hall(&mut ann).await;
    let ack = ask(&mut bob, json!({"type": "say", "id": "1", "ack": true, "payload": "hello"})).await;
    assert_eq!(ack, json!({"type": "ack", "id": "1", "payload": {"delivered": 1}}));
    let heard = ann.json().await.unwrap();
    assert_eq!((&heard["payload"], &heard["from"]["userId"]), (&json!("hello"), &json!("bob")));
    let lost = ask(&mut bob, json!({"type": "nothing", "id": "2"})).await;
    assert_eq!(lost["payload"]["code"], "INVALID_MESSAGE");
}

#[tokio::test]
async fn a_service_tells_others_by_the_hub() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let (mut ann, mut bob) = (greeted(&house, "ann").await, greeted(&house, "bob").await);
    in_the_hall(&mut ann).await;
    // Whoever rang hears nothing; the pong is the next.
    bob.send(json!({"type": "ring"})).await;
    assert_eq!(ask(&mut bob, json!({"type": "ping"})).await["type"], "pong");
    assert_eq!(ann.json().await.unwrap(), json!({"type": "bell"}));
}

#[tokio::test]
async fn words_of_the_gateways_own_never_come_to_a_service() {
    let service = Arc::<Service>::default();
    let house = house(&service);
    let mut ann = greeted(&house, "ann").await;
    in_the_hall(&mut ann).await;
    for kind in ["ping", "reply", "cancel", "agent.online", "auth.refresh", "unsubscribe"] {
        ask(&mut ann, json!({"type": kind, "id": "1", "replyTo": "x", "payload": {"room": "hall"}})).await;
    }
    assert!(service.seen.lock().unwrap().is_empty(), "{service:?}");
}

#[tokio::test]
async fn a_service_hears_nothing_from_whoever_is_over_the_limit() {
    let service = Arc::<Service>::default();
    let house = house_with(&service, "[plans.default]\nmessages = { rate = \"2/m\", burst = \"off\" }\n");
    let mut ann = greeted(&house, "ann").await;
    for _ in 0..2 {
        assert_eq!(ask(&mut ann, json!({"type": "double", "payload": 1})).await["type"], "reply");
    }
    assert_eq!(ask(&mut ann, json!({"type": "double", "payload": 1})).await["payload"]["code"], "RATE_LIMITED");
    assert_eq!(service.seen.lock().unwrap().len(), 2);
}
