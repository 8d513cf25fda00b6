//! A new token in a live connection: the whole context is replaced, the user stays who it is, and a token that is not
//! taken changes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{Claims, Options, TestClient, TestGateway, tokens::token};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// The connections that the API lists.
async fn listed(gateway: &TestGateway) -> Vec<Value> {
    let (status, body) = gateway.api("GET", "/api/v1/connections", None).await;
    assert_eq!(status, 200, "{body}");
    body["connections"].as_array().unwrap().clone()
}

/// The only connection that the API lists, without what passes with time.
async fn context(gateway: &TestGateway) -> Value {
    let [mut one] = <[Value; 1]>::try_from(listed(gateway).await).expect("one connection");
    for passing in ["lastActivityAt", "messagesIn", "messagesOut", "bytesIn", "bytesOut"] {
        one.as_object_mut().unwrap().remove(passing);
    }
    one
}

fn refresh(id: &str, payload: Value) -> Value {
    json!({"type": "auth.refresh", "id": id, "payload": payload})
}

/// The code of an error that answers that id.
fn error_of(answer: &Value, id: &str) -> String {
    assert_eq!((answer["type"].as_str(), answer["id"].as_str()), (Some("error"), Some(id)), "{answer}");
    answer["payload"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_whole_context_is_replaced_and_the_connection_stays() {
    let gateway = TestGateway::start();
    let before = Claims::of("ann", "dashboard").expiring_in(600).with("plan", "free").with("jti", "one");
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws/dashboard", &before.sign()).await;
    assert_eq!((&greeting["plan"], &greeting["permissions"]), (&json!("free"), &json!([])));
    let old = context(&gateway).await;
    assert_eq!(old["limits"]["connections"], 5);

    let after = Claims::of("ann", "dashboard")
        .with("roles", json!(["viewer", "dashboard"]))
        .with("permissions", json!(["agents.read"]))
        .with("plan", "enterprise")
        .with("limits", json!({"connections": 7}))
        .expiring_in(3000);
    for (id, member) in [("r1", "token"), ("r2", "accessToken")] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let answer = client.ask(refresh(id, json!({ member: after.sign() }))).await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("auth.refreshed"), &json!(id)), "{answer}");
        assert_eq!(answer["payload"]["roles"], json!(["viewer", "dashboard"]));
        let members: Vec<_> = answer["payload"].as_object().unwrap().keys().collect();
        assert_eq!(members, ["expiresAt", "roles"], "tokens are told only where this gateway issued them");
        assert!(answer.get("from").is_none());
    }
    let new = context(&gateway).await;
    assert_eq!(new["connectionId"], old["connectionId"]);
    assert_eq!(new["connectedAt"], old["connectedAt"]);
    assert!(new["authenticatedAt"].as_str() > old["authenticatedAt"].as_str(), "{new}");
    assert!(new["expiresAt"].as_str() > old["expiresAt"].as_str(), "{new}");
    assert_eq!(new["roles"], json!(["viewer", "dashboard"]));
    assert_eq!(new["role"], "dashboard");
    assert_eq!(new["permissions"], json!(["agents.read"]));
    assert_eq!((&new["plan"], &new["limits"]["connections"]), (&json!("enterprise"), &json!(7)));
    assert_eq!(client.ask(json!({"type": "ping", "id": "p"})).await["type"], "pong");
    gateway.audited("the refresh", |line| line["event"] == "token.refreshed" && line["userId"] == "ann").await;
}

#[tokio::test]
async fn the_new_limits_hold_for_the_next_message() {
    let gateway = TestGateway::start();
    let tight = Claims::of("ann", "dashboard").with("limits", json!({"burst": "2/s", "rate": "2/m"}));
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws", &tight.sign()).await;
    assert_eq!(greeting["limits"]["messages"]["rate"], "2/m", "{greeting}");
    let answer = client.ask(refresh("r", json!({"token": token("ann", "dashboard")}))).await;
    assert_eq!(answer["type"], "auth.refreshed", "{answer}");
    for id in 0..10 {
        assert_eq!(client.ask(json!({"type": "ping", "id": id.to_string()})).await["type"], "pong");
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_gets_an_error_and_changes_nothing() {
    let second = b"another-secret-of-at-least-32-bytes!!";
    let gateway = TestGateway::open(Options {
        own_keys: true,
        config: "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n\
                 issuer = \"https://one.example\"\n\
                 [[auth.keys]]\nkid = \"second\"\nalgorithm = \"HS256\"\nsecret_file = \"second.txt\"\n\
                 issuer = \"https://two.example\"\nuser_prefix = \"two:\"\n\
                 [[auth.keys]]\nkid = \"third\"\nalgorithm = \"HS256\"\nsecret_file = \"second.txt\"\n\
                 issuer = \"https://one.example\"\n"
            .replace(
                "issuer = \"https://one.example\"\n",
                "issuer = \"https://one.example\"\nuser_prefix = \"one:\"\n",
            ),
        files: vec![("second.txt".into(), second.to_vec())],
        ..Options::default()
    });
    let of = |user: &str| Claims::of(user, "dashboard").with("iss", "https://one.example");
    let admin = Claims::of("operator", "admin").with("iss", "https://one.example").sign();
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws/dashboard", &of("ann").sign()).await;
    assert_eq!(greeting["userId"], "one:ann");
    let path = format!("/api/v1/connections/{}", greeting["connectionId"].as_str().unwrap());
    let look = async || {
        let (status, body) = gateway.api_as(&admin, "GET", &path, None).await;
        assert_eq!(status, 200);
        ["userId", "issuer", "roles", "expiresAt", "authenticatedAt", "plan"].map(|name| body[name].clone())
    };
    let before = look().await;

    let other = EncodingKey::from_secret(second);
    let cases = [
        ("another user", json!({"token": of("bob").sign()}), "IDENTITY_CHANGED"),
        (
            "another issuer",
            json!({"token": of("ann").with("iss", "https://two.example").sign_with(Algorithm::HS256, Some("second"), &other)}),
            "IDENTITY_CHANGED",
        ),
        ("an expired one", json!({"token": of("ann").expiring_in(-1).sign()}), "TOKEN_EXPIRED"),
        (
            "a badly signed one",
            json!({"token": of("ann").sign_with(Algorithm::HS256, Some("main"), &other)}),
            "TOKEN_INVALID",
        ),
        ("no token at all", json!({"token": "never"}), "TOKEN_INVALID"),
        ("a lost role", json!({"token": of("ann").with("roles", json!(["agent"])).sign()}), "ROLE_MISMATCH"),
        ("an empty one", json!({"token": ""}), "AUTH_REQUIRED"),
        ("nothing", json!({}), "AUTH_REQUIRED"),
    ];
    for (nth, (what, payload, code)) in cases.into_iter().enumerate() {
        let id = format!("r{nth}");
        let answer = client.ask(refresh(&id, payload)).await;
        assert_eq!(error_of(&answer, &id), code, "{what}: {answer}");
        assert_eq!(look().await, before, "{what}");
    }
    let answer = client.ask(refresh("last", json!({"refreshToken": "gwr_x"}))).await;
    assert_eq!(error_of(&answer, "last"), "REFRESH_UNSUPPORTED", "this gateway issues nothing");
    assert_eq!(look().await, before);
    let refused = gateway
        .audited("a refused refresh", |line| line["event"] == "token.refused" && line["code"] == "TOKEN_EXPIRED")
        .await;
    assert_eq!(refused["userId"], "one:ann");
    assert_eq!(client.ask(json!({"type": "ping", "id": "p"})).await["type"], "pong");
}

#[tokio::test]
async fn an_agent_stays_the_agent_that_it_is() {
    let gateway = TestGateway::with("[auth.claims]\nagent = \"agent_id\"\n");
    let agent = |id: &str| Claims::of("ann", "agent").with("agent_id", id).sign();
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws/agent", &agent("a-1")).await;
    assert_eq!(greeting["agentId"], "a-1");
    let answer = client.ask(refresh("r1", json!({"token": agent("a-2")}))).await;
    assert_eq!(error_of(&answer, "r1"), "IDENTITY_CHANGED");
    assert_eq!(context(&gateway).await["agentId"], "a-1");
    let answer = client.ask(refresh("r2", json!({"token": agent("a-1")}))).await;
    assert_eq!(answer["type"], "auth.refreshed");
}

#[tokio::test]
async fn what_is_no_refresh_is_an_invalid_message() {
    let gateway = TestGateway::start();
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let both = json!({"token": "a", "refreshToken": "b"});
    for (nth, payload) in [json!("text"), json!(null), json!([1]), json!({"token": 5}), both].into_iter().enumerate() {
        let id = format!("r{nth}");
        let answer = client.ask(refresh(&id, payload)).await;
        assert_eq!(error_of(&answer, &id), "INVALID_MESSAGE", "{answer}");
    }
}

#[tokio::test]
async fn refreshes_have_a_quota_of_their_own() {
    let gateway = TestGateway::with("[plans.default]\nmessages = { rate = \"3/m\", burst = \"3/s\" }\n");
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    for nth in 0..10 {
        let answer = client.ask(refresh(&nth.to_string(), json!({"token": token("ann", "dashboard")}))).await;
        assert_eq!(answer["type"], "auth.refreshed", "refreshes do not count as messages: {answer}");
    }
    let answer = client.ask(refresh("much", json!({"token": token("ann", "dashboard")}))).await;
    assert_eq!(error_of(&answer, "much"), "RATE_LIMITED");
    assert!(answer["payload"]["retryAfter"].as_u64().is_some_and(|wait| (1..=6).contains(&wait)), "{answer}");
    // The other way round, messages over their limit do not shut the door on a refresh, and it is no violation.
    for id in 0..3 {
        assert_eq!(client.ask(json!({"type": "ping", "id": id.to_string()})).await["type"], "pong");
    }
    let (_, user) = gateway.api("GET", "/api/v1/users/ann", None).await;
    assert_eq!(user["violations"], 0);
}

#[tokio::test]
async fn a_refresh_is_taken_during_a_penalty() {
    let gateway = TestGateway::with("[plans.default]\nmessages = { rate = \"2/m\", burst = \"2/s\" }\n");
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    for id in 0..2 {
        assert_eq!(client.ask(json!({"type": "ping", "id": id.to_string()})).await["type"], "pong");
    }
    assert_eq!(client.ask(json!({"type": "ping"})).await["payload"]["code"], "RATE_LIMITED");
    let answer = client.ask(refresh("r", json!({"token": token("ann", "dashboard")}))).await;
    assert_eq!(answer["type"], "auth.refreshed", "{answer}");
}

#[tokio::test]
async fn a_ban_or_a_revocation_that_meets_the_new_token_closes() {
    let gateway = TestGateway::start();
    let (status, _) = gateway.api("POST", "/api/v1/revocations", Some(json!({"jti": "gone"}))).await;
    assert_eq!(status, 200);
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    client.send(refresh("r", json!({"token": Claims::of("ann", "dashboard").with("jti", "gone").sign()}))).await;
    let (code, reason) = client.closed().await;
    assert_eq!((code, &reason["code"]), (4009, &json!("TOKEN_REVOKED")));

    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let (status, body) = gateway.api("PUT", "/api/v1/bans", Some(json!({"user": "ann"}))).await;
    assert_eq!((status, &body["matches"]), (200, &json!(1)), "{body}");
    let (code, reason) = client.closed().await;
    assert_eq!((code, &reason["code"]), (4007, &json!("BANNED")));
    gateway_tests::eventually(5, "both are gone", async || (gateway.connections().await == 0).then_some(())).await;
}

/// A gateway that issues tokens itself, and its API key.
fn issuing() -> (TestGateway, &'static str) {
    let config = "[auth.issuer]\nkey = \"main\"\n[[api_keys]]\nid = \"backend\"\nkey_env = \"BACKEND_KEY\"\n\
                  user = \"backend\"\nroles = [\"dashboard\"]\nplan = \"free\"\n";
    let key = "gwk_a-key-that-is-long-enough-to-be-one-of-them";
    let env = vec![("BACKEND_KEY".to_owned(), key.to_owned())];
    (TestGateway::open(Options { config: config.into(), env, ..Options::default() }), key)
}

async fn issued(gateway: &TestGateway, key: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(gateway.http("/auth/token")).header("x-api-key", key).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_refresh_token_is_spent_and_answered_with_the_next_pair() {
    let (gateway, key) = issuing();
    let pair = issued(&gateway, key).await;
    let (mut client, greeting) =
        TestClient::greeted(&gateway, "/ws/dashboard", pair["access_token"].as_str().unwrap()).await;
    assert_eq!((&greeting["userId"], &greeting["plan"]), (&json!("backend"), &json!("free")));
    let spent = pair["refresh_token"].as_str().unwrap();
    let answer = client.ask(refresh("r1", json!({ "refreshToken": spent }))).await;
    assert_eq!(answer["type"], "auth.refreshed", "{answer}");
    let (access, next) = (&answer["payload"]["accessToken"], &answer["payload"]["refreshToken"]);
    assert!(access.is_string() && next.is_string() && next.as_str() != Some(spent), "the pair comes along");
    // The new access token opens a door, and the refresh token opens none.
    let (second, _) = TestClient::greeted(&gateway, "/ws/dashboard", access.as_str().unwrap()).await;
    second.leave().await;
    let refused = TestClient::connect(&gateway, "/ws/dashboard", next.as_str().unwrap()).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (401, "TOKEN_INVALID"));
    // Nor is it an access token in a live connection.
    let answer = client.ask(refresh("r2", json!({ "token": next }))).await;
    assert_eq!(error_of(&answer, "r2"), "TOKEN_INVALID");

    let other = issued(&gateway, key).await;
    // A spent one that comes again was stolen, by this client or from it: its whole family is over.
    client.send(refresh("r3", json!({ "refreshToken": spent }))).await;
    let (code, reason) = client.closed().await;
    assert_eq!((code, &reason["code"]), (4009, &json!("TOKEN_REVOKED")));
    let (mut client, _) = TestClient::greeted(&gateway, "/ws/dashboard", other["access_token"].as_str().unwrap()).await;
    let answer = client.ask(refresh("r4", json!({"refreshToken": other["refresh_token"]}))).await;
    assert_eq!(answer["type"], "auth.refreshed", "another family lives on: {answer}");
    client.send(refresh("r5", json!({ "refreshToken": next }))).await;
    assert_eq!(client.closed().await.0, 4009, "its successor is over, too");
    gateway.audited("the refusal", |line| line["event"] == "token.refused" && line["code"] == "TOKEN_REVOKED").await;
}

#[tokio::test]
async fn another_users_refresh_token_is_refused_and_not_spent() {
    let (gateway, key) = issuing();
    let pair = issued(&gateway, key).await;
    let theirs = pair["refresh_token"].as_str().unwrap();
    let (mut client, _) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let answer = client.ask(refresh("r", json!({ "refreshToken": theirs }))).await;
    assert_eq!(error_of(&answer, "r"), "IDENTITY_CHANGED");
    let (mut owner, _) = TestClient::greeted(&gateway, "/ws/dashboard", pair["access_token"].as_str().unwrap()).await;
    let answer = owner.ask(refresh("r", json!({ "refreshToken": theirs }))).await;
    assert_eq!(answer["type"], "auth.refreshed", "it was not spent by the stranger: {answer}");
}
