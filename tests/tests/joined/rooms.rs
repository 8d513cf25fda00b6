//! What is said into rooms, and who is in them.

use gateway_tests::{eventually, joined::Joined};
use serde_json::{Value, json};

use crate::{CONFIG, event};

#[tokio::test]
async fn an_event_reaches_whoever_is_meant_at_whatever_node_once_and_is_counted_over_all() {
    let all = Joined::of(3, CONFIG).await;
    let mut here = all.nodes[0].dashboard("ann").await;
    let mut there = all.nodes[1].dashboard("ann").await;
    let mut bob = all.nodes[2].dashboard("bob").await;
    bob.subscribe("quiet").await;
    there.subscribe("quiet").await;
    let (status, told) =
        all.nodes[0].api("POST", "/api/v1/events", event(&["user:ann", "room:quiet", "role:dashboard"], 1)).await;
    assert_eq!((status, &told["delivered"], &told["scope"]), (200, &json!(3), &json!("cluster")), "{told}");
    for actor in [&mut here, &mut there, &mut bob] {
        assert_eq!(actor.hear().await["payload"]["n"], 1);
        actor.hears_nothing().await;
    }
    let to = format!("connection:{}", bob.id());
    let (_, told) = all.nodes[1].api("POST", "/api/v1/events", event(&[&to], 2)).await;
    assert_eq!(told["delivered"], 1, "{told}");
    assert_eq!(bob.hear().await["payload"]["n"], 2);
    let (_, told) = all.nodes[1].api("POST", "/api/v1/events", event(&["user:nobody"], 3)).await;
    assert_eq!((&told["delivered"], &told["scope"]), (&json!(0), &json!("cluster")));
}

#[tokio::test]
async fn all_hear_everything_in_one_order_whoever_says_it_and_wherever() {
    const SAID: usize = 60;
    let all = Joined::of(3, CONFIG).await;
    let mut listeners = Vec::new();
    for (nth, node) in all.nodes.iter().enumerate() {
        let mut listener = node.dashboard(&format!("listener-{nth}")).await;
        listener.subscribe("quiet").await;
        listeners.push(listener);
    }
    let speakers = all.nodes.iter().enumerate().map(|(nth, node)| async move {
        let mut speaker = node.dashboard(&format!("speaker-{nth}")).await;
        for n in 0..SAID {
            speaker
                .say(json!({"type": "say", "id": format!("{n}"), "ack": true, "payload": {"room": "quiet", "n": n}}))
                .await;
        }
        for n in 0..SAID {
            let ack = speaker.hear().await;
            assert_eq!(
                (&ack["type"], &ack["id"], &ack["payload"]["delivered"]),
                (&json!("ack"), &json!(format!("{n}")), &json!(3)),
                "{ack}"
            );
        }
    });
    futures_util::future::join_all(speakers).await;
    let mut heard: Vec<Vec<Value>> = Vec::new();
    for listener in &mut listeners {
        let mut own = Vec::new();
        for _ in 0..3 * SAID {
            own.push(listener.hear().await);
        }
        listener.hears_nothing().await;
        heard.push(own);
    }
    assert!(heard[0] == heard[1] && heard[1] == heard[2]);
    let offsets: Vec<_> = heard[0].iter().map(|message| message["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, (1..=3 * SAID as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_missed_is_recovered_at_another_node() {
    let all = Joined::of(2, CONFIG).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    let began = ann.subscribe("lobby").await;
    assert_eq!(began["offset"], 0);
    for n in 1..=3 {
        all.nodes[1].api("POST", "/api/v1/events", event(&["room:lobby"], n)).await;
    }
    assert_eq!(ann.hear().await["offset"], 1);
    ann.leave().await;
    let mut again = all.nodes[1].dashboard("ann").await;
    let since = json!({"epoch": began["epoch"], "offset": 1});
    again.say(json!({"type": "subscribe", "id": "s", "payload": {"room": "lobby", "since": since}})).await;
    let subscribed = again.hear().await;
    assert_eq!(
        (&subscribed["payload"]["recovered"], &subscribed["payload"]["missed"], &subscribed["payload"]["offset"]),
        (&json!(true), &json!(2), &json!(3)),
        "{subscribed}"
    );
    assert_eq!((again.hear().await["offset"].clone(), again.hear().await["offset"].clone()), (json!(2), json!(3)));
    all.nodes[0].api("POST", "/api/v1/events", event(&["room:lobby"], 4)).await;
    assert_eq!(again.hear().await["offset"], 4);
    let (_, history) = all.nodes[0].api("GET", "/api/v1/rooms/lobby/history?limit=2", None).await;
    assert_eq!(
        (&history["offset"], history["messages"][1]["payload"]["n"].as_u64()),
        (&json!(4), Some(4)),
        "{history}"
    );
    all.switchboard.new_epoch();
    all.nodes[0].api("POST", "/api/v1/events", event(&["room:lobby"], 5)).await;
    let told = again.hear().await;
    assert_eq!((&told["type"], &told["payload"]["recovered"]), (&json!("subscribed"), &json!(false)), "{told}");
    assert_eq!((&told["payload"]["offset"], &again.hear().await["offset"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn presence_is_of_users_over_all_nodes() {
    let all = Joined::of(2, CONFIG).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    let mut bob = all.nodes[1].dashboard("bob").await;
    ann.subscribe("lobby").await;
    let subscribed = bob.subscribe("lobby").await;
    let names = |presence: &Value| -> Vec<(String, u64)> {
        let members = presence.as_array().unwrap().iter();
        members.map(|who| (who["userId"].as_str().unwrap().to_owned(), who["connections"].as_u64().unwrap())).collect()
    };
    assert_eq!(names(&subscribed["presence"]), [("ann".into(), 1), ("bob".into(), 1)]);
    let told = ann.hear().await;
    assert_eq!((&told["type"], &told["payload"]["member"]["userId"]), (&json!("presence.joined"), &json!("bob")));
    // A second connection, at another node, is no news.
    let mut second = all.nodes[0].dashboard("bob").await;
    assert_eq!(names(&second.subscribe("lobby").await["presence"]), [("ann".into(), 1), ("bob".into(), 2)]);
    let (_, present) = all.nodes[1].api("GET", "/api/v1/rooms/lobby/presence", None).await;
    assert_eq!(names(&present["members"]), [("ann".into(), 1), ("bob".into(), 2)]);
    bob.leave().await;
    second.leave().await;
    let told = ann.hear().await;
    assert_eq!(
        (&told["type"], &told["payload"]["member"]["userId"]),
        (&json!("presence.left"), &json!("bob")),
        "{told}"
    );
    ann.hears_nothing().await;
}

#[tokio::test]
async fn agents_are_followed_from_every_node_and_a_node_that_is_lost_takes_its_own_along() {
    let all = Joined::of(3, CONFIG).await;
    let first = all.nodes[1].agent("press-1").await;
    let mut follower = all.nodes[0].dashboard("ann").await;
    let subscribed = follower.subscribe("agents").await;
    assert_eq!(subscribed["presence"][0]["agentId"], "press-1", "{subscribed}");
    let second = all.nodes[2].agent("press-2").await;
    let told = follower.hear().await;
    assert_eq!((&told["type"], &told["payload"]["agentId"]), (&json!("agent.online"), &json!("press-2")));
    first.leave().await;
    let told = follower.hear().await;
    assert_eq!((&told["type"], &told["payload"]["reason"]), (&json!("agent.offline"), &json!("closed")), "{told}");
    all.switchboard.kill(&all.nodes[2].id);
    let told = follower.hear().await;
    assert_eq!(
        (&told["payload"]["agentId"], &told["payload"]["reason"]),
        (&json!("press-2"), &json!("node_lost")),
        "{told}"
    );
    follower.hears_nothing().await;
    drop(second);
    eventually(5, "the others know", async || {
        (all.nodes[0].house.hub.link().unwrap().nodes().len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_that_comes_again_at_another_node_is_told_once() {
    let all = Joined::of(2, CONFIG).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    let id = "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e";
    let body = |n: u64| Some(json!({"to": ["user:ann"], "type": "news", "payload": {"n": n}, "eventId": id}));
    let (_, first) = all.nodes[0].api("POST", "/api/v1/events", body(1)).await;
    assert_eq!((&first["delivered"], first.get("duplicate")), (&json!(1), None), "{first}");
    let (_, again) = all.nodes[1].api("POST", "/api/v1/events", body(1)).await;
    assert_eq!((&again["delivered"], &again["duplicate"]), (&json!(1), &json!(true)), "{again}");
    let (status, other) = all.nodes[1].api("POST", "/api/v1/events", body(2)).await;
    assert_eq!((status, &other["error"]["code"]), (409, &json!("CONFLICT")), "{other}");
    assert_eq!(ann.hear().await["payload"]["n"], 1);
    ann.hears_nothing().await;
}
