//! Opens the listeners, keeps the house, and closes it: nobody new, everybody told, the books written.

use std::{sync::Arc, time::Duration};

use gateway_transport::{Counters, Limits, Listener, TlsMaterial, serve};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock,
    house::House,
    http::{Site, routes},
};

const SWEEP_EVERY: Duration = Duration::from_secs(1);
const KEYS_EVERY: Duration = Duration::from_secs(5);

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
    /// How long connections have to end when the house closes.
    pub drain: Duration,
}

impl Gateway {
    /// Runs until told to stop; then drains.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut keepers = JoinSet::new();
        keepers.spawn(sweep(Arc::clone(&self.house)));
        keepers.spawn(keep_keys(Arc::clone(&self.house)));
        keepers.spawn(Arc::clone(&self.house.hub).keep_time());
        keepers.spawn(tell_webhooks(Arc::clone(&self.house)));
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
        let told = self.house.hub.drain();
        tracing::info!(connections = told, "draining");
        self.tasks.close();
        // The listeners stay open as long as anybody is here: readiness says no, and newcomers read why.
        if tokio::time::timeout(self.drain, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.house.hub.counts().connections, "some connections did not end in time");
        }
        stop_listening.cancel();
        // Each of them has a grace of its own for the requests in flight.
        while listeners.join_next().await.is_some() {}
        // Who went is told, too.
        self.house.hub.webhooks().drain().await;
        self.house.audit.close();
    }
}

async fn sweep(house: Arc<House>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    for nth in 0.. {
        ticks.tick().await;
        house.sweep(nth);
    }
}

async fn tell_webhooks(house: Arc<House>) {
    house.hub.webhooks().run().await;
}

async fn keep_keys(house: Arc<House>) {
    let mut ticks = tokio::time::interval(KEYS_EVERY);
    loop {
        ticks.tick().await;
        house.gate.authenticator.keys().refresh(clock::now()).await;
    }
}
