//! Opens the listeners, keeps the house, and closes it: nobody new, one after the other told, the books written.

use std::{sync::Arc, time::Duration};

use gateway_transport::{Counters, Limits, Listener, TlsMaterial, serve};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock, cluster,
    house::House,
    http::{Site, routes},
    hub::Hub,
};

const SWEEP_EVERY: Duration = Duration::from_secs(1);
const KEYS_EVERY: Duration = Duration::from_secs(5);
/// How long connections have for their goodbye when there is no time.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// One listener and what it serves.
#[derive(Debug)]
pub struct Opening {
    /// The listener.
    pub listener: Listener,
    /// What a stranger may take.
    pub limits: Limits,
    /// TLS, where it speaks that.
    pub tls: Option<TlsMaterial>,
    /// What is served.
    pub site: Arc<Site>,
}

/// A gateway, ready to run.
#[derive(Debug)]
pub struct Gateway {
    /// Its rooms.
    pub house: Arc<House>,
    /// Its listeners.
    pub openings: Vec<Opening>,
    /// The tasks of connections, the same that every site has.
    pub tasks: TaskTracker,
    /// What happens at the listeners, counted.
    pub counters: Arc<Counters>,
    /// How the house closes.
    pub drain: Drain,
    /// Ends a drain at once.
    pub hurry: CancellationToken,
}

/// How a house closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Over how long a time its connections are told to go.
    pub window: Duration,
    /// When it ends at the latest, whoever is still here.
    pub timeout: Duration,
}

impl Default for Drain {
    /// As it ships: all are told within half a minute, and nobody is waited for after 45 seconds.
    fn default() -> Self {
        Self { window: Duration::from_secs(30), timeout: Duration::from_secs(45) }
    }
}

impl Gateway {
    /// A gateway with one listener, which speaks no TLS, and has the bounds that ship.
    pub fn on(listener: Listener, site: Site) -> Self {
        let (house, tasks, counters) = (Arc::clone(&site.house), site.tasks.clone(), Arc::clone(&site.counters));
        let opening = Opening { listener, limits: Limits::default(), tls: None, site: Arc::new(site) };
        let (drain, hurry) = (Drain::default(), CancellationToken::new());
        Self { house, openings: vec![opening], tasks, counters, drain, hurry }
    }

    /// Runs until told to stop; then drains.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut keepers = JoinSet::new();
        keepers.spawn(sweep(Arc::clone(&self.house)));
        keepers.spawn(keep_keys(Arc::clone(&self.house)));
        keepers.spawn(Arc::clone(&self.house.hub).keep_time());
        keepers.spawn(tell_webhooks(Arc::clone(&self.house)));
        keepers.spawn(cluster::keep(Arc::clone(&self.house)));
        let stop_listening = CancellationToken::new();
        let mut listeners = JoinSet::new();
        for opening in self.openings {
            let addresses = Arc::clone(&opening.site.addresses);
            let service = warp::service(routes(opening.site));
            let (stop, counters) = (stop_listening.clone(), Arc::clone(&self.counters));
            listeners.spawn(serve(
                opening.listener,
                opening.limits,
                opening.tls.map(|tls| tls.config()),
                addresses,
                service,
                stop,
                counters,
            ));
        }
        shutdown.cancelled().await;
        // The listeners stay open as long as anybody is here: readiness says no, and newcomers read why.
        empty(&self.house.hub, &self.tasks, self.drain, &self.hurry).await;
        stop_listening.cancel();
        let rest = async {
            // Each of them has a grace of its own for the requests in flight.
            while listeners.join_next().await.is_some() {}
            // What still hangs on this node is free at once, and not when its lease ends.
            if let Some(link) = self.house.hub.link() {
                link.leave().await;
            }
            // Who went is told, too.
            self.house.hub.webhooks().drain().await;
        };
        tokio::select! {
            () = rest => {}
            () = self.hurry.cancelled() => self.house.hub.webhooks().close(),
        }
        self.house.audit.close();
    }
}

/// Waits until everybody has gone, the time is over, or there is no time any more.
async fn empty(hub: &Hub, tasks: &TaskTracker, drain: Drain, hurry: &CancellationToken) {
    tasks.close();
    let Drain { window, timeout } = drain;
    tracing::info!(connections = hub.counts().connections, ?window, "draining");
    let leaving = async {
        hub.leave(window).await;
        tasks.wait().await;
    };
    tokio::select! {
        () = leaving => {}
        () = tokio::time::sleep(timeout) => {
            tracing::warn!(connections = hub.counts().connections, "some connections did not end in time");
        }
        () = hurry.cancelled() => {
            tracing::warn!(connections = hub.drain(), "ending at once");
            // They are told, and nobody waits for their answers.
            let _ = tokio::time::timeout(LAST_WORDS, tasks.wait()).await;
        }
    }
}

async fn sweep(mut house: Arc<House>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    for nth in 0.. {
        ticks.tick().await;
        house = house.now();
        house.sweep(nth);
    }
}

async fn tell_webhooks(house: Arc<House>) {
    house.hub.webhooks().run().await;
}

async fn keep_keys(mut house: Arc<House>) {
    let mut ticks = tokio::time::interval(KEYS_EVERY);
    loop {
        ticks.tick().await;
        house = house.now();
        house.gate.authenticator.keys().refresh(clock::now()).await;
    }
}
