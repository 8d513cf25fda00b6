//! Whether the gateway lives, whether it takes newcomers, and what it counts.

use gateway_transport::has_forwarding_headers;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use super::{
    Call, Site,
    answer::{Answer, json, json_with},
    caller::Need,
    operation::{Access, Content, Declared, Topic, Verb, shape},
};
use crate::{clock, cluster::WhenAway};

pub(super) const ALIVE: Declared = Declared {
    id: "getHealth",
    verb: Verb::Get,
    path: "/healthz",
    topic: Topic::Gateway,
    summary: "Whether the process answers",
    more: "",
    access: Access::Everybody,
    parameters: &[],
    body: None,
    answers: &[Content::json(shape::<Alive>, r#"{"status": "ok"}"#)],
    also: None,
    refusals: &[],
};

pub(super) const ALIVE_TOO: Declared =
    Declared { id: "getHealthToo", path: "/health", summary: "The same as `/healthz`", ..ALIVE };

pub(super) const READY: Declared = Declared {
    id: "getReadiness",
    path: "/readyz",
    summary: "Whether the node takes newcomers",
    more: "`degraded` names the key sets that are out of reach: tokens of other keys are still judged, and the node stays. `clusterAway` \
           says that the other gateways are not reached: with `when_away = \"fail_closed\"` the answer is 503 then.",
    answers: &[Content::json(shape::<Ready>, r#"{"status": "degraded", "keySetsUnavailable": ["partners"]}"#)],
    also: Some((503, Content::json(shape::<Ready>, r#"{"status": "draining"}"#))),
    ..ALIVE
};

pub(super) const METRICS: Declared = Declared {
    id: "getMetrics",
    path: "/metrics",
    summary: "The counters, for Prometheus",
    more: "This machine is answered without a credential, unless the request came through a proxy.",
    access: Access::HereOr(Need::Service),
    answers: &[Content {
        kind: "application/openmetrics-text",
        about: "OpenMetrics 1.0.0",
        shape: shape::<String>,
        example: "\"gateway_rooms 2\\n# EOF\\n\"",
    }],
    ..ALIVE
};

/// That it lives.
#[derive(Serialize, JsonSchema)]
struct Alive {
    status: Fine,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Fine {
    Ok,
}

/// Whether it takes newcomers.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Readiness")]
struct Ready {
    status: Status,
    /// The key sets that are out of reach, by their names in the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    key_sets_unavailable: Vec<String>,
    /// The other gateways are not reached: this one goes on alone, or where the policy says so, takes nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "Option<bool>")]
    cluster_away: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Status {
    Ok,
    Degraded,
    Draining,
}

/// The process answers.
pub(super) fn alive() -> Answer {
    json(&Alive { status: Fine::Ok })
}

/// The node takes newcomers: it is not leaving, and it can judge a token.
pub(super) fn ready(site: &Site) -> Answer {
    if site.house.hub.is_draining() {
        let leaving = Ready { status: Status::Draining, key_sets_unavailable: Vec::new(), cluster_away: false };
        let mut response = json_with(StatusCode::SERVICE_UNAVAILABLE, &leaving)?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        return Ok(response);
    }
    let keys = site.house.gate.authenticator.keys().status(clock::now());
    let unusable: Vec<_> = keys.iter().filter(|source| !source.usable).map(|source| source.name.to_string()).collect();
    // Tokens of other keys are still judged: the node stays, and says what is wrong.
    let away = site.house.hub.link().filter(|link| !link.is_up());
    let status = if unusable.is_empty() && away.is_none() { Status::Ok } else { Status::Degraded };
    let ready = Ready { status, key_sets_unavailable: unusable, cluster_away: away.is_some() };
    if away.is_some_and(|link| link.when_away() == WhenAway::FailClosed) {
        let mut response = json_with(StatusCode::SERVICE_UNAVAILABLE, &ready)?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        return Ok(response);
    }
    json(&ready)
}

/// The counters: for this machine, or with a token.
pub(super) async fn metrics(site: &Site, call: &Call) -> Answer {
    let local = call.address.as_ip().is_none_or(|ip| ip.to_canonical().is_loopback());
    // A proxy on this machine speaks for others, whatever address it has.
    let here = local && !has_forwarding_headers(&call.headers);
    if !here {
        site.caller(call, Need::Service).await?;
    }
    let text = site.house.metrics.render(&site.house.sight(site.counters.snapshot()).await);
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
