//! Pages and the API: a page of a listed origin may call it and read the answers, any other page gets no leave, and a page
//! never comes by a cookie.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    TestGateway,
    calls::{Called, call},
    tokens::token,
};

const APP: &str = "https://app.example";

fn gateway() -> TestGateway {
    TestGateway::with(&format!("[http]\norigins = [\"{APP}\", \"https://*.apps.example\"]\n"))
}

async fn preflight(gateway: &TestGateway, path: &str, origin: &str) -> Called {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "DELETE"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    call(gateway, "OPTIONS", path, &headers, None).await
}

#[tokio::test]
async fn a_listed_page_is_given_leave() {
    let gateway = gateway();
    for origin in [APP, "https://one.apps.example"] {
        for path in ["/api/v1/connections", "/api/v1/bans", "/auth/token"] {
            let answer = preflight(&gateway, path, origin).await;
            assert_eq!(answer.status, 204, "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            let methods = answer.header("access-control-allow-methods");
            assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
            let headers = answer.header("access-control-allow-headers").to_lowercase();
            let needed = ["authorization", "content-type", "idempotency-key", "x-api-key"];
            assert!(needed.iter().all(|name| headers.contains(name)), "{headers}");
            assert!(answer.header("vary").to_lowercase().contains("origin"));
            assert!(answer.headers.get("access-control-allow-credentials").is_none(), "no cookies go along");
        }
    }
    let admin = format!("Bearer {}", token("root", "admin"));
    let answer = call(&gateway, "GET", "/api/v1/bans", &[("origin", APP), ("authorization", &admin)], None).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, APP));
    assert!(answer.header("access-control-expose-headers").contains("retry-after"));
    // A refusal can be read, too: that is how a page learns to refresh its token.
    let refused = call(&gateway, "GET", "/api/v1/bans", &[("origin", APP)], None).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, APP));
}

#[tokio::test]
async fn any_other_page_is_not() {
    let gateway = gateway();
    let admin = format!("Bearer {}", token("root", "admin"));
    for origin in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evilapp.example",
        "https://apps.example",
        "https://evilapps.example",
        "null",
        "",
    ] {
        let asked = preflight(&gateway, "/api/v1/bans", origin).await;
        assert_eq!(asked.told(), (403, "ORIGIN_NOT_ALLOWED"), "{origin}");
        let answer =
            call(&gateway, "GET", "/api/v1/bans", &[("origin", origin), ("authorization", &admin)], None).await;
        for told in [&asked, &answer] {
            assert!(told.headers.get("access-control-allow-origin").is_none(), "{origin}: {told:?}");
            assert!(told.header("vary").to_lowercase().contains("origin"), "{origin}: {told:?}");
        }
    }
}

#[tokio::test]
async fn without_a_list_no_page_may_call_and_programs_do_not_care() {
    let gateway = TestGateway::start();
    assert_eq!(preflight(&gateway, "/api/v1/bans", APP).await.status, 403);
    let admin = format!("Bearer {}", token("root", "admin"));
    let answer = call(&gateway, "GET", "/api/v1/bans", &[("authorization", &admin)], None).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn the_list_of_the_api_opens_no_door_and_that_of_a_door_opens_no_api() {
    let door = "[[endpoints]]\npath = \"/ws\"\norigins = [\"https://door.example\"]\n";
    let gateway = TestGateway::with(&format!("[http]\norigins = [\"{APP}\"]\n{door}"));
    let target = gateway.ws(&format!("/ws?token={}", token("ann", "dashboard")));
    let refused = gateway_tests::TestClient::open(&target, &[("origin", APP)]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (403, "ORIGIN_NOT_ALLOWED"));
    gateway_tests::TestClient::open(&target, &[("origin", "https://door.example")])
        .await
        .expect("listed")
        .leave()
        .await;
    assert_eq!(preflight(&gateway, "/api/v1/bans", "https://door.example").await.status, 403);
}
