//! A node that cannot reach the others, by both policies, and what follows when it can again.

use gateway_server::cluster::WhenAway;
use gateway_tests::{eventually, joined::Joined, tokens::token};
use serde_json::json;

use crate::{CONFIG, event};

#[tokio::test]
async fn a_node_that_is_cut_off_goes_on_alone_and_says_so() {
    let all = Joined::of(2, CONFIG).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    let mut bob = all.nodes[1].dashboard("bob").await;
    let began = ann.subscribe("lobby").await;
    bob.subscribe("lobby").await;
    assert_eq!(ann.hear().await["type"], "presence.joined");
    all.cut(0).await;
    let (status, told) = all.nodes[0].api("POST", "/api/v1/events", event(&["room:lobby"], 1)).await;
    assert_eq!((status, &told["scope"], &told["delivered"]), (200, &json!("node"), &json!(1)), "{told}");
    // Who subscribed here is told that offsets of before mean nothing now.
    let parted = ann.hear().await;
    assert_eq!((&parted["type"], &parted["payload"]["recovered"]), (&json!("subscribed"), &json!(false)), "{parted}");
    assert_ne!(parted["payload"]["epoch"], began["epoch"]);
    let heard = ann.hear().await;
    assert_eq!((&heard["payload"]["n"], &heard["offset"]), (&json!(1), &json!(1)));
    bob.hears_nothing().await;
    let (_, told) = all.nodes[1].api("POST", "/api/v1/events", event(&["room:lobby"], 2)).await;
    assert_eq!(bob.hear().await["payload"]["n"], 2, "{told}");
    // Its own limit is in force.
    let mut held = Vec::new();
    for _ in 0..9 {
        held.push(all.nodes[0].connect("/ws/dashboard", &token("ann", "dashboard")).await.unwrap());
    }
    let refused = all.nodes[0].connect("/ws/dashboard", &token("ann", "dashboard")).await.unwrap_err();
    assert_eq!(refused.code(), "CONNECTION_LIMIT");
    all.heal(0).await;
    let back = ann.hear().await;
    assert_eq!(
        (&back["type"], &back["payload"]["recovered"], &back["payload"]["epoch"]),
        (&json!("subscribed"), &json!(false), &began["epoch"]),
        "{back}"
    );
    all.nodes[1].api("POST", "/api/v1/events", event(&["room:lobby"], 3)).await;
    let heard = ann.hear().await;
    assert_eq!((&heard["payload"]["n"], &heard["offset"]), (&json!(3), &json!(2)), "{heard}");
    // The seats that were given meanwhile are counted again.
    eventually(5, "the seats are counted", async || {
        let refused = all.nodes[1].connect("/ws/dashboard", &token("ann", "dashboard")).await.err()?;
        (refused.code() == "CONNECTION_LIMIT").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_said_while_a_node_was_away_is_told_when_it_is_back() {
    let all = Joined::of(2, CONFIG).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    ann.subscribe("lobby").await;
    all.nodes[1].api("POST", "/api/v1/events", event(&["room:lobby"], 1)).await;
    assert_eq!(ann.hear().await["offset"], 1);
    all.cut(0).await;
    for n in 2..5 {
        all.nodes[1].api("POST", "/api/v1/events", event(&["room:lobby"], n)).await;
    }
    all.heal(0).await;
    for n in 2..5 {
        let heard = ann.hear().await;
        assert_eq!((&heard["payload"]["n"], &heard["offset"]), (&json!(n), &json!(n)), "{heard}");
    }
    ann.hears_nothing().await;
}

#[tokio::test]
async fn who_was_told_to_be_lost_and_is_not_is_told_to_be_here_again() {
    let all = Joined::of(2, CONFIG).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    ann.subscribe("agents").await;
    ann.subscribe("lobby").await;
    let _press = all.nodes[1].agent("press").await;
    assert_eq!(ann.hear().await["type"], "agent.online");
    let mut bob = all.nodes[1].dashboard("bob").await;
    bob.subscribe("lobby").await;
    assert_eq!(ann.hear().await["type"], "presence.joined");
    // In either order.
    let two = async |ann: &mut gateway_tests::Actor| {
        let mut heard = [ann.hear().await, ann.hear().await];
        heard.sort_by_key(|message| message["type"].to_string());
        heard
    };
    all.cut(1).await;
    all.switchboard.kill(&all.nodes[1].id);
    let [offline, left] = two(&mut ann).await;
    assert_eq!(
        (&offline["type"], &offline["payload"]["reason"], &left["type"]),
        (&json!("agent.offline"), &json!("node_lost"), &json!("presence.left"))
    );
    all.heal(1).await;
    let [online, joined] = two(&mut ann).await;
    assert_eq!((&online["type"], &online["payload"]["agentId"]), (&json!("agent.online"), &json!("press")));
    assert_eq!((&joined["type"], &joined["payload"]["member"]["userId"]), (&json!("presence.joined"), &json!("bob")));
    // Who was only cut off for a moment, and is not taken for lost, is no news.
    all.cut(1).await;
    all.heal(1).await;
    ann.hears_nothing().await;
}

#[tokio::test]
async fn a_node_that_fails_closed_refuses_what_needs_the_others() {
    let all = Joined::that(2, CONFIG, WhenAway::FailClosed).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    ann.subscribe("lobby").await;
    all.cut(0).await;
    let refused = all.nodes[0].connect("/ws/dashboard", &token("bob", "dashboard")).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (503, "AUTH_ERROR"));
    let (status, told) = all.nodes[0].api("POST", "/api/v1/events", event(&["room:lobby"], 1)).await;
    assert_eq!((status, &told["error"]["code"]), (503, &json!("NODE_FULL")), "{told}");
    ann.say(json!({"type": "say", "id": "s", "payload": {"room": "lobby"}})).await;
    ann.hears_error("NODE_FULL", "s").await;
    let (status, ready) = all.nodes[0].api("GET", "/readyz", None).await;
    assert_eq!(status, 503, "{ready}");
    all.heal(0).await;
    eventually(5, "it takes newcomers again", async || {
        all.nodes[0].connect("/ws/dashboard", &token("bob", "dashboard")).await.ok()
    })
    .await;
}
