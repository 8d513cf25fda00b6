//! Behind API Gateway the same gate decides: the same checks in the same order with the same codes, told by the status of
//! `$connect`, and nobody is written down who was not let in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, TestClient, eventually,
    keys::{KeyPair, jwks},
    lambda::{Cloud, Setup, program},
    tokens::{now, token},
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

/// What it is, the stage, the query, the headers; the status and the code.
type Case<'a> = (&'a str, &'a str, String, &'a [(&'a str, &'a str)], u16, &'a str);

/// Connects to a stage with that query, and must be refused: the status of the client, and the code of the function.
async fn refused(cloud: &Cloud, stage: &str, query: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let refused = TestClient::open(&cloud.ws(stage, query), headers).await.expect_err("nobody who is let in");
    let (status, code, error) = cloud.last_refusal();
    assert_eq!(status, u64::from(refused.status), "the client reads another status");
    assert!(error["requestId"].is_string() && error["message"].is_string(), "{error}");
    (refused.status, code)
}

#[tokio::test]
async fn a_token_is_taken_from_the_query_and_else_from_the_header() {
    let cloud = Cloud::with(FREE).await;
    let ann = token("ann", "dashboard");
    let bearer = format!("bEARER   {ann}");
    for (query, header) in [
        (format!("token={ann}"), None),
        (String::new(), Some(bearer.as_str())),
        ("token=".to_owned(), Some(bearer.as_str())),
        // The other one is never parsed.
        (format!("token={ann}"), Some("Bearer garbage")),
    ] {
        let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
        let mut client = TestClient::open(&cloud.ws("dashboard", &query), &headers).await.expect("let in");
        assert_eq!(client.json().await["payload"]["userId"], "ann");
        client.leave().await;
    }
    let twice = format!("token={ann}&token={ann}");
    assert_eq!(refused(&cloud, "dashboard", &twice, &[]).await, (400, "INVALID_REQUEST".into()));
    let garbage = [("authorization", bearer.as_str())];
    assert_eq!(refused(&cloud, "dashboard", "token=garbage", &garbage).await, (401, "TOKEN_INVALID".into()));
    let bare = [("authorization", ann.as_str())];
    assert_eq!(refused(&cloud, "dashboard", "", &bare).await, (401, "TOKEN_INVALID".into()));
    eventually(20, "nobody is written down", async || cloud.items_in("connection#").await.is_empty().then_some(()))
        .await;
}

#[tokio::test]
async fn every_failure_has_its_status_and_code_and_leaves_nothing() {
    let config = format!("{FREE}[[bans]]\nuser = \"mallory\"\n[[bans]]\naddress = \"203.0.113.0/24\"\n");
    let cloud = Cloud::with(&config).await;
    let ann = Claims::of("ann", "dashboard");
    let forger = EncodingKey::from_secret(b"somebody else's secret of 32 bytes and more");
    let query = |claims: &Claims| format!("token={}", claims.sign());
    let page = [("origin", "https://evil.example")];
    let from_there = [("x-test-source", "203.0.113.9")];
    let cases: Vec<Case<'_>> = vec![
        ("no token", "dashboard", String::new(), &[], 401, "AUTH_REQUIRED"),
        ("no JWT", "dashboard", "token=nonsense".into(), &[], 401, "TOKEN_INVALID"),
        ("expired", "dashboard", query(&ann.clone().expiring_in(-10)), &[], 401, "TOKEN_EXPIRED"),
        ("not yet", "dashboard", query(&ann.clone().with("nbf", now() + 300)), &[], 401, "TOKEN_INVALID"),
        ("no end", "dashboard", query(&ann.clone().without("exp")), &[], 401, "TOKEN_INVALID"),
        ("nobody", "dashboard", query(&ann.clone().without("sub")), &[], 401, "TOKEN_INVALID"),
        (
            "forged",
            "dashboard",
            format!("token={}", ann.sign_with(Algorithm::HS256, Some("main"), &forger)),
            &[],
            401,
            "TOKEN_INVALID",
        ),
        ("an agent", "dashboard", query(&Claims::of("a-1", "agent")), &[], 403, "ROLE_MISMATCH"),
        ("a dashboard", "agent", query(&ann), &[], 403, "ROLE_MISMATCH"),
        ("another page", "dashboard", query(&ann), &page, 403, "ORIGIN_NOT_ALLOWED"),
        ("a banned user", "dashboard", query(&Claims::of("mallory", "dashboard")), &[], 403, "BANNED"),
        ("a banned address", "dashboard", "token=nonsense".into(), &from_there, 403, "BANNED"),
        ("no such door", "nowhere", query(&ann), &[], 404, "NOT_FOUND"),
        // The service knows no codes of ours to close with: where the endpoint would close, the status says it.
        ("by close code", "simulate", "token=nonsense".into(), &[], 401, "TOKEN_INVALID"),
    ];
    for (what, stage, query, headers, status, code) in cases {
        assert_eq!(refused(&cloud, stage, &query, headers).await, (status, code.into()), "{what}");
    }
    assert!(cloud.items().await.is_empty(), "{:?}", cloud.items().await);
    let records = cloud.records();
    let expired = records.iter().find(|record| record["code"] == "TOKEN_EXPIRED").expect("a record");
    assert_eq!((&expired["event"], &expired["endpoint"]), (&json!("refused"), &json!("/ws/dashboard")));
    let role = records.iter().find(|record| record["code"] == "ROLE_MISMATCH").expect("a record");
    assert!(role["userId"].is_string() && role["ip"].is_string(), "{role}");
}

#[tokio::test]
async fn what_the_token_says_is_in_the_greeting_and_stays_with_the_connection() {
    let config = format!(
        "{FREE}[[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"viewer\", \"dashboard\"]\n\
         [[routes]]\nfrom = \"dashboard\"\ntypes = [\"note\"]\npermission = \"notes.write\"\n\
         to = \"room:org:{{sender.claims.org.id}}\"\n\
         [[rooms.rules]]\nmatch = \"org:{{id}}\"\njoin = [{{ role = \"dashboard\" }}]\n"
    );
    let cloud = Cloud::with(&config).await;
    let claims = Claims::of("ann", "dashboard")
        .with("plan", "free")
        .with("permissions", json!(["notes.write"]))
        .with("org", json!({"id": 7}));
    let offer = [("sec-websocket-protocol", "chat, gateway.v1")];
    let query = format!("token={}", claims.sign());
    let mut ann = TestClient::open(&cloud.ws("dashboard", &query), &offer).await.expect("let in");
    assert_eq!(ann.headers["sec-websocket-protocol"], "gateway.v1");
    let greeting = ann.json().await;
    assert_eq!(greeting["type"], "connection_ready");
    let payload = &greeting["payload"];
    assert_eq!(
        (&payload["userId"], &payload["role"], &payload["plan"]),
        (&json!("ann"), &json!("dashboard"), &json!("free"))
    );
    assert_eq!(payload["permissions"], json!(["notes.write"]));
    // What the service carries, and how often it must hear something.
    assert_eq!((&payload["limits"]["messageBytes"], &payload["heartbeatSeconds"]), (&json!(131_072), &json!(480)));
    let (mut bob, _) = cloud.greeted("dashboard", &token("bob", "dashboard")).await;
    assert_eq!(bob.ask(json!({"type": "subscribe", "payload": {"room": "org:7"}})).await["type"], "subscribed");
    ann.send(json!({"type": "note", "id": "n-1", "ack": true, "payload": {"text": "hello"}})).await;
    assert_eq!(ann.json().await["payload"]["delivered"], 1);
    let heard = bob.json().await;
    assert_eq!((&heard["type"], &heard["payload"]["text"]), (&json!("note"), &json!("hello")));
    assert_eq!(heard["from"]["connectionId"], payload["connectionId"]);
    let denied = bob.ask(json!({"type": "note", "id": "n-2", "payload": {}})).await;
    assert_eq!(
        (&denied["type"], &denied["payload"]["code"], &denied["id"]),
        (&json!("error"), &json!("INVALID_MESSAGE"), &json!("n-2"))
    );
}

#[tokio::test]
async fn a_key_set_verifies_and_the_key_says_by_which_algorithm() {
    let (own, other) = (KeyPair::new("one", Algorithm::ES256), KeyPair::new("two", Algorithm::ES256));
    let files = vec![("keys.json".to_owned(), jwks([&own]).to_string())];
    let config = format!("[[auth.keys]]\nkid = \"set\"\njwks_file = \"keys.json\"\n{FREE}");
    let cloud = Cloud::open(Setup { config, files, ..Setup::default() }).await;
    let ann = Claims::of("ann", "dashboard");
    let (client, _) = cloud.greeted("dashboard", &own.sign(&ann)).await;
    client.leave().await;
    for forged in [other.called("one").sign(&ann), other.sign(&ann)] {
        assert_eq!(refused(&cloud, "dashboard", &format!("token={forged}"), &[]).await.1, "TOKEN_INVALID");
    }
}

#[tokio::test]
async fn knocking_is_counted_over_all_environments() {
    let config = "[limits]\nhandshakes_per_ip = { rate = \"1/m\", burst = 6 }\nhandshakes_per_user = { rate = \"1/m\", burst = 3 }\n";
    let cloud = Cloud::open(Setup { config: config.into(), environments: 3, ..Setup::default() }).await;
    let ann = token("ann", "dashboard");
    for _ in 0..3 {
        cloud.greeted("dashboard", &ann).await.0.leave().await;
    }
    let told = refused(&cloud, "dashboard", &format!("token={ann}"), &[]).await;
    assert_eq!(told, (429, "RATE_LIMITED".into()), "the user");
    let (_, _, error) = cloud.last_refusal();
    assert!((50..=60).contains(&error["retryAfter"].as_u64().unwrap()), "{error}");
    cloud.greeted("dashboard", &token("bob", "dashboard")).await.0.leave().await;
    // The sixth of this address passed; before the seventh's token is even looked at, it is refused.
    assert_eq!(refused(&cloud, "dashboard", "token=nonsense", &[]).await.1, "TOKEN_INVALID");
    assert_eq!(refused(&cloud, "dashboard", "token=nonsense", &[]).await, (429, "RATE_LIMITED".into()));
}

#[test]
fn a_wrong_environment_or_configuration_stops_it_with_its_name_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let start = |env: &[(&str, &str)], config: &str| {
        std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
        let mut command = std::process::Command::new(program());
        command.env_clear().envs(env.iter().copied()).current_dir(folder.path());
        let output = command.output().expect("the program");
        assert!(!output.status.success());
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let mut env = vec![
        ("AWS_REGION", "eu-test-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("GATEWAY_LAMBDA_MANAGEMENT", "https://api.example/{stage}"),
    ];
    let told = start(&env, "");
    assert!(told.contains("GATEWAY_LAMBDA_TABLE: is not set"), "{told}");
    env.push(("GATEWAY_LAMBDA_TABLE", "gateway"));
    let told = start(&env, "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"none.txt\"\n");
    assert!(told.contains("none.txt") && told.contains("gateway.toml"), "{told}");
    std::fs::write(folder.path().join("secret.txt"), gateway_tests::SECRET).unwrap();
    let keys = "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n";
    let told = start(&env, &format!("{keys}[limitz]\n"));
    assert!(told.contains("limitz"), "{told}");
    env.push(("GATEWAY_LAMBDA_DOORS", "prod=/ws/nowhere"));
    let told = start(&env, keys);
    assert!(told.contains("GATEWAY_LAMBDA_DOORS") && told.contains("/ws/nowhere"), "{told}");
}
