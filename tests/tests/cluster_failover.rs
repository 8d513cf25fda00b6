//! No seat is given twice, whatever becomes of the master: a seat that its successor never heard of stands in the memory of the
//! node that it was given to, and the others wait for that node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story that does not come true ends by a panic"
)]

use std::time::Duration;

use gateway_cluster::redis::Settings;
use gateway_domain::{
    link::{Act, Answer, Arrival, SeatAnswer, Ticket},
    plan::OnConnectionLimit::RejectNew,
};
use gateway_tests::{
    eventually,
    linked::{Linked, claim, settings},
    partition::Wire,
    process::stopwatch,
    redis::{Redis, Rules},
};

/// Long enough for a failover, and for one who comes late.
const LEASE: Duration = Duration::from_secs(15);
/// How long a lease is written down for: by two beats less.
const WRITTEN: Duration = Duration::from_secs(13);
/// Nobody knows sooner than after this that all are back.
const EARLIEST: Duration = Duration::from_millis(2500);
/// So patient that nobody is away for a failover's sake.
const PATIENCE: Duration = Duration::from_secs(60);
const TAKEN: SeatAnswer = SeatAnswer::Taken { evicted: None, replaced: None };

/// A master, and a replica that takes its place when it is told to.
struct Pair {
    master: Redis,
    replica: Redis,
    /// What the replica copies comes over it.
    copies: Wire,
}

impl Pair {
    async fn begin() -> Self {
        let master = Redis::start();
        let copies = Wire::to(master.port).await;
        let replica = Redis::with(Rules { replica_of: Some(copies.port), ..Rules::default() });
        eventually(40, "the replica follows", async || (replica.info("master_link_status") == "up").then_some(()))
            .await;
        Self { master, replica, copies }
    }

    /// A node, and the wires by which it reaches both.
    async fn node(&self, name: &str) -> (Linked, [Wire; 2]) {
        let wires = [Wire::to(self.master.port).await, Wire::to(self.replica.port).await];
        let urls = wires.each_ref().map(|wire| format!("redis://127.0.0.1:{}", wire.port));
        let settings = Settings::of_urls(urls.iter().map(String::as_str)).unwrap();
        let mut node = Linked::open(name, Settings { lease: LEASE, patience: PATIENCE, ..settings }).await.unwrap();
        node.up().await;
        (node, wires)
    }

    /// From here on the replica gets nothing any more; that node it knows.
    async fn is_parted_from_its_replica(&self, node: &Linked) {
        let field = node.id.to_string();
        eventually(40, "the replica knows the node", async || {
            (!self.replica.ask(&["ZSCORE", "gateway:1:nodes", &field]).starts_with("$-1")).then_some(())
        })
        .await;
        self.copies.refuse();
        eventually(40, "the replica is parted", async || {
            (self.replica.info("master_link_status") == "down").then_some(())
        })
        .await;
    }

    /// The master dies, and its replica takes over; until that node has put back there what it holds.
    async fn fails_over(&mut self, node: &Linked) {
        self.master.kill();
        self.replica.ask(&["REPLICAOF", "NO", "ONE"]);
        let field = node.id.to_string();
        eventually(40, "the node is at the new master", async || {
            self.replica.ask(&["HGET", "gateway:1:settled", &field]).contains("\r\n2\r\n").then_some(())
        })
        .await;
    }
}

/// Waits for the answer for so long; none by then.
async fn answered_within(node: &mut Linked, ticket: Ticket, time: Duration) -> Option<Answer> {
    tokio::time::timeout(time, node.answer(ticket)).await.ok()
}

fn is_back(arrival: &Arrival) -> bool {
    matches!(arrival, Arrival::Back)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_the_new_master_never_heard_of_is_not_given_again() {
    let mut pair = Pair::begin().await;
    let (mut a, _others) = pair.node("a").await;
    let (mut b, wires) = pair.node("b").await;
    pair.is_parted_from_its_replica(&b).await;
    assert_eq!(b.take(&claim("ann", None, 1, RejectNew)).await, Some(TAKEN));
    wires.iter().for_each(Wire::refuse);
    pair.fails_over(&a).await;
    let ticket = a.send(Act::TakeSeat(claim("ann", None, 1, RejectNew))).await;
    // By now all would be back who come by themselves.
    let early = answered_within(&mut a, ticket, EARLIEST + Duration::from_secs(1)).await;
    assert!(early.is_none(), "b is known, and not back: {early:?}");
    wires.iter().for_each(Wire::mend);
    b.until_heard("b is back", is_back).await;
    let answer = a.answer(ticket).await;
    let full = matches!(&answer, Answer::Seat(SeatAnswer::UserFull { held }) if held[0].node == b.id);
    assert!(full, "the seat is taken: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_died_with_the_master_is_waited_for_no_longer_than_a_lease() {
    let mut pair = Pair::begin().await;
    let (mut a, _wires) = pair.node("a").await;
    let (mut b, _others) = pair.node("b").await;
    pair.is_parted_from_its_replica(&b).await;
    assert_eq!(b.take(&claim("ann", None, 1, RejectNew)).await, Some(TAKEN));
    drop(b);
    let since = stopwatch();
    pair.fails_over(&a).await;
    let answer = a.order(Act::TakeSeat(claim("ann", None, 1, RejectNew))).await;
    assert!(matches!(&answer, Answer::Seat(answer) if *answer == TAKEN), "it is free by now: {answer:?}");
    assert!(since.elapsed() >= WRITTEN, "b may have been there: {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knocks_while_redis_stands_still_is_counted_and_not_let_in_beside_it() {
    let redis = Redis::start();
    let patient = Settings { patience: PATIENCE, ..settings(&redis.url()) };
    let mut a = Linked::open("a", patient).await.unwrap();
    a.up().await;
    assert_eq!(a.take(&claim("ann", None, 1, RejectNew)).await, Some(TAKEN));
    redis.pause();
    let (second, third) = (claim("ann", None, 1, RejectNew), claim("bob", None, 1, RejectNew));
    let ticket = a.send(Act::TakeSeat(second)).await;
    let other = a.send(Act::TakeSeat(third.clone())).await;
    // Its connections break meanwhile, and what was under way is not known.
    let early = answered_within(&mut a, ticket, Duration::from_millis(2500)).await;
    assert!(early.is_none(), "nobody is away: {early:?}");
    // One of them does not wait so long.
    let (user, connection) = (third.user.clone(), third.connection);
    let left = a.send(Act::LeaveSeat { user, connection, agent: None }).await;
    redis.resume();
    assert!(matches!(a.answer(ticket).await, Answer::Seat(SeatAnswer::UserFull { .. })));
    a.answer(other).await;
    a.answer(left).await;
    assert_eq!(a.take(&claim("bob", None, 1, RejectNew)).await, Some(TAKEN), "nothing is left of who went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_whose_data_is_another_gives_no_seat_before_all_have_put_back_theirs() {
    let redis = Redis::start();
    let long = Settings { lease: LEASE, ..settings(&redis.url()) };
    let wire = Wire::to(redis.port).await;
    let far = Settings { lease: LEASE, ..settings(&format!("redis://127.0.0.1:{}", wire.port)) };
    let mut a = Linked::open("a", long).await.unwrap();
    let mut b = Linked::open("b", far).await.unwrap();
    a.up().await;
    b.up().await;
    assert_eq!(b.take(&claim("ann", None, 1, RejectNew)).await, Some(TAKEN));
    // It loses that seat without a word, as one does that copied another and takes its place.
    wire.hold();
    redis.ask(&["DEL", "gateway:1:seats:{user:ann}", &format!("gateway:1:held:{{node:{}}}", b.id)]);
    redis.ask(&["DEBUG", "CHANGE-REPL-ID"]);
    eventually(20, "a finds it out", async || {
        redis.ask(&["HGET", "gateway:1:generation", "count"]).contains("\r\n2\r\n").then_some(())
    })
    .await;
    let ticket = a.send(Act::TakeSeat(claim("ann", None, 1, RejectNew))).await;
    let early = answered_within(&mut a, ticket, EARLIEST + Duration::from_secs(1)).await;
    assert!(early.is_none(), "b is not back: {early:?}");
    wire.mend();
    let answer = a.answer(ticket).await;
    assert!(matches!(answer, Answer::Seat(SeatAnswer::UserFull { .. })), "the seat is taken: {answer:?}");
}
