//! What the gate's decision costs: every check from "draining" to the seat, and the seat given back. Beside it, the
//! cheapest refusal.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on says so by panicking")]

#[path = "../tests/gate/world.rs"]
#[allow(dead_code, reason = "the tests of the gate need more of it")]
mod world;

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use criterion::Criterion;
use gateway_domain::Code;
use gateway_server::{clock, limits::HandshakeLimits};
use world::World;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The token lives longer than all of this takes.
    let mut world = runtime.block_on(World::fair());
    world.token = Some(world.minted(Duration::from_secs(3600)));
    let wide = "1000000000/s".parse().unwrap();
    let wide = gateway_server::limits::HandshakeRate { rate: wide, burst: std::num::NonZeroU32::MAX };
    world.house.gate.handshakes = Arc::new(HandshakeLimits::new(Some(wide), Some(wide), None));
    let _inside = runtime.enter();
    let handshake = world.handshake();
    criterion.bench_function("gate/let in and leave", |bencher| {
        bencher.iter(|| {
            let now = clock::now();
            let gate = &world.house.gate;
            let candidate = at_once(gate.examine(black_box(&handshake), now)).unwrap();
            drop(at_once(gate.admit(&handshake, candidate, now)).unwrap());
        });
    });
    let nameless = world.handshake_with("", Default::default());
    criterion.bench_function("gate/refuse without a token", |bencher| {
        bencher.iter(|| {
            let refusal = at_once(world.house.gate.examine(black_box(&nameless), clock::now())).unwrap_err();
            assert_eq!(refusal.code, Code::AuthRequired);
        });
    });
    criterion.final_summary();
}

/// The outcome of what has nothing to wait for.
fn at_once<F: Future>(step: F) -> F::Output {
    match pin!(step).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("nothing has to be fetched"),
    }
}
