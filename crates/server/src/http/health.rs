//! Whether the gateway lives, whether it takes newcomers, and what it counts.

use gateway_transport::has_forwarding_headers;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use warp::reply::Response;

use super::{
    Call, Site,
    answer::{Answer, json, json_with},
    caller::Need,
};
use crate::clock;

/// The process answers.
pub(super) fn alive() -> Answer {
    json(&json!({ "status": "ok" }))
}

/// The node takes newcomers: it is not leaving, and it can judge a token.
pub(super) fn ready(site: &Site) -> Answer {
    if site.house.hub.is_draining() {
        return json_with(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "draining" }));
    }
    let keys = site.house.gate.authenticator.keys().status(clock::now());
    let unusable: Vec<_> = keys.iter().filter(|source| !source.usable).map(|source| source.name.to_string()).collect();
    if unusable.is_empty() {
        json(&json!({ "status": "ok" }))
    } else {
        // Tokens of other keys are still judged: the node stays, and says what is wrong.
        json(&json!({ "status": "degraded", "keySetsUnavailable": unusable }))
    }
}

/// The counters: for this machine, or with a token.
pub(super) async fn metrics(site: &Site, call: &Call) -> Answer {
    let local = call.address.as_ip().is_none_or(|ip| ip.to_canonical().is_loopback());
    // A proxy on this machine speaks for others, whatever address it has.
    let here = local && !has_forwarding_headers(&call.headers);
    if !here {
        site.caller(call, Need::Service).await?;
    }
    let text = site.house.metrics.render(site.house.hub.counts(), site.house.audit.counts(), &site.counters.snapshot());
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
