//! What a message costs before it is anywhere: read, sent on, found a way.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::{hint::black_box, time::Duration};

use criterion::Criterion;
use gateway_domain::{
    ConnectionId, PlanName, Principal, RequestId, Role, Timestamp,
    envelope::Message,
    plan::OwnLimits,
    relay::{Origin, Relay, Reply, in_room},
    route::{RouteSpec, Routes, Surroundings},
    sender::Sender,
};
use uuid::Uuid;

const COMMAND: &str =
    r#"{"type":"command","id":"c-1","payload":{"agentId":"agent-7","order":"start","arguments":[1,2,3]}}"#;
const CONNECTION: ConnectionId = ConnectionId::new(Uuid::from_u128(7));

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .configure_from_args();
    envelope(&mut criterion);
    relay(&mut criterion);
    routes(&mut criterion);
    criterion.final_summary();
}

fn envelope(criterion: &mut Criterion) {
    criterion.bench_function("envelope/read a command", |bencher| bencher.iter(|| Message::parse(black_box(COMMAND))));
    let report = format!(r#"{{"type":"event","payload":{{"log":"{}"}}}}"#, "line ".repeat(800));
    criterion.bench_function("envelope/read 4 KB", |bencher| bencher.iter(|| Message::parse(black_box(&report))));
}

fn relay(criterion: &mut Criterion) {
    let (user, role) = ("ann".parse().unwrap(), "dashboard".parse().unwrap());
    let from = Origin { connection_id: CONNECTION, user_id: &user, agent_id: None, role: Some(&role) }.to_json();
    let message = Message::parse(COMMAND).unwrap();
    let request_id = Some(RequestId::new(Uuid::from_u128(9)));
    let relay = Relay { message: &message, kind: "command", from: &from, request_id };
    criterion.bench_function("relay/a command", |bencher| bencher.iter(|| black_box(&relay).to_text()));
    let answer = r#"{"type":"reply","replyTo":"c-1","payload":{"done":true}}"#;
    let message = Message::parse(answer).unwrap();
    let request_id = RequestId::new(Uuid::from_u128(9));
    let reply = Reply { message: &message, kind: "reply", reply_to: Some("c-1"), request_id, more: false, from: &from };
    criterion.bench_function("relay/a reply", |bencher| bencher.iter(|| black_box(&reply).to_text()));
    let (text, room) = (relay.to_text(), "agent:7".parse().unwrap());
    criterion.bench_function("relay/into a room", |bencher| bencher.iter(|| in_room(black_box(&text), &room, 1234)));
}

fn routes(criterion: &mut Criterion) {
    let spec = |kind: String| RouteSpec {
        from: vec!["dashboard".into()],
        types: vec![kind],
        to: vec!["agent:{payload.agentId}".into()],
        ..RouteSpec::default()
    };
    let around = Surroundings { agents: true, ..Surroundings::default() };
    let (role, plan): (Role, PlanName) = ("dashboard".parse().unwrap(), "default".parse().unwrap());
    let principal = Principal {
        user: "ann".parse().unwrap(),
        agent: None,
        issuer: None,
        key: "main".into(),
        roles: vec![role.clone()],
        permissions: Vec::new(),
        plan: None,
        own_limits: OwnLimits::default(),
        token_id: None,
        issued_at: None,
        expires_at: Timestamp::from_seconds(0),
        claims: Default::default(),
    };
    let sender =
        Sender { principal: &principal, connection: CONNECTION, role: Some(&role), plan: &plan, endpoint: "/ws" };
    let message = Message::parse(COMMAND).unwrap();
    for others in [0, 50] {
        let mut specs: Vec<RouteSpec> = (0..others).map(|n| spec(format!("other.{n}"))).collect();
        specs.push(spec("command".into()));
        let routes = Routes::compile(&specs, &around).unwrap();
        assert!(routes.find(&sender, &message).is_some());
        criterion.bench_function(&format!("routes/found behind {others}"), |bencher| {
            bencher.iter(|| routes.find(black_box(&sender), black_box(&message)).map(|found| found.targets.len()));
        });
    }
}
