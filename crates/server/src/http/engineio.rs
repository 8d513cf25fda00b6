//! The door of Socket.IO, as HTTP sees it: Engine.IO by long polling, or by a WebSocket. What is wrong with the address or
//! the page is refused as everywhere; what is wrong with the protocol, by the numbers of Engine.IO.

use std::{sync::Arc, time::Duration};

use gateway_domain::{Code, Refusal};
use gateway_transport::{
    Inbound, Query, Socket, SocketLimits, Upgrade,
    engineio::{Packet, Payload},
    examine, upgraded,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use warp::reply::Response;

use super::{
    Call, Site,
    answer::{Answer, BodyStream, collect_patiently, json_with},
    door::{UPGRADE_PATIENCE, switching},
};
use crate::{
    clock,
    endpoint::autojoin,
    hub::of_its_own,
    socketio::{EngineFault, Request, Shared, Socketio, Visitor, open},
};

/// What the gate looks at when a token comes.
const KEPT_HEADERS: [header::HeaderName; 5] =
    [header::ORIGIN, header::HOST, header::AUTHORIZATION, header::COOKIE, header::SEC_WEBSOCKET_PROTOCOL];

/// How a client wants to be carried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Polling,
    Websocket,
}

/// A session that is open, as its requests reach it.
type Open = (mpsc::Sender<Box<Request>>, Arc<Shared>);

#[derive(Serialize)]
struct Numbered {
    code: u8,
    message: String,
}

/// Answers a request at the door.
pub(super) async fn answer(site: &Arc<Site>, front: &Arc<Socketio>, call: &mut Call, body: impl BodyStream) -> Answer {
    let answer = attend(site, front, call, body).await;
    let mut response = match answer {
        Ok(response) => response,
        Err(faulty) => {
            site.punish(&call.address, &call.subject(), &faulty.refusal).await;
            site.refused(call, &faulty)
        }
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = call.headers.get(header::ORIGIN)
        && site.house.namespaces.admits_page(&call.headers, call.info.secure).is_ok()
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        // Sessions that stick to a node by a cookie of its balancer need it; no namespace takes tokens in cookies from
        // any page.
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn attend(site: &Arc<Site>, front: &Arc<Socketio>, call: &mut Call, body: impl BodyStream) -> Answer {
    if call.method == Method::OPTIONS {
        site.house.namespaces.admits_page(&call.headers, call.info.secure)?;
        return Ok(preflight());
    }
    let query = call.query()?;
    let wanted = match query.get("transport")? {
        Some("polling") => Wanted::Polling,
        Some("websocket") => Wanted::Websocket,
        _ => return numbered(site, call, EngineFault::Transport),
    };
    if let Some(sid) = query.get("sid")? {
        let Some(session) = front.sessions().find(sid) else {
            let late = front.sessions().ended_lately(sid, clock::now().tick);
            return if late { too_late() } else { numbered(site, call, EngineFault::Session) };
        };
        site.house.namespaces.admits_page(&call.headers, call.info.secure)?;
        let answer = match (wanted, &call.method) {
            (Wanted::Polling, &Method::GET) => poll(call, session).await,
            (Wanted::Polling, &Method::POST) => post(front, session, body).await?,
            (Wanted::Websocket, &Method::GET) => return move_over(site, call, session),
            _ => Err(EngineFault::Request),
        };
        return match answer {
            Ok(text) => Ok(plain(text)),
            Err(EngineFault::Session) => too_late(),
            Err(fault) => numbered(site, call, fault),
        };
    }
    if call.method != Method::GET {
        return numbered(site, call, EngineFault::Method);
    }
    if query.get("EIO")? != Some("4") {
        return numbered(site, call, EngineFault::Version);
    }
    begin(site, front, call, query, wanted).await
}

/// Opens a session: the first half of the corridor, and the page; the rest waits for the token.
async fn begin(site: &Arc<Site>, front: &Arc<Socketio>, call: &mut Call, query: Query, wanted: Wanted) -> Answer {
    let upgrade = match wanted {
        Wanted::Polling => None,
        Wanted::Websocket => match upgrade(call) {
            Some(upgrade) => Some(upgrade),
            None => return numbered(site, call, EngineFault::Request),
        },
    };
    site.house.gate.approach(&call.address, clock::now()).await?;
    site.house.namespaces.admits_page(&call.headers, call.info.secure)?;
    let visitor = Visitor {
        request_id: call.request_id,
        trace: call.trace,
        address: call.address,
        autojoin: autojoin(&query)?,
        query,
        headers: kept(&call.headers),
        secure: call.info.secure,
        user_agent: call.name_of_agent(),
        path: call.path.as_str().into(),
    };
    let Some((upgrade, on_upgrade)) = upgrade else {
        // Its sockets come and go: a place among the strangers is its own.
        let place = call.info.ticket.another().ok_or_else(crowded)?;
        let session = open(site, front, visitor, Arc::new(place))?;
        let opening = session.opening(true);
        tokio::spawn(session.run());
        return Ok(plain(opening));
    };
    let session = open(site, front, visitor, Arc::clone(&call.info.ticket))?;
    let limits = SocketLimits { max_message: front.most_bytes(false), ..SocketLimits::default() };
    tokio::spawn(async move {
        if let Ok(Ok((wire, leftover))) = tokio::time::timeout(UPGRADE_PATIENCE, upgraded(on_upgrade)).await {
            // A task of its own again: this one's state holds what the upgrade needed.
            tokio::spawn(session.on(Socket::server(wire, leftover, limits)).run());
        }
    });
    Ok(switching(&upgrade))
}

/// The proper request for a WebSocket, where it is one.
fn upgrade(call: &mut Call) -> Option<(Upgrade, OnUpgrade)> {
    let upgrade = examine(&call.method, call.version, &call.headers).ok()?;
    Some((upgrade, call.on_upgrade.take()?))
}

/// Offers a session a WebSocket; the session decides.
fn move_over(site: &Arc<Site>, call: &mut Call, (requests, _): Open) -> Answer {
    let (Ok(upgrade), Some(on_upgrade)) = (examine(&call.method, call.version, &call.headers), call.on_upgrade.take())
    else {
        return numbered(site, call, EngineFault::Request);
    };
    let ticket = Arc::clone(&call.info.ticket);
    // Until it has moved, it says nothing but its probe.
    let limits = SocketLimits { max_message: 1 << 10, ..SocketLimits::default() };
    tokio::spawn(async move {
        if let Ok(Ok((wire, leftover))) = tokio::time::timeout(UPGRADE_PATIENCE, upgraded(on_upgrade)).await {
            let socket = Box::new(Socket::server(wire, leftover, limits));
            let _ = requests.send(Request::Websocket(socket, ticket).into()).await;
        }
    });
    Ok(switching(&upgrade))
}

async fn poll(call: &Call, (requests, shared): Open) -> Result<String, EngineFault> {
    let (answer, polled) = oneshot::channel();
    requests.send(Request::Poll(answer).into()).await.map_err(|_| EngineFault::Session)?;
    drop(requests);
    // A poll may be held for longer than a stranger has.
    if shared.is_in() {
        call.info.ticket.admit();
    }
    polled.await.unwrap_or(Err(EngineFault::Session))
}

/// Hands the packets of a body over. What is wrong with the body ends the session.
async fn post(
    front: &Socketio,
    (requests, shared): Open,
    body: impl BodyStream,
) -> Result<Result<String, EngineFault>, Refusal> {
    let limits = front.payload_limits(shared.is_in());
    let packets = match collect_patiently(body, limits.bytes).await {
        Ok(body) => packets(&body, limits),
        Err(refusal) => Err(refusal),
    };
    let packets = match packets {
        Ok(packets) => packets,
        Err(refusal) => {
            let too_big = refusal.code == Code::MessageTooBig;
            let answer = if too_big { Err(refusal.clone()) } else { Ok(Err(EngineFault::Request)) };
            let _ = requests.send(Request::Fail(refusal).into()).await;
            return answer;
        }
    };
    let (answer, taken) = oneshot::channel();
    if requests.send(Request::Post(packets, answer).into()).await.is_err() {
        return Ok(Err(EngineFault::Session));
    }
    drop(requests);
    Ok(taken.await.unwrap_or(Err(EngineFault::Session)).map(|()| "ok".to_owned()))
}

fn packets(body: &[u8], limits: gateway_transport::engineio::PayloadLimits) -> Result<Vec<Inbound>, Refusal> {
    let payload = Payload::parse(body, limits).map_err(|fault| fault.refusal())?;
    let packets = payload.packets().map(|packet| {
        packet.map(|packet| match packet {
            Packet::Binary(bytes) => Inbound::Binary(bytes.into_owned().into()),
            text => Inbound::Text(text.to_text().into()),
        })
    });
    packets.collect::<Result<_, _>>().map_err(|fault| fault.refusal())
}

/// What the protocol has for a request that does not fit, written down as any refusal.
fn numbered(site: &Site, call: &Call, fault: EngineFault) -> Answer {
    let code = if fault == EngineFault::Session { Code::NotFound } else { Code::InvalidRequest };
    let refusal = Refusal::new(code, format!("Engine.IO: {fault}"));
    site.house.metrics.doors.refused(code);
    site.house.audit.refused(&refusal, &call.subject(), clock::now());
    by_number(fault)
}

/// What a client had sent before it heard that its session had ended. It has done nothing wrong: the end itself is written
/// down, and this is no refusal beside it.
fn too_late() -> Answer {
    by_number(EngineFault::Session)
}

fn by_number(fault: EngineFault) -> Answer {
    json_with(StatusCode::BAD_REQUEST, &Numbered { code: fault as u8, message: fault.to_string() })
}

fn plain(text: String) -> Response {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a browser that asks whether a page may; which page it is stands beside it.
fn preflight() -> Response {
    let mut response = Response::new(Vec::new().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let found = || KEPT_HEADERS.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    let mut kept = HeaderMap::with_capacity(found().count());
    for (name, value) in found() {
        kept.append(name, of_its_own(value));
    }
    kept
}

fn crowded() -> Refusal {
    Refusal::new(Code::RateLimited, "too many sessions of this address have not shown a token yet")
        .retry_after(Duration::from_secs(2))
}
