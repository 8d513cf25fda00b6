//! How often a backend may call: each caller by itself, whatever tokens it has; over it the answer says when to come back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Options, TestGateway,
    calls::{Called, call},
    scrape::Scrape,
    tokens::token,
};

const KEY: &str = "gateway-test-key-of-forty-characters-000";
const SLOW: &str = "gateway-test-key-of-forty-characters-001";
const FREE: &str = "gateway-test-key-of-forty-characters-002";

fn gateway() -> TestGateway {
    let hash = |key: &str| gateway_auth::api_key::hash_text(&gateway_auth::api_key::hash(key));
    let key = |id: &str, key: &str, more: &str| {
        format!(
            "[[api_keys]]\nid = \"{id}\"\nsha256 = \"{}\"\nuser = \"ann\"\nroles = [\"service\"]\n{more}",
            hash(key)
        )
    };
    let config = format!(
        "[http]\nrate = {{ rate = \"3/h\", burst = 3 }}\n{}{}{}",
        key("usual", KEY, ""),
        key("slow", SLOW, "rate = { rate = \"1/h\", burst = 1 }\n"),
        key("free", FREE, "rate = \"off\"\n"),
    );
    // Each node counts the calls that come to it.
    TestGateway::open(Options { config, alone: true, ..Options::default() })
}

async fn calls(gateway: &TestGateway, header: (&str, &str), many: usize) -> Vec<Called> {
    let mut all = Vec::new();
    for _ in 0..many {
        all.push(call(gateway, "GET", "/api/v1/rooms", &[header], None).await);
    }
    all
}

fn admitted(calls: &[Called]) -> usize {
    calls.iter().filter(|call| call.status == 200).count()
}

#[tokio::test]
async fn each_caller_has_a_rate_of_its_own_and_is_told_when_it_is_over() {
    let gateway = gateway();
    let ann = format!("Bearer {}", token("ann", "service"));
    let first = calls(&gateway, ("authorization", &ann), 5).await;
    assert_eq!(admitted(&first), 3);
    let over = first.last().unwrap();
    assert_eq!(over.told(), (429, "RATE_LIMITED"));
    assert_eq!((over.header("x-ratelimit-limit"), over.header("x-ratelimit-remaining")), ("3", "0"));
    assert_eq!(over.header("x-ratelimit-period"), "3600");
    let wait: u64 = over.header("retry-after").parse().unwrap();
    assert!((1..=1200).contains(&wait), "a third of an hour at most: {wait}");
    assert_eq!((&over.body["error"]["retryAfter"], &over.body["error"]["then"]), (&wait.into(), &"wait".into()));
    // Another token of the same user is the same caller; one of another user is another.
    let again = format!("Bearer {}", gateway_tests::Claims::of("ann", "service").with("jti", "another").sign());
    assert_eq!(admitted(&calls(&gateway, ("authorization", &again), 2).await), 0);
    let bob = format!("Bearer {}", token("bob", "service"));
    assert_eq!(admitted(&calls(&gateway, ("authorization", &bob), 4).await), 3);
    // A key without a rate of its own is counted as its user is.
    assert_eq!(admitted(&calls(&gateway, ("x-api-key", KEY), 2).await), 0);
    assert_eq!(admitted(&calls(&gateway, ("x-api-key", SLOW), 3).await), 1);
    assert_eq!(admitted(&calls(&gateway, ("x-api-key", FREE), 20).await), 20);
    // Calls that are wrong count like others: there is no guessing for free.
    let cid = format!("Bearer {}", token("cid", "dashboard"));
    let refused = calls(&gateway, ("authorization", &cid), 5).await;
    assert_eq!(refused.iter().map(|call| call.status).collect::<Vec<_>>(), [403, 403, 403, 429, 429]);
    // It is counted, and it can be looked up.
    let scrape = Scrape::of(&gateway).await;
    let listed = scrape.sum("gateway_http_calls_total", &[("operation", "listRooms"), ("status", "200")]);
    assert_eq!(listed, 27.0, "{}", scrape.text);
    gateway.audited("the refusal", |line| line["code"] == "RATE_LIMITED" && line["userId"] == "bob").await;
}

#[tokio::test]
async fn what_needs_no_caller_is_not_counted() {
    let gateway = gateway();
    for _ in 0..10 {
        for path in ["/healthz", "/readyz", "/openapi.json", "/metrics"] {
            assert_eq!(call(&gateway, "GET", path, &[], None).await.status, 200, "{path}");
        }
    }
}
