//! Replies: only the one that was asked answers, only the one that asked hears it, whatever anybody else quotes, and any
//! number of askers may use one `id`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Actor,
    stage::{Stage, command, replied, reply},
};
use serde_json::{Value, json};

/// A reply that has an id, by which its refusal is told from others.
fn signed(id: &str, reply_to: &Value) -> Value {
    json!({"type": "reply", "id": id, "replyTo": reply_to, "payload": {"forged": true}})
}

#[tokio::test]
async fn a_reply_by_anybody_else_is_refused_and_written_down_and_nobody_sees_it() {
    let mut stage = Stage::set("").await;
    let request = stage.commanded("command", "c-1", 0).await;
    for quoted in [&request["requestId"], &request["id"]] {
        stage.agents[1].say(signed("forged", quoted)).await;
        stage.agents[1].hears_error("NOT_ASKED", "forged").await;
        stage.eve.say(signed("eve", quoted)).await;
        stage.eve.hears_error("NOT_ASKED", "eve").await;
        // Not even whoever asked, nor another window of the same user, answers for the agent.
        stage.ann.say(signed("own", quoted)).await;
        stage.ann.hears_error("NOT_ASKED", "own").await;
        stage.window.say(signed("window", quoted)).await;
        stage.window.hears_error("NOT_ASKED", "window").await;
    }
    // Progress is a reply as well, and upper case is the same UUID.
    let loud = json!(request["requestId"].as_str().unwrap().to_uppercase());
    stage.agents[2].say(json!({"type": "reply", "id": "p", "replyTo": loud, "more": true})).await;
    stage.agents[2].hears_error("NOT_ASKED", "p").await;
    for user in ["a-2", "eve", "ann", "a-3"] {
        let line = stage.gateway.audited("the forged reply", |line| {
            line["event"] == "message.refused" && line["userId"] == user && line["code"] == "NOT_ASKED"
        });
        let line = line.await;
        assert!(line["connectionId"].is_string() && line["ip"] == "127.0.0.1", "{line}");
        assert!(!line.to_string().contains("forged"), "what it said is nobody's business: {line}");
    }
    stage.is_quiet().await;
    // The request is still open for the one that was asked.
    stage.agents[0].say(reply(&request["requestId"], "true")).await;
    assert_eq!(stage.ann.hear().await, replied("c-1", &request, &stage.agents[0], "true"));
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_request_is_answered_once() {
    let mut stage = Stage::set("").await;
    let request = stage.commanded("command", "c-1", 0).await;
    stage.agents[0].say(reply(&request["requestId"], 1)).await;
    assert_eq!(stage.ann.hear().await, replied("c-1", &request, &stage.agents[0], 1));
    for quoted in [&request["requestId"], &request["id"]] {
        stage.agents[0].say(signed("again", quoted)).await;
        stage.agents[0].hears_error("NOT_ASKED", "again").await;
    }
    stage.ann.say(json!({"type": "cancel", "id": "off", "replyTo": "c-1"})).await;
    assert_eq!(stage.ann.hear().await["type"], "error");
    stage.is_quiet().await;
}

#[tokio::test]
async fn two_askers_with_one_id_are_told_apart_by_the_request_id_and_never_mixed_up() {
    let mut stage = Stage::set("").await;
    let one = stage.commanded("command", "same", 0).await;
    stage.bob.say(command("command", "same", 0)).await;
    let two = stage.agents[0].hear().await;
    assert_ne!(one["requestId"], two["requestId"]);
    stage.agents[0].say(signed("which", &json!("same"))).await;
    stage.agents[0].hears_error("AMBIGUOUS_REPLY", "which").await;
    stage.is_quiet().await;

    // The same id at another agent is another matter.
    stage.bob.say(command("command", "same", 1)).await;
    let three = stage.agents[1].hear().await;
    stage.agents[1].say(reply(&json!("same"), "three")).await;
    assert_eq!(stage.bob.hear().await, replied("same", &three, &stage.agents[1], "three"));
    stage.is_quiet().await;

    stage.agents[0].say(reply(&two["requestId"], "two")).await;
    assert_eq!(stage.bob.hear().await, replied("same", &two, &stage.agents[0], "two"));
    stage.is_quiet().await;
    // One is left, and now the id is enough.
    stage.agents[0].say(reply(&json!("same"), "one")).await;
    assert_eq!(stage.ann.hear().await, replied("same", &one, &stage.agents[0], "one"));
    stage.is_quiet().await;
}

#[tokio::test]
async fn twenty_askers_with_one_id_each_hear_their_own() {
    let mut stage = Stage::set("[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n").await;
    let mut askers = Vec::new();
    for n in 0..20 {
        askers.push(Actor::enter(&stage.gateway, "/ws/dashboard", &format!("user-{n}"), "dashboard").await);
    }
    let mut requests = Vec::new();
    for asker in &mut askers {
        asker.say(command("command", "1", 2)).await;
        asker.hears_nothing().await;
        requests.push(stage.agents[2].hear().await);
    }
    // In another order than they were asked, the odd ones by progress first.
    for n in (0..20).map(|n| n * 7 % 20) {
        let request = &requests[n];
        assert_eq!(request["from"], askers[n].from);
        if n % 2 == 1 {
            let mut progress = reply(&request["requestId"], "soon");
            progress["more"] = json!(true);
            stage.agents[2].say(progress).await;
        }
        stage.agents[2].say(reply(&request["requestId"], n)).await;
    }
    stage.agents[2].hears_nothing().await;
    for (n, asker) in askers.iter_mut().enumerate() {
        let mut heard = asker.heard().await;
        assert_eq!(heard.pop(), Some(replied("1", &requests[n], &stage.agents[2], n)));
        assert_eq!(heard.len(), n % 2, "{heard:?}");
        assert!(heard.iter().all(|progress| progress["requestId"] == requests[n]["requestId"]));
    }
    stage.is_quiet().await;
}

#[tokio::test]
async fn an_id_that_looks_like_a_request_id_means_nobody_elses_request() {
    let mut stage = Stage::set("").await;
    let anns = stage.commanded("command", "c-1", 0).await;
    // Bob cannot know it, but let him: his own id is Ann's requestId.
    let id = anns["requestId"].as_str().unwrap();
    stage.bob.say(command("command", id, 0)).await;
    let bobs = stage.agents[0].hear().await;
    assert_eq!((&bobs["id"], bobs["requestId"] == anns["requestId"]), (&anns["requestId"], false));
    stage.agents[0].say(reply(&anns["requestId"], "to ann")).await;
    assert_eq!(stage.ann.hear().await, replied("c-1", &anns, &stage.agents[0], "to ann"));
    stage.agents[0].say(reply(&bobs["requestId"], "to bob")).await;
    assert_eq!(stage.bob.hear().await, replied(id, &bobs, &stage.agents[0], "to bob"));
    stage.is_quiet().await;
}

#[tokio::test]
async fn nobody_cancels_what_another_asked() {
    let mut stage = Stage::set("").await;
    let request = stage.commanded("command", "c-1", 0).await;
    for quoted in [&request["requestId"], &request["id"]] {
        let cancel = json!({"type": "cancel", "id": "off", "replyTo": quoted});
        let Stage { bob, window, eve_too, agents: [asked, other, _], .. } = &mut stage;
        for actor in [bob, window, eve_too, asked, other] {
            actor.say(cancel.clone()).await;
            let error = actor.hear().await;
            assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("off")), "{error}");
        }
    }
    stage.is_quiet().await;
    stage.agents[0].say(reply(&request["requestId"], 1)).await;
    assert_eq!(stage.ann.hear().await["replyTo"], "c-1");
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_reply_or_a_cancel_that_quotes_nothing_is_none() {
    let mut stage = Stage::set("").await;
    let request = stage.commanded("command", "c-1", 0).await;
    for quoted in [json!(null), json!(7), json!(""), json!([request["requestId"]]), json!({"id": "c-1"}), json!("*")] {
        stage.agents[0].say(signed("r", &quoted)).await;
        let error = stage.agents[0].hear().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("r")), "{error}");
        stage.ann.say(json!({"type": "cancel", "id": "off", "replyTo": quoted})).await;
        let error = stage.ann.hear().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("off")), "{error}");
    }
    // The receiver cannot quote by a member that only the gateway writes.
    stage.agents[0].say(json!({"type": "reply", "id": "r", "requestId": request["requestId"]})).await;
    stage.agents[0].hears_error("INVALID_MESSAGE", "r").await;
    stage.is_quiet().await;
}

#[tokio::test]
async fn a_reply_cannot_say_more_than_its_own_words() {
    let mut stage = Stage::set("").await;
    let request = stage.commanded("command", "c-1", 0).await;
    let stranger = "00000000-0000-4000-8000-000000000000";
    let forged = json!({
        "type": "reply", "replyTo": request["requestId"], "id": "mine", "payload": 1, "mine": 2, "ack": true,
        "from": {"userId": "root"}, "requestId": stranger, "eventId": stranger, "room": "agent:a-1", "offset": 7,
    });
    stage.agents[0].say(forged).await;
    let mut wanted = replied("c-1", &request, &stage.agents[0], 1);
    wanted["mine"] = json!(2);
    assert_eq!(stage.ann.hear().await, wanted);
    // The agent may be told that its reply was put into an outbox, and nobody else anything.
    let told = stage.agents[0].heard().await;
    assert!(
        told.iter().all(|told| *told == json!({"type": "ack", "id": "mine", "payload": {"delivered": 1}})),
        "{told:?}"
    );
    stage.is_quiet().await;
}
