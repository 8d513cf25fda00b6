//! What is counted at the doors.

use gateway_tests::{Claims, TestClient, TestGateway, rooms::UNLIMITED, scrape::Scrape, tokens::token};
use serde_json::{Value, json};

use super::{Seen, shows};

/// Connections by endpoint, role and transport; handshakes; closes by us and by peers.
pub(super) async fn who_comes_and_goes(seen: &mut Seen) {
    let gateway = TestGateway::with(UNLIMITED);
    let before = Scrape::of(&gateway).await;
    let (mut ann, _) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let (_agent, _) = TestClient::greeted(&gateway, "/ws/agent", &token("a1", "agent")).await;
    // Roles of a token are its issuer's words: those that nobody configured make no series of their own.
    for n in 0..3 {
        let (stranger, _) = TestClient::greeted(&gateway, "/ws", &token(&format!("s{n}"), &format!("role-{n}"))).await;
        std::mem::forget(stranger);
    }
    let at = |endpoint, role| [("endpoint", endpoint), ("role", role), ("transport", "websocket")];
    let scrape = shows(&gateway, "five are here", |scrape| scrape.sum("gateway_connections", &[]) == 5.0).await;
    for place in [at("/ws/dashboard", "dashboard"), at("/ws/agent", "agent")] {
        assert_eq!(scrape.sum("gateway_connections", &place), 1.0, "{}", scrape.text);
        assert_eq!(scrape.sum("gateway_connections_admitted_total", &place), 1.0);
    }
    assert_eq!(scrape.sum("gateway_connections", &at("/ws", "other")), 3.0);
    assert!(!scrape.text.contains("role-"), "{}", scrape.text);
    assert_eq!(scrape.sum("gateway_handshake_seconds_count", &[("outcome", "admitted")]), 5.0);
    assert!(scrape.sum("gateway_handshake_seconds_sum", &[("outcome", "admitted")]) > 0.0);

    let refused = Claims::of("ann", "dashboard").expiring_in(-10).sign();
    TestClient::connect(&gateway, "/ws", &refused).await.unwrap_err();
    TestClient::open(&gateway.ws("/ws"), &[]).await.unwrap_err();
    let (status, _) = gateway.api("POST", "/api/v1/users/a1/disconnect", None).await;
    assert_eq!(status, 200);
    ann.socket.close(None).await.unwrap();
    let scrape = shows(&gateway, "two are gone", |scrape| scrape.sum("gateway_connections", &[]) == 3.0).await;
    assert_eq!(scrape.sum("gateway_connections", &at("/ws/dashboard", "dashboard")), 0.0);
    let closed = |by, code| scrape.sum("gateway_connections_closed_total", &[("by", by), ("code", code)]);
    assert_eq!((closed("gateway", "DISCONNECTED"), closed("peer", "none") + closed("peer", "1005")), (1.0, 1.0));
    let code = |code| scrape.sum("gateway_refusals_total", &[("code", code)]);
    assert_eq!((code("TOKEN_EXPIRED"), code("AUTH_REQUIRED")), (1.0, 1.0));
    assert_eq!(scrape.sum("gateway_handshake_seconds_count", &[("outcome", "refused")]), 2.0);
    seen.changed(&before, &scrape);
}

/// Penalties, bans, revocations.
pub(super) async fn who_is_kept_out(seen: &mut Seen) {
    let gateway = TestGateway::with(UNLIMITED);
    let before = Scrape::of(&gateway).await;
    let (mut ann, _) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    // Ten that nobody understands are a violation, and ten more cost a minute.
    for _ in 0..20 {
        ann.send("what?").await;
    }
    ann.send(json!({"type": "ping", "id": "now"})).await;
    let scrape = shows(&gateway, "a penalty", |scrape| scrape.sum("gateway_connections_penalised", &[]) == 1.0).await;
    let penalty = |penalty| scrape.sum("gateway_violations_total", &[("penalty", penalty)]);
    assert_eq!((penalty("warning"), penalty("1m"), penalty("5m")), (1.0, 1.0, 0.0), "{}", scrape.text);
    assert!(scrape.sum("gateway_message_errors_total", &[("code", "INVALID_MESSAGE")]) >= 20.0);

    let until = "2100-01-01T00:00:00Z";
    for ban in [json!({"user": "mallory"}), json!({"address": "203.0.113.0/24", "until": until})] {
        assert_eq!(gateway.api("PUT", "/api/v1/bans", Some(ban)).await.0, 200);
    }
    let revocation = json!({"jti": "one", "until": until});
    let (status, answer) = gateway.api("POST", "/api/v1/revocations", Some(revocation)).await;
    assert_eq!(status, 200, "{answer}");
    let scrape = Scrape::of(&gateway).await;
    let bans = |subject| scrape.sum("gateway_bans", &[("subject", subject)]);
    assert_eq!((bans("user"), bans("address")), (1.0, 1.0));
    assert_eq!(scrape.sum("gateway_bans_laid_total", &[("by", "operator")]), 2.0);
    assert_eq!(scrape.sum("gateway_revocations", &[]), 1.0);
    seen.changed(&before, &scrape);
}

/// A page of Socket.IO: at the path of its namespace, by what carries it.
pub(super) async fn who_comes_by_socketio(seen: &mut Seen) {
    let config = "[[socketio.namespaces]]\npath = \"/dashboard\"\nroles = [\"dashboard\"]\n";
    let gateway = TestGateway::with(&format!("{UNLIMITED}{config}"));
    let before = Scrape::of(&gateway).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let door = gateway.http("/socket.io/?EIO=4&transport=polling");
    let opening = http.get(&door).send().await.unwrap().text().await.unwrap();
    let opening: Value = serde_json::from_str(opening.strip_prefix('0').expect("an open packet")).unwrap();
    let session = format!("{door}&sid={}", opening["sid"].as_str().unwrap());
    let connect = format!("40/dashboard,{}", json!({"token": token("ann", "dashboard")}));
    assert_eq!(http.post(&session).body(connect).send().await.unwrap().status(), 200);
    let place = [("endpoint", "/dashboard"), ("role", "dashboard"), ("transport", "socketio-polling")];
    let here = shows(&gateway, "she is here", |scrape| scrape.sum("gateway_connections", &place) == 1.0).await;
    assert_eq!(here.sum("gateway_connections", &[]), 1.0, "{}", here.text);
    assert_eq!(here.sum("gateway_connections_admitted_total", &place), 1.0);
    assert_eq!(here.sum("gateway_handshake_seconds_count", &[("outcome", "admitted")]), 1.0);
    seen.changed(&before, &here);
}
