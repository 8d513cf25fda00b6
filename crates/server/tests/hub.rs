//! The hub: seats are counted to the last one, whoever races for them, and every way out gives one back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use gateway_domain::{
    Code, Principal, Refusal, RequestId,
    plan::{Messages, OnConnectionLimit, OwnLimits, Plan},
    session::{OnExpiry, SessionRules},
};
use gateway_server::{
    audit::{AddressDetail, Audit, Destination, Event, Record},
    clock,
    endpoint::Endpoint,
    hub::{Arrival, Counts, Ending, Hub, HubRules, Occupant, Seat, Standing},
    limits::Account,
    metrics::{Metrics, Sight},
};
use gateway_transport::ClientAddress;
use uuid::Uuid;

/// Where everybody is here, as a metric says it.
const WS: &str = "{endpoint=\"/ws\",role=\"none\",transport=\"websocket\"}";

struct Place {
    hub: Arc<Hub>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
}

impl Place {
    fn with(seats: usize) -> Self {
        let audit = Arc::new(Audit::new(Destination::Nowhere, AddressDetail::Full, 1_000).unwrap());
        let metrics = Arc::new(Metrics::new());
        Self {
            hub: Arc::new(Hub::new(HubRules::seating(seats), Arc::clone(&audit), Arc::clone(&metrics))),
            audit,
            metrics,
        }
    }

    fn seat(&self, user: &str, plan: &Plan) -> Result<Seat, Refusal> {
        self.hub.take_seat(&principal(user), plan, false)
    }

    /// Somebody who sits.
    fn guest(&self, user: &str, plan: &Plan) -> (Seat, Arc<Occupant>) {
        let mut seat = self.seat(user, plan).unwrap();
        let occupant = occupant(&seat, user, plan);
        seat.occupy(Arc::clone(&occupant)).unwrap();
        (seat, occupant)
    }

    async fn told(&self) -> String {
        self.metrics.render(&Sight { survey: self.hub.survey(clock::now()).await, ..Sight::default() })
    }

    fn goodbyes(&self) -> Vec<Arc<Record>> {
        let mut records = self.audit.latest(usize::MAX, |record| record.event == Event::Disconnected);
        records.reverse();
        records
    }
}

fn principal(user: &str) -> Principal {
    Principal {
        user: user.parse().unwrap(),
        agent: None,
        issuer: None,
        key: "main".into(),
        roles: Vec::new(),
        permissions: Vec::new(),
        plan: None,
        own_limits: OwnLimits::default(),
        token_id: None,
        issued_at: None,
        expires_at: clock::now().wall + Duration::from_secs(60),
        claims: Arc::default(),
    }
}

fn plan(connections: impl Into<Option<u32>>, on_connection_limit: OnConnectionLimit) -> Plan {
    let messages = Messages { rate: None, burst: None };
    Plan { name: "default".parse().unwrap(), connections: connections.into(), on_connection_limit, messages }
}

fn endpoint() -> Arc<Endpoint> {
    let session = SessionRules { on_expiry: OnExpiry::Keep, heartbeat: None, ..Endpoint::at("/ws").session };
    Arc::new(Endpoint { session, ..Endpoint::at("/ws") })
}

fn occupant(seat: &Seat, user: &str, plan: &Plan) -> Arc<Occupant> {
    let now = clock::now();
    let arrival = Arrival {
        request_id: RequestId::new(Uuid::new_v4()),
        endpoint: endpoint(),
        address: ClientAddress::Local,
        user_agent: Some("a test".into()),
        autojoin: true,
    };
    let standing = Standing {
        principal: Arc::new(principal(user)),
        role: None,
        plan: Arc::new(plan.clone()),
        account: Arc::new(Account::default()),
        authenticated_at: now.wall,
    };
    Arc::new(Occupant::new(seat.id(), arrival, standing, now))
}

/// Why somebody was told to go, if it was.
async fn told(occupant: &Occupant) -> Option<Code> {
    let orders = tokio::time::timeout(Duration::from_millis(1), occupant.ordered()).await;
    orders.ok()?.end.map(|refusal| refusal.code)
}

#[test]
fn fifty_threads_race_for_ten_seats_and_ten_win() {
    let plan = plan(10, OnConnectionLimit::EvictStale);
    for _ in 0..50 {
        let place = Place::with(1_000);
        let start = Barrier::new(50);
        let seats: Vec<Result<Seat, Refusal>> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..50)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        place.seat("ann", &plan)
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let losers: Vec<_> = seats.iter().filter_map(|seat| seat.as_ref().err()).collect();
        assert_eq!(losers.len(), 40);
        assert!(losers.iter().all(|refusal| refusal.code == Code::ConnectionLimit && refusal.retry_after.is_some()));
        assert_eq!(place.hub.counts(), Counts { connections: 0, seats: 10, users: 1, ..Counts::default() });
        drop(seats);
        assert_eq!(place.hub.counts(), Counts::default());
    }
}

#[test]
fn many_users_race_for_the_last_seats_of_the_node() {
    let plan = plan(None, OnConnectionLimit::RejectNew);
    let place = Place::with(10);
    let start = Barrier::new(50);
    std::thread::scope(|scope| {
        for n in 0..50 {
            let (place, plan, start) = (&place, &plan, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..200 {
                    match place.seat(&format!("user{n}"), plan) {
                        Ok(mut seat) if round % 2 == 0 => {
                            let occupant = occupant(&seat, &format!("user{n}"), plan);
                            seat.occupy(occupant).unwrap();
                        }
                        Ok(_) => {}
                        Err(refusal) => assert_eq!(refusal.code, Code::NodeFull),
                    }
                    assert!(place.hub.counts().seats <= 10);
                }
            });
        }
    });
    assert_eq!(place.hub.counts(), Counts::default());
}

#[tokio::test]
async fn a_task_that_panics_gives_its_seat_back_and_the_audit_knows() {
    let place = Place::with(10);
    let plan = plan(1, OnConnectionLimit::RejectNew);
    let (seat, _) = place.guest("ann", &plan);
    assert_eq!(place.seat("ann", &plan).unwrap_err().code, Code::ConnectionLimit);
    let broken = tokio::spawn(async move {
        let _seat = seat;
        panic!("broken on purpose");
    });
    assert!(broken.await.unwrap_err().is_panic());
    assert_eq!(place.hub.counts(), Counts::default());
    assert_eq!(place.goodbyes()[0].reason, "its task ended without a word");
    assert!(place.told().await.contains(&format!("gateway_connections{WS} 0")));

    // So does one that is dropped, before it sat down and after.
    let (seat, _) = place.guest("ann", &plan);
    let dropped = tokio::spawn(async move {
        let _seat = seat;
        std::future::pending::<()>().await;
    });
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    drop(place.seat("ann", &plan).unwrap());
    assert_eq!(
        (place.hub.counts(), place.goodbyes().len()),
        (Counts::default(), 2),
        "who never sat is not said goodbye to"
    );
}

#[tokio::test]
async fn the_oldest_makes_room_where_the_plan_says_so() {
    let place = Place::with(10);
    let plan = plan(2, OnConnectionLimit::EvictOldest);
    let (mut oldest_seat, oldest) = place.guest("ann", &plan);
    let (_second_seat, second) = place.guest("ann", &plan);
    let (_bobs_seat, bobs) = place.guest("bob", &plan);
    let (third_seat, third) = place.guest("ann", &plan);
    assert_eq!(told(&oldest).await, Some(Code::Evicted));
    assert_eq!((told(&second).await, told(&bobs).await, told(&third).await), (None, None, None));
    assert!(place.hub.occupant(oldest.id).is_none());
    let ids: Vec<_> = place.hub.of_user(second.user()).iter().map(|here| here.id).collect();
    assert_eq!(ids, [second.id, third.id]);
    // Its task ends later, and gives back nothing that is another's by now.
    oldest_seat.end(Ending::Ours(Refusal::plain(Code::Evicted)));
    drop(oldest_seat);
    assert_eq!(place.hub.counts(), Counts { connections: 3, seats: 3, users: 2, ..Counts::default() });
    assert_eq!(place.goodbyes()[0].code, Some(Code::Evicted));
    drop(third_seat);
    assert_eq!(place.hub.counts(), Counts { connections: 2, seats: 2, users: 2, ..Counts::default() });
}

#[test]
fn who_is_evicted_in_the_doorway_does_not_sit_down() {
    let place = Place::with(10);
    let one = plan(1, OnConnectionLimit::EvictOldest);
    let mut first = place.seat("ann", &one).unwrap();
    let second = place.seat("ann", &one).unwrap();
    let refusal = first.occupy(occupant(&first, "ann", &one)).unwrap_err();
    assert_eq!(refusal.code, Code::Evicted);
    drop(first);
    assert_eq!(place.hub.counts(), Counts { connections: 0, seats: 1, users: 1, ..Counts::default() });
    assert!(place.audit.latest(10, |_| true).is_empty(), "nobody was ever connected");
    drop(second);
    let nobody = plan(0, OnConnectionLimit::EvictOldest);
    assert_eq!(place.seat("ann", &nobody).unwrap_err().code, Code::ConnectionLimit, "there is no oldest");
    assert_eq!(place.hub.counts(), Counts::default());
}

#[tokio::test]
async fn at_the_limit_the_silent_are_asked_whether_they_live_and_only_the_users_own() {
    let place = Place::with(10);
    let stale = plan(2, OnConnectionLimit::EvictStale);
    let (_a, first) = place.guest("ann", &stale);
    let (_b, second) = place.guest("ann", &stale);
    let (_c, bobs) = place.guest("bob", &stale);
    let refusal = place.seat("ann", &stale).unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_seconds()), (Code::ConnectionLimit, Some(3)));
    assert_eq!(refusal.limit.map(|met| (met.limit, met.period)), Some((2, None)));
    for occupant in [&first, &second] {
        let orders = occupant.ordered().await;
        assert!(orders.probe && orders.end.is_none());
    }
    assert_eq!(tokio::time::timeout(Duration::from_millis(1), bobs.ordered()).await.ok().map(|o| o.probe), None);

    let reject = plan(2, OnConnectionLimit::RejectNew);
    assert_eq!(place.seat("ann", &reject).unwrap_err().code, Code::ConnectionLimit);
    assert!(tokio::time::timeout(Duration::from_millis(1), first.ordered()).await.is_err(), "nobody is disturbed");
}

#[tokio::test]
async fn a_drain_while_somebody_is_in_the_doorway_reaches_it_when_it_sits_down() {
    let place = Place::with(10);
    let plan = plan(None, OnConnectionLimit::RejectNew);
    let (_seat, inside) = place.guest("ann", &plan);
    let mut seat = place.seat("bob", &plan).unwrap();
    assert!(place.hub.open_to_newcomers().is_ok());
    assert_eq!(place.hub.drain(), 1);
    assert!(place.hub.is_draining());
    let refusal = place.hub.open_to_newcomers().unwrap_err();
    assert_eq!(refusal.code, Code::Draining);
    assert!(refusal.retry_after_seconds().is_some_and(|seconds| (1..=5).contains(&seconds)), "{refusal:?}");
    let late = occupant(&seat, "bob", &plan);
    seat.occupy(Arc::clone(&late)).unwrap();
    assert_eq!((told(&inside).await, told(&late).await), (Some(Code::Draining), Some(Code::Draining)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_in_the_middle_of_a_rush_misses_nobody() {
    for _ in 0..20 {
        let place = Place::with(1_000);
        let plan = plan(None, OnConnectionLimit::RejectNew);
        let start = Barrier::new(9);
        let guests: Vec<(Seat, Arc<Occupant>)> = std::thread::scope(|scope| {
            let comers: Vec<_> = (0..8)
                .map(|n| {
                    let (place, plan, start) = (&place, &plan, &start);
                    scope.spawn(move || {
                        start.wait();
                        (0..20).map(|_| place.guest(&format!("user{n}"), plan)).collect::<Vec<_>>()
                    })
                })
                .collect();
            start.wait();
            place.hub.drain();
            comers.into_iter().flat_map(|comer| comer.join().unwrap()).collect()
        });
        assert_eq!(guests.len(), 160);
        for (_, occupant) in &guests {
            assert_eq!(told(occupant).await, Some(Code::Draining));
        }
        drop(guests);
        assert_eq!(place.hub.counts(), Counts::default());
    }
}

#[tokio::test]
async fn every_way_to_end_is_written_down_and_counted() {
    let place = Place::with(10);
    let plan = plan(None, OnConnectionLimit::RejectNew);
    for ending in [
        Ending::Ours(Refusal::plain(Code::TokenExpired).because("its time was over")),
        Ending::Peer(Some(1000)),
        Ending::Peer(Some(4999)),
        Ending::Peer(None),
        Ending::Lost("reset".into()),
    ] {
        place.guest("ann", &plan).0.end(ending);
    }
    let goodbyes = place.goodbyes();
    let reasons: Vec<_> = goodbyes.iter().map(|record| record.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "its time was over",
            "closed by the peer with 1000",
            "closed by the peer with 4999",
            "closed by the peer",
            "lost: reset"
        ]
    );
    assert!(
        goodbyes.iter().all(|record| record.connection_id.is_some() && record.user_agent.as_deref() == Some("a test"))
    );
    let text = place.told().await;
    for line in [
        &format!("gateway_connections{WS} 0"),
        &format!("gateway_connections_admitted_total{WS} 5"),
        "by=\"gateway\",code=\"TOKEN_EXPIRED\"} 1",
        "by=\"peer\",code=\"1000\"} 1",
        "by=\"peer\",code=\"other\"} 1",
        "by=\"peer\",code=\"none\"} 1",
        "by=\"lost\",code=\"none\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_first_reason_to_go_holds_and_an_order_waits_for_who_is_busy() {
    let place = Place::with(10);
    let plan = plan(None, OnConnectionLimit::RejectNew);
    let (_seat, ann) = place.guest("ann", &plan);
    let (_other, bob) = place.guest("bob", &plan);
    let met = place.hub.end_where(|here| here.user().as_str() == "ann", &Refusal::plain(Code::Banned));
    assert_eq!(met, 1);
    assert_eq!(place.hub.drain(), 2);
    assert_eq!(
        (told(&ann).await, told(&ann).await, told(&bob).await),
        (Some(Code::Banned), None, Some(Code::Draining))
    );
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let place = Place::with(100);
    let plan = plan(None, OnConnectionLimit::RejectNew);
    let _guests: Vec<_> = (0..25).map(|n| place.guest(&format!("user{}", n % 5), &plan)).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = place.hub.page(after, 7, |here| here.user().as_str() != "user3");
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        assert!(page.len() <= 7);
        seen.extend(page.into_iter().map(|(id, _)| id));
    }
    assert_eq!(seen.len(), 20);
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
}

#[tokio::test(start_paused = true)]
async fn an_occupant_knows_what_it_said_and_when_it_was_heard() {
    let place = Place::with(10);
    let plan = plan(None, OnConnectionLimit::RejectNew);
    let (_seat, ann) = place.guest("ann", &plan);
    let arrived = clock::now();
    ann.traffic.received(10);
    ann.traffic.received(5);
    ann.traffic.sent(7);
    assert_eq!(ann.traffic.counts(), [2, 1, 15, 7]);
    tokio::time::advance(Duration::from_secs(30)).await;
    let gap = ann.traffic.last_heard(clock::now()).since(arrived.wall);
    assert!(gap <= Duration::from_millis(2), "{gap:?}");
    ann.traffic.heard(clock::now());
    assert!(ann.traffic.last_heard(clock::now()).since(arrived.wall) >= Duration::from_millis(29_998));
    let mut standing = ann.standing();
    standing.role = Some("viewer".parse().unwrap());
    ann.restand(standing);
    assert_eq!(ann.stands(|standing| standing.role.as_ref().map(ToString::to_string)).as_deref(), Some("viewer"));
}

/// What the connections said and heard is added up while they end: it never runs backwards, nobody is counted twice, and
/// in the end nothing is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_is_added_up_while_those_who_said_it_go() {
    let place = Place::with(3_000);
    let plan = plan(None, OnConnectionLimit::RejectNew);
    let mut guests = Vec::new();
    for n in 0..2_000 {
        let (seat, occupant) = place.guest(&format!("u{n}"), &plan);
        occupant.traffic.received(10);
        guests.push(seat);
    }
    let leaving = std::thread::spawn(move || guests.into_iter().for_each(drop));
    let told = |text: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix("gateway_received_bytes_total{endpoint=\"/ws\"} "));
        line.unwrap_or_else(|| panic!("it is not told:\n{text}")).parse().unwrap()
    };
    let mut last = 0;
    while !leaving.is_finished() {
        let now = told(&place.told().await);
        assert!((last..=20_000).contains(&now), "{last} and then {now}");
        last = now;
    }
    leaving.join().unwrap();
    assert_eq!(told(&place.told().await), 20_000);
}
