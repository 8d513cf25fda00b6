//! The socket against raw frames, and against another implementation of the protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gateway_domain::{Code, Refusal};
use gateway_transport::{CloseFrame, Inbound, Outbound, PeerClose, Socket, SocketFault, SocketLimits, Wire};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

const SOON: Duration = Duration::from_millis(50);

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        medium => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A socket, and a client's raw end of its stream.
fn pair(limits: SocketLimits, buffer: usize) -> (Socket<DuplexStream>, DuplexStream) {
    let (server, client) = duplex(buffer);
    (Socket::server(server, Bytes::new(), limits), client)
}

async fn other_implementation(limits: SocketLimits) -> (Socket<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (server, client) = pair(limits, 1 << 16);
    (server, WebSocketStream::from_raw_socket(client, Role::Client, None).await)
}

fn text(text: &str) -> Outbound {
    Outbound::Text(text.into())
}

#[tokio::test]
async fn everything_comes_back_from_another_implementation_unchanged() {
    let (mut socket, mut client) = other_implementation(SocketLimits::default()).await;
    let server = tokio::spawn(async move {
        loop {
            match socket.next().await.unwrap() {
                Inbound::Text(text) => socket.queue(Outbound::Text(text.into())).unwrap(),
                Inbound::Binary(bytes) => socket.queue(Outbound::Binary(bytes)).unwrap(),
                Inbound::Ping | Inbound::Pong => {}
                Inbound::Close(frame) => {
                    return (frame, socket.close(CloseFrame::normal(), Duration::from_secs(1)).await);
                }
            }
        }
    });
    for size in [0, 1, 125, 126, 127, 2047, 2048, 65_535, 65_536, 1 << 20] {
        client.send(Message::binary(vec![7; size])).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::binary(vec![7; size]));
        let letters = "é".repeat(size / 2);
        client.send(Message::text(letters.clone())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(letters));
    }
    client.send(Message::Ping(Bytes::from_static(b"still there?"))).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"still there?")));
    client.close(None).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Close(None));
    assert!(client.next().await.is_none());
    assert_eq!(server.await.unwrap(), (None, PeerClose::Answered(None)));
}

#[tokio::test]
async fn every_violation_ends_with_its_close_code() {
    for (bytes, code) in [
        (vec![0x81, 0x01, b'a'], 1002),
        (frame(0xc1, b"a"), 1002),
        (frame(0x83, b"a"), 1002),
        (frame(0x09, b"a"), 1002),
        (frame(0x80, b"a"), 1002),
        (frame(0x88, &[0x03, 0xec]), 1002),
        (frame(0x81, b"\xff"), 1007),
        (frame(0x82, &[0; 1001]), 1009),
    ] {
        let (mut socket, mut client) = pair(SocketLimits { max_message: 1000, ..Default::default() }, 1 << 16);
        // More than is ever parsed follows, and must not keep the close frame from the client.
        client.write_all(&bytes).await.unwrap();
        client.write_all(&[0xff; 10_000]).await.unwrap();
        let fault = socket.next().await.unwrap_err();
        assert!(matches!(socket.next().await, Err(SocketFault::Protocol(_))), "nothing more is parsed");
        let refusal = fault.refusal().unwrap();
        let closing = tokio::spawn(socket.close(CloseFrame::of(&refusal, None), Duration::from_secs(1)));
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let reason = format!("{{\"code\":\"{}\"}}", refusal.code);
        assert_eq!(answer[0], 0x88);
        assert_eq!(u16::from_be_bytes([answer[2], answer[3]]), code, "{bytes:x?}");
        assert_eq!(&answer[4..], reason.as_bytes());
        drop(client);
        assert_eq!(closing.await.unwrap(), PeerClose::Ended);
    }
}

#[tokio::test]
async fn what_came_with_the_request_is_parsed_first() {
    let (server, mut client) = duplex(1 << 10);
    let early = [frame(0x81, b"first"), frame(0x81, b"second")].concat();
    let (now, later) = early.split_at(early.len() - 3);
    let mut socket = Socket::server(server, Bytes::copy_from_slice(now), SocketLimits::default());
    assert_eq!(socket.next().await.unwrap(), Inbound::Text("first".into()));
    client.write_all(later).await.unwrap();
    assert_eq!(socket.next().await.unwrap(), Inbound::Text("second".into()));
    assert_eq!(socket.heard(), early.len() as u64);
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_nothing() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 3);
    let sent = [frame(0x01, "grü".as_bytes()), frame(0x89, b"p"), frame(0x80, "ße".as_bytes())].concat();
    socket.queue(text("a text for the way back")).unwrap();
    let mut heard = Vec::new();
    let mut got = Vec::new();
    let mut position = 0;
    while heard.len() < 2 || got.len() < 25 + 3 {
        // One poll, then the future is thrown away.
        if let Some(inbound) = {
            let mut next = pin!(socket.next());
            poll_fn(|cx| {
                Poll::Ready(match next.as_mut().poll(cx) {
                    Poll::Ready(inbound) => Some(inbound.unwrap()),
                    Poll::Pending => None,
                })
            })
            .await
        } {
            heard.push(inbound);
        }
        if let Some(byte) = sent.get(position)
            && timeout(Duration::from_millis(1), client.write_all(&[*byte])).await.is_ok()
        {
            position += 1;
        }
        let mut some = [0; 2];
        if let Ok(Ok(read)) = timeout(Duration::from_millis(1), client.read(&mut some)).await {
            got.extend_from_slice(&some[..read]);
        }
    }
    assert_eq!(heard, [Inbound::Ping, Inbound::Text("grüße".into())]);
    assert_eq!(got, [&b"\x81\x17a text for the way back"[..], b"\x8a\x01p"].concat());
    assert_eq!(socket.queued_bytes(), 0);
}

#[tokio::test]
async fn a_burst_goes_out_in_one_write_and_large_payloads_are_shared() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 1 << 16);
    let large = Bytes::from(vec![b'x'; 5000]);
    for _ in 0..10 {
        socket.queue(text("hi")).unwrap();
    }
    socket.queue(Outbound::Binary(large.clone())).unwrap();
    socket.queue(Outbound::Ping(Bytes::from(vec![b'p'; 200]))).unwrap();
    let expected =
        [b"\x81\x02hi".repeat(10), b"\x82\x7e\x13\x88".to_vec(), large.to_vec(), b"\x89\x7d".to_vec(), vec![b'p'; 125]]
            .concat();
    assert_eq!(socket.queued_bytes(), expected.len());
    assert!(!large.is_unique(), "the payload waits as it is");
    socket.flush().await.unwrap();
    assert_eq!(socket.queued_bytes(), 0);
    let mut got = vec![0; expected.len()];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn while_too_much_waits_to_be_written_nothing_is_read() {
    let limits = SocketLimits { read_below: 1000, max_queued: 3000, ..Default::default() };
    let (mut socket, mut client) = pair(limits, 64);
    assert!(socket.has_room());
    for _ in 0..2 {
        socket.queue(Outbound::Binary(vec![0; 1000].into())).unwrap();
    }
    assert!(!socket.has_room());
    assert!(matches!(socket.queue(Outbound::Binary(vec![0; 1000].into())), Err(SocketFault::Full)));
    client.write_all(&frame(0x81, b"hello")).await.unwrap();
    assert!(timeout(SOON, socket.next()).await.is_err());
    assert!(socket.heard() <= 64, "only what went into the pipe shows that somebody is there: {}", socket.heard());
    let drain = tokio::spawn(async move {
        let mut got = vec![0; 2008];
        client.read_exact(&mut got).await.unwrap();
        client
    });
    assert_eq!(timeout(SOON * 10, socket.next()).await.unwrap().unwrap(), Inbound::Text("hello".into()));
    socket.flush().await.unwrap();
    drain.await.unwrap();
    assert_eq!(SocketFault::Full.refusal().unwrap().code, Code::SlowConsumer);
}

#[tokio::test]
async fn more_is_asked_for_only_while_there_is_room_and_goes_out_behind_what_waits() {
    let limits = SocketLimits { read_below: 1000, ..Default::default() };
    let (mut socket, mut client) = pair(limits, 64);
    socket.queue(text("first")).unwrap();
    client.write_all(&frame(0x81, b"hello")).await.unwrap();
    let mut numbers = 0..100u8;
    let mut more = || Some(Outbound::Binary(vec![numbers.next()?; 100].into()));
    assert!(timeout(SOON, socket.next_while_sending(true, &mut more)).await.is_err(), "who takes nothing is not read");
    assert!((1000..1200).contains(&socket.queued_bytes()), "{}", socket.queued_bytes());
    assert!(socket.heard() <= 64, "only what went into the pipe shows that somebody is there: {}", socket.heard());
    let reading = tokio::spawn(async move {
        let mut got = vec![0; 7 + 100 * 102];
        client.read_exact(&mut got).await.unwrap();
        (got, client)
    });
    let heard = timeout(SOON * 10, socket.next_while_sending(true, &mut more)).await.unwrap().unwrap();
    assert_eq!(heard, Inbound::Text("hello".into()));
    let taken = socket.heard();
    assert!(taken > 5000, "what it takes while it is not read shows that it lives: {taken}");
    // All of it comes, in order, though the wait ends in between.
    let _ = timeout(SOON, socket.next_while_sending(true, &mut more)).await;
    let (got, _client) = reading.await.unwrap();
    assert_eq!(&got[..7], b"\x81\x05first");
    assert!((0..100u8).all(|n| got[7 + usize::from(n) * 102 + 2..][..100].iter().all(|byte| *byte == n)));
    assert_eq!(socket.heard(), taken, "what is read anyway shows nothing");
}

#[tokio::test]
async fn all_that_there_is_to_say_goes_out_in_one_wait_where_the_peer_takes_it_at_once() {
    let limits = SocketLimits { read_below: 1000, ..Default::default() };
    let (mut socket, mut client) = pair(limits, 1 << 20);
    let mut numbers = 0..100u8;
    let mut more = || Some(Outbound::Binary(vec![numbers.next()?; 100].into()));
    // Nothing comes from the peer, so that nothing else would wake whoever waits.
    assert!(timeout(SOON, socket.next_while_sending(true, &mut more)).await.is_err());
    assert_eq!(socket.queued_bytes(), 0);
    let mut got = vec![0; 100 * 102];
    timeout(SOON, client.read_exact(&mut got)).await.unwrap().unwrap();
    // Nor while the peer is not to be heard.
    let mut numbers = 0..100u8;
    let mut more = || Some(Outbound::Binary(vec![numbers.next()?; 100].into()));
    assert!(timeout(SOON, socket.next_while_sending(false, &mut more)).await.is_err());
    timeout(SOON, client.read_exact(&mut got)).await.unwrap().unwrap();
}

#[tokio::test]
async fn pongs_do_not_pile_up_for_a_client_that_does_not_read() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 16);
    let pings = tokio::spawn(async move {
        let ping = frame(0x89, &[b'p'; 100]);
        for _ in 0..2000 {
            client.write_all(&ping).await.unwrap();
        }
        client
    });
    for _ in 0..2000 {
        assert_eq!(socket.next().await.unwrap(), Inbound::Ping);
        assert!(socket.queued_bytes() < 16 << 10, "{}", socket.queued_bytes());
    }
    // What still waits is read now: at most a read's worth of pongs, and the latest.
    let mut client = pings.await.unwrap();
    socket.queue(text("end")).unwrap();
    let flushing = tokio::spawn(async move { socket.flush().await.map(|()| socket) });
    let (mut got, mut piece) = (Vec::new(), [0; 64]);
    while let Ok(Ok(read @ 1..)) = timeout(SOON, client.read(&mut piece)).await {
        got.extend_from_slice(&piece[..read]);
    }
    flushing.await.unwrap().unwrap();
    assert!(got.len() < 16 << 10, "{}", got.len());
    assert!(got.windows(5).any(|part| part == b"\x81\x03end"));
}

#[tokio::test]
async fn all_pings_of_a_burst_are_answered_in_order() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 1 << 12);
    let pings: Vec<u8> = (0..10).flat_map(|n| frame(0x89, &[n])).collect();
    client.write_all(&pings).await.unwrap();
    for _ in 0..10 {
        assert_eq!(socket.next().await.unwrap(), Inbound::Ping);
    }
    socket.flush().await.unwrap();
    let mut pongs = vec![0; 30];
    client.read_exact(&mut pongs).await.unwrap();
    assert_eq!(pongs, (0..10).flat_map(|n| [0x8a, 1, n]).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_ends_is_cut_off_and_control_frames_do_not_help() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 1 << 12);
    client.write_all(&frame(0x01, b"a")).await.unwrap();
    let drip = tokio::spawn(async move {
        for _ in 0..7 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let _ = client.write_all(&[frame(0x00, b"b"), frame(0x89, b"")].concat()).await;
        }
        client
    });
    let fault = loop {
        match socket.next().await {
            Ok(Inbound::Ping) => {}
            Ok(other) => panic!("{other:?}"),
            Err(fault) => break fault,
        }
    };
    assert!(matches!(fault, SocketFault::Protocol(what) if what.contains("too long")), "{fault}");
    drip.abort();
}

#[tokio::test(start_paused = true)]
async fn an_idle_socket_waits_as_long_as_it_must() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 1 << 12);
    for _ in 0..3 {
        client.write_all(&frame(0x81, b"a")).await.unwrap();
        assert_eq!(socket.next().await.unwrap(), Inbound::Text("a".into()));
        assert!(timeout(Duration::from_secs(3600), socket.next()).await.is_err());
    }
}

#[tokio::test]
async fn a_close_of_ours_waits_for_the_peers() {
    let (socket, mut client) = other_implementation(SocketLimits::default()).await;
    let frame = CloseFrame::of(&Refusal::plain(Code::TokenExpired), None);
    // The client is in the middle of something when it is told.
    client.send(Message::text("too late")).await.unwrap();
    let closing = tokio::spawn(socket.close(frame, Duration::from_secs(1)));
    let Message::Close(Some(seen)) = client.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!((u16::from(seen.code), seen.reason.as_str()), (4003, r#"{"code":"TOKEN_EXPIRED"}"#));
    assert!(client.next().await.is_none(), "a clean end");
    let PeerClose::Answered(Some(answer)) = closing.await.unwrap() else { panic!("no answer") };
    assert_eq!(answer.code, 4003);
}

#[tokio::test]
async fn a_close_of_the_peers_is_told_and_echoed() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 1 << 12);
    client.write_all(&frame(0x88, b"\x0f\xa0bye")).await.unwrap();
    let told = Inbound::Close(Some(CloseFrame::new(4000, "bye")));
    assert_eq!(socket.next().await.unwrap(), told);
    assert_eq!(socket.next().await.unwrap(), told, "and it stays so");
    let end = socket.close(CloseFrame::normal(), Duration::from_secs(1)).await;
    assert_eq!(end, PeerClose::Answered(Some(CloseFrame::new(4000, "bye"))));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"\x88\x02\x0f\xa0");
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_a_peer_that_says_nothing_or_everything() {
    let (socket, _client) = pair(SocketLimits::default(), 1 << 12);
    assert_eq!(socket.close(CloseFrame::normal(), Duration::from_secs(5)).await, PeerClose::Silent);

    let (socket, _client) = pair(SocketLimits::default(), 2);
    assert_eq!(socket.close(CloseFrame::normal(), Duration::from_secs(5)).await, PeerClose::Silent, "it reads nothing");

    for first in [0x82, 0xff] {
        let (mut socket, mut client) = pair(SocketLimits { max_message: 1 << 16, ..Default::default() }, 1 << 16);
        let firehose = tokio::spawn(async move {
            let bytes = frame(first, &[0; 60_000]);
            while client.write_all(&bytes).await.is_ok() {}
        });
        if first == 0xff {
            socket.next().await.unwrap_err();
        }
        assert_eq!(socket.close(CloseFrame::normal(), Duration::from_secs(5)).await, PeerClose::Silent);
        firehose.await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_ends_is_gone_and_nothing_is_said_into_it() {
    let (mut socket, mut client) = pair(SocketLimits::default(), 1 << 12);
    client.write_all(&frame(0x01, b"half")).await.unwrap();
    drop(client);
    let fault = socket.next().await.unwrap_err();
    assert!(matches!(&fault, SocketFault::Gone(_)) && fault.refusal().is_none(), "{fault}");
    assert!(matches!(socket.next().await, Err(SocketFault::Gone(_))));
    assert_eq!(socket.close(CloseFrame::normal(), Duration::from_secs(1)).await, PeerClose::Ended);

    let (mut socket, client) = pair(SocketLimits::default(), 1 << 12);
    drop(client);
    socket.queue(text("hello?")).unwrap();
    assert!(matches!(socket.flush().await, Err(SocketFault::Gone(_))));
    let (socket, client) = pair(SocketLimits::default(), 1 << 12);
    drop(client);
    assert_eq!(socket.close(CloseFrame::normal(), Duration::from_secs(1)).await, PeerClose::Ended);
}

#[tokio::test]
async fn a_socket_says_nothing_of_what_passes_through_it() {
    let (mut socket, _client) = pair(SocketLimits::default(), 1 << 12);
    socket.queue(text("secret")).unwrap();
    assert_eq!(format!("{socket:?}"), "Socket { heard: 0, queued: 8, .. }");
}

#[test]
fn a_socket_and_its_wait_are_small() {
    assert!(size_of::<Socket<Wire>>() <= 400, "{}", size_of::<Socket<Wire>>());
    let (mut socket, _client) = pair(SocketLimits::default(), 16);
    assert!(size_of_val(&socket.next()) <= 64, "{}", size_of_val(&socket.next()));
}
