//! The calls of the HTTP API, and who answers each.

use std::sync::Arc;

use gateway_domain::{Code, Refusal};
use http::Method;

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty},
    audit, bans,
    caller::Need,
    connections, events, health, requests, revocations, rooms, tokens,
};

/// Finds who answers a call. What is not there is told before who is asking, but for the API: there a stranger learns
/// nothing but that it is a stranger.
pub(super) async fn answer(site: &Arc<Site>, call: &Call, body: impl BodyStream) -> Answer {
    let path = call.path.clone();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        ["healthz" | "health"] => only(call, &[Method::GET, Method::HEAD], "GET, HEAD").and_then(|()| health::alive()),
        ["readyz"] => only(call, &[Method::GET, Method::HEAD], "GET, HEAD").and_then(|()| health::ready(site)),
        ["auth", "token"] if site.doors && site.house.issuing.is_some() => {
            only(call, &[Method::POST], "POST")?;
            tokens::issue(site, call, body).await
        }
        ["auth", "refresh"] if site.doors && site.house.issuing.is_some() => {
            only(call, &[Method::POST], "POST")?;
            tokens::refresh(site, call, body).await
        }
        ["metrics"] if site.api => {
            only(call, &[Method::GET], "GET")?;
            health::metrics(site, call).await
        }
        ["api", "v1", rest @ ..] if site.api => api(site, call, rest, body).await,
        _ => Err(not_found().into()),
    }
}

async fn api(site: &Arc<Site>, call: &Call, rest: &[&str], body: impl BodyStream) -> Answer {
    let get = &[Method::GET];
    match rest {
        ["connections"] => {
            let _caller = site.caller(call, Need::Service).await?;
            only(call, get, "GET")?;
            connections::list(site, call)
        }
        ["connections", id] => {
            let caller = site.caller(call, Need::Service).await?;
            only(call, &[Method::GET, Method::DELETE], "GET, DELETE")?;
            if call.method == Method::DELETE {
                connections::end(site, call, &caller, id)
            } else {
                connections::show(site, id)
            }
        }
        ["users", user] => {
            let _caller = site.caller(call, Need::Service).await?;
            only(call, get, "GET")?;
            connections::user(site, user)
        }
        ["users", user, "disconnect"] => {
            let caller = site.caller(call, Need::Service).await?;
            only(call, &[Method::POST], "POST")?;
            connections::end_user(site, call, &caller, user)
        }
        ["agents"] => {
            let _caller = site.caller(call, Need::Service).await?;
            only(call, get, "GET")?;
            rooms::agents(site, call)
        }
        ["agents", agent, "requests"] => {
            let caller = site.caller(call, Need::Service).await?;
            only(call, &[Method::POST], "POST")?;
            requests::ask(site, call, &caller, agent, body).await
        }
        ["rooms", rest @ ..] if rest.len() <= 2 => {
            let _caller = site.caller(call, Need::Service).await?;
            only(call, get, "GET")?;
            match rest {
                [] => rooms::list(site, call),
                [room] => rooms::show(site, room),
                [room, "history"] => rooms::history(site, call, room),
                [room, "presence"] => rooms::presence(site, room),
                _ => Err(not_found().into()),
            }
        }
        ["events"] => {
            let _caller = site.caller(call, Need::Service).await?;
            only(call, &[Method::POST], "POST")?;
            events::publish(site, call, body).await
        }
        ["events", "batch"] => {
            let _caller = site.caller(call, Need::Service).await?;
            only(call, &[Method::POST], "POST")?;
            events::publish_all(site, call, body).await
        }
        ["bans"] => {
            let caller = site.caller(call, Need::Admin).await?;
            only(call, &[Method::GET, Method::PUT, Method::DELETE], "GET, PUT, DELETE")?;
            match call.method {
                Method::PUT => bans::lay(site, call, &caller, body).await,
                Method::DELETE => bans::lift(site, call, &caller, body).await,
                _ => bans::list(site),
            }
        }
        ["revocations"] => {
            let caller = site.caller(call, Need::Admin).await?;
            only(call, &[Method::POST], "POST")?;
            revocations::lay(site, call, &caller, body).await
        }
        ["audit"] => {
            let _caller = site.caller(call, Need::Admin).await?;
            only(call, get, "GET")?;
            audit::latest(site, call)
        }
        ["audit", id] => {
            let _caller = site.caller(call, Need::Admin).await?;
            only(call, get, "GET")?;
            audit::explain(site, id)
        }
        _ => {
            let _caller = site.caller(call, Need::Service).await?;
            Err(not_found().into())
        }
    }
}

fn only(call: &Call, methods: &[Method], allow: &'static str) -> Result<(), Faulty> {
    if methods.contains(&call.method) {
        return Ok(());
    }
    let refusal = Refusal::new(Code::MethodNotAllowed, format!("this address takes {allow}"));
    Err(Faulty { allow: Some(allow), ..refusal.into() })
}

fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "there is nothing at this address")
}
