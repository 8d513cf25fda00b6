//! A clock that stands still: the composed gateway is held against its own deadlines to the millisecond. A token that
//! expires in mid-connection is kept or closed as the endpoint says; on a closing one no message gets through at the
//! deadline or behind it, whichever of the message and the timer is looked at first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use futures_util::SinkExt;
use gateway_domain::{Code, Timestamp};
use gateway_server::clock;
use gateway_tests::house::{TestHouse, Visit, expiring_on_the_clock, leap_to, middle_of_a_millisecond};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const ROOMY: &str = "[limits]\nhandshakes_per_user = \"off\"\nhandshakes_per_ip = \"off\"\n\
    [plans.default]\nmessages = \"off\"\n[plans.agent]\nmessages = \"off\"\nconnections = 1000\n";

/// What is looked at first: the message, which lies in the pipe when the clock leaps, or the deadline's timer.
#[derive(Clone, Copy, Debug)]
enum First {
    Message,
    Timer,
}

/// A connection whose token expires in about three seconds, its greeting and its warning read.
async fn soon_to_expire(house: &TestHouse, path: &str, role: &str) -> (Visit, Timestamp) {
    let (claims, deadline) = expiring_on_the_clock("ann", role, 3);
    let mut visit = house.visit(path, &claims.sign()).await;
    assert_eq!(visit.json().await.unwrap()["type"], "connection_ready");
    if path == "/ws/agent" {
        let warning = visit.json().await.unwrap();
        assert_eq!(warning, json!({"type": "auth.expiring", "payload": {"expiresAt": time(deadline)}}));
    }
    (visit, deadline)
}

fn time(at: Timestamp) -> Value {
    serde_json::to_value(at).unwrap()
}

fn ping(id: i64) -> Value {
    json!({"type": "ping", "id": id.to_string()})
}

fn pong(id: i64) -> Value {
    json!({"type": "pong", "id": id.to_string()})
}

/// A ping at so many milliseconds behind the deadline: what came of it.
async fn at_offset(house: &TestHouse, path: &str, role: &str, offset: i64, first: First) -> (Visit, Vec<Value>) {
    let (mut visit, deadline) = soon_to_expire(house, path, role).await;
    match first {
        First::Message => {
            visit.send(ping(offset)).await;
            leap_to(deadline, offset).await;
        }
        First::Timer => {
            leap_to(deadline, offset).await;
            // Where the connection has closed already, the pipe may not take it.
            let _ = visit.socket.send(Message::text(ping(offset).to_string())).await;
        }
    }
    let before = clock::now().tick;
    let mut said = Vec::new();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    for frame in visit.at_hand() {
        match frame {
            Message::Text(text) => said.push(serde_json::from_str(&text).unwrap()),
            Message::Close(Some(frame)) => {
                let reason: Value = serde_json::from_str(&frame.reason).unwrap();
                said.push(json!({"close": u16::from(frame.code), "code": reason["code"]}));
            }
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(clock::now().tick, before, "nothing of this took time");
    (visit, said)
}

#[tokio::test(start_paused = true)]
async fn no_message_is_handled_at_the_deadline_or_behind_it() {
    let house = TestHouse::with(ROOMY);
    middle_of_a_millisecond().await;
    for offset in -5..=5 {
        for first in [First::Message, First::Timer] {
            let (mut visit, said) = at_offset(&house, "/ws/agent", "agent", offset, first).await;
            if offset < 0 {
                assert_eq!(said, [pong(offset)], "{offset} ms, {first:?} first");
                let (more, code, reason) = visit.rest().await;
                assert_eq!((more.as_slice(), code), (&[][..], 4003), "{offset} ms, {first:?} first");
                assert_eq!(reason["code"], "TOKEN_EXPIRED");
                assert_eq!(reason["requestId"], visit.occupant.request_id.to_string());
            } else {
                assert_eq!(said, [json!({"close": 4003, "code": "TOKEN_EXPIRED"})], "{offset} ms, {first:?} first");
            }
            let _ = visit.socket.close(None).await;
            visit.task.await.unwrap();
            assert_eq!(house.connections(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_keeping_endpoint_goes_on_behind_the_deadline() {
    let house = TestHouse::with(ROOMY);
    middle_of_a_millisecond().await;
    for offset in (-5..=5).chain([60_000, 3_600_000]) {
        for first in [First::Message, First::Timer] {
            // In a longer leap the client would be silent for longer than a heartbeat allows.
            let offset = if matches!(first, First::Timer) { offset.min(9_000) } else { offset };
            let (visit, said) = at_offset(&house, "/ws", "dashboard", offset, first).await;
            assert_eq!(said, [pong(offset)], "{offset} ms, {first:?} first");
            assert_eq!(house.connections(), 1);
            drop(visit.socket);
            visit.task.await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_handshake_holds_to_the_same_deadline() {
    let house = TestHouse::with(ROOMY);
    middle_of_a_millisecond().await;
    for path in ["/ws", "/ws/agent"] {
        for offset in -5..=5 {
            let (claims, deadline) = expiring_on_the_clock("ann", "agent", 2);
            leap_to(deadline, offset).await;
            let admitted = house.admit(path, &claims.sign()).await;
            assert_eq!(
                admitted.as_ref().err().map(|refusal| refusal.code),
                (offset >= 0).then_some(Code::TokenExpired)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_leeway_of_expiry_is_part_of_the_one_deadline() {
    let house = TestHouse::with(&format!("[auth]\nexp_leeway = \"2s\"\n{ROOMY}"));
    middle_of_a_millisecond().await;
    let (claims, exp) = expiring_on_the_clock("ann", "agent", 3);
    let mut visit = house.visit("/ws/agent", &claims.sign()).await;
    let greeting = visit.json().await.unwrap();
    let deadline = exp + Duration::from_secs(2);
    assert_eq!(greeting["payload"]["expiresAt"], time(deadline), "a client is told the moment that holds");
    assert_eq!(visit.json().await.unwrap()["payload"]["expiresAt"], time(deadline));
    visit.send(ping(1)).await;
    leap_to(deadline, -1).await;
    assert_eq!(visit.json().await, Some(pong(1)));
    visit.send(ping(2)).await;
    leap_to(deadline, 0).await;
    let (said, code, _) = visit.rest().await;
    assert_eq!((said.len(), code), (0, 4003));
}

#[tokio::test(start_paused = true)]
async fn the_warning_comes_once_a_minute_ahead_and_the_end_to_the_millisecond() {
    let house = TestHouse::with(ROOMY);
    middle_of_a_millisecond().await;
    let (claims, deadline) = expiring_on_the_clock("ann", "agent", 90);
    let mut visit = house.visit("/ws/agent", &claims.sign()).await;
    visit.json().await.unwrap();
    // Waiting on a paused clock leaps from timer to timer, so what comes next comes exactly when it is due.
    let warning = visit.json().await.unwrap();
    assert_eq!(warning["type"], "auth.expiring");
    close_to(clock::now().wall, deadline, -60_000);
    let (said, code, reason) = visit.rest().await;
    close_to(clock::now().wall, deadline, 0);
    assert_eq!((said.len(), code, &reason["code"]), (0, 4003, &json!("TOKEN_EXPIRED")), "one warning, and no more");
}

/// A timer rings at its millisecond or at the next, never before.
fn close_to(now: Timestamp, moment: Timestamp, offset: i64) {
    let late = now.millis() - moment.millis() - offset;
    assert!((0..=1).contains(&late), "{late} ms late");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_moves_the_deadline_and_one_that_comes_too_late_does_not() {
    let house = TestHouse::with(ROOMY);
    middle_of_a_millisecond().await;
    for offset in -2..=2 {
        for first in [First::Message, First::Timer] {
            let (mut visit, deadline) = soon_to_expire(&house, "/ws/agent", "agent").await;
            let (claims, later) = expiring_on_the_clock("ann", "agent", 10);
            let refresh = json!({"type": "auth.refresh", "id": "r", "payload": {"token": claims.sign()}});
            if let First::Message = first {
                visit.send(&refresh).await;
            }
            leap_to(deadline, offset).await;
            if let First::Timer = first {
                let _ = visit.socket.send(Message::text(refresh.to_string())).await;
            }
            let (said, code, _) = visit.rest().await;
            assert_eq!(code, 4003, "{offset} ms, {first:?} first");
            if offset >= 0 {
                assert_eq!(said.len(), 0, "{offset} ms, {first:?} first: {said:?}");
                continue;
            }
            let kinds: Vec<_> = said.iter().map(|message| message["type"].clone()).collect();
            assert_eq!(kinds, ["auth.refreshed", "auth.expiring"], "{offset} ms, {first:?} first: {said:?}");
            assert_eq!(said[0]["payload"]["expiresAt"], time(later));
            close_to(clock::now().wall, later, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_may_be_taken_too_and_holds_at_once() {
    let house = TestHouse::with(ROOMY);
    middle_of_a_millisecond().await;
    let (claims, _) = expiring_on_the_clock("ann", "agent", 3_000);
    let mut visit = house.visit("/ws/agent", &claims.sign()).await;
    visit.json().await.unwrap();
    let (claims, sooner) = expiring_on_the_clock("ann", "agent", 4);
    visit.send(json!({"type": "auth.refresh", "payload": {"accessToken": claims.sign()}})).await;
    assert_eq!(visit.json().await.unwrap()["type"], "auth.refreshed");
    let (_, code, _) = visit.rest().await;
    assert_eq!(code, 4003);
    close_to(clock::now().wall, sooner, 0);
}

#[tokio::test(start_paused = true)]
async fn pings_come_at_the_interval_and_first_at_a_time_of_each_connections_own() {
    let house = TestHouse::with(ROOMY);
    let (claims, _) = expiring_on_the_clock("ann", "agent", 36_000);
    let mut firsts = Vec::new();
    for _ in 0..8 {
        let mut visit = house.visit("/ws/agent", &claims.sign()).await;
        visit.json().await.unwrap();
        let begun = clock::now().tick;
        let mut last = None;
        for _ in 0..5 {
            assert!(matches!(visit.frame().await, Some(Message::Ping(_))));
            let since = clock::now().tick.since(begun).as_millis();
            match last {
                None => {
                    assert!((12_250..=25_002).contains(&since), "the first ping came after {since} ms");
                    firsts.push(since);
                }
                // Each is sent in a slot that it shares; how late in it depends on the timer alone.
                Some(last) => assert!((24_997..=25_003).contains(&(since - last)), "{} ms between pings", since - last),
            }
            last = Some(since);
        }
        drop(visit.socket);
        visit.task.await.unwrap();
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() >= 3, "pings of connections that came together are spread: {firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_ten_seconds_behind_a_ping_and_the_seat_is_free_before_the_peer_has_answered() {
    let house = TestHouse::with(ROOMY);
    let (claims, _) = expiring_on_the_clock("ann", "agent", 36_000);
    // A client that does not even read: no pong ever comes of it.
    let mut visit = house.visit("/ws/agent", &claims.sign()).await;
    tokio::task::yield_now().await;
    let begun = clock::now().tick;
    while house.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(clock::now().tick.since(begun) < Duration::from_secs(36), "the seat is still taken");
    }
    let silence = clock::now().tick.since(begun);
    assert!(silence >= Duration::from_millis(22_500), "given up after {silence:?}");
    assert!(!visit.task.is_finished(), "the goodbye still waits for an answer");
    let frames = visit.at_hand();
    assert_eq!(frames.iter().filter(|frame| matches!(frame, Message::Ping(_))).count(), 1, "{frames:?}");
    let Some(Message::Close(Some(goodbye))) = frames.last() else { panic!("{frames:?}") };
    assert_eq!(u16::from(goodbye.code), 4012);
    assert!(goodbye.reason.contains("HEARTBEAT_TIMEOUT"));
}

#[tokio::test(start_paused = true)]
async fn idleness_is_counted_from_the_last_message_and_pongs_do_not_count() {
    let endpoint = "[[endpoints]]\npath = \"/quiet\"\nidle_timeout = \"40s\"\n";
    let house = TestHouse::with(&format!("{ROOMY}{endpoint}"));
    let (claims, _) = expiring_on_the_clock("ann", "agent", 36_000);
    let mut visit = house.visit("/quiet", &claims.sign()).await;
    visit.json().await.unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    visit.send(ping(1)).await;
    assert_eq!(visit.json().await, Some(pong(1)));
    let last = clock::now().tick;
    // The client answers pings all the while.
    let (said, code, reason) = visit.rest().await;
    let idle = clock::now().tick.since(last).as_millis();
    assert_eq!((said.len(), code, &reason["code"]), (0, 4018, &json!("IDLE_TIMEOUT")));
    assert!((40_000..=40_002).contains(&idle), "{idle} ms");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_ends_is_cut_off_though_the_peer_lives() {
    let house = TestHouse::with(ROOMY);
    let (claims, _) = expiring_on_the_clock("ann", "agent", 36_000);
    let mut visit = house.visit("/ws/agent", &claims.sign()).await;
    visit.json().await.unwrap();
    // The first byte of a text that says it has five.
    let pipe = visit.socket.get_mut();
    tokio::io::AsyncWriteExt::write_all(pipe, &[0x01, 0x81, 0, 0, 0, 0, b'x']).await.unwrap();
    let begun = clock::now().tick;
    let (_, code, reason) = visit.rest().await;
    let after = clock::now().tick.since(begun).as_millis();
    assert_eq!((code, &reason["code"]), (1002, &json!("PROTOCOL_ERROR")));
    assert!((60_000..=60_003).contains(&after), "{after} ms");
}
