//! The latest of the audit by API, one request explained, and the stream of what comes.

use futures_util::StreamExt;
use gateway_domain::{Code, Refusal};
use serde_json::json;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use warp::{Reply, reply::Response};

use super::{
    Call, Site,
    answer::{Answer, fault, json},
    page::limit,
};
use crate::{audit::Record, gate::Check};

/// The latest records that are wanted, or with `follow=true` all that come from now on, a line each.
pub(super) fn latest(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let own = |name: &str| Ok::<_, Refusal>(query.get(name)?.map(str::to_owned));
    let (code, user, event) = (own("code")?, own("user")?, own("event")?);
    let wanted = move |record: &Record| {
        code.as_deref().is_none_or(|code| record.code.is_some_and(|own| own.name() == code))
            && user.as_deref().is_none_or(|user| record.user_id.as_ref().is_some_and(|own| own.as_str() == user))
            && event.as_deref().is_none_or(|event| record.event.name() == event)
    };
    if query.get("follow")? == Some("true") {
        return Ok(follow(site, wanted));
    }
    let most = limit(&query)?;
    let records = site.house.audit.latest(most, wanted);
    let records: Vec<&Record> = records.iter().map(AsRef::as_ref).collect();
    json(&json!({ "records": records }))
}

/// What became of one request, and which check decided.
pub(super) fn explain(site: &Site, id: &str) -> Answer {
    let id = id.parse().map_err(|_| fault("requestId", "is a UUID"))?;
    let records = site.house.audit.find(id);
    if records.is_empty() {
        let why = "no such request among the latest: look into the audit file";
        return Err(Refusal::new(Code::NotFound, why).into());
    }
    let decided = records.iter().find_map(|record| Check::behind(record.code?, record.user_id.is_some()));
    json(&json!({ "records": records, "decidedBy": decided.map(Check::question) }))
}

fn follow(site: &Site, wanted: impl Fn(&Record) -> bool + Send + Sync + 'static) -> Response {
    let lines = BroadcastStream::new(site.house.audit.follow()).filter_map(move |record| {
        let line = match record {
            Ok(record) => wanted(&record).then(|| json!(*record)),
            Err(BroadcastStreamRecvError::Lagged(missed)) => Some(json!({ "event": "audit.missed", "count": missed })),
        };
        std::future::ready(line.map(|line| Ok::<_, std::convert::Infallible>(format!("{line}\n"))))
    });
    let mut response = warp::reply::stream(lines).into_response();
    let kind = http::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
