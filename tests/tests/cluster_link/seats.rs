//! Seats and agents: given once over all nodes, to whom the plan lets in, and free when their node is gone.

use std::time::Duration;

use gateway_domain::{
    link::{Act, Answer, Arrival, Book, Expected, Place, SeatAnswer, SeatClaim},
    plan::OnConnectionLimit::{EvictOldest, RejectNew},
};
use gateway_tests::linked::{Engine, LEASE, Linked, claim, room};

of_both! {
    of_a_race_for_seats_just_as_many_win_as_there_are
    an_agent_is_replaced_by_its_own_user_and_by_nobody_else
    the_oldest_seat_makes_room_where_the_plan_says_so
    a_node_that_dies_frees_all_that_hung_on_it
}

fn place(node: &Linked, claim: &SeatClaim) -> Place {
    Place { node: node.id.clone(), connection: claim.connection }
}

pub(crate) fn taken() -> Option<SeatAnswer> {
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
