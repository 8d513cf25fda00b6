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
mod spread;
mod steering;
mod tokens;
mod trial;

use std::{convert::Infallible, sync::Arc};

pub use document::document;
use gateway_domain::{
    Code, Refusal, RequestId,
    trace::{TRACEPARENT, Trace},
};
use gateway_transport::{AddressLaw, ClientAddress, ConnectionInfo, Counters, Query, has_forwarding_headers};
use http::{HeaderMap, Method, Version};
use hyper::upgrade::OnUpgrade;
use parking_lot::RwLock;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, field::display};
use uuid::Uuid;
use warp::{Filter, filters::BoxedFilter, reply::Response};

use crate::{audit::Subject, clock, helm::Helm, house::House, refusal, socketio::Socketio, trace};
use answer::Answer;
pub(crate) use door::seated;
pub(crate) use spread::found;

/// A body has at most this many bytes, where its call says nothing else.
pub const MAX_BODY: usize = 256 << 10;
/// So much of a path is logged.
const MOST_PATH: usize = 256;

/// What a listener serves.
#[derive(Clone, Debug)]
pub struct Site {
    /// The rooms.
    pub house: Arc<House>,
    /// Whose address a request has.
    pub addresses: Arc<AddressLaw>,
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
    /// What operators steer by, where the gateway is a program of its own.
    pub helm: Option<Helm>,
}

impl Site {
    /// The doors of that house for whoever comes directly: no proxy is trusted, and there is no API.
    pub fn of(house: Arc<House>) -> Self {
        Self {
            house,
            addresses: Arc::default(),
            doors: true,
            socketio: None,
            api: false,
            console: false,
            max_body: MAX_BODY,
            tasks: TaskTracker::new(),
            counters: Arc::default(),
            helm: None,
        }
    }
}

/// One request, read as far as its headers.
struct Call {
    request_id: RequestId,
    /// With a span of our own.
    trace: Option<Trace>,
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
    let standing = Arc::new(RwLock::new(site));
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
                let site = now(&standing);
                let headers: HeaderMap = headers;
                let call = Call {
                    trace: trace::of(&headers),
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
                let span = call.span();
                respond(site, call, body).instrument(span)
            },
        )
        .map(|response: Result<Response, Infallible>| match response {
            Ok(response) => response,
            Err(never) => match never {},
        })
        .boxed()
}

/// The site as it is now: whoever comes first after another house took the place of its own makes it anew.
fn now(standing: &RwLock<Arc<Site>>) -> Arc<Site> {
    let site = Arc::clone(&standing.read());
    if !site.house.is_past() {
        return site;
    }
    let site = site.now();
    *standing.write() = Arc::clone(&site);
    site
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
    if let Some(trace) = call.trace.and_then(trace::header) {
        response.headers_mut().insert(TRACEPARENT, trace);
    }
    tracing::debug!(status = response.status().as_u16(), "answered");
    Ok(response)
}

impl Site {
    /// This site, in the house that stands now.
    pub(crate) fn now(self: &Arc<Self>) -> Arc<Self> {
        match self.house.is_past() {
            true => Arc::new(Self { house: self.house.now(), ..Self::clone(self) }),
            false => Arc::clone(self),
        }
    }

    async fn answer(self: &Arc<Self>, call: &mut Call, body: impl answer::BodyStream) -> Answer {
        if self.house.dev {
            only_from_here(call)?;
        }
        if self.doors
            && let Some((endpoint, parameters)) = self.house.endpoints.at(&call.path)
        {
            return door::open(self, call, endpoint, parameters).await;
        }
        if let Some(front) = self.front_at(&call.path) {
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
        self.doors && self.house.endpoints.at(path).is_some() || self.front_at(path).is_some()
    }

    /// The door of Socket.IO, where that is its path and it leads anywhere.
    fn front_at(&self, path: &str) -> Option<&Arc<Socketio>> {
        self.socketio.as_ref().filter(|front| !self.house.namespaces.is_empty() && front.is_at(path))
    }

    /// Records a refused call and answers it.
    fn refused(&self, call: &Call, faulty: &answer::Faulty) -> Response {
        let refused = &faulty.refusal;
        self.house.metrics.doors.refused(refused.code);
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
            trace: self.trace.map(|trace| trace.id),
            ..Subject::new(self.request_id)
        }
    }

    /// What is logged on the way names the call, and its trace. At a door that is for finding faults only: there many come.
    fn span(&self) -> Span {
        let (request, trace) = (display(self.request_id), self.trace.map(|trace| display(trace.id)));
        let (method, path) = (display(&self.method), self.path.get(..self.path.floor_char_boundary(MOST_PATH)));
        if self.is_at_a_door {
            tracing::debug_span!("door", requestId = request, traceId = trace, method, path)
        } else {
            tracing::info_span!("call", requestId = request, traceId = trace, method, path)
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
