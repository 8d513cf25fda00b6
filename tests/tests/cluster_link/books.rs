//! What all nodes keep together: books, members, counts; and that who leaves takes all of it along.

use std::{collections::BTreeSet, time::Duration};

use gateway_domain::{
    link::{Act, Answer, Arrival, Book, Expected},
    plan::OnConnectionLimit::RejectNew,
};
use gateway_tests::linked::{Engine, LEASE, Linked, claim, room};

use super::seats::taken;

of_both! {
    books_are_read_by_all
    a_member_comes_and_goes_once_over_all_nodes
    knocks_and_spending_are_counted_over_all_nodes
    who_leaves_leaves_nothing_behind
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
