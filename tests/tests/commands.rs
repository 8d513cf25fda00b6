//! Commands: a dashboard asks an agent and learns how it ended, by a reply or by one of three errors, each exactly once;
//! and every message is where it must be and nowhere else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use gateway_tests::{
    Actor, eventually,
    process::stopwatch,
    stage::{Stage, command, replied, reply},
};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// Commands as they ship, and some whose reply must come within a second.
const QUICK: &str = r#"
[[routes]]
from = "dashboard"
types = ["command"]
to = "agent:{payload.agentId}"
reply_timeout = "30s"
[[routes]]
from = "dashboard"
types = ["quick"]
to = "agent:{payload.agentId}"
reply_timeout = "1s"
"#;

#[tokio::test]
async fn a_command_reaches_its_agent_alone_and_the_reply_its_asker_alone() {
    let mut stage = Stage::set("").await;
    stage.ann.say(command("command", "c-1", 1)).await;
    let request = stage.agents[1].hear().await;
    let request_id = request["requestId"].as_str().unwrap();
    uuid::Uuid::parse_str(request_id).unwrap();
    let wanted = json!({
        "type": "command", "id": "c-1", "payload": {"agentId": "a-2"}, "from": stage.ann.from, "requestId": request_id,
    });
    assert_eq!(request, wanted, "the agent reads what was said, by whom, and nothing else");
    assert_eq!(stage.ann.from["role"], "dashboard");
    stage.is_quiet().await;

    stage.agents[1].say(reply(&request["requestId"], json!({"done": true}))).await;
    let answer = stage.ann.hear().await;
    assert_eq!(answer, replied("c-1", &request, &stage.agents[1], json!({"done": true})));
    assert_eq!(answer["from"]["agentId"], "a-2");
    stage.is_quiet().await;

    // The other dashboard asks another agent at the same time as the first asks this one.
    stage.ann.say(command("command", "c-2", 0)).await;
    stage.bob.say(command("command", "c-3", 2)).await;
    let (first, third) = (stage.agents[0].hear().await, stage.agents[2].hear().await);
    assert_eq!((&first["id"], &first["from"]), (&json!("c-2"), &stage.ann.from));
    assert_eq!((&third["id"], &third["from"]), (&json!("c-3"), &stage.bob.from));
    stage.agents[2].say(reply(&third["requestId"], 3)).await;
    stage.agents[0].say(reply(&first["requestId"], 1)).await;
    assert_eq!(stage.ann.hear().await, replied("c-2", &first, &stage.agents[0], 1));
    assert_eq!(stage.bob.hear().await, replied("c-3", &third, &stage.agents[2], 3));
    stage.is_quiet().await;
}

#[tokio::test]
async fn payloads_and_members_of_ones_own_pass_byte_for_byte_in_both_directions() {
    let mut stage = Stage::set("").await;
    let payload =
        r#"{ "agentId":"a-1", "n": 12345678901234567890123.4500e+7, "s":"\u0041\/", "dup":1,"dup":2 ,"x":[ ]}"#;
    let own = r#""trace": {"a" : 1.0 }"#;
    let text = format!(r#"{{"type":"command","id":"c-1","payload":{payload},{own}}}"#);
    stage.ann.client.send(&text).await;
    let Some(Message::Text(read)) = stage.agents[0].client.next().await else { panic!("a text") };
    assert!(read.contains(payload), "{read}");
    assert!(read.contains(r#""trace":{"a" : 1.0 }"#), "{read}");
    let text = format!(r#"{{"type":"reply","replyTo":"c-1","payload":{payload},{own}}}"#);
    stage.agents[0].client.send(&text).await;
    let Some(Message::Text(read)) = stage.ann.client.next().await else { panic!("a text") };
    assert!(read.contains(payload), "{read}");
    assert!(read.contains(r#""trace":{"a" : 1.0 }"#), "{read}");
    stage.is_quiet().await;
}

#[tokio::test]
async fn progress_is_passed_on_until_the_reply_without_more() {
    let mut stage = Stage::set("").await;
    let request = stage.commanded("command", "c-1", 0).await;
    for step in 0..3 {
        let quoted = if step == 1 { &request["id"] } else { &request["requestId"] };
        let mut progress = reply(quoted, step);
        progress["more"] = json!(true);
        stage.agents[0].say(progress).await;
        let mut wanted = replied("c-1", &request, &stage.agents[0], step);
        wanted["more"] = json!(true);
        assert_eq!(stage.ann.hear().await, wanted);
    }
    // What is no boolean is not taken for one, and ends nothing.
    stage.agents[0].say(json!({"type": "reply", "id": "r", "replyTo": request["requestId"], "more": "yes"})).await;
    stage.agents[0].hears_error("INVALID_MESSAGE", "r").await;
    let mut last = reply(&request["requestId"], "end");
    last["more"] = json!(false);
    stage.agents[0].say(last).await;
    assert_eq!(stage.ann.hear().await, replied("c-1", &request, &stage.agents[0], "end"));
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_command_without_an_id_is_answered_by_its_request_id() {
    let mut stage = Stage::set("").await;
    stage.ann.say(json!({"type": "command", "payload": {"agentId": "a-1"}})).await;
    let request = stage.agents[0].hear().await;
    assert!(request.get("id").is_none(), "{request}");
    stage.agents[0].say(json!({"type": "reply", "replyTo": request["requestId"]})).await;
    let wanted = json!({"type": "reply", "requestId": request["requestId"], "from": stage.agents[0].from});
    assert_eq!(stage.ann.hear().await, wanted);
    stage.is_quiet().await;
}

#[tokio::test]
async fn whoever_wants_to_know_is_told_that_the_command_was_delivered() {
    let mut stage = Stage::set("").await;
    let mut wish = command("command", "c-1", 0);
    wish["ack"] = json!(true);
    stage.ann.say(wish.clone()).await;
    assert_eq!(stage.ann.hear().await, json!({"type": "ack", "id": "c-1", "payload": {"delivered": 1}}));
    let request = stage.agents[0].hear().await;
    assert!(request.get("ack").is_none(), "that is not the agent's business: {request}");
    stage.agents[0].say(reply(&request["requestId"], 1)).await;
    assert_eq!(stage.ann.hear().await["type"], "reply");

    // Without an id there is nothing to acknowledge; and what was not delivered has an error, and no `ack`.
    stage.ann.say(json!({"type": "command", "ack": true, "payload": {"agentId": "a-1"}})).await;
    stage.agents[0].hear().await;
    wish["payload"]["agentId"] = json!("a-9");
    stage.ann.say(wish).await;
    stage.ann.hears_error("TARGET_OFFLINE", "c-1").await;
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_cancel_reaches_the_agent_and_the_end_is_still_its_reply() {
    let mut stage = Stage::set("").await;
    for by_request_id in [false, true] {
        let request = stage.commanded("command", "c-1", 0).await;
        let named = if by_request_id { &request["requestId"] } else { &request["id"] };
        stage.ann.say(json!({"type": "cancel", "replyTo": named, "payload": {"from": "ann"}})).await;
        let cancel = stage.agents[0].hear().await;
        assert_eq!(cancel, json!({"type": "cancel", "requestId": request["requestId"]}));
        stage.is_quiet().await;
        stage.agents[0].say(reply(&request["requestId"], "called off")).await;
        assert_eq!(stage.ann.hear().await, replied("c-1", &request, &stage.agents[0], "called off"));
        stage.is_quiet().await;
    }
}

#[tokio::test]
async fn the_end_of_the_asker_reaches_the_agent_as_a_cancel() {
    let mut stage = Stage::set("").await;
    let mut going = Actor::enter(&stage.gateway, "/ws/dashboard", "gus", "dashboard").await;
    going.say(command("command", "c-1", 0)).await;
    going.say(command("command", "c-2", 1)).await;
    let (one, two) = (stage.agents[0].hear().await, stage.agents[1].hear().await);
    let kept = stage.commanded("command", "c-1", 0).await;
    going.leave().await;
    for (agent, request) in [(0, one), (1, two)] {
        let cancel = stage.agents[agent].hear().await;
        assert_eq!(cancel, json!({"type": "cancel", "requestId": request["requestId"]}));
        let mut late = reply(&request["requestId"], "nobody waits");
        late["id"] = json!("late");
        stage.agents[agent].say(late).await;
        stage.agents[agent].hears_error("NOT_ASKED", "late").await;
    }
    // Another asker's command goes on.
    stage.agents[0].say(reply(&kept["requestId"], 1)).await;
    assert_eq!(stage.ann.hear().await, replied("c-1", &kept, &stage.agents[0], 1));
    stage.is_quiet().await;
}

#[tokio::test]
async fn without_a_reply_in_time_the_asker_is_told_and_progress_starts_the_time_anew() {
    let mut stage = Stage::set(QUICK).await;
    let watch = stopwatch();
    let plain = stage.commanded("quick", "q-1", 0).await;
    let error = stage.ann.hears_error("REPLY_TIMEOUT", "q-1").await;
    assert!(error["message"].is_string(), "{error}");
    assert!(watch.elapsed() >= Duration::from_millis(990), "{:?}", watch.elapsed());
    stage.is_quiet().await;

    let watch = stopwatch();
    let request = stage.commanded("quick", "q-2", 1).await;
    let mut progress = reply(&request["requestId"], "still at it");
    progress["more"] = json!(true);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        stage.agents[1].say(progress.clone()).await;
        assert_eq!(stage.ann.hear().await["more"], true);
    }
    stage.ann.hears_error("REPLY_TIMEOUT", "q-2").await;
    assert!(watch.elapsed() >= Duration::from_millis(2_790), "{:?}", watch.elapsed());
    stage.is_quiet().await;

    // What comes too late is refused, and nobody sees it.
    for (agent, request) in [(0, plain), (1, request)] {
        let mut late = reply(&request["requestId"], "too late");
        late["id"] = json!("late");
        stage.agents[agent].say(late).await;
        stage.agents[agent].hears_error("NOT_ASKED", "late").await;
    }
    let (user, code) = (json!("a-2"), json!("NOT_ASKED"));
    stage.gateway.audited("the late reply", |line| line["userId"] == user && line["code"] == code).await;
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_command_to_nobody_ends_at_once_and_one_to_whom_it_cannot_say_is_none() {
    let mut stage = Stage::set("").await;
    stage.ann.say(command("command", "c-1", 8)).await;
    let error = stage.ann.hears_error("TARGET_OFFLINE", "c-1").await;
    assert!(error["message"].as_str().unwrap().contains("a-9"), "{error}");
    // A user of that name who is no agent's connection is not one.
    stage.ann.say(json!({"type": "command", "id": "c-2", "payload": {"agentId": "eve"}})).await;
    stage.ann.hears_error("TARGET_OFFLINE", "c-2").await;
    for payload in [json!({}), json!({"agentId": ""}), json!({"agentId": "*"}), json!({"agentId": null}), json!("a-1")]
    {
        stage.ann.say(json!({"type": "command", "id": "c-3", "payload": payload})).await;
        stage.ann.hears_error("INVALID_MESSAGE", "c-3").await;
    }
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_command_whose_agent_leaves_after_delivery_is_lost_and_that_is_told_once() {
    let mut stage = Stage::set("").await;
    let mut bare = Actor::enter(&stage.gateway, "/ws/agent", "a-4", "agent").await;
    stage.ann.say(command("command", "c-1", 3)).await;
    stage.bob.say(command("command", "c-1", 3)).await;
    stage.ann.say(command("command", "c-2", 0)).await;
    let other = stage.agents[0].hear().await;
    let asked = [bare.hear().await, bare.hear().await];
    // A reply that was asked for just before the end still counts.
    stage.ann.say(command("command", "c-3", 3)).await;
    let third = bare.hear().await;
    bare.say(reply(&third["requestId"], "just in time")).await;
    assert_eq!(stage.ann.hear().await, replied("c-3", &third, &bare, "just in time"));
    bare.leave().await;
    stage.ann.hears_error("TARGET_LOST", "c-1").await;
    stage.bob.hears_error("TARGET_LOST", "c-1").await;
    stage.is_quiet().await;

    // The agent is back; what was asked before is not asked of it again, and it can answer none of it.
    let mut back = Actor::enter(&stage.gateway, "/ws/agent", "a-4", "agent").await;
    for request in asked {
        back.say(json!({"type": "reply", "id": "r", "replyTo": request["requestId"]})).await;
        back.hears_error("NOT_ASKED", "r").await;
    }
    stage.ann.say(command("command", "c-4", 3)).await;
    assert_eq!(back.hear().await["id"], "c-4");
    stage.agents[0].say(reply(&other["requestId"], 1)).await;
    assert_eq!(stage.ann.hear().await, replied("c-2", &other, &stage.agents[0], 1));
    stage.is_quiet().await;
}

#[tokio::test]
async fn an_agent_that_is_replaced_loses_what_it_was_asked_and_the_newer_one_is_asked_from_now_on() {
    let mut stage = Stage::set("").await;
    stage.commanded("command", "c-1", 1).await;
    let mut newer = Actor::enter(&stage.gateway, "/ws/agent", "a-2", "agent").await;
    stage.ann.hears_error("TARGET_LOST", "c-1").await;
    let (code, reason) = stage.agents[1].client.closed().await;
    assert_eq!((code, &reason["code"]), (4013, &json!("REPLACED")));
    stage.ann.say(command("command", "c-2", 1)).await;
    let request = newer.hear().await;
    assert_eq!(request["id"], "c-2");
    newer.say(reply(&request["requestId"], 2)).await;
    assert_eq!(stage.ann.hear().await, replied("c-2", &request, &newer, 2));
    newer.hears_nothing().await;
    std::mem::swap(&mut stage.agents[1], &mut newer);
    stage.is_quiet().await;
}

#[tokio::test]
async fn an_agent_that_dies_without_a_word_is_lost_too_and_nothing_stays_open() {
    let mut stage = Stage::set(QUICK).await;
    let mut dying = Actor::enter(&stage.gateway, "/ws/agent", "a-4", "agent").await;
    stage.ann.say(command("command", "c-1", 3)).await;
    dying.hear().await;
    drop(dying);
    stage.ann.hears_error("TARGET_LOST", "c-1").await;
    stage.ann.say(command("command", "c-2", 3)).await;
    stage.ann.hears_error("TARGET_OFFLINE", "c-2").await;
    eventually(5, "the seat is given back", async || (stage.gateway.connections().await == 8).then_some(())).await;
    stage.is_quiet().await;
}
