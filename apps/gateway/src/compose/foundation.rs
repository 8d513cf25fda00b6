//! What stays whatever the policy: the name of the node, its books, its records, the room that it has.

use std::sync::Arc;

use anyhow::{Context, Result};
use gateway_auth::{RefreshFamilies, RefreshRules};
use gateway_domain::{
    ban::{Ban, Subject},
    name::NodeName,
};
use gateway_server::{
    audit::{AddressDetail, Audit, Destination},
    clock,
    cluster::Link,
    house::Foundation,
    hub::{HubRules, OutboxBounds, WhenFull},
    ledger::Ledger,
    metrics::Metrics,
    webhook::{Carry, Webhooks},
};

use super::hooks;
use crate::{
    config::{self, Config, Loaded, Mode, Secrets},
    process,
};

/// What that configuration's house stands on.
pub(super) fn foundation(
    loaded: &Loaded,
    secrets: &Secrets,
    mode: Mode,
    open_files: u64,
    carry: &Carry,
    link: Option<Arc<Link>>,
) -> Result<Foundation> {
    let Config { server, state, webhooks, .. } = &loaded.config;
    let audit = Arc::new(audit(&loaded.config.audit)?);
    let metrics = Arc::new(Metrics::new());
    metrics.process.ask(process::probe());
    let file = state.file.as_ref().map(|file| file.as_path());
    let ledger = ledger(&loaded.config)?;
    let hooks = hooks::rules(webhooks, &secrets.webhooks);
    let webhooks = Webhooks::open(hooks, file, carry, &audit, &metrics, link.is_some())
        .context("what stands beside state.file")?;
    Ok(Foundation {
        node: server.node.clone().unwrap_or_else(machine),
        audit,
        metrics,
        rules: hub_rules(&loaded.config, open_files)?,
        ledger,
        webhooks,
        link,
        dev: mode == Mode::Dev,
    })
}

fn audit(audit: &config::Audit) -> Result<Audit> {
    let destination = audit.file.as_ref().map_or(Destination::Stderr, |file| Destination::File(file.as_path().into()));
    let addresses = match audit.address {
        config::AuditAddress::Full => AddressDetail::Full,
        config::AuditAddress::Prefix => AddressDetail::Prefix,
        config::AuditAddress::Hash => AddressDetail::Hash,
    };
    Audit::new(destination, addresses, audit.kept.get() as usize).context("audit.file cannot be opened for writing")
}

fn ledger(config: &Config) -> Result<Ledger> {
    let refresh_ttl = config.auth.issuer.as_ref().map(|issuer| issuer.refresh_ttl.get()).unwrap_or_default();
    let families = RefreshFamilies::new(RefreshRules::new(refresh_ttl));
    let file = config.state.file.as_ref().map(|file| file.as_path().into());
    Ledger::open(file, bans(config), families, clock::now()).context("state.file")
}

/// The bans of the configuration.
pub(super) fn bans(config: &Config) -> Vec<Ban> {
    config.bans.iter().filter_map(ban).collect()
}

fn ban(ban: &config::Ban) -> Option<Ban> {
    let subject = match (&ban.address, &ban.user) {
        (Some(network), _) => Subject::Network(*network),
        (None, Some(user)) => Subject::User(user.clone()),
        (None, None) => return None,
    };
    Some(Ban { subject, until: ban.until, reason: ban.reason.as_ref().map(|reason| reason.as_str().to_owned()) })
}

pub(super) fn hub_rules(config: &Config, open_files: u64) -> Result<HubRules> {
    let Config { limits, rooms, .. } = config;
    Ok(HubRules {
        seats: seats(limits, open_files),
        outbox: outbox(&limits.outbox),
        rooms: rooms.bounds(),
        rooms_per_connection: limits.rooms_of_connection(),
        pending: limits.pending(),
        laws: config.room_rules()?,
    })
}

/// How many connections there may be.
pub(super) fn seats(limits: &config::Limits, open_files: u64) -> usize {
    limits.connections.in_force(open_files).map_or(usize::MAX, |most| most as usize)
}

fn outbox(outbox: &config::Outbox) -> OutboxBounds {
    OutboxBounds {
        messages: outbox.messages.get() as usize,
        bytes: outbox.bytes.bytes(),
        when_full: match outbox.when_full {
            config::WhenFull::Close => WhenFull::Close,
            config::WhenFull::DropOldest => WhenFull::DropOldest,
        },
    }
}

/// What this machine calls itself, where that can be a name of a node.
pub(super) fn machine() -> NodeName {
    let own = rustix::system::uname();
    let own = own.nodename().to_str().ok().and_then(|name| NodeName::parse(name).ok());
    own.unwrap_or_else(NodeName::unnamed)
}

/// How many files this process may open.
pub fn open_files() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}
