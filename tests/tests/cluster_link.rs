//! What every link has to keep, told of both engines: the switchboard of one process, and Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story that does not come true ends by a panic"
)]

use std::{collections::BTreeSet, time::Duration};

use gateway_domain::{
    history::{HistoryBounds, Position},
    link::{Act, Answer, Arrival, Book, Channel, Expected, Hearer, Place, SeatAnswer, SeatClaim},
    plan::OnConnectionLimit::{EvictOldest, RejectNew},
};
use gateway_tests::linked::{BOUNDS, Engine, LEASE, Linked, claim, posting, room};
use tokio::test;

macro_rules! of_both {
    ($($name:ident)*) => {
        mod switchboard {$(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Engine::local()).await;
            }
        )*}
        mod redis {$(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Engine::redis()).await;
            }
        )*}
    };
}

of_both! {
    of_a_race_for_seats_just_as_many_win_as_there_are
    an_agent_is_replaced_by_its_own_user_and_by_nobody_else
    the_oldest_seat_makes_room_where_the_plan_says_so
    a_node_that_dies_frees_all_that_hung_on_it
    all_nodes_hear_all_posts_in_one_order
    who_follows_several_channels_of_a_post_hears_it_once
    a_room_recalls_what_was_missed_or_says_that_it_cannot
    a_room_remembers_within_its_bounds
    letters_go_to_whom_they_are_meant_for
    books_are_read_by_all
    a_member_comes_and_goes_once_over_all_nodes
    knocks_and_spending_are_counted_over_all_nodes
    who_leaves_leaves_nothing_behind
}

fn place(node: &Linked, claim: &SeatClaim) -> Place {
    Place { node: node.id.clone(), connection: claim.connection }
}

fn taken() -> Option<SeatAnswer> {
    Some(SeatAnswer::Taken { evicted: None, replaced: None })
}

async fn of_a_race_for_seats_just_as_many_win_as_there_are(engine: Engine) {
    let mut nodes = [engine.join("a").await, engine.join("b").await, engine.join("c").await];
    let mut claims = Vec::new();
    for _ in 0..20 {
        for (at, node) in nodes.iter_mut().enumerate() {
            let claim = claim("ann", None, 10, RejectNew);
            claims.push((at, node.send(Act::TakeSeat(claim.clone())).await, claim));
        }
    }
    let mut winners = Vec::new();
    for (at, ticket, claim) in claims {
        match nodes[at].answer(ticket).await {
            Answer::Seat(SeatAnswer::Taken { evicted: None, replaced: None }) => winners.push((at, claim)),
            Answer::Seat(SeatAnswer::UserFull { held }) => assert_eq!(held.len(), 10),
            answer => panic!("{answer:?}"),
        }
    }
    assert_eq!(winners.len(), 10);
    let (at, winner) = &winners[0];
    nodes[*at].leave(winner).await;
    nodes[*at].leave(winner).await;
    assert_eq!(nodes[0].take(&claim("ann", None, 10, RejectNew)).await, taken());
    assert!(matches!(nodes[1].take(&claim("ann", None, 10, RejectNew)).await, Some(SeatAnswer::UserFull { .. })));
    assert_eq!(nodes[1].take(&claim("bob", None, 10, RejectNew)).await, taken(), "another user's are free");
    let unlimited = SeatClaim { limit: None, ..claim("ann", None, 0, RejectNew) };
    assert_eq!(nodes[2].take(&unlimited).await, taken());
}

async fn an_agent_is_replaced_by_its_own_user_and_by_nobody_else(engine: Engine) {
    let (mut a, mut b) = (engine.join("a").await, engine.join("b").await);
    let first = claim("ann", Some("press"), 1, RejectNew);
    assert_eq!(a.take(&first).await, taken());
    assert_eq!(
        b.take(&claim("bob", Some("press"), 9, RejectNew)).await,
        Some(SeatAnswer::AgentTaken(place(&a, &first)))
    );
    let second = claim("ann", Some("press"), 1, RejectNew);
    let replaced = Some(place(&a, &first));
    assert_eq!(b.take(&second).await, Some(SeatAnswer::Taken { evicted: None, replaced }), "its seat is free for it");
    // The one that was replaced goes, and takes nothing along.
    a.leave(&first).await;
    assert_eq!(
        a.take(&claim("bob", Some("press"), 9, RejectNew)).await,
        Some(SeatAnswer::AgentTaken(place(&b, &second)))
    );
    b.leave(&second).await;
    assert_eq!(a.take(&claim("bob", Some("press"), 9, RejectNew)).await, taken());
}

async fn the_oldest_seat_makes_room_where_the_plan_says_so(engine: Engine) {
    let (mut a, mut b) = (engine.join("a").await, engine.join("b").await);
    let mut claims = Vec::new();
    for _ in 0..3 {
        let claim = claim("ann", None, 3, EvictOldest);
        assert_eq!(a.take(&claim).await, taken());
        claims.push(claim);
        // The age of a seat is told in milliseconds.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for old in claims {
        let evicted = Some(place(&a, &old));
        let answer = b.take(&claim("ann", None, 3, EvictOldest)).await;
        assert_eq!(answer, Some(SeatAnswer::Taken { evicted, replaced: None }));
        a.leave(&old).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn a_node_that_dies_frees_all_that_hung_on_it(engine: Engine) {
    let (mut a, mut b, mut c) = (engine.join("a").await, engine.join("b").await, engine.join("c").await);
    a.until_heard("all are here", |arrival| matches!(arrival, Arrival::Nodes(nodes) if nodes.len() == 3)).await;
    for n in 0..200 {
        let agent = (n < 3).then(|| format!("press-{n}"));
        let seat = claim("ann", agent.as_deref(), 200, RejectNew);
        // Each but the last leaves a note; of the first somebody has told already.
        let note = (n < 199).then(|| format!("note {n:03}").into());
        if n == 0 {
            let (key, value) = (seat.connection.to_string(), Some("a".to_owned()));
            let told = Act::Write { book: Book::Gone, key, value, until: None, expected: Some(Expected::Absent) };
            assert!(matches!(a.order(told).await, Answer::Written(Ok(()))));
        }
        assert_eq!(c.take(&SeatClaim { note, ..seat }).await, taken());
    }
    // Who leaves by itself is nobody to be told of.
    let left = SeatClaim { note: Some("left".into()), ..claim("bob", None, 9, RejectNew) };
    assert_eq!(c.take(&left).await, taken());
    c.leave(&left).await;
    assert!(matches!(b.take(&claim("ann", None, 200, RejectNew)).await, Some(SeatAnswer::UserFull { .. })));
    let enter = |member: &str| Act::Enter { room: room("hall"), member: member.to_owned() };
    c.order(enter("cara")).await;
    c.order(enter("both")).await;
    b.order(enter("both")).await;
    let lost = c.id.clone();
    engine.kill(c);
    for node in [&mut a, &mut b] {
        let told = Box::pin(
            node.until_heard("the node is lost", |arrival| matches!(arrival, Arrival::NodeLost(node) if *node == lost)),
        );
        tokio::time::timeout(LEASE + Duration::from_secs(3), told).await.expect("within the lease");
    }
    // By whom the agents are told to be lost is open; that they are told once is not.
    let (mut agents, mut members, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..100 {
        for node in [&mut a, &mut b] {
            node.listen(Duration::from_millis(20)).await;
            for arrival in node.heard.drain(..) {
                match arrival {
                    Arrival::AgentLost { agent, last_seen } => {
                        assert!(last_seen <= Linked::later(Duration::from_secs(1)), "{last_seen}");
                        agents.push(agent.to_string());
                    }
                    Arrival::MemberLost { room, member } => members.push((room.to_string(), member)),
                    Arrival::SeatLost { note } => notes.push(note),
                    _ => {}
                }
            }
        }
        if agents.len() >= 3 && !members.is_empty() && notes.len() >= 198 {
            break;
        }
    }
    agents.sort();
    assert_eq!(agents, ["press-0", "press-1", "press-2"]);
    assert_eq!(members, [("hall".to_owned(), "cara".to_owned())]);
    notes.sort();
    assert_eq!(notes, (1..199).map(|n| format!("note {n:03}")).collect::<Vec<_>>());
    a.listen(Duration::from_millis(300)).await;
    for _ in 0..200 {
        assert_eq!(a.take(&claim("ann", None, 200, RejectNew)).await, taken());
    }
    let Answer::Present { members, .. } = a.order(Act::Members(room("hall"))).await else { panic!("an answer") };
    assert_eq!(members, [("both".to_owned(), 1)]);
}

async fn all_nodes_hear_all_posts_in_one_order(engine: Engine) {
    let mut nodes = [engine.join("a").await, engine.join("b").await, engine.join("c").await];
    for node in &mut nodes {
        node.follow(Channel::Room(room("news"))).await;
    }
    let mut tickets = Vec::new();
    for n in 0..100 {
        for (at, node) in nodes.iter_mut().enumerate() {
            let post = posting(&[Channel::Room(room("news"))], &["news"], &format!("{at}-{n}"));
            tickets.push((at, node.send(Act::Post(post)).await));
        }
    }
    for (at, ticket) in tickets {
        let answer = nodes[at].answer(ticket).await;
        assert!(matches!(answer, Answer::Posted { hearings: 3 }), "{answer:?}");
    }
    for node in &mut nodes {
        node.until("all is heard", |node| node.texts().len() >= 300).await;
    }
    let (orders, texts): (Vec<Vec<u64>>, Vec<Vec<String>>) = nodes
        .iter()
        .map(|node| {
            let offsets = node.heard.iter().filter_map(|arrival| match arrival {
                Arrival::Post { places, head, hearings: 1, .. } if head == "head" => {
                    places.first().map(|(_, place)| place.offset)
                }
                _ => None,
            });
            (offsets.collect(), node.texts())
        })
        .unzip();
    assert_eq!(orders[0], (1..=300).collect::<Vec<u64>>());
    assert!(texts.iter().all(|other| *other == texts[0]));
    for at in 0..3 {
        let own: Vec<&String> = texts[0].iter().filter(|text| text.starts_with(&format!("{at}-"))).collect();
        assert_eq!(
            own,
            (0..100).map(|n| format!("{at}-{n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
            "as they were said"
        );
    }
    // Who follows no more hears no more.
    assert!(matches!(nodes[2].order(Act::Unfollow(Channel::Room(room("news")))).await, Answer::Done));
    assert_eq!(nodes[0].post(posting(&[Channel::Room(room("news"))], &[], "last")).await, Some(2));
    nodes[1].until("the last is heard", |node| node.texts().len() == 301).await;
    nodes[2].listen(Duration::from_millis(200)).await;
    assert_eq!(nodes[2].texts().len(), 300);
}

async fn who_follows_several_channels_of_a_post_hears_it_once(engine: Engine) {
    let (mut a, mut b, mut c) = (engine.join("a").await, engine.join("b").await, engine.join("c").await);
    let [news, role, endpoint, agent] = [
        Channel::Room(room("news")),
        Channel::Role("dashboard".parse().unwrap()),
        Channel::Endpoint("/ws".into()),
        Channel::Agent("press".parse().unwrap()),
    ];
    for channel in [&news, &role, &endpoint] {
        a.follow(channel.clone()).await;
    }
    b.follow(role.clone()).await;
    let channels = [news, role, endpoint.clone(), agent.clone()];
    assert_eq!(c.post(posting(&channels, &["news"], "one")).await, Some(4), "three for a, one for b");
    assert_eq!(c.post(posting(&[agent], &[], "to nobody")).await, Some(0));
    assert_eq!(
        c.post(posting(&[Channel::Every, endpoint], &[], "two")).await,
        Some(4),
        "three nodes, and one of them twice"
    );
    let mut shares = Vec::new();
    for node in [&mut a, &mut b, &mut c] {
        node.until("the second is heard", |node| node.texts().last().is_some_and(|text| text == "two")).await;
        for arrival in &node.heard {
            if let Arrival::Post { text, hearings, places, from, .. } = arrival {
                shares.push((node.id.name().to_owned(), text.clone(), *hearings, places.len()));
                assert!(from.name() == "c");
            }
        }
    }
    let expected = [("a", "one", 3, 1), ("a", "two", 2, 0), ("b", "one", 1, 0), ("b", "two", 1, 0), ("c", "two", 1, 0)];
    assert_eq!(
        shares,
        expected.map(|(node, text, hearings, places)| (node.to_owned(), text.to_owned(), hearings, places))
    );
}

async fn a_room_recalls_what_was_missed_or_says_that_it_cannot(engine: Engine) {
    let (mut a, mut b) = (engine.join("a").await, engine.join("b").await);
    let news = [Channel::Room(room("news"))];
    let (start, texts) = a.recall("news", None).await;
    assert_eq!((start.offset, texts), (0, Some(Vec::new())));
    for n in 1..=10 {
        a.post(posting(&news, &["news"], &n.to_string())).await;
    }
    let at = |offset| Position { offset, ..start.clone() };
    let (now, missed) = b.recall("news", Some(at(7))).await;
    assert_eq!(now, at(10));
    assert_eq!(missed, Some(vec![(8, "8".to_owned()), (9, "9".to_owned()), (10, "10".to_owned())]));
    assert_eq!(b.recall("news", Some(at(10))).await.1, Some(Vec::new()));
    assert_eq!(b.recall("news", Some(at(11))).await.1, None, "nobody comes from the future");
    let latest = Act::Recall { room: room("news"), since: None, latest: Some(2), bounds: BOUNDS };
    let Answer::Recalled { texts: Some(texts), .. } = b.order(latest).await else { panic!("an answer") };
    assert_eq!(texts, [(9, "9".to_owned()), (10, "10".to_owned())]);

    engine.new_epoch().await;
    a.follow(news[0].clone()).await;
    assert_eq!(b.post(posting(&news, &["news"], "new")).await, Some(1));
    a.until("it is heard", |node| !node.texts().is_empty()).await;
    let heard = a.heard.iter().find_map(|arrival| match arrival {
        Arrival::Post { places, .. } => places.first().map(|(_, position)| position.clone()),
        _ => None,
    });
    let heard = heard.expect("a place");
    assert_eq!(heard.offset, 1);
    assert!(heard.epoch != start.epoch);
    assert_eq!(b.recall("news", Some(at(10))).await, (heard.clone(), None), "another epoch");
    assert_eq!(
        b.recall("news", Some(Position { offset: 0, ..heard.clone() })).await.1,
        Some(vec![(1, "new".to_owned())])
    );
}

async fn a_room_remembers_within_its_bounds(engine: Engine) {
    let mut a = engine.join("a").await;
    let bounds = HistoryBounds { messages: 5, age: Duration::from_secs(60), bytes: 100 };
    let mut say = async |text: &str, bounds: HistoryBounds| {
        let mut post = posting(&[Channel::Room(room("news"))], &[], text);
        post.remembered = vec![(room("news"), bounds)];
        a.post(post).await.expect("it is carried");
        let latest = Act::Recall { room: room("news"), since: None, latest: Some(99), bounds };
        let Answer::Recalled { texts: Some(texts), position } = a.order(latest).await else { panic!("an answer") };
        (position.offset, texts.into_iter().map(|(offset, _)| offset).collect::<Vec<_>>())
    };
    for _ in 0..7 {
        say("short", bounds).await;
    }
    assert_eq!(say("short", bounds).await, (8, vec![4, 5, 6, 7, 8]), "so many messages");
    assert_eq!(say(&"x".repeat(86), bounds).await, (9, vec![7, 8, 9]), "so many bytes");
    assert_eq!(
        say(&"x".repeat(101), bounds).await,
        (10, vec![]),
        "what is too large is not kept, and takes the rest along"
    );
    assert_eq!(say("short", bounds).await, (11, vec![11]));
    tokio::time::sleep(Duration::from_millis(120)).await;
    let young = HistoryBounds { age: Duration::from_millis(100), ..bounds };
    assert_eq!(say("young", young).await, (12, vec![12]), "so old");
    tokio::time::sleep(Duration::from_millis(120)).await;
    let latest = Act::Recall { room: room("news"), since: None, latest: Some(99), bounds: young };
    let Answer::Recalled { texts: Some(texts), position } = a.order(latest).await else { panic!("an answer") };
    assert_eq!((position.offset, texts), (12, Vec::new()));
}

async fn letters_go_to_whom_they_are_meant_for(engine: Engine) {
    let (mut a, mut b, mut c) = (engine.join("a").await, engine.join("b").await, engine.join("c").await);
    let press = Channel::Agent("press".parse().unwrap());
    b.follow(press.clone()).await;
    let gone = gateway_tests::linked::node_id("gone");
    for (to, letter, told) in [
        (Hearer::Node(b.id.clone()), "to b\n\u{fc}", 1),
        (Hearer::Channel(press), "to the press", 1),
        (Hearer::Channel(Channel::Room(room("empty"))), "to nobody", 0),
        (Hearer::Node(gone), "to nobody", 0),
        (Hearer::All, "to all", 3),
        (Hearer::Channel(Channel::Every), "to everybody", 3),
    ] {
        let answer = a.order(Act::Tell { to, letter: letter.to_owned() }).await;
        assert!(matches!(answer, Answer::Told { nodes } if nodes == told), "{letter}: {answer:?}");
    }
    let expected: [&[&str]; 3] = [&[], &["to b\n\u{fc}", "to the press"], &[]];
    for (node, mut expected) in [&mut a, &mut b, &mut c].into_iter().zip(expected.map(<[_]>::to_vec)) {
        expected.extend(["to all", "to everybody"]);
        let letters = |node: &Linked| {
            let letters = node.heard.iter().filter_map(|arrival| match arrival {
                Arrival::Letter { from, letter } if from.name() == "a" => Some(letter.clone()),
                _ => None,
            });
            letters.collect::<Vec<_>>()
        };
        node.until("all letters are here", |node| letters(node).len() >= expected.len()).await;
        assert_eq!(letters(node), expected);
    }
}

async fn books_are_read_by_all(engine: Engine) {
    let (mut a, mut b) = (engine.join("a").await, engine.join("b").await);
    let write = |book, key: &str, value: Option<&str>, until, expected| Act::Write {
        book,
        key: key.to_owned(),
        value: value.map(str::to_owned),
        until,
        expected,
    };
    let written = |answer| match answer {
        Answer::Written(outcome) => outcome,
        answer => panic!("{answer:?}"),
    };
    let soon = Some(Linked::later(Duration::from_millis(700)));
    assert_eq!(written(a.order(write(Book::Bans, "user:m", Some("{\"a\":1}\t\n"), None, None)).await), Ok(()));
    assert_eq!(written(a.order(write(Book::Bans, "user:n", Some("short"), soon, None)).await), Ok(()));
    assert_eq!(written(b.order(write(Book::Bans, "user:o", Some("gone"), None, None)).await), Ok(()));
    assert_eq!(written(b.order(write(Book::Bans, "user:o", None, None, None)).await), Ok(()));
    let heard = |node: &Linked| {
        let written = node.heard.iter().filter_map(|arrival| match arrival {
            Arrival::Written { book: Book::Bans, key, value } => Some((key.clone(), value.clone())),
            _ => None,
        });
        written.collect::<Vec<_>>()
    };
    let entry = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    b.until("b hears of a's", |node| heard(node).len() >= 2).await;
    assert_eq!(heard(&b), [entry("user:m", Some("{\"a\":1}\t\n")), entry("user:n", Some("short"))]);
    a.until("a hears of b's", |node| heard(node).len() >= 2).await;
    assert_eq!(heard(&a), [entry("user:o", Some("gone")), entry("user:o", None)]);
    let mut c = engine.join("c").await;
    c.until("who joins hears what stands", |node| heard(node).len() >= 2).await;
    assert_eq!(heard(&c).into_iter().collect::<BTreeSet<_>>(), heard(&b).into_iter().collect());
    tokio::time::sleep(Duration::from_millis(800)).await;
    let Answer::Read(read) = c.order(Act::Read { book: Book::Bans, key: "user:n".to_owned() }).await else { panic!() };
    assert_eq!(read, None, "its time is over");

    let value = |text: &str| Some(Expected::Value(text.to_owned()));
    let soon = Some(Linked::later(Duration::from_millis(700)));
    for (by_a, text, expected, outcome) in [
        (true, "one", Some(Expected::Absent), Ok(())),
        (false, "two", Some(Expected::Absent), Err(Some("one".to_owned()))),
        (false, "two", value("none"), Err(Some("one".to_owned()))),
        (false, "two", value("one"), Ok(())),
        (true, "three", value("one"), Err(Some("two".to_owned()))),
    ] {
        let node = if by_a { &mut a } else { &mut b };
        assert_eq!(written(node.order(write(Book::Families, "f", Some(text), soon, expected)).await), outcome);
    }
    let Answer::Read(read) = a.order(Act::Read { book: Book::Families, key: "f".to_owned() }).await else { panic!() };
    assert_eq!(read.as_deref(), Some("two"));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(written(a.order(write(Book::Families, "f", Some("new"), None, value("two"))).await), Err(None));
    assert_eq!(heard(&a).len() + heard(&b).len(), 4, "what is not told is not told");
}

async fn a_member_comes_and_goes_once_over_all_nodes(engine: Engine) {
    let (mut a, mut b) = (engine.join("a").await, engine.join("b").await);
    let (hall, ann) = (room("hall"), "ann\t{\"role\":1}".to_owned());
    let enter = || Act::Enter { room: hall.clone(), member: ann.clone() };
    let exit = || Act::Exit { room: hall.clone(), member: ann.clone() };
    let present = |answer| match answer {
        Answer::Present { is_turn, members } => {
            (is_turn, members.into_iter().map(|(_, count)| count).collect::<Vec<_>>())
        }
        answer => panic!("{answer:?}"),
    };
    assert_eq!(present(a.order(enter()).await), (true, vec![1]));
    assert_eq!(present(a.order(enter()).await), (false, vec![2]));
    assert_eq!(present(b.order(enter()).await), (false, vec![3]));
    let bob = Act::Enter { room: hall.clone(), member: "aaron".to_owned() };
    assert_eq!(present(b.order(bob).await), (true, vec![1, 3]), "in the order of names");
    assert_eq!(present(a.order(exit()).await), (false, vec![1, 2]));
    assert_eq!(present(b.order(exit()).await), (false, vec![1, 1]));
    assert_eq!(present(a.order(exit()).await), (true, vec![1]));
    assert_eq!(present(a.order(Act::Members(hall.clone())).await), (false, vec![1]));
}

async fn knocks_and_spending_are_counted_over_all_nodes(engine: Engine) {
    let (mut a, mut b) = (engine.join("a").await, engine.join("b").await);
    let knock = |key: &str| Act::Knock { key: key.to_owned(), every: Duration::from_secs(10), burst: 3 };
    for node in [&mut a, &mut b] {
        assert!(matches!(node.order(knock("user:ann")).await, Answer::Knocked(Ok(()))));
    }
    assert!(matches!(a.order(knock("user:ann")).await, Answer::Knocked(Ok(()))));
    for node in [&mut a, &mut b] {
        let Answer::Knocked(Err(wait)) = node.order(knock("user:ann")).await else { panic!("that is one too many") };
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(10), "{wait:?}");
    }
    assert!(matches!(b.order(knock("user:bob")).await, Answer::Knocked(Ok(()))));
    let quick = Act::Knock { key: "quick".to_owned(), every: Duration::from_millis(100), burst: 1 };
    assert!(matches!(a.order(quick.clone()).await, Answer::Knocked(Ok(()))));
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(matches!(b.order(quick).await, Answer::Knocked(Ok(()))));

    let spend = |ann, bob| Act::Spend(vec![("ann".to_owned(), ann), ("bob".to_owned(), bob)]);
    for (by_a, amounts, others) in [
        (true, (5, 1), [0, 0]),
        (false, (7, 0), [0, 0]),
        (true, (1, 1), [7, 0]),
        (false, (0, 0), [1, 1]),
        (false, (0, 0), [0, 0]),
    ] {
        let node = if by_a { &mut a } else { &mut b };
        let Answer::Spent(spent) = node.order(spend(amounts.0, amounts.1)).await else { panic!("an answer") };
        assert_eq!(spent, others);
    }
}

async fn who_leaves_leaves_nothing_behind(engine: Engine) {
    let (mut a, mut b) = (engine.join("a").await, engine.join("b").await);
    a.until_heard("both are here", |arrival| matches!(arrival, Arrival::Nodes(nodes) if nodes.len() == 2)).await;
    for _ in 0..300 {
        a.take(&claim("ann", Some(&format!("press-{}", a.heard.len())), 300, RejectNew)).await;
        a.take(&claim("bob", None, 300, RejectNew)).await;
    }
    for n in 0..300 {
        a.order(Act::Enter { room: room("hall"), member: n.to_string() }).await;
    }
    assert!(matches!(a.order(Act::Leave).await, Answer::Done));
    b.heard.clear();
    assert_eq!(b.take(&claim("bob", Some("press-1"), 1, RejectNew)).await, taken());
    let Answer::Present { members, .. } = b.order(Act::Members(room("hall"))).await else { panic!("an answer") };
    assert_eq!(members, []);
    b.until_heard("one is left", |arrival| matches!(arrival, Arrival::Nodes(nodes) if nodes.len() == 1)).await;
    b.listen(LEASE).await;
    let untold = |arrival: &Arrival| {
        matches!(arrival, Arrival::NodeLost(_) | Arrival::AgentLost { .. } | Arrival::MemberLost { .. })
    };
    assert!(!b.heard.iter().any(untold), "who takes its leave is not lost: {:?}", b.heard);
    assert!(matches!(b.order(Act::Leave).await, Answer::Done));
    if let Engine::Redis(redis) = &engine {
        assert_eq!(redis.keys(), ["gateway:1:generation"]);
    }
}

#[test]
async fn a_redis_that_is_not_there_is_waited_for() {
    let port = gateway_tests::redis::free_port();
    let settings = gateway_tests::linked::settings(&format!("redis://127.0.0.1:{port}"));
    let mut node = Linked::open("a", settings).await.expect("a link that is away");
    let answer = node.order(Act::TakeSeat(claim("ann", None, 1, RejectNew))).await;
    assert!(matches!(answer, Answer::Away), "{answer:?}");
    node.until_heard("it is away", |arrival| matches!(arrival, Arrival::Health(_))).await;
}
