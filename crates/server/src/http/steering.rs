//! Steering by API: the node leaves, or reads its configuration again.

use gateway_domain::{Code, Refusal};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Call, Site,
    answer::{Answer, Faulty, json},
    caller::{Caller, Need},
    operation::{Access, Content, Declared, Topic, Verb, shape},
};
use crate::{
    audit::{Event, Subject},
    clock,
    helm::{Helm, Reloaded, Unsound},
};

pub(super) const DRAIN: Declared = Declared {
    id: "drain",
    verb: Verb::Post,
    path: "/api/v1/drain",
    topic: Topic::Gateway,
    summary: "Lets the node leave, as SIGTERM does",
    more: "Readiness says no at once, newcomers get DRAINING, and the connections are told to go one after the other, within \
           `windowSeconds`; the process ends when all are gone, at the latest after `timeoutSeconds`. A second call changes \
           nothing.",
    access: Access::Caller(Need::Admin),
    parameters: &[],
    body: None,
    answers: &[Content::json(
        shape::<Leaving>,
        r#"{"draining": true, "connections": 1204, "windowSeconds": 30, "timeoutSeconds": 45}"#,
    )],
    also: None,
    refusals: &[Code::NotFound],
};

pub(super) const RELOAD: Declared = Declared {
    id: "reload",
    path: "/api/v1/reload",
    summary: "Has the configuration read again, as SIGHUP does",
    more: "A sound one is in force when this is answered, and connections that it admits no more are closed with 4016. A \
           faulty one changes nothing: the answer names everything that is wrong with it.",
    answers: &[Content::json(
        shape::<Reading>,
        r#"{"changed": ["plans.free.connections"], "needsRestart": ["server.listen"], "closed": 3}"#,
    )],
    refusals: &[Code::NotFound, Code::InvalidRequest],
    ..DRAIN
};

pub(super) const CONFIGURATION: Declared = Declared {
    id: "getConfiguration",
    verb: Verb::Get,
    path: "/api/v1/config",
    summary: "The configuration that is in force, without its secrets",
    more: "Every key with its value, those that nobody wrote included. Of a secret it says where it is.",
    answers: &[Content::json(shape::<Written>, r#"{"server": {"listen": "127.0.0.1:8080"}}"#)],
    refusals: &[],
    ..DRAIN
};

/// How it leaves.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Leaving {
    /// Always true.
    draining: bool,
    /// How many connections are still here.
    connections: usize,
    /// Over how many seconds they are told to go.
    window_seconds: u64,
    /// When the process ends at the latest, in seconds from the beginning.
    timeout_seconds: u64,
}

/// What came of reading the configuration again.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Reloaded")]
struct Reading {
    /// The keys whose values are others now.
    changed: Vec<String>,
    /// The keys whose new values are not in force before a restart.
    needs_restart: Vec<String>,
    /// How many connections are admitted no more.
    closed: usize,
}

/// A configuration, by sections.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Configuration")]
struct Written(Map<String, Value>);

/// The node begins to leave.
pub(super) fn drain(site: &Site, call: &Call, caller: &Caller) -> Answer {
    let helm = site.helm()?;
    if helm.leave() {
        let about = Subject { user: Some(&caller.user), ..call.subject() };
        site.house.audit.event(Event::Drain, &about, format!("by {}", caller.user), clock::now());
    }
    // Whoever is told so finds it done.
    site.house.hub.close_doors();
    json(&Leaving {
        draining: true,
        connections: site.house.hub.counts().connections,
        window_seconds: helm.drain().window.as_secs(),
        timeout_seconds: helm.drain().timeout.as_secs(),
    })
}

/// The configuration is read again.
pub(super) async fn reload(site: &Site) -> Answer {
    let gone = || Refusal::plain(Code::Internal).because("nobody is there to read the configuration");
    match site.helm()?.reload().await.ok_or_else(gone)? {
        Ok(Reloaded { changed, needs_restart, closed }) => json(&Reading { changed, needs_restart, closed }),
        Err(Unsound(details)) => {
            let why = "the configuration is faulty, and what was in force stays in force";
            Err(Faulty { details, ..Refusal::new(Code::InvalidRequest, why).into() })
        }
    }
}

/// The configuration that is in force.
pub(super) fn configuration(site: &Site) -> Answer {
    let Value::Object(sections) = &site.house.configuration else {
        return Err(Refusal::new(Code::NotFound, "this gateway was made without a configuration").into());
    };
    json(&Written(sections.clone()))
}

impl Site {
    fn helm(&self) -> Result<&Helm, Refusal> {
        let nobody = || Refusal::new(Code::NotFound, "this gateway is steered by the service that it is a part of");
        self.helm.as_ref().ok_or_else(nobody)
    }
}
