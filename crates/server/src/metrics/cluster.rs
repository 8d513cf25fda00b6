//! The link to other gateways: whether it is there, how long its loop takes, and what goes over it. All at zero where there is
//! none.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::cluster::Link;

/// What is told of the link.
#[derive(Debug, Default)]
pub struct Cluster {
    up: Gauge,
    round_trip: Gauge<f64, AtomicU64>,
    nodes: Gauge,
    kept: Gauge,
    posts: Family<Way, Counter>,
    letters: Family<Way, Counter>,
    fallbacks: Counter,
    repairs: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    way: &'static str,
}

impl Cluster {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("cluster_up", "1 where the other gateways are reached", self.up.clone());
        registry.register(
            "cluster_round_trip_seconds",
            "How long the last probe took through the link and back",
            self.round_trip.clone(),
        );
        registry.register("cluster_nodes", "Gateways that act as one, this one among them", self.nodes.clone());
        registry.register("cluster_orders_kept", "Orders that wait for room in the link", self.kept.clone());
        registry.register("cluster_posts", "Texts given to the link (out), and heard by it (in)", self.posts.clone());
        registry.register(
            "cluster_letters",
            "Letters to other gateways (out), from them (in), and of kinds that mean nothing here (unknown)",
            self.letters.clone(),
        );
        registry.register(
            "cluster_fallbacks",
            "What was done by this gateway alone, or refused, since the others were not reached",
            self.fallbacks.clone(),
        );
        registry.register(
            "cluster_room_repairs",
            "Rooms of which something had not come and was looked up",
            self.repairs.clone(),
        );
    }

    pub(super) fn read(&self, link: Option<&Link>) {
        let Some(link) = link else { return };
        let size = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.up.set(link.is_up().into());
        self.round_trip.set(link.round_trip().unwrap_or_default().as_secs_f64());
        self.nodes.set(size(link.nodes().len()));
        self.kept.set(size(link.kept()));
        let counts = &link.counts;
        let ways = [
            (&self.posts, "out", &counts.posts_out),
            (&self.posts, "in", &counts.posts_in),
            (&self.letters, "out", &counts.letters_out),
            (&self.letters, "in", &counts.letters_in),
            (&self.letters, "unknown", &counts.letters_unknown),
        ];
        for (family, way, count) in ways {
            raise(&family.get_or_create(&Way { way }), count);
        }
        raise(&self.fallbacks, &counts.fallbacks);
        raise(&self.repairs, &counts.repairs);
    }
}

fn raise(counter: &Counter, count: &AtomicU64) {
    counter.inner().fetch_max(count.load(Ordering::Relaxed), Ordering::Relaxed);
}
