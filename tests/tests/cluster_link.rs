//! What every link has to keep, told of both engines: the switchboard of one process, and Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story that does not come true ends by a panic"
)]

use std::time::Duration;

use gateway_domain::{
    history::{HistoryBounds, Position},
    link::{Act, Answer, Arrival, Channel, Hearer},
    plan::OnConnectionLimit::RejectNew,
};
use gateway_tests::linked::{BOUNDS, Engine, Linked, claim, posting, room};
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

#[path = "cluster_link/books.rs"]
mod books;
#[path = "cluster_link/seats.rs"]
mod seats;

of_both! {
    all_nodes_hear_all_posts_in_one_order
    who_follows_several_channels_of_a_post_hears_it_once
    a_room_recalls_what_was_missed_or_says_that_it_cannot
    a_room_remembers_within_its_bounds
    letters_go_to_whom_they_are_meant_for
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

#[test]
async fn a_redis_that_is_not_there_is_waited_for() {
    let port = gateway_tests::redis::free_port();
    let settings = gateway_tests::linked::settings(&format!("redis://127.0.0.1:{port}"));
    let mut node = Linked::open("a", settings).await.expect("a link that is away");
    let answer = node.order(Act::TakeSeat(claim("ann", None, 1, RejectNew))).await;
    assert!(matches!(answer, Answer::Away), "{answer:?}");
    node.until_heard("it is away", |arrival| matches!(arrival, Arrival::Health(_))).await;
}
