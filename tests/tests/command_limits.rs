//! Who may command, how often and how much at a time: permissions, the routes that pass in spite of a penalty, and the
//! bounds of requests that wait.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use gateway_tests::{
    Actor, Claims, TestGateway,
    stage::{NO_QUOTAS, Stage, command, replied, reply},
};
use serde_json::{Value, json};

/// Whoever may restart an agent has a permission for it; and whatever else a dashboard says goes to everybody's room.
const GUARDED: &str = r#"
[[routes]]
from = "dashboard"
types = ["restart"]
permission = "command.execute"
to = "agent:{payload.agentId}"
reply_timeout = "30s"
[[routes]]
from = "dashboard"
types = ["*"]
to = ["room:open", "role:agent"]
"#;

/// An emergency stop passes whatever else its sender said before: to one agent, or where none is named to all of them.
const STOP: &str = r#"
[plans.tight]
messages = { rate = "off", burst = "2/s" }
[[routes]]
from = "dashboard"
types = ["EMERGENCY_STOP"]
to = "agent:{payload.agentId}"
priority = true
[[routes]]
from = "dashboard"
types = ["EMERGENCY_STOP"]
to = "role:agent"
priority = true
[[routes]]
from = "dashboard"
types = ["command"]
to = "agent:{payload.agentId}"
reply_timeout = "30s"
"#;

#[tokio::test]
async fn without_the_permission_a_command_is_forbidden_written_down_and_goes_nowhere() {
    let mut stage = Stage::set(GUARDED).await;
    let with = |user: &str, permissions: Value| Claims::of(user, "dashboard").with("permissions", permissions);
    let near = ["command", "command.*", "*", "COMMAND.EXECUTE", "command.execute2", "command.execute.all", "execute"];
    for permissions in [json!([]), json!(near)] {
        let mut pat = Actor::enter_with(&stage.gateway, "/ws/dashboard", &with("pat", permissions)).await;
        pat.say(command("restart", "r-1", 0)).await;
        let error = pat.hears_error("FORBIDDEN", "r-1").await;
        assert!(error["message"].as_str().unwrap().contains("command.execute"), "it says what is missing: {error}");
        pat.hears_nothing().await;
        pat.leave().await;
    }
    let line = stage.gateway.audited("who tried", |line| line["event"] == "message.refused" && line["userId"] == "pat");
    let line = line.await;
    assert_eq!(line["code"], "FORBIDDEN", "{line}");
    assert!(line["reason"].as_str().unwrap().contains("restart"), "what was tried: {line}");
    // It falls through to no other route either.
    stage.is_quiet().await;

    let mut pam = Actor::enter_with(&stage.gateway, "/ws/dashboard", &with("pam", json!("read command.execute"))).await;
    pam.say(command("restart", "r-2", 0)).await;
    let request = stage.agents[0].hear().await;
    assert_eq!((&request["id"], &request["from"]), (&json!("r-2"), &pam.from));
    stage.agents[0].say(reply(&request["requestId"], 1)).await;
    assert_eq!(pam.hear().await, replied("r-2", &request, &stage.agents[0], 1));
    stage.is_quiet().await;
}

/// Breaks its quota of two messages a second, twice: then a penalty of a minute begins.
async fn into_the_penalty(actor: &mut Actor) {
    for violation in 1..=2 {
        let mut said = 0;
        loop {
            said += 1;
            assert!(said < 30, "the limit was never met");
            let answer = actor.client.ask(json!({"type": "ping", "id": "p"})).await;
            if answer["type"] == "error" {
                let wait = answer["payload"]["retryAfter"].as_u64().unwrap();
                assert!(if violation == 1 { wait <= 1 } else { wait > 50 }, "{answer}");
                break;
            }
        }
        if violation == 1 {
            tokio::time::sleep(Duration::from_millis(1_300)).await;
        }
    }
}

#[tokio::test]
async fn an_emergency_stop_a_cancel_and_a_reply_pass_in_a_penalty_and_nothing_else() {
    let mut stage = Stage::set(STOP).await;
    let tight = |user: &str, role: &str| Claims::of(user, role).with("plan", "tight");
    let mut tim = Actor::enter_with(&stage.gateway, "/ws/dashboard", &tight("tim", "dashboard")).await;
    let mut slow = Actor::enter_with(&stage.gateway, "/ws/agent", &tight("a-4", "agent")).await;
    tim.say(command("command", "c-1", 3)).await;
    let request = slow.hear().await;
    tokio::join!(into_the_penalty(&mut tim), into_the_penalty(&mut slow));

    // A command does not pass. That may be said, once a second at most.
    tim.say(command("command", "c-2", 1)).await;
    // To one.
    let mut stop = command("EMERGENCY_STOP", "e-1", 0);
    stop["ack"] = json!(true);
    tim.say(stop).await;
    let mut heard = tim.hear().await;
    if heard["type"] == "error" {
        assert_eq!((&heard["id"], &heard["payload"]["code"]), (&json!("c-2"), &json!("RATE_LIMITED")), "{heard}");
        heard = tim.hear().await;
    }
    assert_eq!(heard, json!({"type": "ack", "id": "e-1", "payload": {"delivered": 1}}));
    let stopped = stage.agents[0].hear().await;
    let wanted = json!({"type": "EMERGENCY_STOP", "id": "e-1", "payload": {"agentId": "a-1"}, "from": tim.from});
    assert_eq!(stopped, wanted);
    stage.is_quiet().await;
    // To all.
    tim.say(json!({"type": "EMERGENCY_STOP", "id": "e-2", "ack": true})).await;
    assert_eq!(tim.hear().await, json!({"type": "ack", "id": "e-2", "payload": {"delivered": 4}}));
    for agent in &mut stage.agents {
        assert_eq!(agent.hear().await, json!({"type": "EMERGENCY_STOP", "id": "e-2", "from": tim.from}));
    }
    assert_eq!(slow.hear().await["id"], "e-2");
    stage.is_quiet().await;

    // The command of before is called off, and answered by an agent that has a penalty as well.
    tim.say(json!({"type": "cancel", "replyTo": "c-1"})).await;
    assert_eq!(slow.hear().await, json!({"type": "cancel", "requestId": request["requestId"]}));
    for step in 0..5 {
        let mut progress = reply(&request["requestId"], step);
        progress["more"] = json!(true);
        slow.say(progress).await;
        assert_eq!(tim.hear().await["payload"], step);
    }
    slow.say(reply(&request["requestId"], "stopped")).await;
    assert_eq!(tim.hear().await, replied("c-1", &request, &slow, "stopped"));
    stage.is_quiet().await;
}

#[tokio::test]
async fn requests_that_wait_are_bounded_for_a_connection_and_in_all() {
    // How many requests wait in all is a matter of each node's memory.
    let limits = format!("{NO_QUOTAS}[limits]\nrequests_per_connection = 2\nrequests = 3\n");
    let mut stage = Stage::on(TestGateway::alone(&limits)).await;
    let one = stage.commanded("command", "c-1", 0).await;
    let two = stage.commanded("command", "c-2", 1).await;
    stage.ann.say(command("command", "c-3", 2)).await;
    stage.ann.hears_error("LIMIT_EXCEEDED", "c-3").await;
    // It was not half-sent, and a cancel ends nothing.
    stage.ann.say(json!({"type": "cancel", "replyTo": "c-1"})).await;
    assert_eq!(stage.agents[0].hear().await["type"], "cancel");
    stage.ann.say(command("command", "c-3", 2)).await;
    stage.ann.hears_error("LIMIT_EXCEEDED", "c-3").await;
    stage.is_quiet().await;

    // Another window of the same user has its own two, and the house has three.
    stage.window.say(command("command", "w-1", 2)).await;
    let third = stage.agents[2].hear().await;
    for asker in [&mut stage.window, &mut stage.bob] {
        asker.say(command("command", "x", 2)).await;
        asker.hears_error("LIMIT_EXCEEDED", "x").await;
    }
    stage.is_quiet().await;

    // Progress frees nothing, a reply does.
    let mut progress = reply(&one["requestId"], 0);
    progress["more"] = json!(true);
    stage.agents[0].say(progress).await;
    assert_eq!(stage.ann.hear().await["more"], true);
    stage.ann.say(command("command", "c-4", 2)).await;
    stage.ann.hears_error("LIMIT_EXCEEDED", "c-4").await;
    stage.agents[0].say(reply(&one["requestId"], 1)).await;
    assert_eq!(stage.ann.hear().await, replied("c-1", &one, &stage.agents[0], 1));
    let four = stage.commanded("command", "c-4", 2).await;
    for (agent, asker, request) in [(1, 0, &two), (2, 1, &third), (2, 0, &four)] {
        stage.agents[agent].say(reply(&request["requestId"], 1)).await;
        let asker = if asker == 0 { &mut stage.ann } else { &mut stage.window };
        assert_eq!(asker.hear().await["requestId"], request["requestId"]);
    }
    stage.is_quiet().await;
}

#[tokio::test]
async fn requests_that_were_never_delivered_lost_or_orphaned_take_no_place() {
    let mut stage = Stage::set("[limits]\nrequests_per_connection = 1\nrequests = 1\n").await;
    for n in 0..5 {
        stage.ann.say(command("command", &format!("c-{n}"), 8)).await;
        stage.ann.hears_error("TARGET_OFFLINE", &format!("c-{n}")).await;
        let mut going = Actor::enter(&stage.gateway, "/ws/agent", "a-4", "agent").await;
        stage.ann.say(command("command", "lost", 3)).await;
        going.hear().await;
        going.leave().await;
        stage.ann.hears_error("TARGET_LOST", "lost").await;
        let mut asker = Actor::enter(&stage.gateway, "/ws/dashboard", "gus", "dashboard").await;
        asker.say(command("command", "orphaned", 0)).await;
        stage.agents[0].hear().await;
        asker.leave().await;
        assert_eq!(stage.agents[0].hear().await["type"], "cancel");
    }
    stage.commanded("command", "last", 0).await;
    stage.ann.say(command("command", "over", 1)).await;
    stage.ann.hears_error("LIMIT_EXCEEDED", "over").await;
    stage.is_quiet().await;
}
