//! Requests of clients that know nothing of ours: what they and their answers carry themselves brings them together,
//! and whatever ends one carries it, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{Actor, stage::Stage};
use serde_json::{Value, json};

/// Commands as a control centre has them, some of which must be answered within a second; and whatever else an agent
/// says goes to its followers.
const CENTRE: &str = r#"
[[routes]]
from = "dashboard"
types = ["COMMAND_REQUEST"]
to = "agent:{payload.agentId}"
reply_timeout = "30s"
correlate = "payload.commandId"
progress = ["COMMAND_ACK", "COMMAND_STATUS"]
answers = ["COMMAND_COMPLETE", "COMMAND_FAILED"]
as = "AGENT_COMMAND"
[[routes]]
from = "dashboard"
types = ["COMMAND_QUICK"]
to = "agent:{payload.agentId}"
reply_timeout = "1s"
correlate = "payload.command.id"
progress = ["QUICK_STATUS"]
answers = ["QUICK_COMPLETE"]
[[routes]]
from = "agent"
types = ["*"]
to = "room:agent:{sender.agentId}"
"#;

fn request(id: &Value, agent: usize) -> Value {
    json!({"type": "COMMAND_REQUEST", "payload": {"commandId": id, "agentId": format!("a-{}", agent + 1)}})
}

fn answer(kind: &str, id: &Value) -> Value {
    json!({"type": kind, "timestamp": 1, "payload": {"commandId": id, "text": kind}})
}

/// What the asker reads of an answer.
fn answered(kind: &str, id: &Value, request: &Value, by: &Actor) -> Value {
    let mut answer = answer(kind, id);
    answer["requestId"] = request["requestId"].clone();
    answer["from"] = by.from.clone();
    answer
}

#[tokio::test]
async fn answers_find_their_request_by_what_they_carry_and_keep_their_type() {
    let mut stage = Stage::set(CENTRE).await;
    let id = json!("cmd-1");
    stage.ann.say(request(&id, 0)).await;
    let command = stage.agents[0].hear().await;
    let wanted = json!({
        "type": "AGENT_COMMAND", "payload": {"agentId": "a-1", "commandId": id}, "from": stage.ann.from,
        "requestId": command["requestId"],
    });
    assert_eq!(command, wanted);
    for kind in ["COMMAND_ACK", "COMMAND_STATUS", "COMMAND_STATUS"] {
        stage.agents[0].say(answer(kind, &id)).await;
        let mut wanted = answered(kind, &id, &command, &stage.agents[0]);
        wanted["more"] = json!(true);
        assert_eq!(stage.ann.hear().await, wanted);
    }
    stage.is_quiet().await;
    stage.agents[0].say(answer("COMMAND_COMPLETE", &id)).await;
    assert_eq!(stage.ann.hear().await, answered("COMMAND_COMPLETE", &id, &command, &stage.agents[0]));
    // It is over: what comes now is not asked for, and takes no other route either.
    for kind in ["COMMAND_STATUS", "COMMAND_COMPLETE", "COMMAND_FAILED"] {
        let mut late = answer(kind, &id);
        late["id"] = json!("late");
        stage.agents[0].say(late).await;
        stage.agents[0].hears_error("NOT_ASKED", "late").await;
    }
    stage.is_quiet().await;
    // With an id of its own, the asker reads that as well.
    let mut named = request(&json!("cmd-2"), 1);
    named["id"] = json!("mine");
    stage.ann.say(named).await;
    let command = stage.agents[1].hear().await;
    assert_eq!(command["id"], "mine");
    stage.agents[1].say(answer("COMMAND_FAILED", &json!("cmd-2"))).await;
    let mut wanted = answered("COMMAND_FAILED", &json!("cmd-2"), &command, &stage.agents[1]);
    wanted["replyTo"] = json!("mine");
    assert_eq!(stage.ann.hear().await, wanted);
    stage.is_quiet().await;
}

#[tokio::test]
async fn an_answer_by_another_agent_or_of_another_value_is_refused_and_nobody_sees_it() {
    let mut stage = Stage::set(CENTRE).await;
    stage.ann.say(request(&json!("7"), 0)).await;
    let command = stage.agents[0].hear().await;
    for (agent, kind, id) in [
        (1, "COMMAND_COMPLETE", json!("7")),
        (2, "COMMAND_STATUS", json!("7")),
        (0, "COMMAND_COMPLETE", json!(7)),
        (0, "COMMAND_COMPLETE", json!("8")),
        (0, "COMMAND_STATUS", json!("07")),
        (0, "QUICK_COMPLETE", json!("7")),
    ] {
        let mut forged = answer(kind, &id);
        forged["id"] = json!("f");
        forged["payload"]["command"] = json!({"id": id});
        stage.agents[agent].say(forged).await;
        stage.agents[agent].hears_error("NOT_ASKED", "f").await;
    }
    let line =
        stage.gateway.audited("the forged answer", |line| line["userId"] == "a-2" && line["code"] == "NOT_ASKED");
    assert_eq!(line.await["event"], "message.refused");
    // One that says its value twice says none, and goes nowhere.
    stage.agents[2]
        .client
        .send(r#"{"type":"COMMAND_COMPLETE","id":"t","payload":{"commandId":"7","commandId":"8"}}"#)
        .await;
    stage.agents[2].hears_error("NOT_ASKED", "t").await;
    stage.is_quiet().await;
    stage.agents[0].say(answer("COMMAND_COMPLETE", &json!("7"))).await;
    assert_eq!(stage.ann.hear().await, answered("COMMAND_COMPLETE", &json!("7"), &command, &stage.agents[0]));
    stage.is_quiet().await;
}

#[tokio::test]
async fn one_value_at_two_agents_is_two_requests_and_at_one_agent_the_request_id_decides() {
    let mut stage = Stage::set(CENTRE).await;
    let id = json!(1);
    stage.ann.say(request(&id, 0)).await;
    let one = stage.agents[0].hear().await;
    stage.bob.say(request(&id, 1)).await;
    let two = stage.agents[1].hear().await;
    stage.agents[1].say(answer("COMMAND_COMPLETE", &id)).await;
    assert_eq!(stage.bob.hear().await, answered("COMMAND_COMPLETE", &id, &two, &stage.agents[1]));
    stage.bob.say(request(&id, 0)).await;
    let three = stage.agents[0].hear().await;
    let mut which = answer("COMMAND_COMPLETE", &id);
    which["id"] = json!("w");
    stage.agents[0].say(which).await;
    stage.agents[0].hears_error("AMBIGUOUS_REPLY", "w").await;
    stage.is_quiet().await;
    stage.agents[0].say(json!({"type": "reply", "replyTo": three["requestId"], "payload": 3})).await;
    assert_eq!(stage.bob.hear().await["payload"], 3);
    stage.agents[0].say(answer("COMMAND_COMPLETE", &id)).await;
    assert_eq!(stage.ann.hear().await, answered("COMMAND_COMPLETE", &id, &one, &stage.agents[0]));
    stage.is_quiet().await;
}

#[tokio::test]
async fn whatever_ends_a_request_tells_the_asker_its_own_value() {
    let mut stage = Stage::set(CENTRE).await;
    for (id, kind) in [(json!("cmd-1"), "a text"), (json!(12), "a number")] {
        stage.ann.say(request(&id, 8)).await;
        let error = stage.ann.hears_error("TARGET_OFFLINE", "").await;
        assert_eq!(error["commandId"], id, "{kind}");

        let mut going = Actor::enter(&stage.gateway, "/ws/agent", "a-9", "agent").await;
        stage.ann.say(request(&id, 8)).await;
        going.hear().await;
        going.leave().await;
        assert_eq!(stage.ann.hears_error("TARGET_LOST", "").await["commandId"], id, "{kind}");

        // Progress starts the second anew, and the value lies deeper here.
        let payload = json!({"agentId": "a-1", "command": {"id": id}});
        stage.ann.say(json!({"type": "COMMAND_QUICK", "id": "q", "payload": payload})).await;
        assert_eq!(stage.agents[0].hear().await["type"], "COMMAND_QUICK");
        stage.agents[0].say(json!({"type": "QUICK_STATUS", "payload": {"command": {"id": id}}})).await;
        let progress = stage.ann.hear().await;
        assert_eq!((&progress["type"], &progress["more"]), (&json!("QUICK_STATUS"), &json!(true)));
        assert_eq!(stage.ann.hears_error("REPLY_TIMEOUT", "q").await["command"], json!({"id": id}), "{kind}");
    }
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_cancel_carries_the_value_too_by_whomever_it_comes() {
    let mut stage = Stage::set(CENTRE).await;
    let id = json!("cmd-1");
    stage.ann.say(request(&id, 0)).await;
    let one = stage.agents[0].hear().await;
    let mut asker = Actor::enter(&stage.gateway, "/ws/dashboard", "gus", "dashboard").await;
    asker.say(request(&id, 1)).await;
    let two = stage.agents[1].hear().await;

    stage.bob.say(json!({"type": "cancel", "id": "n", "payload": {"commandId": "cmd-1"}})).await;
    assert_eq!(stage.bob.hear().await["type"], "error", "it is not his");
    stage.ann.say(json!({"type": "cancel", "payload": {"commandId": "cmd-1", "why": "enough"}})).await;
    let cancel = json!({"type": "cancel", "requestId": one["requestId"], "payload": {"commandId": "cmd-1"}});
    assert_eq!(stage.agents[0].hear().await, cancel);
    stage.ann.say(json!({"type": "cancel", "replyTo": one["requestId"]})).await;
    assert_eq!(stage.agents[0].hear().await, cancel);
    stage.is_quiet().await;

    asker.leave().await;
    let cancel = json!({"type": "cancel", "requestId": two["requestId"], "payload": {"commandId": "cmd-1"}});
    assert_eq!(stage.agents[1].hear().await, cancel);
    stage.agents[0].say(answer("COMMAND_FAILED", &id)).await;
    assert_eq!(stage.ann.hear().await["type"], "COMMAND_FAILED");
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_request_without_the_value_is_answered_by_its_request_id() {
    let mut stage = Stage::set(CENTRE).await;
    for payload in [json!({"agentId": "a-1"}), json!({"agentId": "a-1", "commandId": null})] {
        stage.ann.say(json!({"type": "COMMAND_REQUEST", "id": "c", "payload": payload})).await;
        let command = stage.agents[0].hear().await;
        stage.agents[0].say(json!({"type": "reply", "replyTo": command["requestId"], "payload": 1})).await;
        let wanted = json!({
            "type": "reply", "replyTo": "c", "requestId": command["requestId"], "payload": 1, "from": stage.agents[0].from,
        });
        assert_eq!(stage.ann.hear().await, wanted);
    }
    stage.is_quiet().await;
}

/// A follower that reads JSON as a browser does would take it for the answer of its own request.
#[tokio::test]
async fn an_answer_whose_value_cannot_be_read_reaches_no_asker_who_follows_the_agent() {
    let mut stage = Stage::set(CENTRE).await;
    // Ann asks one agent, and follows another.
    stage.ann.subscribe("agent:a-2").await;
    stage.ann.say(json!({"type": "COMMAND_REQUEST", "payload": {"commandId": 7, "agentId": "a-1"}})).await;
    stage.agents[0].hear().await;
    for id in ["7.0", "70e-1", "7,\"commandId\":7", "8,\"command\\u0049d\":7"] {
        for kind in ["COMMAND_COMPLETE", "COMMAND_STATUS"] {
            let text = format!(r#"{{"type":"{kind}","id":"f","payload":{{"commandId":{id},"ok":true}}}}"#);
            stage.agents[1].client.send(&text).await;
            let refused = stage.agents[1].heard().await;
            let heard = stage.ann.heard().await;
            assert!(heard.is_empty(), "{text} became {heard:?}");
            assert_eq!(refused.len(), 1, "{refused:?}");
        }
    }
    stage.is_quiet().await;
}
