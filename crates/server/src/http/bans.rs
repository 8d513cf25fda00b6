//! Bans by API: laid, listed, lifted. A ban that would lock out the operator's own proxies, or this machine, is
//! taken only with `force`.

use std::net::IpAddr;

use gateway_domain::{
    Code, Refusal, Timestamp, UserId,
    ban::{Ban, Subject as Banned},
    network::Network,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Call, MAX_BODY, Site,
    answer::{Answer, BodyStream, Faulty, fault, json, read},
    caller::{Caller, Need},
    operation::{Access, Body, Content, Declared, Topic, Verb, either, shape},
};
use crate::{
    audit::{Event, Subject},
    clock,
    cluster::Question,
    hub::Occupant,
    ledger::{LedgerFault, Lifting, banned, is_met as met},
    metrics::LaidBy,
    words,
};

pub(super) const LIST: Declared = Declared {
    id: "listBans",
    verb: Verb::Get,
    path: "/api/v1/bans",
    topic: Topic::Bans,
    summary: "Every ban that holds",
    more: "",
    access: Access::Caller(Need::Admin),
    parameters: &[],
    body: None,
    answers: &[Content::json(shape::<Bans>, r#"{"bans": [{"user": "mallory", "reason": "spam"}]}"#)],
    also: None,
    refusals: &[],
};

pub(super) const LAY: Declared = Declared {
    id: "layBan",
    verb: Verb::Put,
    summary: "Bans an address, a block of addresses, or a user",
    more: "Live connections that it meets end at once. A ban on the same address or user is replaced. With `dryRun` nothing \
           happens, and `matches` says how many connections it would meet. One that holds a trusted proxy or this machine \
           is taken with `force` only.",
    body: Some(Body {
        shape: shape::<Order>,
        required: true,
        most_bytes: MAX_BODY,
        examples: &[
            ("user", r#"{"user": "mallory", "reason": "spam"}"#),
            ("block", r#"{"address": "203.0.113.0/24", "until": "2030-01-01T00:00:00Z", "dryRun": true}"#),
        ],
    }),
    answers: &[Content::json(shape::<Laid>, r#"{"matches": 1, "ban": {"user": "mallory", "reason": "spam"}}"#)],
    refusals: &[Code::LimitExceeded, Code::Internal],
    ..LIST
};

pub(super) const LIFT: Declared = Declared {
    id: "liftBan",
    verb: Verb::Delete,
    summary: "Lifts a ban",
    more: "By the address or the user that it was laid on, in the body. One that the configuration lays is lifted there: \
           CONFLICT. What laid it may be sent as it was. With `dryRun` nothing happens, and `matches` says whether there is such a ban.",
    body: Some(Body {
        shape: shape::<Order>,
        required: true,
        most_bytes: MAX_BODY,
        examples: &[("user", r#"{"user": "mallory"}"#)],
    }),
    answers: &[Content::json(shape::<Laid>, r#"{"matches": 1}"#)],
    refusals: &[Code::NotFound, Code::Conflict, Code::Internal],
    ..LIST
};

const MOST_REASON: usize = 512;

/// A ban on an address or a user, one of them.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "BanOrder", extend("oneOf" = either(&["address"], &["user"])))]
struct Order {
    #[schemars(with = "Option<words::Network>")]
    address: Option<Network>,
    #[schemars(with = "Option<words::User>")]
    user: Option<UserId>,
    /// When it ends; absent: never.
    #[schemars(with = "Option<words::Time>")]
    until: Option<Timestamp>,
    /// Why, for operators; never shown to whoever is banned.
    #[schemars(length(max = MOST_REASON))]
    reason: Option<String>,
    /// Only look what it would meet.
    #[serde(default)]
    dry_run: bool,
    /// Though it meets a trusted proxy or this machine.
    #[serde(default)]
    force: bool,
}

/// All bans.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BanList")]
struct Bans {
    bans: Vec<Told>,
}

/// A ban, as it is told.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Ban")]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Network")]
    address: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::User")]
    user: Option<UserId>,
    /// When it ends; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Time")]
    until: Option<Timestamp>,
    /// Why, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<String>,
}

/// What a ban met, or would.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BanAnswer")]
struct Laid {
    /// So many connections; when one is lifted, so many bans.
    matches: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Told")]
    ban: Option<Told>,
    /// Nothing happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "Option<bool>")]
    dry_run: bool,
    /// The nodes that did not answer in time: it holds there too, as soon as they hear of it, and whom it meets there is not
    /// counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    missing: Vec<String>,
}

/// Every ban that holds.
pub(super) fn list(site: &Site) -> Answer {
    json(&Bans { bans: site.house.ledger.bans(clock::now()).into_iter().map(Told::from).collect() })
}

/// Lays a ban; whom it meets is gone at once.
pub(super) async fn lay(site: &Site, call: &Call, caller: &Caller, body: impl BodyStream) -> Answer {
    let order: Order = read(&call.headers, body, site.max_body, None).await?;
    let now = clock::now();
    let subject = order.subject()?;
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
        let here = site.house.hub.page(None, usize::MAX, meets).len();
        let there = site.asked_of_others(Question::Banned { ban: ban.clone(), laid: false }).await;
        let matches = here + there.total;
        return json(&Laid { matches, dry_run: true, missing: there.missing, ..Laid::default() });
    }
    // The others first: what they hear of it besides is heard later, and counted by nobody.
    let there = site.asked_of_others(Question::Banned { ban: ban.clone(), laid: true }).await;
    let laid = site.house.ledger.ban(ban.clone()).await;
    if let Err(LedgerFault::TooManyBans(full)) = &laid {
        return Err(Refusal::new(Code::LimitExceeded, full.to_string()).into());
    }
    site.house.metrics.doors.ban_laid(LaidBy::Operator);
    let matches = there.total + site.house.hub.end_where(meets, &banned(&ban));
    let subject = Subject { user: user_of(&ban.subject), ..call.subject() };
    let reason = format!("{}, by {}, {matches} connections ended", banned(&ban).reason(), caller.user);
    site.house.audit.event(Event::BanLaid, &subject, reason, now);
    lasting(laid)?;
    json(&Laid { matches, ban: Some(ban.into()), missing: there.missing, ..Laid::default() })
}

/// Lifts a ban.
pub(super) async fn lift(site: &Site, call: &Call, caller: &Caller, body: impl BodyStream) -> Answer {
    let order: Order = read(&call.headers, body, site.max_body, None).await?;
    let subject = order.subject()?;
    let now = clock::now();
    if order.dry_run {
        let matches = usize::from(site.house.ledger.bans(now).iter().any(|ban| ban.subject == subject));
        return json(&Laid { matches, dry_run: true, ..Laid::default() });
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
    // Who answers this has heard before that it is lifted: whoever reads the answer gets in anywhere.
    let lifted = Ban { subject: subject.clone(), until: None, reason: None };
    let there = site.asked_of_others(Question::Banned { ban: lifted, laid: false }).await;
    let about = Subject { user: user_of(&subject), ..call.subject() };
    site.house.audit.event(Event::BanLifted, &about, format!("{subject}, by {}", caller.user), now);
    json(&Laid { matches: 1, missing: there.missing, ..Laid::default() })
}

impl From<Ban> for Told {
    fn from(ban: Ban) -> Self {
        let (address, user) = match ban.subject {
            Banned::Network(network) => (Some(network), None),
            Banned::User(user) => (None, Some(user)),
        };
        Self { address, user, until: ban.until, reason: ban.reason }
    }
}

impl Order {
    fn subject(&self) -> Result<Banned, Faulty> {
        if self.reason.as_ref().is_some_and(|reason| reason.len() > MOST_REASON) {
            return Err(fault("reason", format!("at most {MOST_REASON} bytes")));
        }
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
    met(here, subject)
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
