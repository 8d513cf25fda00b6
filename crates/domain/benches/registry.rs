//! The verbs of the registry among 100,000 connections: what one more, one less, one found costs there.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion};
use gateway_domain::{
    ConnectionId, UserId,
    registry::{Listing, Registry},
};
use uuid::Uuid;

const CONNECTIONS: u128 = 100_000;
/// Each user has so many.
const OF_A_USER: u128 = 2;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .configure_from_args();
    verbs(&mut criterion);
    criterion.final_summary();
}

fn verbs(criterion: &mut Criterion) {
    let endpoint: Arc<str> = "/ws".into();
    let listing = || Listing { endpoint: Arc::clone(&endpoint), role: "dashboard".parse().ok(), hears_user: true };
    let mut registry = Registry::new(usize::MAX);
    for n in 0..CONNECTIONS {
        let user = user(n);
        registry.admit(&user, id(n), Some(10), None).unwrap();
        registry.enter(&user, id(n), n, listing()).unwrap();
    }
    let mut n = CONNECTIONS;
    criterion.bench_function("registry/come and go", |bencher| {
        bencher.iter(|| {
            n += 1;
            let user = user(n);
            registry.admit(&user, id(n), Some(10), None).unwrap();
            registry.enter(&user, id(n), n, listing()).unwrap();
            registry.leave(&user, id(n), None)
        });
    });
    let mut asked = 0;
    let mut next = || {
        asked = (asked + 7919) % CONNECTIONS;
        asked
    };
    criterion.bench_function("registry/find by id", |bencher| {
        bencher.iter_batched(|| id(next()), |id| registry.get(id).copied(), BatchSize::SmallInput);
    });
    criterion.bench_function("registry/find by user", |bencher| {
        bencher.iter_batched(|| user(next()), |user| registry.of_user(&user).count(), BatchSize::SmallInput);
    });
    let role = "dashboard".parse().unwrap();
    criterion.bench_function("registry/the next 256 of a role", |bencher| {
        bencher.iter(|| registry.of_role(&role, Some(id(50_000))).take(256).map(|(_, n)| black_box(*n)).sum::<u128>());
    });
}

/// Spread, as random ids are.
fn id(n: u128) -> ConnectionId {
    ConnectionId::new(Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
}

fn user(n: u128) -> UserId {
    format!("user-{}", n / OF_A_USER).parse().unwrap()
}
