//! Those whom the gateway needs: key sets, webhooks, and the Redis of a cluster. Whether they are within reach, and whether their clocks and
//! this one agree.

use std::{sync::Arc, time::Duration};

use gateway_auth::Keyring;
use gateway_cluster::redis::Fault;
use gateway_domain::Timestamp;
use gateway_server::clock::now;
use reqwest::{Client, redirect::Policy};

use super::{clock, finding::Report};
use crate::{
    compose,
    config::{KeySource, Loaded, Secrets},
    fetch::{self, reason},
};

const PATIENCE: Duration = Duration::from_secs(5);
/// Dates of HTTP are whole seconds, and answers take a while.
const AGREES: i64 = 5_000;

/// Asks all of them.
pub(super) async fn look(loaded: &Loaded, secrets: Option<&Secrets>, report: &mut Report) {
    let config = &loaded.config;
    if let Some(secrets) = secrets {
        key_sets(loaded, secrets, report).await;
        redis(loaded, secrets, report).await;
    }
    let leeway = i64::try_from(config.auth.leeway.get().as_millis()).unwrap_or(i64::MAX);
    for (at, key) in config.auth.keys.iter().enumerate() {
        if let Some(KeySource::JwksUrl(url)) = key.source() {
            compare(&format!("auth.keys[{at}].jwks_url"), url.as_str(), leeway, report).await;
        }
    }
    for (at, hook) in config.webhooks.iter().enumerate() {
        reach(&format!("webhooks[{at}].url"), hook.url.as_str(), report).await;
    }
}

/// Fetches each set as the gateway would.
async fn key_sets(loaded: &Loaded, secrets: &Secrets, report: &mut Report) {
    let Ok(fetch) = fetch::fetch() else { return };
    // What is wrong with the keys themselves was told before.
    let Ok(ring) = compose::keyring(&loaded.config.auth, secrets, fetch) else { return };
    let ring: Arc<Keyring> = Arc::new(ring);
    ring.refresh(now()).await;
    for set in ring.status(now()) {
        let (name, keys, dropped) = (&set.name, set.keys, set.dropped);
        match (set.last_fault, set.usable) {
            (Some((_, fault)), _) => report.change(
                "keys",
                format!("{name}: {fault}"),
                "Look at the address, the name server and the firewall: without it nobody comes in by its keys",
            ),
            (None, false) => report.change("keys", format!("{name}: no key of it can be used"), "Ask its issuer"),
            (None, true) if dropped > 0 => report.note(
                "keys",
                format!("{name}: {keys} keys can be used, {dropped} cannot"),
                "Those are of a kind or an algorithm that is not taken here; `algorithms` says which are",
            ),
            (None, true) => report.fine("keys", format!("{name}: {keys} keys, within reach")),
        }
    }
}

/// Comes to the Redis of a cluster as the gateway would.
async fn redis(loaded: &Loaded, secrets: &Secrets, report: &mut Report) {
    let fault = match compose::meeting_place(&loaded.config.cluster, secrets).await {
        Ok(None) => return,
        Ok(Some(address)) => return report.fine("redis", format!("{address} lets this gateway in")),
        Err(fault) => fault,
    };
    let remedy = if fault.downcast_ref().is_some_and(Fault::is_for_the_operator) {
        "Until then the gateway does not start: cluster.username and cluster.password_file say as whom it comes, \
         those of cluster.sentinel as whom it asks Sentinels, cluster.ca_file whom it trusts"
    } else {
        "Look at the address, the name server and the firewall: without it, what cluster.when_away says holds"
    };
    report.change("redis", format!("{fault:#}"), remedy);
}

/// Compares this clock with the one behind an address.
async fn compare(key: &str, url: &str, leeway: i64, report: &mut Report) {
    let Some(client) = client() else { return };
    let Ok(answer) = client.get(url).send().await else { return };
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).and_then(clock::of_http);
    let Some(theirs) = date else { return };
    let here: Timestamp = now().wall;
    let ahead = here.millis() - theirs.millis();
    let what =
        format!("{} s {} the one behind {key}", ahead.abs() / 1000, if ahead < 0 { "behind" } else { "ahead of" });
    let remedy = "Let a time service keep it (timedatectl set-ntp true), or widen auth.leeway until it does";
    if ahead.abs() <= AGREES {
        report.fine("clock", format!("it agrees with the one behind {key}"));
    } else if ahead.abs() > leeway {
        report.change("clock", format!("{what}: fresh tokens are refused, or ended ones taken"), remedy);
    } else {
        report.note("clock", what, remedy);
    }
}

/// Whether anybody answers at an address. A webhook is not told anything: it would have to be signed.
async fn reach(key: &str, url: &str, report: &mut Report) {
    let Some(client) = client() else { return };
    match client.head(url).send().await {
        Ok(_) => report.fine("webhooks", format!("{key}: somebody answers")),
        Err(fault) => report.change(
            "webhooks",
            format!("{key}: no answer ({})", reason(&fault.without_url())),
            "Look at the address, the name server and the firewall: events for it will be dropped",
        ),
    }
}

fn client() -> Option<Client> {
    let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE).build();
    client.ok()
}
