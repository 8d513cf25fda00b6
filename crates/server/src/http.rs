//! HTTP, as warp hands it over: every call becomes a `Call`, every answer a response. Two sites share one house:
//! the main one has the doors, the API is there, too, or on a listener of its own.

mod answer;
mod api;
mod audit;
mod bans;
mod caller;
mod connections;
mod console;
mod cors;
mod document;
mod door;
mod engineio;
mod events;
mod health;
mod operation;
mod overview;
mod page;
mod requests;
mod revocations;
mod rooms;
mod sightings;
mod tokens;
mod trial;

use std::{convert::Infallible, sync::Arc};

pub use document::document;
use gateway_domain::{Code, Refusal, RequestId};
use gateway_transport::{
    AddressLaw, ClientAddress, ConnectionInfo, Counters, OriginLaw, Query, has_forwarding_headers,
};
use http::{HeaderMap, Method, Version};
use hyper::upgrade::OnUpgrade;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use warp::{Filter, filters::BoxedFilter, reply::Response};

use crate::{audit::Subject, clock, house::House, refusal, socketio::Socketio};
use answer::Answer;
pub(crate) use door::seated;

/// A body has at most this many bytes, where its call says nothing else.
pub const MAX_BODY: usize = 256 << 10;

/// What a listener serves.
#[derive(Debug)]
pub struct Site {
    /// The rooms.
    pub house: Arc<House>,
    /// Whose address a request has.
    pub addresses: Arc<AddressLaw>,
    /// Which pages may call the API.
    pub api_origins: OriginLaw,
    /// Whether the doors and the token calls are here.
    pub doors: bool,
    /// The door of Socket.IO, where it is open.
    pub socketio: Option<Arc<Socketio>>,
    /// Whether the API and the metrics are here.
    pub api: bool,
    /// Whether the console is here.
    pub console: bool,
    /// How large a body may be.
    pub max_body: usize,
    /// The tasks of connections.
    pub tasks: TaskTracker,
    /// What happens at the listeners, counted.
    pub counters: Arc<Counters>,
}

/// One request, read as far as its headers.
struct Call {
    request_id: RequestId,
    method: Method,
    version: Version,
    path: String,
    raw_query: String,
    headers: HeaderMap,
    info: ConnectionInfo,
    on_upgrade: Option<OnUpgrade>,
    address: ClientAddress,
    is_at_a_door: bool,
}

/// The routes of a site: one for all, since what is there is data (the endpoints of the configuration).
pub fn routes(site: Arc<Site>) -> BoxedFilter<(Response,)> {
    let raw_query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(raw_query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<ConnectionInfo>())
        .and(warp::ext::optional::<Version>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .then(
            move |method,
                  path: warp::path::FullPath,
                  raw_query,
                  headers,
                  info,
                  version: Option<Version>,
                  on_upgrade,
                  body| {
                let site = Arc::clone(&site);
                let call = Call {
                    request_id: RequestId::new(Uuid::new_v4()),
                    method,
                    version: version.unwrap_or(Version::HTTP_11),
                    path: path.as_str().to_owned(),
                    raw_query,
                    headers,
                    info,
                    on_upgrade,
                    address: ClientAddress::Local,
                    is_at_a_door: site.is_door(path.as_str()),
                };
                async move { respond(site, call, body).await }
            },
        )
        .map(|response: Result<Response, Infallible>| match response {
            Ok(response) => response,
            Err(never) => match never {},
        })
        .boxed()
}

async fn respond(site: Arc<Site>, mut call: Call, body: impl answer::BodyStream) -> Result<Response, Infallible> {
    let answer = match site.addresses.client(&call.info.peer, &call.headers, call.info.proxied) {
        Ok(address) => {
            call.address = address;
            site.answer(&mut call, body).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    let mut response = match answer {
        Ok(response) => response,
        Err(faulty) => site.refused(&call, &faulty),
    };
    site.allow_origin(&call, response.headers_mut());
    Ok(response)
}

impl Site {
    async fn answer(self: &Arc<Self>, call: &mut Call, body: impl answer::BodyStream) -> Answer {
        if self.house.dev {
            only_from_here(call)?;
        }
        if self.doors
            && let Some((endpoint, parameters)) = self.house.endpoints.at(&call.path)
        {
            return door::open(self, call, endpoint, parameters).await;
        }
        if let Some(front) = self.socketio.as_ref().filter(|front| front.is_at(&call.path)) {
            return engineio::answer(self, &Arc::clone(front), call, body).await;
        }
        if call.method == Method::OPTIONS && call.headers.contains_key("origin") {
            return self.preflight(call);
        }
        if let Some(answer) = console::answer(self, call) {
            return answer;
        }
        api::answer(self, call, body).await
    }

    fn is_door(&self, path: &str) -> bool {
        self.doors && self.house.endpoints.at(path).is_some()
            || self.socketio.as_ref().is_some_and(|front| front.is_at(path))
    }

    /// Records a refused call and answers it.
    fn refused(&self, call: &Call, faulty: &answer::Faulty) -> Response {
        let refused = &faulty.refusal;
        self.house.metrics.refused(refused.code);
        let request_id = self.house.audit.refused(refused, &call.subject(), clock::now());
        let mut response = refusal::response_with(refused, request_id, &faulty.details).map(Into::into);
        if let Some(allow) = faulty.allow.as_deref().and_then(|allow| http::HeaderValue::from_str(allow).ok()) {
            response.headers_mut().insert(http::header::ALLOW, allow);
        }
        response
    }
}

impl Call {
    fn subject(&self) -> Subject<'_> {
        Subject {
            address: Some(&self.address),
            endpoint: Some(&self.path),
            elsewhere: !self.is_at_a_door,
            user_agent: self.user_agent(),
            ..Subject::new(self.request_id)
        }
    }

    fn user_agent(&self) -> Option<&str> {
        self.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok())
    }

    /// What is kept of it.
    fn name_of_agent(&self) -> Option<Box<str>> {
        self.user_agent().map(|name| name.chars().take(256).collect::<String>().into())
    }

    fn query(&self) -> Result<Query, Refusal> {
        Query::parse(&self.raw_query)
    }
}

/// Dev mode has keys that nobody keeps secret: it answers this machine, by its name, and nobody on behalf of others.
fn only_from_here(call: &Call) -> Result<(), Refusal> {
    let refuse = |why: &'static str| Err(Refusal::new(Code::InvalidRequest, why));
    if has_forwarding_headers(&call.headers) {
        return refuse("dev mode answers no proxy: give the gateway a configuration with keys of your own");
    }
    let host = call.headers.get(http::header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let local = name.eq_ignore_ascii_case("localhost")
        || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    if local {
        Ok(())
    } else {
        refuse("dev mode answers to localhost only: give the gateway a configuration with keys of your own")
    }
}
