//! Requests from one node to another, with all their ends.

use std::time::Duration;

use gateway_tests::{
    actor::Actor,
    eventually,
    joined::{Joined, Node},
    tokens::token,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::CONFIG;

fn command(id: &str, agent: &str) -> Value {
    json!({"type": "command", "id": id, "payload": {"agentId": agent, "do": "stop"}})
}

fn reply(request: &Value, payload: Value) -> Value {
    json!({"type": "reply", "replyTo": request["requestId"], "payload": payload})
}

#[tokio::test]
async fn a_request_goes_to_another_node_and_its_replies_come_back() {
    let all = Joined::of(3, CONFIG).await;
    let mut agent = all.nodes[2].agent("press").await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    ann.say(command("c1", "press")).await;
    let request = agent.hear().await;
    assert_eq!((&request["type"], &request["id"], &request["from"]), (&json!("command"), &json!("c1"), &ann.from));
    let mut progress = reply(&request, json!(50));
    progress["more"] = json!(true);
    agent.say(progress).await;
    agent.say(reply(&request, json!("done"))).await;
    let told = ann.hear().await;
    assert_eq!((&told["more"], &told["payload"], &told["replyTo"]), (&json!(true), &json!(50), &json!("c1")), "{told}");
    let told = ann.hear().await;
    assert_eq!(
        (&told["payload"], &told["from"], &told["requestId"]),
        (&json!("done"), &agent.from, &request["requestId"])
    );
    agent.say(json!({"type": "reply", "id": "late", "replyTo": request["requestId"], "payload": 1})).await;
    agent.hears_error("NOT_ASKED", "late").await;
    // By HTTP too.
    let body = json!({"type": "command", "payload": {"do": "stop"}, "timeout": "5s"});
    let (answer, ()) = tokio::join!(all.nodes[1].api("POST", "/api/v1/agents/press/requests", Some(body)), async {
        let request = agent.hear().await;
        agent.say(reply(&request, json!({"stopped": true}))).await;
    });
    assert_eq!((answer.0, &answer.1["payload"]), (200, &json!({"stopped": true})), "{answer:?}");
    let (status, gone) = all.nodes[1]
        .api("POST", "/api/v1/agents/nobody/requests", Some(json!({"type": "command", "timeout": "5s"})))
        .await;
    assert_eq!((status, &gone["error"]["code"]), (404, &json!("TARGET_OFFLINE")), "{gone}");
}

#[tokio::test]
async fn each_end_of_a_request_is_told_over_nodes() {
    let all = Joined::of(2, CONFIG).await;
    let mut ann = all.nodes[0].dashboard("ann").await;
    ann.say(command("off", "press")).await;
    ann.hears_error("TARGET_OFFLINE", "off").await;

    let mut agent = all.nodes[1].agent("press").await;
    ann.say(command("slow", "press")).await;
    let slow = agent.hear().await;
    ann.hears_error("REPLY_TIMEOUT", "slow").await;
    eventually(5, "the late reply is not asked for", async || {
        let mut late = reply(&slow, json!(1));
        late["id"] = json!("late");
        agent.say(late).await;
        let heard = agent.heard().await;
        heard.iter().any(|told| told["payload"]["code"] == "NOT_ASKED").then_some(())
    })
    .await;

    ann.say(command("stop", "press")).await;
    let request = agent.hear().await;
    ann.say(json!({"type": "cancel", "replyTo": "stop"})).await;
    let cancel = agent.hear().await;
    assert_eq!((&cancel["type"], &cancel["requestId"]), (&json!("cancel"), &request["requestId"]));
    agent.say(reply(&request, json!("stopped"))).await;
    assert_eq!(ann.hear().await["payload"], "stopped");

    ann.say(command("lost", "press")).await;
    agent.hear().await;
    agent.leave().await;
    ann.hears_error("TARGET_LOST", "lost").await;

    let mut agent = all.nodes[1].agent("press").await;
    ann.say(command("left", "press")).await;
    let request = agent.hear().await;
    ann.leave().await;
    let cancel = agent.hear().await;
    assert_eq!((&cancel["type"], &cancel["requestId"]), (&json!("cancel"), &request["requestId"]), "{cancel}");

    let mut bob = all.nodes[0].dashboard("bob").await;
    bob.say(command("dead", "press")).await;
    agent.hear().await;
    all.switchboard.kill(&all.nodes[1].id);
    bob.hears_error("TARGET_LOST", "dead").await;
}

#[tokio::test]
async fn of_several_the_one_with_the_least_to_answer_is_asked_wherever_it_is() {
    let all = Joined::of(3, CONFIG).await;
    let mut agents: Vec<Actor> = Vec::new();
    for (nth, node) in all.nodes.iter().enumerate() {
        agents.push(node.agent(&format!("press-{nth}")).await);
    }
    let mut ann = all.nodes[0].dashboard("ann").await;
    let mut asked = Vec::new();
    for n in 0..3 {
        ann.say(json!({"type": "anyone", "id": format!("a{n}")})).await;
        ann.hears_nothing().await;
    }
    for agent in &mut agents {
        asked.push(agent.hear().await["id"].as_str().unwrap().to_owned());
        agent.hears_nothing().await;
    }
    asked.sort();
    assert_eq!(asked, ["a0", "a1", "a2"], "each has one");
}

/// Asks the agent `press` at that gateway under a key: status and body.
fn keyed(node: &Node) -> JoinHandle<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = client
        .post(format!("http://{}/api/v1/agents/press/requests", node.address))
        .bearer_auth(token("operator", "admin"))
        .header("idempotency-key", "k1")
        .json(&json!({"type": "command", "timeout": "30s"}));
    tokio::spawn(async move {
        let answer = call.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

/// The second gateway hears that the first is no more.
async fn is_missed(all: &Joined) {
    all.switchboard.kill(&all.nodes[0].id);
    let link = all.nodes[1].house.hub.link().expect("a link");
    eventually(10, "the other is missed", async || (!link.has_node("node-1")).then_some(())).await;
}

#[tokio::test]
async fn who_asks_under_a_key_and_is_missed_for_a_moment_is_waited_for() {
    let all = Joined::of(2, CONFIG).await;
    let mut agent = all.nodes[0].agent("press").await;
    let first = keyed(&all.nodes[0]);
    let request = agent.hear().await;
    all.cut(0).await;
    is_missed(&all).await;
    let again = keyed(&all.nodes[1]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!again.is_finished(), "{:?}", again.await);
    all.heal(0).await;
    agent.say(reply(&request, json!("once"))).await;
    for answer in [first, again] {
        let (status, answer) = answer.await.unwrap();
        assert_eq!((status, &answer["payload"]), (200, &json!("once")), "{answer}");
    }
    agent.hears_nothing().await;
}

#[tokio::test]
async fn who_asks_under_a_key_and_is_gone_is_not_waited_for_long() {
    let all = Joined::of(2, CONFIG).await;
    let mut agent = all.nodes[0].agent("press").await;
    let _first = keyed(&all.nodes[0]);
    agent.hear().await;
    is_missed(&all).await;
    // Far less than the thirty seconds that the reply may take.
    let again = tokio::time::timeout(Duration::from_secs(20), keyed(&all.nodes[1]));
    let (status, answer) = again.await.expect("an end in time").unwrap();
    assert_eq!((status, &answer["error"]["code"]), (502, &json!("TARGET_LOST")), "{answer}");
}
