//! What a house stands on, whatever its policy: it stays when another policy comes, and most of it when the process ends.

use std::{io, sync::Arc};

use gateway_domain::name::NodeName;

use crate::{
    audit::{AddressDetail, Audit, Destination},
    cluster::Link,
    hub::HubRules,
    ledger::Ledger,
    metrics::Metrics,
    webhook::Webhooks,
};

/// Connections of a house of which nobody said how many it has room for.
const SEATS: usize = 1_000;
/// Lines of the audit that stay in memory.
const KEPT: usize = 1_000;

/// What a house stands on. Begin with [`in_memory`](Self::in_memory), and put other parts in the place of those.
#[derive(Debug)]
pub struct Foundation {
    /// What this gateway is called among several.
    pub node: NodeName,
    /// What happened.
    pub audit: Arc<Audit>,
    /// How much of it.
    pub metrics: Arc<Metrics>,
    /// How many it has room for, and the laws of its rooms.
    pub rules: HubRules,
    /// Who may not come in.
    pub ledger: Ledger,
    /// Which backends are told what happens.
    pub webhooks: Webhooks,
    /// What joins it to others.
    pub link: Option<Arc<Link>>,
    /// Whether it runs with made-up keys, for trying out.
    pub dev: bool,
}

impl Foundation {
    /// A gateway that stands alone and writes nothing down but its audit: a thousand seats, rooms into which nobody may,
    /// bans and revocations that end with the process, no webhooks.
    pub fn in_memory(audit: Destination) -> io::Result<Self> {
        Ok(Self {
            node: NodeName::unnamed(),
            audit: Arc::new(Audit::new(audit, AddressDetail::Full, KEPT)?),
            metrics: Arc::new(Metrics::new()),
            rules: HubRules::seating(SEATS),
            ledger: Ledger::in_memory(),
            webhooks: Webhooks::default(),
            link: None,
            dev: false,
        })
    }
}
