//! Takes what arrives, and hands it to the rooms of the house, one after the other: so the order in which nodes hear each other is
//! the order in which things are done.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    RequestId,
    link::{Act, Answer, Arrival, Book, Health, NodeId},
};
use uuid::Uuid;

use super::{Letter, Link, Question, WhenAway};
use crate::{
    audit::{Event, Subject},
    clock,
    house::House,
    hub::Heard,
};

/// How often what hangs on the link is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many users are compared with other nodes each second, those with the most messages first.
const MOST_SPENDERS: usize = 1024;
/// A house that tells many waits so long before it takes in more.
const BREATH: Duration = Duration::from_millis(1);

/// Keeps a house together with the others, for as long as it is polled; nothing where it stands alone.
pub async fn keep(house: Arc<House>) {
    let link = house.hub.link().cloned();
    let Some((link, mut arrivals)) = link.and_then(|link| Some((Arc::clone(&link), link.arrivals.lock().take()?)))
    else {
        return std::future::pending().await;
    };
    house.hub.joins();
    house.ledger.joins(clock::now());
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = looks.tick() => {
                house.hub.look_after_link(clock::now());
                compare_spending(&house, &link);
            }
            arrival = arrivals.recv() => {
                let Some(arrival) = arrival else { break };
                let is_post = matches!(arrival, Arrival::Post { .. });
                while is_post && !house.hub.takes_more() {
                    tokio::time::sleep(BREATH).await;
                }
                take_in(&house, &link, arrival);
                if link.kept() > 0 {
                    link.flush();
                }
            }
        }
    }
    link.ended();
    if !house.hub.is_draining() {
        tracing::error!("the link to the other gateways has ended: this one goes on alone");
    }
    loop {
        looks.tick().await;
        house.hub.look_after_link(clock::now());
    }
}

fn take_in(house: &Arc<House>, link: &Arc<Link>, arrival: Arrival) {
    let (hub, now) = (&house.hub, clock::now());
    match arrival {
        Arrival::Answer(ticket, answer) => link.answered(ticket, answer),
        Arrival::Post { from, ticket, hearings, places, head, text } => {
            hub.arrived(Heard { from, ticket, hearings, places, head, text }, now);
        }
        Arrival::Letter { from, letter } => {
            link.counts.read();
            match Letter::read(&letter) {
                Some(letter) => {
                    if let Some((asked, question)) = hub.hears(&from, letter, now) {
                        answer(house, &from, asked, question);
                    }
                }
                None => link.counts.unknown(),
            }
        }
        Arrival::Written { book, key, value } => written(house, book, &key, value.as_deref()),
        Arrival::Nodes(nodes) => *link.nodes.write() = nodes,
        Arrival::NodeLost(node) => hub.requests_lost(&node),
        Arrival::AgentLost { agent, last_seen } => hub.agent_lost(&agent, last_seen, now),
        Arrival::MemberLost { room, member } => hub.member_lost(&room, &member),
        Arrival::SeatLost { note } => hub.webhooks().lost(&note),
        Arrival::SeatFound(connection) => hub.seat_found(connection, now),
        Arrival::MemberFound { room, member } => hub.member_found(&room, &member),
        Arrival::Displaced(connection) => hub.displaced(connection, now),
        Arrival::Health(health) => {
            if link.is_well(health) {
                told_of_health(house, link, health);
            }
        }
        Arrival::Back => {
            hub.back();
            house.ledger.back();
        }
    }
}

/// Tells the others what users have said here, and takes off their quotas what they have said there.
fn compare_spending(house: &Arc<House>, link: &Link) {
    let spent = house.accounts.spent(MOST_SPENDERS);
    if spent.is_empty() {
        return;
    }
    let (users, told): (Vec<_>, Vec<_>) =
        spent.into_iter().map(|(user, spent)| (user.clone(), (user.to_string(), spent))).unzip();
    let accounts = Arc::clone(&house.accounts);
    let next = move |_, answer| {
        if let Answer::Spent(elsewhere) = answer {
            let elsewhere = users.iter().zip(elsewhere).filter(|(_, spent)| *spent > 0);
            elsewhere.for_each(|(user, spent)| accounts.charge(user, spent));
        }
    };
    // Where the link is busy or away, this node's own quota is in force.
    link.then(Act::Spend(told), next);
}

/// Says that the link is away, or back, to whoever reads the audit and the log.
fn told_of_health(house: &House, link: &Link, health: Health) {
    let (event, reason) = match (health, link.when_away()) {
        (Health::Up(_), _) => (Event::ClusterBack, "the others are reached again"),
        (Health::Away, WhenAway::FailOpenLocal) => {
            (Event::ClusterAway, "the others are not reached: this gateway goes on alone, with its own limits in force")
        }
        (Health::Away, WhenAway::FailClosed) => {
            (Event::ClusterAway, "the others are not reached: what needs them is refused")
        }
    };
    match health {
        Health::Up(_) => {
            tracing::info!("{reason}");
            link.flush();
            // A link that was never well before says no more than this.
            house.hub.back();
            house.ledger.back();
        }
        Health::Away => tracing::warn!("{reason}"),
    }
    house.audit.event(event, &Subject::new(RequestId::new(Uuid::new_v4())), reason, clock::now());
}

/// A value that all nodes share was written elsewhere.
fn written(house: &House, book: Book, key: &str, value: Option<&str>) {
    house.ledger.written(&house.hub, book, key, value);
}

/// Answers what was asked of all nodes.
fn answer(house: &Arc<House>, from: &NodeId, asked: RequestId, question: Question) {
    let now = clock::now();
    let is_own = house.hub.link().is_some_and(|link| link.node() == from);
    let found = match question {
        Question::Online => house.hub.online_here(now),
        // Laid here by whoever asks, who counts whom it meets.
        Question::Banned { .. } | Question::Revoked { .. } if is_own => Default::default(),
        #[cfg(feature = "net")]
        question => crate::http::found(house, question, now),
        #[cfg(not(feature = "net"))]
        _ => Default::default(),
    };
    house.hub.replies_found(from, asked, found, now);
}
