//! The simulations of `deploy/examples`, run as they ship: programs of traders, with messages of their own shape, ask
//! engines. Every line of the configuration is needed by something that is told here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, TestClient, TestGateway,
    calls::call,
    example::{self, Speaker, TIMESTAMP, Words},
    node,
    tokens::now,
};
use serde_json::{Value, json};

const EXAMPLE: &str = "simulation";
const KEYS: [(&str, &str); 2] =
    [("TRADER_KEY", "key-of-a-trader-0123456789abcdef"), ("ENGINE_KEY", "key-of-an-engine-0123456789abcde")];
const TRADER: Words = Words { id: "request_id", payload: "data", ..Words::NATIVE };

fn open() -> TestGateway {
    example::open(EXAMPLE, &KEYS)
}

/// A token of the service that was there before.
fn of(user: &str, plan: &str) -> Claims {
    Claims::of(user, "").without("sub").without("roles").with("user_id", user).with("plan", plan)
}

async fn trader(gateway: &TestGateway, name: &str) -> Speaker {
    Speaker::enter(gateway, "/ws/simulate", &of(name, "professional"), TRADER).await
}

async fn engine(gateway: &TestGateway, name: &str) -> Speaker {
    let claims = of(name, "enterprise").with("roles", json!(["engine"]));
    Speaker::enter(gateway, "/ws/engine", &claims, Words::NATIVE).await
}

/// What a request becomes on its way; its requestId.
async fn hears_request(engine: &mut Speaker, trader: &Speaker, id: &str, data: &Value) -> Value {
    let asked = engine.hear().await;
    let request = asked["requestId"].clone();
    assert!(request.is_string(), "{asked}");
    let expected = json!({
        "type": "start_simulation", "id": id, "timestamp": TIMESTAMP, "payload": data,
        "from": trader.from(), "requestId": request,
    });
    assert_eq!(asked, expected);
    request
}

async fn replies(engine: &mut Speaker, request: &Value, payload: Value, more: bool) {
    let mut reply = json!({"type": "reply", "replyTo": request, "payload": payload});
    if more {
        reply["more"] = true.into();
    }
    engine.client.send(reply).await;
}

#[test]
fn the_configuration_is_sound_and_its_policy_holds() {
    example::is_sound(EXAMPLE, &KEYS);
}

#[tokio::test]
async fn a_simulation_is_asked_for_and_its_progress_and_result_come_back() {
    let gateway = open();
    let mut engine = engine(&gateway, "e1").await;
    let (mut ann, mut bob) = (trader(&gateway, "ann").await, trader(&gateway, "bob").await);
    // Both count from the same number.
    let data = json!({"symbols": ["ABC", "XYZ"], "id": "x", "payload": {"deep": 1.50}});
    let mut requests = Vec::new();
    for trader in [&mut ann, &mut bob] {
        trader.say("start_simulation", "1", data.clone()).await;
        requests.push(hears_request(&mut engine, trader, "1", &data).await);
    }
    for (trader, request) in [(&mut ann, &requests[0]), (&mut bob, &requests[1])] {
        for (share, more) in [(0.5, true), (1.0, false)] {
            replies(&mut engine, request, json!({"done": share}), more).await;
            let mut expected = json!({
                "type": "simulation_update", "request_id": "1", "requestId": request, "from": engine.from(),
                "data": {"done": share},
            });
            if more {
                expected["more"] = true.into();
            }
            assert_eq!(trader.hear().await, expected);
        }
    }
    for somebody in [&mut ann, &mut bob, &mut engine] {
        somebody.hears_nothing().await;
    }
}

#[tokio::test]
async fn a_simulation_is_stopped_by_whoever_asked_for_it() {
    let gateway = open();
    let mut engine = engine(&gateway, "e1").await;
    let (mut ann, mut bob) = (trader(&gateway, "ann").await, trader(&gateway, "bob").await);
    let data = json!({"symbols": []});
    ann.say("start_simulation", "7", data.clone()).await;
    let request = hears_request(&mut engine, &ann, "7", &data).await;
    let refused = bob.ask("stop_simulation", "7", json!(null)).await;
    assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("simulation_error"), &json!("NOT_ASKED")));
    ann.client.send(json!({"type": "stop_simulation", "request_id": "7"})).await;
    assert_eq!(engine.hear().await, json!({"type": "cancel", "requestId": request}));
    replies(&mut engine, &request, json!({"stopped": true}), false).await;
    assert_eq!(ann.hears("simulation_update").await, json!({"stopped": true}));
    // The engine that breaks off leaves nobody waiting.
    ann.say("start_simulation", "8", data.clone()).await;
    hears_request(&mut engine, &ann, "8", &data).await;
    engine.client.leave().await;
    for (ask, code) in [(None, "TARGET_LOST"), (Some("9"), "TARGET_OFFLINE")] {
        if let Some(id) = ask {
            ann.say("start_simulation", id, data.clone()).await;
        }
        let error = ann.hear().await;
        let told = (&error["type"], &error["request_id"], &error["data"]["code"]);
        assert_eq!(told, (&json!("simulation_error"), &json!(ask.unwrap_or("8")), &json!(code)), "{error}");
    }
    bob.hears_nothing().await;
}

#[tokio::test]
async fn the_engine_with_the_least_to_do_is_asked_and_nobody_else_is() {
    let gateway = open();
    let mut engines = [engine(&gateway, "e1").await, engine(&gateway, "e2").await];
    let mut ann = trader(&gateway, "ann").await;
    for id in ["1", "2"] {
        ann.say("start_simulation", id, json!({})).await;
    }
    ann.hears_nothing().await;
    for engine in &mut engines {
        let heard = engine.heard().await;
        assert_eq!(heard.len(), 1, "one each: {heard:?}");
        assert_eq!(heard[0]["type"], "start_simulation");
    }
    // An engine asks nobody, and a trader says nothing else.
    let refused = engines[0].ask("start_simulation", "e", json!({})).await;
    assert_eq!((&refused["type"], &refused["payload"]["code"]), (&json!("error"), &json!("INVALID_MESSAGE")));
    let refused = ann.ask("credit_account", "c", json!({})).await;
    assert_eq!((&refused["request_id"], &refused["data"]["code"]), (&json!("c"), &json!("INVALID_MESSAGE")));
}

#[tokio::test]
async fn a_program_reads_why_it_is_refused_from_the_close_code() {
    let gateway = open();
    let sub = Claims::of("ann", "trader").sign();
    let expired = of("ann", "free").with("iat", now() - 90).expiring_in(-30).sign();
    let path = "/ws/simulate";
    for (url, close, code) in [
        (path.to_owned(), 4001, "AUTH_REQUIRED"),
        (format!("{path}?token=x.y.z"), 4002, "TOKEN_INVALID"),
        (format!("{path}?token={sub}"), 4002, "TOKEN_INVALID"),
        (format!("{path}?token={expired}"), 4003, "TOKEN_EXPIRED"),
    ] {
        let mut client = TestClient::open(&gateway.ws(&url), &[]).await.expect("upgraded, to be told");
        let (told, reason) = client.closed().await;
        assert_eq!((told, &reason["code"]), (close, &json!(code)));
        gateway.audited("it is written down", |line| line["requestId"] == reason["requestId"]).await;
    }
    // One simulation at a time for who pays nothing.
    let first = Speaker::enter(&gateway, path, &of("ann", "free"), TRADER).await;
    assert_eq!((&first.greeting["plan"], &first.greeting["limits"]["connections"]), (&json!("free"), &json!(1)));
    let mut second = TestClient::connect(&gateway, path, &of("ann", "free").sign()).await.expect("upgraded");
    assert_eq!(second.closed().await.0, 4005);
    // The door of engines refuses before the upgrade.
    let refused = TestClient::connect(&gateway, "/ws/engine", &of("ann", "free").sign()).await.expect_err("no engine");
    assert_eq!((refused.status, refused.code()), (403, "ROLE_MISMATCH"));
}

#[tokio::test]
async fn api_keys_get_tokens_that_open_the_right_door() {
    // What is issued is remembered in a file where it is one node, in Redis where there are more.
    let gateway = example::alone(EXAMPLE, &KEYS);
    for ((name, key), user, plan, path, words) in [
        (KEYS[0], "trader-1", "professional", "/ws/simulate", TRADER),
        (KEYS[1], "engine-1", "enterprise", "/ws/engine", Words::NATIVE),
    ] {
        let issued = call(&gateway, "POST", "/auth/token", &[("x-api-key", key)], None).await;
        assert_eq!(issued.status, 200, "{issued:?}");
        let body = issued.body;
        let told = (&body["user_id"], &body["plan"], &body["expires_in"]);
        assert_eq!(told, (&json!(user), &json!(plan), &json!(3600)), "{name}");
        let token = body["access_token"].as_str().unwrap();
        let came = TestClient::connect(&gateway, path, token).await.unwrap_or_else(|refused| panic!("{refused:?}"));
        let came = Speaker::greeted(came, words).await;
        assert_eq!((&came.greeting["userId"], &came.greeting["plan"]), (&json!(user), &json!(plan)));
        gateway.audited("by which key", |line| line.to_string().contains(&name.to_lowercase()[..6])).await;
    }
    let state = std::fs::read_to_string(gateway.folder.path().join("state.jsonl")).unwrap();
    assert!(state.contains("trader-1"), "what is issued is remembered: {state}");
}

#[tokio::test]
async fn clients_that_other_people_wrote_run_a_simulation() {
    let gateway = open();
    let address = gateway.somewhere().to_string();
    let env = [("GATEWAY", address.as_str()), KEYS[0], KEYS[1]];
    let told = node::run("simulation.mjs", &env).await;
    assert_eq!(
        told,
        [
            json!({"plan": "professional"}),
            json!({"request": "r1", "progress": [25, 50, 75], "result": {"profit": 12.5}}),
            json!({"request": "r2", "progress": [25], "result": {"stopped": true}}),
            json!({"refused": 4002, "code": "TOKEN_INVALID"}),
        ]
    );
}
