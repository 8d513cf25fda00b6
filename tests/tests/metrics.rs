//! Every metric that the page tells of moves when that happens which it counts, and says how much of it; no metric moves
//! that the page does not tell of, and whatever clients name themselves, there are no more series than an operator's own
//! words and the program's. What the dashboard and the alerts ask for is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

#[path = "metrics/crossing.rs"]
mod crossing;
#[path = "metrics/doors.rs"]
mod doors;
#[path = "metrics/machinery.rs"]
mod machinery;
#[path = "metrics/others.rs"]
mod others;
#[path = "metrics/pages.rs"]
mod pages;

use std::collections::{BTreeMap, BTreeSet};

use gateway_tests::{TestGateway, scrape::Scrape};

/// It moves where the link takes no more for a while: 1,024 orders at once, which no story gives. That it is served is seen.
const HARD_TO_FILL: &str = "gateway_cluster_orders_kept";

/// What the stories saw.
#[derive(Debug, Default)]
struct Seen {
    /// Metrics that said something else after what happened than before.
    moved: BTreeSet<String>,
    /// The labels of each metric and of each series.
    served: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    /// Between these two something happened.
    fn changed(&mut self, before: &Scrape, after: &Scrape) {
        self.moved.extend(after.moved_since(before));
        for name in after.names().into_iter().chain(after.series()) {
            let labels = after.labels(&name);
            self.served.entry(name).or_default().extend(labels);
        }
    }
}

/// A look that waits until it shows what is expected.
async fn shows(gateway: &TestGateway, what: &str, fits: impl Fn(&Scrape) -> bool) -> Scrape {
    gateway_tests::eventually(20, what, async || Some(Scrape::of(gateway).await).filter(|scrape| fits(scrape))).await
}

fn none<'a>(names: impl Iterator<Item = &'a String>, why: &str) {
    assert_eq!(names.collect::<Vec<_>>(), Vec::<&String>::new(), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_page_moves_when_what_it_counts_happens_and_pages_and_alerts_name_no_other() {
    let mut seen = Seen::default();
    doors::who_comes_and_goes(&mut seen).await;
    doors::who_is_kept_out(&mut seen).await;
    doors::who_comes_by_socketio(&mut seen).await;
    crossing::what_is_said_and_asked(&mut seen).await;
    crossing::what_waits_and_is_let_go(&mut seen).await;
    machinery::sets_of_keys(&mut seen).await;
    machinery::hooks(&mut seen).await;
    machinery::the_process_and_its_books(&mut seen).await;
    machinery::another_configuration(&mut seen).await;
    machinery::bounds_as_configured(&mut seen).await;
    others::other_gateways(&mut seen).await;
    let told = pages::table();
    let moved = |name: &str| seen.moved.contains(name) || name == HARD_TO_FILL;
    none(told.keys().filter(|name| !moved(name)), "nobody saw these move");
    none(seen.moved.iter().filter(|name| !told.contains_key(*name)), "the page does not tell of these");
    for (name, labels) in &told {
        assert_eq!(Some(labels), seen.served.get(name), "the labels of {name}");
    }
    pages::ask_only_for(&seen.served);
}

#[test]
fn every_alert_is_told_on_the_page_with_how_grave_it_is() {
    pages::alerts_are_told();
}
