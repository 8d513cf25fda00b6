//! Bans by API and by configuration: of addresses, blocks of addresses and users; they keep newcomers out with 403, end
//! who is connected at once with 4007, hold until their time, and survive a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::sync::Arc;

use gateway_tests::{
    Claims, Options, TestClient, TestGateway,
    calls::call,
    client::Refused,
    eventually,
    tokens::{now, token},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Behind a proxy that says who is there, so that one test can come from anywhere.
const PROXIED: &str = "[server]\nclient_address = \"x-forwarded-for\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
                       [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
                       [state]\nfile = \"state.jsonl\"\n";

fn gateway(more: &str, folder: Option<Arc<TempDir>>) -> TestGateway {
    TestGateway::open(Options { config: format!("{PROXIED}{more}"), folder, ..Options::default() })
}

async fn from(gateway: &TestGateway, ip: &str, user: &str) -> Result<TestClient, Refused> {
    let target = format!("/ws?token={}", token(user, "dashboard"));
    let mut client = TestClient::open(&gateway.ws(&target), &[("x-forwarded-for", ip)]).await?;
    assert_eq!(client.json().await["type"], "connection_ready");
    Ok(client)
}

async fn kept_out(gateway: &TestGateway, ip: &str, user: &str) -> Refused {
    let refused = from(gateway, ip, user).await.expect_err("somebody who is banned");
    assert_eq!((refused.status, refused.code()), (403, "BANNED"), "{ip} {user}: {refused:?}");
    assert_eq!(refused.body["error"]["then"], "stop");
    refused
}

async fn gone(client: &mut TestClient) {
    let (code, reason) = client.closed().await;
    assert_eq!((code, reason["code"].as_str()), (4007, Some("BANNED")), "{reason}");
}

async fn lay(gateway: &TestGateway, order: Value) -> Value {
    let (status, answer) = gateway.api("PUT", "/api/v1/bans", Some(order)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn lift(gateway: &TestGateway, order: Value) -> u16 {
    gateway.api("DELETE", "/api/v1/bans", Some(order)).await.0
}

#[tokio::test]
async fn an_address_is_gone_at_once_and_stays_out_until_the_ban_is_lifted() {
    let gateway = gateway("", None);
    let mut there = from(&gateway, "203.0.113.9", "ann").await.unwrap();
    let mut beside = from(&gateway, "203.0.113.10", "ann").await.unwrap();
    let answer = lay(&gateway, json!({"address": "203.0.113.9", "reason": "scanning"})).await;
    assert_eq!(answer["matches"], 1);
    gone(&mut there).await;
    let refused = kept_out(&gateway, "203.0.113.9", "bob").await;
    assert!(!refused.body.to_string().contains("scanning"), "the reason is the operator's");
    kept_out(&gateway, "::ffff:203.0.113.9", "bob").await;
    assert_eq!(beside.ask(json!({"type": "ping"})).await["type"], "pong");
    from(&gateway, "203.0.113.8", "bob").await.unwrap().leave().await;
    // The whole house is closed to that address, whatever it brings.
    let admin = format!("Bearer {}", token("root", "admin"));
    let headers = [("x-forwarded-for", "203.0.113.9"), ("authorization", &*admin)];
    assert_eq!(call(&gateway, "GET", "/api/v1/connections", &headers, None).await.told(), (403, "BANNED"));

    let (_, list) = gateway.api("GET", "/api/v1/bans", None).await;
    assert_eq!(list["bans"], json!([{"address": "203.0.113.9", "reason": "scanning"}]));
    assert_eq!(lift(&gateway, json!({"address": "203.0.113.9/32"})).await, 200);
    from(&gateway, "203.0.113.9", "bob").await.unwrap().leave().await;
    assert_eq!(lift(&gateway, json!({"address": "203.0.113.9"})).await, 404);
    let laid = gateway.audited("the ban", |line| line["event"] == "ban.laid").await;
    assert!(
        laid["reason"].as_str().unwrap().contains("scanning") && laid["reason"].as_str().unwrap().contains("operator")
    );
    gateway.audited("the end of it", |line| line["event"] == "ban.lifted").await;
    let ended = |line: &Value| line["event"] == "disconnected" && line["code"] == "BANNED";
    let ended = gateway.audited("the closed connection", ended).await;
    assert_eq!((&ended["userId"], &ended["ip"]), (&json!("ann"), &json!("203.0.113.9")));
    assert!(ended["connectionId"].is_string());
}

#[tokio::test]
async fn a_block_of_addresses_is_banned_in_both_families() {
    let gateway = gateway("", None);
    for (block, inside, outside) in [
        ("203.0.113.0/24", ["203.0.113.1", "203.0.113.255"], "203.0.114.1"),
        ("2001:db8:7::/48", ["2001:db8:7::1", "2001:db8:7:ffff::9"], "2001:db8:8::1"),
    ] {
        let mut first = from(&gateway, inside[0], "ann").await.unwrap();
        let mut second = from(&gateway, inside[1], "bob").await.unwrap();
        let mut other = from(&gateway, outside, "ann").await.unwrap();
        assert_eq!(lay(&gateway, json!({ "address": block })).await["matches"], 2, "{block}");
        gone(&mut first).await;
        gone(&mut second).await;
        for ip in inside {
            kept_out(&gateway, ip, "carl").await;
        }
        assert_eq!(other.ask(json!({"type": "ping"})).await["type"], "pong");
        assert_eq!(lift(&gateway, json!({ "address": block })).await, 200);
    }
}

#[tokio::test]
async fn a_user_is_out_wherever_it_comes_from() {
    let gateway = gateway("", None);
    let mut here = from(&gateway, "203.0.113.1", "mallory").await.unwrap();
    let mut there = from(&gateway, "2001:db8::1", "mallory").await.unwrap();
    let mut other = from(&gateway, "203.0.113.1", "ann").await.unwrap();
    assert_eq!(lay(&gateway, json!({"user": "mallory"})).await["matches"], 2);
    gone(&mut here).await;
    gone(&mut there).await;
    kept_out(&gateway, "198.51.100.1", "mallory").await;
    assert_eq!(other.ask(json!({"type": "ping"})).await["type"], "pong");
    let (_, user) = gateway.api("GET", "/api/v1/users/mallory", None).await;
    assert_eq!((&user["banned"], &user["connected"]), (&json!(true), &json!(false)));
    // A door that upgrades to refuse says it by its close code, and an administrator is no exception.
    let target = format!("/ws/simulate?token={}", token("mallory", "dashboard"));
    gone(&mut TestClient::open(&gateway.ws(&target), &[]).await.unwrap()).await;
    let mallory = Claims::of("mallory", "admin").sign();
    assert_eq!(gateway.api_as(&mallory, "GET", "/api/v1/bans", None).await.0, 403);
    assert_eq!(lift(&gateway, json!({"user": "mallory"})).await, 200);
    from(&gateway, "203.0.113.1", "mallory").await.unwrap().leave().await;
}

#[tokio::test]
async fn a_ban_ends_by_itself_at_its_time() {
    let gateway = gateway("", None);
    let end = now() + 2;
    let until = gateway_domain::Timestamp::from_seconds(end).to_string();
    let answer = lay(&gateway, json!({"user": "ann", "until": until})).await;
    assert_eq!(answer["ban"]["until"], *until);
    kept_out(&gateway, "203.0.113.1", "ann").await;
    let enters = async || from(&gateway, "203.0.113.1", "ann").await.ok();
    eventually(10, "the ban is over", enters).await.leave().await;
    assert!(now() >= end, "not before its time");
    assert_eq!(gateway.api("GET", "/api/v1/bans", None).await.1["bans"], json!([]));
    let (status, answer) = gateway.api("PUT", "/api/v1/bans", Some(json!({"user": "ann", "until": until}))).await;
    assert_eq!((status, &answer["error"]["details"][0]["path"]), (400, &json!("until")));
}

#[tokio::test]
async fn a_dry_run_counts_and_does_nothing() {
    let gateway = gateway("", None);
    let mut here = from(&gateway, "203.0.113.1", "ann").await.unwrap();
    for (order, matches) in [
        (json!({"user": "ann", "dryRun": true}), 1),
        (json!({"address": "203.0.113.0/24", "dryRun": true}), 1),
        (json!({"user": "bob", "dryRun": true}), 0),
    ] {
        let answer = lay(&gateway, order).await;
        assert_eq!((&answer["matches"], &answer["dryRun"]), (&json!(matches), &json!(true)));
    }
    assert_eq!(gateway.api("GET", "/api/v1/bans", None).await.1["bans"], json!([]));
    assert_eq!(here.ask(json!({"type": "ping"})).await["type"], "pong");
    assert!(gateway.audit().iter().all(|line| line["event"] != "ban.laid"));
    lay(&gateway, json!({"user": "ann"})).await;
    assert_eq!(lift(&gateway, json!({"user": "ann", "dryRun": true})).await, 200);
    kept_out(&gateway, "203.0.113.1", "ann").await;
}

#[tokio::test]
async fn nobody_locks_out_this_machine_or_the_proxies_by_mistake() {
    let gateway = gateway("", None);
    for address in ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0", "::1", "::/0"] {
        let (status, answer) = gateway.api("PUT", "/api/v1/bans", Some(json!({ "address": address }))).await;
        assert_eq!((status, &answer["error"]["details"][0]["path"]), (400, &json!("address")), "{address}: {answer}");
        let dry = json!({"address": address, "force": true, "dryRun": true});
        lay(&gateway, dry).await;
    }
    assert_eq!(lay(&gateway, json!({"address": "::1", "force": true})).await["ban"]["address"], "::1");
}

#[tokio::test]
async fn bans_survive_a_restart_and_a_crash() {
    // The file is each node's own: this is one node in a folder.
    let first = gateway("", Some(Arc::new(tempfile::tempdir().unwrap())));
    lay(&first, json!({"user": "mallory", "reason": "abuse"})).await;
    lay(&first, json!({"address": "203.0.113.0/24"})).await;
    lay(&first, json!({"user": "lifted"})).await;
    lift(&first, json!({"user": "lifted"})).await;
    let folder = first.crash();
    let again = gateway("", Some(Arc::clone(&folder)));
    kept_out(&again, "198.51.100.1", "mallory").await;
    kept_out(&again, "203.0.113.77", "ann").await;
    from(&again, "198.51.100.1", "lifted").await.unwrap().leave().await;
    lay(&again, json!({"user": "eve"})).await;
    assert!(again.stop().0);
    // A line that was cut by the crash is no harm.
    let file = folder.path().join("state.jsonl");
    let mut text = std::fs::read(&file).unwrap();
    text.extend_from_slice(b"{\"ban\":{\"user\":\"ha");
    std::fs::write(&file, text).unwrap();
    let third = gateway("", Some(folder));
    for user in ["mallory", "eve"] {
        kept_out(&third, "198.51.100.1", user).await;
    }
    assert_eq!(third.api("GET", "/api/v1/bans", None).await.1["bans"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_ban_of_the_configuration_holds_and_is_not_lifted_here() {
    let bans = "[[bans]]\naddress = \"203.0.113.0/24\"\nreason = \"scanning\"\n[[bans]]\nuser = \"mallory\"\n\
                until = \"2099-01-01T00:00:00Z\"\n[[bans]]\nuser = \"forgiven\"\nuntil = \"2020-01-01T00:00:00Z\"\n";
    let gateway = gateway(bans, None);
    kept_out(&gateway, "203.0.113.1", "ann").await;
    kept_out(&gateway, "198.51.100.1", "mallory").await;
    from(&gateway, "198.51.100.1", "forgiven").await.unwrap().leave().await;
    assert_eq!(lift(&gateway, json!({"user": "mallory"})).await, 409);
    kept_out(&gateway, "198.51.100.1", "mallory").await;
}

#[tokio::test]
async fn an_order_without_the_form_is_told_what_is_wrong() {
    let gateway = gateway("", None);
    for (order, path) in [
        (json!({}), "address"),
        (json!({"address": "203.0.113.1", "user": "ann"}), "address"),
        (json!({"user": "ann", "reason": "x".repeat(513)}), "reason"),
        (json!({"address": "203.0.113.999"}), "line"),
        (json!({"address": "203.0.113.0/33"}), "line"),
        (json!({"user": ""}), "line"),
        (json!({"user": "ann", "until": "tomorrow"}), "line"),
        (json!({"user": "ann", "forever": true}), "line"),
        (json!([]), "line"),
    ] {
        let (status, answer) = gateway.api("PUT", "/api/v1/bans", Some(order.clone())).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("INVALID_REQUEST")), "{order}");
        assert!(answer["error"]["details"][0]["path"].as_str().unwrap().starts_with(path), "{order}: {answer}");
        assert!(answer["error"]["details"][0]["message"].is_string());
    }
    assert_eq!(gateway.api("GET", "/api/v1/bans", None).await.1["bans"], json!([]));
}
