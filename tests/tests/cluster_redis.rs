//! The link when its Redis is not well: stopped, paused, replaced, cut off, or not the one that it should be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story that does not come true ends by a panic"
)]

#[path = "cluster_redis/access.rs"]
mod access;

use std::time::Duration;

use gateway_cluster::redis::{Address, Sentinel, Servers, Settings};
use gateway_domain::{
    history::Position,
    link::{Act, Answer, Arrival, Book, Channel, Health, SeatAnswer},
    plan::OnConnectionLimit::RejectNew,
};
use gateway_tests::{
    linked::{BOUNDS, LEASE, Linked, claim, posting, room, settings},
    partition::Wire,
    process::stopwatch,
    redis::{Redis, Rules},
};

fn is_back(arrival: &Arrival) -> bool {
    matches!(arrival, Arrival::Back)
}

fn is_away(arrival: &Arrival) -> bool {
    matches!(arrival, Arrival::Health(Health::Away))
}

fn news() -> Channel {
    Channel::Room(room("news"))
}

async fn hold_seats(node: &mut Linked, user: &str, count: usize) {
    for _ in 0..count {
        let answer = node.take(&claim(user, None, 100, RejectNew)).await;
        assert_eq!(answer, Some(SeatAnswer::Taken { evicted: None, replaced: None }));
    }
}

async fn seats_held(node: &mut Linked, user: &str) -> usize {
    match node.take(&claim(user, None, 0, RejectNew)).await {
        Some(SeatAnswer::UserFull { held }) => held.len(),
        answer => panic!("{answer:?}"),
    }
}

async fn ban(node: &mut Linked, key: &str, value: Option<&str>) {
    let (key, value) = (key.to_owned(), value.map(str::to_owned));
    let answer = node.order(Act::Write { book: Book::Bans, key, value, until: None, expected: None }).await;
    assert!(matches!(answer, Answer::Written(Ok(()))), "{answer:?}");
}

#[tokio::test]
async fn after_a_restart_without_data_everything_stands_again() {
    let mut redis = Redis::start();
    let mut a = Linked::open("a", settings(&redis.url())).await.unwrap();
    let mut b = Linked::open("b", settings(&redis.url())).await.unwrap();
    a.up().await;
    b.up().await;
    hold_seats(&mut a, "ann", 6).await;
    hold_seats(&mut b, "ann", 4).await;
    a.take(&claim("agent", Some("press"), 9, RejectNew)).await;
    a.order(Act::Enter { room: room("hall"), member: "cara".to_owned() }).await;
    a.follow(news()).await;
    b.follow(news()).await;
    ban(&mut b, "user:m", Some("why")).await;
    let until = Linked::later(Duration::from_secs(60));
    let (key, value) = ("user:n".to_owned(), Some("for now".to_owned()));
    b.order(Act::Write { book: Book::Bans, key, value, until: Some(until), expected: None }).await;
    let (before, _) = a.recall("news", None).await;
    assert_eq!(a.post(posting(&[news()], &["news"], "one")).await, Some(2));
    // What Redis has said is not heard before it has sent it.
    for node in [&mut a, &mut b] {
        node.until("the first is heard", |node| node.texts() == ["one"]).await;
    }

    redis.kill();
    let since = stopwatch();
    a.until_heard("it is told that it is away", is_away).await;
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(matches!(a.order(Act::TakeSeat(claim("ann", None, 100, RejectNew))).await, Answer::Away));
    // What it holds from now on stands when the link is back.
    a.order(Act::KeepSeat(claim("ann", None, 10, RejectNew))).await;
    assert_eq!(a.post(posting(&[news()], &["news"], "lost")).await, None);
    redis.go_on();
    a.until_heard("a is back", is_back).await;
    b.until_heard("b is back", is_back).await;
    a.up().await;
    b.up().await;
    assert_eq!(seats_held(&mut b, "ann").await, 11);
    assert!(matches!(b.take(&claim("bob", Some("press"), 9, RejectNew)).await, Some(SeatAnswer::AgentTaken(_))));
    let Answer::Present { members, .. } = b.order(Act::Members(room("hall"))).await else { panic!("an answer") };
    assert_eq!(members, [("cara".to_owned(), 1)]);
    let Answer::Read(read) = a.order(Act::Read { book: Book::Bans, key: "user:m".to_owned() }).await else { panic!() };
    assert_eq!(read.as_deref(), Some("why"));
    let ends = redis.ask(&["ZRANGE", "gateway:1:book:bans:until", "0", "-1", "WITHSCORES"]);
    assert!(ends.contains("user:n") && ends.contains(&until.millis().to_string()), "{ends}");
    let (after, missed) = b.recall("news", Some(Position { offset: 1, ..before.clone() })).await;
    assert!(after.epoch != before.epoch && missed.is_none(), "what was remembered is gone, and that is said");
    assert_eq!(a.post(posting(&[news()], &["news"], "two")).await, Some(2));
    for node in [&mut a, &mut b] {
        node.until("the second is heard", |node| node.texts().contains(&"two".to_owned())).await;
        assert_eq!(node.texts(), ["one", "two"]);
    }
}

#[tokio::test]
async fn a_redis_that_kept_everything_and_was_away_for_a_moment_is_an_epoch_of_its_own() {
    let mut redis = Redis::with(Rules { keeps: true, ..Rules::default() });
    let mut a = Linked::open("a", settings(&redis.url())).await.unwrap();
    a.up().await;
    ban(&mut a, "user:m", Some("why")).await;
    a.post(posting(&[news()], &["news"], "one")).await;
    let (before, _) = a.recall("news", None).await;
    redis.kill();
    redis.go_on();
    a.until_heard("it is back", is_back).await;
    let (after, texts) = a.recall("news", Some(before.clone())).await;
    assert!(after.epoch != before.epoch && texts.is_none());
    assert!(
        !a.heard.iter().any(|arrival| matches!(arrival, Arrival::Written { .. })),
        "nothing changed: {:?}",
        a.heard
    );
}

#[tokio::test]
async fn nobody_hangs_while_redis_is_paused_and_nobody_is_taken_for_dead_afterwards() {
    let redis = Redis::start();
    let mut a = Linked::open("a", settings(&redis.url())).await.unwrap();
    let mut b = Linked::open("b", settings(&redis.url())).await.unwrap();
    a.up().await;
    b.up().await;
    hold_seats(&mut a, "ann", 5).await;
    hold_seats(&mut b, "ann", 5).await;
    for node in [&mut a, &mut b] {
        node.follow(news()).await;
    }
    redis.pause();
    let since = stopwatch();
    let mut tickets = Vec::new();
    for n in 0..20 {
        tickets.push(a.send(Act::Post(posting(&[news()], &["news"], &format!("paused {n}")))).await);
    }
    for ticket in tickets {
        assert!(matches!(a.answer(ticket).await, Answer::Away));
    }
    assert!(since.elapsed() < Duration::from_secs(4), "each is answered in its time: {:?}", since.elapsed());
    a.until_heard("a is away", is_away).await;
    b.until_heard("b is away", is_away).await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let since = stopwatch();
    assert!(matches!(b.order(Act::TakeSeat(claim("ann", None, 10, RejectNew))).await, Answer::Away));
    assert!(since.elapsed() < Duration::from_millis(500), "at once, by now");
    a.listen(LEASE).await;
    redis.resume();
    a.until_heard("a is back", is_back).await;
    b.until_heard("b is back", is_back).await;
    a.listen(LEASE * 2).await;
    b.listen(Duration::from_millis(100)).await;
    for node in [&mut a, &mut b] {
        let lost = node.heard.iter().find(|arrival| matches!(arrival, Arrival::NodeLost(_)));
        assert!(lost.is_none(), "{lost:?}");
        assert_eq!(node.texts(), [""; 0], "what was told not to be carried is not carried later");
        node.up().await;
    }
    assert_eq!(a.recall("news", None).await.0.offset, 0, "nor remembered");
    assert_eq!(seats_held(&mut b, "ann").await, 10);
    assert_eq!(a.post(posting(&[news()], &["news"], "after")).await, Some(2));
}

#[tokio::test]
async fn who_comes_back_first_after_a_pause_gives_the_others_time() {
    let redis = Redis::start();
    let wire = Wire::to(redis.port).await;
    let lease = Duration::from_secs(9);
    let long = |port: u16| Settings { lease, ..settings(&format!("redis://127.0.0.1:{port}")) };
    let mut a = Linked::open("a", long(redis.port)).await.unwrap();
    let mut b = Linked::open("b", long(wire.port)).await.unwrap();
    a.up().await;
    b.up().await;
    hold_seats(&mut b, "ann", 3).await;
    // Held first: a beat of b that waits in a socket of Redis would save it.
    wire.hold();
    redis.pause();
    // By the clock of Redis both leases are over then.
    a.listen(lease - Duration::from_secs(1)).await;
    redis.resume();
    a.until_heard("a is back", is_back).await;
    a.listen(Duration::from_millis(1500)).await;
    wire.mend();
    b.until_heard("b is back", is_back).await;
    a.listen(Duration::from_secs(2)).await;
    let lost = a.heard.iter().find(|arrival| matches!(arrival, Arrival::NodeLost(_)));
    assert!(lost.is_none(), "{lost:?}");
    assert_eq!(seats_held(&mut a, "ann").await, 3);
}

/// The settings of a node behind that sentinel.
fn behind(sentinel: &Redis) -> Settings {
    let address = Address { host: "127.0.0.1".to_owned(), port: sentinel.port };
    let sentinel = Sentinel { master: "main".to_owned(), nodes: vec![address], username: None, password: None };
    Settings { servers: Servers::Behind(sentinel), ..settings("redis://127.0.0.1") }
}

async fn is_in_step(master: &Redis, replica: &Redis) {
    for _ in 0..500 {
        let lag = |redis: &Redis| redis.info("master_repl_offset").parse::<i64>().unwrap_or(-1);
        if replica.info("master_link_status") == "up" && lag(replica) >= lag(master) - 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the replica does not follow: {}", replica.ask(&["INFO", "replication"]));
}

#[tokio::test]
async fn a_replica_that_was_five_messages_behind_begins_a_new_epoch_when_it_takes_over() {
    let mut master = Redis::start();
    let replica = Redis::with(Rules { replica_of: Some(master.port), ..Rules::default() });
    is_in_step(&master, &replica).await;
    let sentinel = Redis::sentinel(master.port);
    // A sentinel learns of the replicas by asking the master, every ten seconds.
    for _ in 0..1000 {
        if sentinel.ask(&["SENTINEL", "REPLICAS", "main"]).contains(&replica.port.to_string()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut a = Linked::open("a", behind(&sentinel)).await.unwrap();
    let mut b = Linked::open("b", behind(&sentinel)).await.unwrap();
    for node in [&mut a, &mut b] {
        node.up().await;
        node.follow(news()).await;
    }
    hold_seats(&mut a, "ann", 3).await;
    for n in 0..10 {
        assert_eq!(a.post(posting(&[news()], &["news"], &format!("seen {n}"))).await, Some(2));
    }
    is_in_step(&master, &replica).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // From here on the replica gets nothing any more, and does not notice.
    replica.pause();
    for n in 0..5 {
        assert_eq!(a.post(posting(&[news()], &["news"], &format!("unseen {n}"))).await, Some(2));
    }
    let (top, _) = b.recall("news", None).await;
    assert_eq!(top.offset, 15);
    for node in [&mut a, &mut b] {
        node.until("the unseen ones are heard", |node| node.texts().len() == 15).await;
    }
    master.kill();
    replica.resume();
    let since = stopwatch();
    a.until_heard("a is back", is_back).await;
    b.until_heard("b is back", is_back).await;
    println!("back {:?} after the master was killed", since.elapsed());
    for n in 0..10 {
        assert_eq!(b.post(posting(&[news()], &["news"], &format!("new {n}"))).await, Some(2));
    }
    // By its offset alone, 15 would be in the middle of what was said by now.
    let (now, missed) = a.recall("news", Some(top.clone())).await;
    assert!(missed.is_none(), "never a silent gap: {missed:?}");
    assert!(now.epoch != top.epoch && now.offset == 10, "{now:?}");
    assert_eq!(seats_held(&mut b, "ann").await, 3);
    for node in [&mut a, &mut b] {
        node.until("the new ones are heard", |node| node.texts().len() >= 25).await;
        let texts = node.texts();
        assert_eq!(texts.len(), 25, "each once: {texts:?}");
        assert!(texts.iter().rev().take(10).rev().enumerate().all(|(n, text)| *text == format!("new {n}")));
    }
}

#[tokio::test]
async fn a_node_that_is_cut_off_loses_its_lease_and_comes_back_with_what_it_holds() {
    let redis = Redis::start();
    let wire = Wire::to(redis.port).await;
    let mut a = Linked::open("a", settings(&format!("redis://127.0.0.1:{}", wire.port))).await.unwrap();
    let mut b = Linked::open("b", settings(&redis.url())).await.unwrap();
    for node in [&mut a, &mut b] {
        node.up().await;
        node.follow(news()).await;
    }
    hold_seats(&mut a, "ann", 2).await;
    let press = claim("agent", Some("press"), 9, RejectNew);
    a.take(&press).await;
    a.order(Act::Enter { room: room("hall"), member: "ann".to_owned() }).await;
    ban(&mut a, "user:m", Some("why")).await;
    wire.hold();
    let since = stopwatch();
    let lost = a.id.clone();
    b.until_heard("b hears that a is lost", |arrival| matches!(arrival, Arrival::NodeLost(node) if *node == lost))
        .await;
    b.until_heard("and its agent", |arrival| matches!(arrival, Arrival::AgentLost { .. })).await;
    assert!(since.elapsed() < LEASE + Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!(seats_held(&mut b, "ann").await, 0);
    let newer = claim("agent", Some("press"), 9, RejectNew);
    assert_eq!(b.take(&newer).await, Some(SeatAnswer::Taken { evicted: None, replaced: None }));
    ban(&mut b, "user:m", None).await;
    ban(&mut b, "user:n", Some("since")).await;
    a.until_heard("a knows that it is away", is_away).await;
    for n in 0..3 {
        b.post(posting(&[news()], &["news"], &format!("unheard {n}"))).await;
    }
    wire.mend();
    a.until_heard("a is back", is_back).await;
    a.up().await;
    let displaced =
        |arrival: &Arrival| matches!(arrival, Arrival::Displaced(connection) if *connection == press.connection);
    a.until_heard("its agent is elsewhere", displaced).await;
    let came = |arrival: &Arrival| matches!(arrival, Arrival::MemberFound { member, .. } if member == "ann");
    a.until_heard("who was told to have left is here", came).await;
    let found: Vec<_> = a.heard.iter().filter(|arrival| matches!(arrival, Arrival::SeatFound(_))).collect();
    assert_eq!(found.len(), 2, "the seats but for the agent's, who is elsewhere: {found:?}");
    let unbanned = |arrival: &Arrival| matches!(arrival, Arrival::Written { key, value: None, .. } if key == "user:m");
    a.until_heard("who was forgiven meanwhile is", unbanned).await;
    let banned = |arrival: &Arrival| matches!(arrival, Arrival::Written { key, value: Some(_), .. } if key == "user:n");
    a.until_heard("and who was banned, too", banned).await;
    assert_eq!(seats_held(&mut b, "ann").await, 2, "its seats stand again");
    let (_, missed) = a.recall("news", None).await;
    assert_eq!(missed, Some(Vec::new()));
    let latest = Act::Recall { room: room("news"), since: None, latest: Some(9), bounds: BOUNDS };
    let Answer::Recalled { texts: Some(texts), .. } = a.order(latest).await else { panic!("an answer") };
    assert_eq!(texts.len(), 3, "the room remembers what was said meanwhile");
    assert_eq!(a.texts(), [""; 0], "what is missed is not heard late");
    // Connections that break, and are there again at once.
    b.heard.clear();
    a.heard.clear();
    wire.refuse();
    // Until all connections have ended.
    tokio::time::sleep(Duration::from_millis(100)).await;
    wire.mend();
    let ticket = a.send(Act::TakeSeat(claim("ann", None, 9, RejectNew))).await;
    a.until_heard("a is back", is_back).await;
    let answer = a.answer(ticket).await;
    assert!(matches!(answer, Answer::Seat(SeatAnswer::Taken { .. })), "who is not away gives an answer: {answer:?}");
    assert_eq!(seats_held(&mut b, "ann").await, 3, "a seat that nobody was told of is given back");
    assert!(!a.heard.iter().any(is_away), "nobody is away for a moment's sake");
    assert!(!b.heard.iter().any(|arrival| matches!(arrival, Arrival::NodeLost(_))));
    let found = a.heard.iter().find(|arrival| matches!(arrival, Arrival::SeatFound(_) | Arrival::MemberFound { .. }));
    assert!(found.is_none(), "nobody was told that anything is lost: {found:?}");
}

#[tokio::test]
async fn a_master_that_became_a_replica_is_left_for_the_other() {
    let first = Redis::start();
    let second = Redis::with(Rules { replica_of: Some(first.port), ..Rules::default() });
    is_in_step(&first, &second).await;
    let urls = [second.url(), first.url()];
    let settings = Settings { lease: LEASE, ..Settings::of_urls(urls.iter().map(String::as_str)).unwrap() };
    let mut a = Linked::open("a", settings).await.unwrap();
    a.up().await;
    hold_seats(&mut a, "ann", 2).await;
    a.post(posting(&[news()], &["news"], "one")).await;
    let (before, _) = a.recall("news", None).await;
    is_in_step(&first, &second).await;
    second.ask(&["REPLICAOF", "NO", "ONE"]);
    first.ask(&["REPLICAOF", "127.0.0.1", &second.port.to_string()]);
    let since = stopwatch();
    a.until_heard("it is back", is_back).await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let (after, texts) = a.recall("news", Some(before.clone())).await;
    assert!(after.epoch != before.epoch && texts.is_none());
    assert_eq!(seats_held(&mut a, "ann").await, 2);
    assert!(second.keys().contains(&"gateway:1:nodes".to_owned()));
}

#[tokio::test]
async fn a_node_that_takes_nothing_in_is_away_and_back_and_the_others_do_not_notice() {
    let redis = Redis::start();
    let narrow = Settings { arrivals: 32, ..settings(&redis.url()) };
    let mut slow = Linked::open("slow", narrow).await.unwrap();
    let mut quick = Linked::open("quick", settings(&redis.url())).await.unwrap();
    for node in [&mut slow, &mut quick] {
        node.up().await;
        node.follow(news()).await;
    }
    // Of another release, and of none: neither disturbs.
    for strange in ["2P\tsomething\n", "nonsense", "1P\t\n"] {
        redis.ask(&["PUBLISH", "gateway:1:at:{room:news}", strange]);
    }
    for n in 0..200 {
        assert!(quick.post(posting(&[news()], &["news"], &n.to_string())).await.is_some());
    }
    slow.until_heard("it was away", is_back).await;
    quick.until("all is heard", |node| node.texts().len() == 200).await;
    let heard = slow.texts().len();
    assert!(heard < 200, "{heard}");
    let latest = Act::Recall { room: room("news"), since: None, latest: Some(100), bounds: BOUNDS };
    let Answer::Recalled { texts: Some(texts), .. } = slow.order(latest).await else { panic!("an answer") };
    assert_eq!(texts.len(), 100, "what it missed is remembered");
    assert!(!quick.heard.iter().any(|arrival| matches!(arrival, Arrival::NodeLost(_) | Arrival::Back)));
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_told_to_it_again() {
    let redis = Redis::start();
    let mut a = Linked::open("a", settings(&redis.url())).await.unwrap();
    a.up().await;
    a.follow(news()).await;
    for round in 0..5 {
        redis.ask(&["SCRIPT", "FLUSH"]);
        let mut tickets = Vec::new();
        for n in 0..50 {
            tickets.push(a.send(Act::Post(posting(&[news()], &["news"], &format!("{round}-{n}")))).await);
        }
        for ticket in tickets {
            assert!(matches!(a.answer(ticket).await, Answer::Posted { hearings: 1 }));
        }
    }
    a.until("all are heard", |node| node.texts().len() == 250).await;
    let expected: Vec<String> = (0..5).flat_map(|round| (0..50).map(move |n| format!("{round}-{n}"))).collect();
    assert_eq!(a.texts(), expected, "in their order");
    assert!(!a.heard.iter().any(is_back));
}
