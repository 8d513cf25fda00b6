//! Measures the link against a Redis that somebody started for it, each role in a process of its own:
//!
//! ```text
//! measure hear  URL SECONDS                        hears the rooms r0..r9 and says what an event costs here
//! measure post  URL SECONDS BYTES ROOMS remember|forget   posts into so many of them, as fast as goes
//! measure round URL COUNT                          one post after the other, and how long each took
//! measure fill  URL SEATS                          takes so many seats, and says how fast that was
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for a terminal, which measures real time"
)]

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};

use gateway_cluster::redis::{Settings, open};
use gateway_domain::{
    ConnectionId, Now, Room, Tick, Timestamp,
    history::HistoryBounds,
    link::{Act, Answer, Arrival, Channel, Health, NodeId, Order, Posting, SeatAnswer, SeatClaim, Ticket},
    name::NodeName,
    plan::OnConnectionLimit,
};
use tokio::sync::mpsc::{Receiver, Sender};
use uuid::Uuid;

const IN_FLIGHT: u64 = 512;
const BOUNDS: HistoryBounds = HistoryBounds { messages: 100, age: Duration::from_secs(300), bytes: 1 << 20 };

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> Now {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let wall = Timestamp::from_millis(wall.as_millis().try_into().unwrap());
    Now { tick: Tick::after_origin(START.elapsed() + Duration::from_secs(3600)), wall }
}

fn room(n: u64) -> Room {
    Room::parse(&format!("r{n}")).unwrap()
}

/// How long the threads of this process have run, in microseconds.
fn cpu() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.flatten().filter_map(|task| {
        let line = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split(' ').next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() / 1000
}

struct End {
    orders: Sender<Order>,
    arrivals: Receiver<Arrival>,
    ticket: u64,
}

impl End {
    async fn order(&mut self, act: Act) -> u64 {
        self.ticket += 1;
        self.orders.send(Order { ticket: Ticket(self.ticket), act }).await.unwrap();
        self.ticket
    }

    async fn next_answer(&mut self) -> Answer {
        loop {
            if let Arrival::Answer(_, answer) = self.arrivals.recv().await.unwrap() {
                return answer;
            }
        }
    }
}

fn post(n: u64, text: &str, remember: bool) -> Act {
    Act::Post(Posting {
        channels: vec![Channel::Room(room(n))],
        remembered: if remember { vec![(room(n), BOUNDS)] } else { Vec::new() },
        head: "{\"v\":1,\"target\":\"room\",\"class\":\"event\"}".to_owned(),
        text: text.to_owned(),
        patience: Duration::from_secs(5),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| arguments.get(at).map(String::as_str).expect("see the head of this file for what to say");
    let number = |at: usize| word(at).parse::<u64>().expect("a number");
    let node = NodeId::new(&NodeName::parse(word(0)).unwrap(), Uuid::new_v4());
    let (orders, arrivals) = open(Settings::of_urls([word(1)]).unwrap(), node, now).await.unwrap();
    let mut end = End { orders, arrivals, ticket: 0 };
    while !matches!(end.arrivals.recv().await, Some(Arrival::Health(Health::Up(_)))) {}
    match word(0) {
        "hear" => {
            for n in 0..10 {
                end.order(Act::Follow(Channel::Room(room(n)))).await;
                end.next_answer().await;
            }
            let mut heard = 0_u64;
            let mut started = None;
            let over = tokio::time::sleep(Duration::from_secs(number(2)));
            tokio::pin!(over);
            loop {
                tokio::select! {
                    arrival = end.arrivals.recv() => match arrival.unwrap() {
                        Arrival::Post { .. } => {
                            started.get_or_insert_with(|| (Instant::now(), cpu()));
                            heard += 1;
                        }
                        Arrival::Back => println!("missed some: this node is too slow"),
                        _ => {}
                    },
                    () = &mut over => break,
                }
            }
            let (since, before) = started.expect("somebody posts");
            let micros = (cpu() - before) as f64 / heard as f64;
            println!("heard {heard} in {:.1?}: {micros:.2} us of processor time an event", since.elapsed());
        }
        "post" => {
            let (text, rooms) = ("x".repeat(number(3) as usize), number(4));
            let remember = word(5) == "remember";
            let (since, before, seconds) = (Instant::now(), cpu(), number(2));
            let (mut sent, mut done, mut away) = (0, 0, 0);
            while since.elapsed() < Duration::from_secs(seconds) || done < sent {
                if sent - done < IN_FLIGHT && since.elapsed() < Duration::from_secs(seconds) {
                    end.order(post(sent % rooms, &text, remember)).await;
                    sent += 1;
                } else {
                    match end.next_answer().await {
                        Answer::Posted { .. } => {}
                        _ => away += 1,
                    }
                    done += 1;
                }
            }
            let rate = sent as f64 / since.elapsed().as_secs_f64();
            let micros = (cpu() - before) as f64 / sent as f64;
            println!("posted {sent}, {rate:.0} a second, {micros:.2} us of processor time each; not carried: {away}");
        }
        "round" => {
            let mut times = Vec::new();
            for _ in 0..number(2) {
                let since = Instant::now();
                end.order(post(0, "x", true)).await;
                end.next_answer().await;
                times.push(since.elapsed());
            }
            times.sort();
            println!("half within {:?}, 99 of 100 within {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
        }
        "fill" => {
            let since = Instant::now();
            let (mut sent, mut done) = (0, 0);
            while done < number(2) {
                if sent < number(2) && sent - done < IN_FLIGHT {
                    let claim = SeatClaim {
                        user: format!("user-{sent:012}").parse().unwrap(),
                        connection: ConnectionId::new(Uuid::new_v4()),
                        agent: None,
                        limit: Some(10),
                        on_limit: OnConnectionLimit::RejectNew,
                        since: now().wall,
                        note: None,
                    };
                    end.order(Act::TakeSeat(claim)).await;
                    sent += 1;
                } else {
                    assert!(matches!(end.next_answer().await, Answer::Seat(SeatAnswer::Taken { .. })));
                    done += 1;
                }
            }
            println!("{done} seats, {:.0} a second", done as f64 / since.elapsed().as_secs_f64());
            // For whoever asks Redis how much that is, before the lease is over.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        other => panic!("no such role: {other}"),
    }
}
