//! What a switchboard alone has: being cut off, being lost, being too slow.

use gateway_domain::{
    ConnectionId, Tick, Timestamp,
    link::{Act, Answer, Channel, Place, Posting, SeatAnswer, SeatClaim, Ticket},
    name::NodeName,
    plan::OnConnectionLimit,
};
use uuid::Uuid;

use super::*;

struct Node {
    id: NodeId,
    orders: mpsc::Sender<Order>,
    arrivals: mpsc::Receiver<Arrival>,
    ticket: u64,
}

impl Node {
    fn join(switchboard: &Switchboard, name: &str) -> Self {
        let id = NodeId::new(&NodeName::parse(name).unwrap(), Uuid::new_v4());
        let (orders, arrivals) = switchboard.join(id.clone());
        Self { id, orders, arrivals, ticket: 0 }
    }

    async fn order(&mut self, act: Act) -> Answer {
        self.ticket += 1;
        let ticket = Ticket(self.ticket);
        self.orders.send(Order { ticket, act }).await.unwrap();
        loop {
            match self.arrivals.recv().await.unwrap() {
                Arrival::Answer(to, answer) if to == ticket => return answer,
                _ => {}
            }
        }
    }

    async fn wait_for(&mut self, mut is_it: impl FnMut(&Arrival) -> bool) -> Arrival {
        loop {
            let arrival = self.arrivals.recv().await.unwrap();
            if is_it(&arrival) {
                return arrival;
            }
        }
    }
}

fn rules() -> Rules {
    Rules::new(|| Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(1_800_000_000) })
}

fn claim(agent: &str, connection: u128, since: i64) -> SeatClaim {
    SeatClaim {
        user: "ann".parse().unwrap(),
        connection: ConnectionId::new(Uuid::from_u128(connection)),
        agent: Some(agent.parse().unwrap()),
        limit: Some(1),
        on_limit: OnConnectionLimit::RejectNew,
        since: Timestamp::from_seconds(since),
        note: None,
    }
}

fn posting(text: &str) -> Act {
    Act::Post(Posting {
        channels: vec![Channel::Every],
        remembered: Vec::new(),
        head: String::new(),
        text: text.into(),
        patience: Duration::from_secs(1),
    })
}

#[tokio::test]
async fn who_was_cut_off_and_lost_finds_its_agent_elsewhere() {
    let switchboard = Switchboard::new(rules());
    let (mut a, mut b) = (Node::join(&switchboard, "a"), Node::join(&switchboard, "b"));
    assert!(matches!(a.order(Act::TakeSeat(claim("press", 1, 1))).await, Answer::Seat(SeatAnswer::Taken { .. })));
    switchboard.cut(&a.id);
    assert!(matches!(a.order(Act::TakeSeat(claim("other", 2, 2))).await, Answer::Away));
    switchboard.kill(&a.id);
    b.wait_for(|arrival| matches!(arrival, Arrival::NodeLost(node) if *node == a.id)).await;
    b.wait_for(|arrival| matches!(arrival, Arrival::AgentLost { agent, .. } if agent.as_str() == "press")).await;
    let Answer::Seat(SeatAnswer::Taken { replaced: None, evicted: None }) =
        b.order(Act::TakeSeat(claim("press", 3, 3))).await
    else {
        panic!("the seat of a lost node is free");
    };
    switchboard.heal(&a.id);
    a.wait_for(|arrival| matches!(arrival, Arrival::Displaced(id) if *id == claim("press", 1, 1).connection)).await;
    a.wait_for(|arrival| matches!(arrival, Arrival::Back)).await;
    let Answer::Seat(SeatAnswer::UserFull { held }) = b.order(Act::TakeSeat(claim("third", 4, 4))).await else {
        panic!("both stand");
    };
    let place = |node: &Node, n| Place { node: node.id.clone(), connection: ConnectionId::new(Uuid::from_u128(n)) };
    assert_eq!(held, [place(&a, 1), place(&b, 3)]);
}

#[tokio::test]
async fn who_takes_its_arrivals_too_slowly_is_told_that_it_missed_some() {
    let switchboard = Switchboard::new(Rules { queue: 8, ..rules() });
    let (mut a, mut b) = (Node::join(&switchboard, "a"), Node::join(&switchboard, "b"));
    for n in 0..64 {
        assert!(matches!(a.order(posting(&n.to_string())).await, Answer::Posted { hearings: 2 }));
    }
    let mut heard = 0;
    b.wait_for(|arrival| {
        heard += u32::from(matches!(arrival, Arrival::Post { .. }));
        matches!(arrival, Arrival::Back)
    })
    .await;
    assert!((8..64).contains(&heard), "{heard}");
    a.order(posting("later")).await;
    b.wait_for(|arrival| matches!(arrival, Arrival::Post { text, .. } if text == "later")).await;
}
