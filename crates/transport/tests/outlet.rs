//! A socket that is written to from outside and by its own task, over real TCP: nothing is lost, nothing comes twice, and
//! everything comes in its order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use gateway_transport::{CloseFrame, Inbound, Outbound, Outlet, PeerClose, Scratch, Socket, SocketLimits, Text, Wire};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

const SOON: Duration = Duration::from_secs(60);

type Client = WebSocketStream<TcpStream>;

/// A socket whose stream holds little, and the client behind it.
async fn pair() -> (Socket<Wire>, Outlet, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    socket2::SockRef::from(&server).set_send_buffer_size(4096).unwrap();
    let socket = Socket::shared(Wire::Tcp(server), Default::default(), SocketLimits::default());
    let outlet = socket.outlet().expect("plain TCP is shared");
    (socket, outlet, WebSocketStream::from_raw_socket(client, Role::Client, None).await)
}

async fn heard(client: &mut Client) -> String {
    match timeout(SOON, client.next()).await.unwrap().unwrap().unwrap() {
        Message::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Numbers that look random, and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Default)]
struct Waiting {
    texts: Mutex<VecDeque<Text>>,
    bell: Notify,
}

impl Waiting {
    fn next(&self) -> Option<Text> {
        self.texts.lock().unwrap().pop_front()
    }
}

/// A task as a connection has it: it writes what waits when it is rung for.
async fn drive(mut socket: Socket<Wire>, waiting: Arc<Waiting>) -> PeerClose {
    loop {
        tokio::select! {
            biased;
            () = waiting.bell.notified() => {}
            said = socket.next_while_sending(true, || waiting.next().map(Outbound::Text)) => match said.unwrap() {
                Inbound::Close(_) => return socket.close(CloseFrame::normal(), SOON).await,
                other => panic!("{other:?}"),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn writes_from_outside_and_from_the_task_mixed_keep_the_order_whatever_the_reader_does() {
    const TEXTS: u64 = 4_000;
    for seed in 1..=3 {
        let (socket, outlet, mut client) = pair().await;
        let waiting = Arc::new(Waiting::default());
        let task = tokio::spawn(drive(socket, Arc::clone(&waiting)));
        let (other_outlet, others) = (outlet.clone(), Arc::clone(&waiting));
        let meddler = tokio::spawn(async move {
            let (mut scratch, mut dice) = (Scratch::default(), Dice(seed * 77));
            loop {
                if !other_outlet.send(&mut scratch, || others.next()) {
                    others.bell.notify_one();
                }
                for _ in 0..dice.below(4) {
                    tokio::task::yield_now().await;
                }
                tokio::time::sleep(Duration::from_micros(dice.below(300))).await;
            }
        });
        let speaker = tokio::spawn(async move {
            let (mut scratch, mut dice) = (Scratch::default(), Dice(seed));
            for n in 0..TEXTS {
                let size = if dice.below(50) == 0 { 20_000 } else { dice.below(300) };
                let text = format!("{n} {}", "x".repeat(size as usize));
                waiting.texts.lock().unwrap().push_back(text.into());
                let is_written = match dice.below(4) {
                    0 => continue,
                    1 => false,
                    _ => outlet.send(&mut scratch, || waiting.next()),
                };
                if !is_written {
                    waiting.bell.notify_one();
                }
                if dice.below(16) == 0 {
                    tokio::task::yield_now().await;
                }
            }
            waiting.bell.notify_one();
        });
        let mut dice = Dice(seed * 1_001);
        for n in 0..TEXTS {
            let text = heard(&mut client).await;
            let (number, rest) = text.split_once(' ').unwrap();
            assert_eq!(number, n.to_string(), "seed {seed}");
            assert!(rest.bytes().all(|byte| byte == b'x'));
            if dice.below(200) == 0 {
                tokio::time::sleep(Duration::from_millis(dice.below(8))).await;
            }
        }
        speaker.await.unwrap();
        meddler.abort();
        client.close(None).await.unwrap();
        while timeout(SOON, client.next()).await.unwrap().is_some() {}
        assert!(matches!(task.await.unwrap(), PeerClose::Answered(_)));
    }
}

#[tokio::test]
async fn what_the_peer_does_not_take_stays_for_the_task_and_is_not_overtaken() {
    let (mut socket, outlet, mut client) = pair().await;
    let mut scratch = Scratch::default();
    let large = "l".repeat(8 << 20);
    let mut texts = VecDeque::from(["first".to_owned(), large.clone(), "behind".to_owned()]);
    assert!(!outlet.send(&mut scratch, || texts.pop_front().map(Text::from)), "nobody reads so much");
    assert_eq!(texts.len(), 1, "what is behind it was not taken");
    assert!(socket.queued_bytes() > 0);
    assert!(!outlet.send(&mut scratch, || panic!("something waits already")));
    socket.queue(Outbound::Text("behind".into())).unwrap();
    let task = tokio::spawn(async move {
        socket.flush().await.unwrap();
        socket
    });
    assert_eq!(heard(&mut client).await, "first");
    assert_eq!(heard(&mut client).await, large);
    assert_eq!(heard(&mut client).await, "behind");
    let _socket = task.await.unwrap();
    let mut last = Some(Text::from("last"));
    assert!(outlet.send(&mut scratch, || last.take()), "nothing waits any more");
    assert_eq!(heard(&mut client).await, "last");
}

#[tokio::test]
async fn who_has_a_hold_of_the_way_out_neither_speaks_after_the_end_nor_keeps_the_stream_open() {
    let (socket, outlet, mut client) = pair().await;
    let mut scratch = Scratch::default();
    outlet.shut();
    assert!(!outlet.send(&mut scratch, || panic!("it is shut")));
    drop(socket);
    assert!(!outlet.send(&mut scratch, || panic!("it is gone")));
    let end = timeout(SOON, client.next()).await.expect("the stream ends with its socket");
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}

#[tokio::test]
async fn only_plain_tcp_is_shared() {
    let (near, _far) = tokio::net::UnixStream::pair().unwrap();
    let socket = Socket::shared(Wire::Unix(near), Default::default(), SocketLimits::default());
    assert!(socket.outlet().is_none());
}
