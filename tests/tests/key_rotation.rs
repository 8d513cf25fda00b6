//! Keys come and go without a restart: a new key of an identity provider is fetched when its first token comes, and
//! nobody notices; a provider that is gone keeps its users out until it is back, and nobody comes in unverified.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]
#![allow(clippy::disallowed_methods, reason = "a test may look at the clock")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gateway_tests::{
    Claims, Options, TestClient, TestGateway,
    calls::call,
    client::Refused,
    eventually,
    jwks::{Answer, KeyServer},
    keys::{KeyPair, jwks},
    tokens::token,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

fn pair(kid: &str) -> KeyPair {
    KeyPair::new(kid, Algorithm::ES256)
}

fn gateway(server: &KeyServer) -> TestGateway {
    TestGateway::with(&format!("[[auth.keys]]\nkid = \"provider\"\njwks_url = \"{}\"\n{FREE}", server.url()))
}

async fn refused(gateway: &TestGateway, token: &str) -> Refused {
    TestClient::connect(gateway, "/ws", token).await.expect_err("a refusal")
}

/// A refusal that says: not you, I.
fn out_of_reach(refused: &Refused) {
    assert_eq!((refused.status, refused.code()), (503, "AUTH_ERROR"), "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|wait| (1..=30).contains(&wait)), "{refused:?}");
    assert_eq!(refused.body["error"]["then"], "wait");
}

async fn admitted(gateway: &TestGateway, seconds: u64, token: &str) {
    let enters = async || TestClient::connect(gateway, "/ws", token).await.ok();
    eventually(seconds, "the token is admitted", enters).await.leave().await;
}

#[tokio::test]
async fn a_hundred_stay_while_a_hundred_with_the_new_key_arrive() {
    let (old, new) = (pair("2026-01"), pair("2026-02"));
    let server = KeyServer::start(Answer::Set(jwks([&old]))).await;
    let gateway = gateway(&server);
    let enter = async |pair: &KeyPair, n: usize| {
        TestClient::greeted(&gateway, "/ws", &pair.sign(&Claims::of(&format!("{}-{n}", pair.kid), "dashboard"))).await.0
    };
    let mut stay = join_all((0..100).map(|n| enter(&old, n))).await;
    let before = server.asked();
    assert!(before <= 3, "{before} fetches for a hundred tokens of one key");

    server.answers(Answer::Set(jwks([&old, &new])));
    let mut come = join_all((0..100).map(|n| enter(&new, n))).await;
    assert!(server.asked() - before <= 2, "a hundred tokens of one new key wait for one fetch");
    for client in stay.iter_mut().chain(&mut come) {
        assert_eq!(client.ask(json!({"type": "ping", "id": "1"})).await["type"], "pong");
    }
    assert_eq!(gateway.connections().await, 200);
    assert!(gateway.audit().iter().all(|line| line["event"] != "refused"), "nobody was refused");

    // The old key leaves the set: whoever is in stays in. One more key makes the gateway read the set again.
    let third = pair("2026-03");
    server.answers(Answer::Set(jwks([&new, &third])));
    admitted(&gateway, 15, &third.sign(&Claims::of("late", "dashboard"))).await;
    let gone = refused(&gateway, &old.sign(&Claims::of("late", "dashboard"))).await;
    assert_eq!((gone.status, gone.detail()), (401, "unknown_key"));
    assert_eq!(stay[0].ask(json!({"type": "ping", "id": "1"})).await["type"], "pong");
    for client in stay.into_iter().chain(come) {
        drop(client);
    }
}

#[tokio::test]
async fn a_provider_that_is_gone_lets_nobody_in_until_it_is_back() {
    let key = pair("one");
    let mut server = KeyServer::absent();
    let gateway = gateway(&server);
    let theirs = key.sign(&Claims::of("ann", "dashboard"));
    for _ in 0..3 {
        out_of_reach(&refused(&gateway, &theirs).await);
    }
    let mut turned = TestClient::connect(&gateway, "/ws/simulate", &theirs).await.expect("upgraded, to be closed");
    let (code, reason) = turned.closed().await;
    assert_eq!((code, reason["code"].as_str()), (4000, Some("AUTH_ERROR")), "{reason}");
    assert!(reason["retryAfter"].as_u64().is_some_and(|wait| wait >= 1), "{reason}");
    assert_eq!(gateway.connections().await, 0, "never admitted");
    // Other keys are not concerned, and the operator can see which one is.
    TestClient::greeted(&gateway, "/ws", &token("bob", "dashboard")).await.0.leave().await;
    let ready = call(&gateway, "GET", "/readyz", &[], None).await;
    assert_eq!(
        (ready.body["status"].as_str(), &ready.body["keySetsUnavailable"]),
        (Some("degraded"), &json!(["provider"]))
    );
    gateway.audited("the fault", |line| line["code"] == "AUTH_ERROR" && line["endpoint"] == "/ws/simulate").await;

    server.return_with(Answer::Set(jwks([&key]))).await;
    admitted(&gateway, 15, &theirs).await;
    assert_eq!(call(&gateway, "GET", "/readyz", &[], None).await.body["status"], "ok");

    // Gone again: the keys that are known still serve.
    server.stop().await;
    admitted(&gateway, 1, &theirs).await;
    let unknown = refused(&gateway, &pair("two").sign(&Claims::of("ann", "dashboard"))).await;
    assert!(matches!(unknown.status, 401 | 503), "{unknown:?}");
}

#[tokio::test]
async fn a_flood_of_unknown_key_ids_asks_the_provider_a_few_times() {
    let key = pair("one");
    let server = KeyServer::start(Answer::Set(jwks([&key]))).await;
    let gateway = gateway(&server);
    admitted(&gateway, 5, &key.sign(&Claims::of("ann", "dashboard"))).await;
    let before = server.asked();
    let stranger = pair("x");
    let flood = (0..200).map(|n| stranger.called(&format!("kid-{n}")).sign(&Claims::of("eve", "dashboard")));
    for tokens in flood.collect::<Vec<_>>().chunks(50) {
        let refusals = join_all(tokens.iter().map(|token| refused(&gateway, token))).await;
        assert!(refusals.iter().all(|refused| (refused.status, refused.detail()) == (401, "unknown_key")));
        admitted(&gateway, 1, &key.sign(&Claims::of("ann", "dashboard"))).await;
    }
    let asked = server.asked() - before;
    assert!(asked <= 8, "{asked} fetches for 200 strangers");
    // The flood over, a key that is really new is found by itself.
    let new = pair("two");
    server.answers(Answer::Set(jwks([&key, &new])));
    admitted(&gateway, 20, &new.sign(&Claims::of("ann", "dashboard"))).await;
}

#[tokio::test]
async fn a_redirect_a_flood_of_bytes_and_nonsense_are_no_key_sets() {
    let key = pair("one");
    let set = jwks([&key]);
    let elsewhere = KeyServer::start(Answer::Set(set.clone())).await;
    let mut padded = set.clone();
    padded["padding"] = json!("x".repeat(300 << 10));
    let faults = [
        ("a redirect", Answer::Redirect(elsewhere.url())),
        ("too many bytes", Answer::Set(padded)),
        ("no JSON", Answer::Bytes(b"<html>".to_vec())),
        ("no set", Answer::Bytes(b"{\"keys\": 1}".to_vec())),
        ("a fault", Answer::Status(500)),
        ("nothing", Answer::Status(204)),
    ];
    for (what, answer) in faults {
        let server = KeyServer::start(answer).await;
        let gateway = gateway(&server);
        let told = refused(&gateway, &key.sign(&Claims::of("ann", "dashboard"))).await;
        assert_eq!(told.code(), "AUTH_ERROR", "{what}");
        out_of_reach(&told);
        assert!(server.asked() >= 1, "{what}");
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect is never followed");
}

#[tokio::test]
async fn a_slow_provider_holds_nobody_up_for_long() {
    let key = pair("one");
    let server = KeyServer::start(Answer::Slow(Duration::from_secs(8), jwks([&key]))).await;
    let gateway = gateway(&server);
    let begun = Instant::now();
    let theirs = key.sign(&Claims::of("ann", "dashboard"));
    let told = join_all((0..20).map(|_| refused(&gateway, &theirs))).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    told.iter().for_each(out_of_reach);
    let others = Instant::now();
    admitted(&gateway, 1, &token("bob", "dashboard")).await;
    assert!(others.elapsed() < Duration::from_secs(1));
    server.answers(Answer::Set(jwks([&key])));
    admitted(&gateway, 20, &theirs).await;
}

#[tokio::test]
async fn key_files_are_rotated_without_a_restart() {
    let (pem, set) = (pair("pem"), pair("set"));
    let gateway = TestGateway::open(Options {
        config: format!(
            "[[auth.keys]]\nkid = \"pem\"\nalgorithm = \"ES256\"\npublic_key_file = \"key.pem\"\n\
             [[auth.keys]]\njwks_file = \"set.json\"\n{FREE}"
        ),
        files: vec![
            ("key.pem".into(), pem.public.clone().into_bytes()),
            ("set.json".into(), jwks([&set]).to_string().into_bytes()),
        ],
        ..Options::default()
    });
    let claims = Claims::of("ann", "dashboard");
    let write = |file: &str, bytes: &[u8]| std::fs::write(gateway.folder.path().join(file), bytes).unwrap();
    let (mut inside, _) = TestClient::greeted(&gateway, "/ws", &pem.sign(&claims)).await;
    admitted(&gateway, 1, &set.sign(&claims)).await;

    let (new_pem, new_set) = (pair("pem"), pair("later"));
    write("key.pem", new_pem.public.as_bytes());
    admitted(&gateway, 10, &new_pem.sign(&claims)).await;
    assert_eq!(refused(&gateway, &pem.sign(&claims)).await.detail(), "signature");

    write("set.json", jwks([&set, &new_set]).to_string().as_bytes());
    admitted(&gateway, 10, &new_set.sign(&claims)).await;
    admitted(&gateway, 1, &set.sign(&claims)).await;

    // A file that is of no use changes nothing.
    write("key.pem", b"-----BEGIN PUBLIC KEY-----\nhalf a fi");
    eventually(10, "the fault is said", async || {
        gateway.written().contains("what was in force stays in force").then_some(())
    })
    .await;
    admitted(&gateway, 1, &new_pem.sign(&claims)).await;
    admitted(&gateway, 1, &new_set.sign(&claims)).await;
    write("key.pem", pem.public.as_bytes());
    admitted(&gateway, 10, &pem.sign(&claims)).await;

    let secret = b"another secret of thirty-two bytes or more";
    write("secret.txt", secret);
    let signed = claims.sign_with(Algorithm::HS256, Some("main"), &EncodingKey::from_secret(secret));
    admitted(&gateway, 10, &signed).await;
    assert_eq!(refused(&gateway, &claims.sign()).await.detail(), "signature");
    assert_eq!(inside.ask(json!({"type": "ping", "id": "1"})).await["type"], "pong", "whoever is in stays in");
}

#[tokio::test]
async fn a_fetched_set_never_grants_the_powers_unless_the_configuration_says_so() {
    let key = pair("one");
    let server = KeyServer::start(Answer::Set(jwks([&key]))).await;
    let plain = gateway(&server);
    let admin = key.sign(&Claims::of("eve", "dashboard").with("roles", json!(["admin", "service", "dashboard"])));
    let (_client, ready) = TestClient::greeted(&plain, "/ws", &admin).await;
    assert_eq!(ready["roles"], json!(["dashboard"]));
    assert_eq!(plain.api_as(&admin, "GET", "/api/v1/bans", None).await.0, 403);
    let trusting = TestGateway::with(&format!("[[auth.keys]]\njwks_url = \"{}\"\nroles = [\"admin\"]\n", server.url()));
    assert_eq!(trusting.api_as(&admin, "GET", "/api/v1/bans", None).await.0, 200);
}
