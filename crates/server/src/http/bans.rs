//! Bans by API: laid, listed, lifted. A ban that would lock out the operator's own proxies, or this machine, is
//! taken only with `force`.

use std::net::IpAddr;

use gateway_domain::{
    Code, Refusal, Timestamp, UserId,
    ban::{Ban, Subject as Banned},
    network::Network,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty, fault, json, read},
    caller::Caller,
};
use crate::{
    audit::{Event, Subject},
    clock,
    hub::Occupant,
    ledger::{LedgerFault, Lifting, banned},
};

const MOST_REASON: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    address: Option<Network>,
    user: Option<UserId>,
    until: Option<Timestamp>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    force: bool,
}

/// Every ban that holds.
pub(super) fn list(site: &Site) -> Answer {
    json(&json!({ "bans": site.house.ledger.bans(clock::now()) }))
}

/// Lays a ban; whom it meets is gone at once.
pub(super) async fn lay(site: &Site, call: &Call, caller: &Caller, body: impl BodyStream) -> Answer {
    let order: Order = read(&call.headers, body, site.max_body, None).await?;
    let now = clock::now();
    let subject = order.subject()?;
    if order.reason.as_ref().is_some_and(|reason| reason.len() > MOST_REASON) {
        return Err(fault("reason", format!("at most {MOST_REASON} bytes")));
    }
    if order.until.is_some_and(|until| until <= now.wall) {
        return Err(fault("until", "lies in the past"));
    }
    if let Banned::Network(network) = &subject
        && !order.force
        && let Some(precious) = site.precious(network)
    {
        return Err(fault("address", format!("{network} holds {precious}: send `force: true` if that is meant")));
    }
    let ban = Ban { subject, until: order.until, reason: order.reason };
    let meets = |here: &Occupant| meets(&ban.subject, here);
    if order.dry_run {
        let matches = site.house.hub.page(None, usize::MAX, meets).len();
        return json(&json!({ "matches": matches, "dryRun": true }));
    }
    let laid = site.house.ledger.ban(ban.clone()).await;
    if let Err(LedgerFault::TooManyBans(full)) = &laid {
        return Err(Refusal::new(Code::LimitExceeded, full.to_string()).into());
    }
    let matches = site.house.hub.end_where(meets, &banned(&ban));
    let subject = Subject { user: user_of(&ban.subject), ..call.subject() };
    let reason = format!("{}, by {}, {matches} connections ended", banned(&ban).reason(), caller.user);
    site.house.audit.event(Event::BanLaid, &subject, reason, now);
    lasting(laid)?;
    json(&json!({ "matches": matches, "ban": ban }))
}

/// Lifts a ban.
pub(super) async fn lift(site: &Site, call: &Call, caller: &Caller, body: impl BodyStream) -> Answer {
    let order: Order = read(&call.headers, body, site.max_body, None).await?;
    let subject = order.subject()?;
    let now = clock::now();
    if order.dry_run {
        let matches = usize::from(site.house.ledger.bans(now).iter().any(|ban| ban.subject == subject));
        return json(&json!({ "matches": matches, "dryRun": true }));
    }
    match site.house.ledger.lift(&subject).await {
        Ok(Lifting::NotBanned) => return Err(Refusal::new(Code::NotFound, "there is no such ban").into()),
        Ok(Lifting::Configured) => {
            let why = "the configuration lays this ban: take it out of [[bans]] there";
            return Err(Refusal::new(Code::Conflict, why).into());
        }
        Ok(Lifting::Lifted) => {}
        Err(not_written) => lasting(Err(not_written))?,
    }
    let about = Subject { user: user_of(&subject), ..call.subject() };
    site.house.audit.event(Event::BanLifted, &about, format!("{subject}, by {}", caller.user), now);
    json(&json!({ "matches": 1 }))
}

impl Order {
    fn subject(&self) -> Result<Banned, Faulty> {
        match (&self.address, &self.user) {
            (Some(network), None) => Ok(Banned::Network(*network)),
            (None, Some(user)) => Ok(Banned::User(user.clone())),
            _ => Err(fault("address", "a ban has an `address` or a `user`, one of them")),
        }
    }
}

impl Site {
    /// What an operator would not want to ban by mistake.
    fn precious(&self, network: &Network) -> Option<&'static str> {
        let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
        if self.addresses.trusted().iter().any(|proxy| proxy.overlaps(network)) {
            Some("a trusted proxy")
        } else if loopback.iter().any(|ip| network.contains(*ip)) {
            Some("this machine")
        } else {
            None
        }
    }
}

/// Whether a ban is about that connection.
pub(super) fn meets(subject: &Banned, here: &Occupant) -> bool {
    match subject {
        Banned::Network(network) => here.address.as_ip().is_some_and(|ip| network.contains(ip)),
        Banned::User(user) => here.user() == user,
    }
}

const fn user_of(subject: &Banned) -> Option<&UserId> {
    match subject {
        Banned::User(user) => Some(user),
        Banned::Network(_) => None,
    }
}

/// A change that is in force and was not written down is told as what it is.
pub(super) fn lasting(outcome: Result<(), LedgerFault>) -> Result<(), Refusal> {
    outcome.map_err(|fault| Refusal::new(Code::Internal, fault.to_string()))
}
