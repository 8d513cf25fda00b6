//! One connection, from the accepted socket to its upgrade or its end: the PROXY header, TLS, then requests; all of it
//! on one deadline until the client is admitted.

use std::{convert::Infallible, future::Future, net::IpAddr, pin::Pin, sync::Arc};

use gateway_domain::network::Network;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{pin, time::sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{ConnectionInfo, Counters, Limits, Ticket, vestibule::Serving};
use crate::{
    address::{AddressLaw, AddressRule, Peer},
    proxy_protocol,
    wire::Wire,
};

/// hyper takes no smaller buffer.
const SMALLEST_BUFFER: usize = 8 << 10;

/// What a listener's connections share.
pub(super) struct Front {
    pub(super) limits: Limits,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) address_law: Arc<AddressLaw>,
    pub(super) shutdown: CancellationToken,
    pub(super) counters: Arc<Counters>,
}

impl Front {
    /// On whose account a socket waits; a trusted proxy's is nobody's, until it tells whose.
    pub(super) fn holder(&self, peer: &Peer) -> Option<Network> {
        match peer {
            Peer::Ip(address) if !self.address_law.trusts(peer) => Some(Network::of_customer(address.ip())),
            _ => None,
        }
    }

    /// The stream behind the PROXY header and the TLS handshake, and the client that the header told.
    async fn enter(&self, mut wire: Wire, peer: &Peer, ticket: &Ticket) -> Option<(Wire, Option<IpAddr>)> {
        let mut proxied = None;
        if self.address_law.rule() == AddressRule::ProxyProtocol {
            let header = match self.address_law.trusts(peer) {
                true => proxy_protocol::read(&mut wire).await.ok(),
                false => None,
            };
            let Some(told) = header else {
                self.counters.proxy_faults.add();
                return None;
            };
            proxied = told;
        }
        if let Some(address) = proxied
            && !ticket.attribute(Network::of_customer(address))
        {
            return None;
        }
        if let Some(tls) = &self.tls {
            let Ok(stream) = tls.accept(wire).await else {
                self.counters.tls_faults.add();
                return None;
            };
            wire = Wire::Tls(Box::new(stream));
        }
        Some((wire, proxied))
    }

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(self.limits.max_headers)
            .max_header_size(self.limits.max_header_bytes)
            .max_buf_size(self.limits.max_header_bytes.max(SMALLEST_BUFFER))
            .keep_alive(self.limits.keep_alive);
        http
    }

    fn count(&self, error: &hyper::Error) {
        if error.is_timeout() {
            self.counters.header_timeouts.add();
        } else if error.is_parse_too_large() {
            self.counters.oversize_heads.add();
        } else if error.is_parse() {
            self.counters.malformed_heads.add();
        }
    }
}

/// Attends to one socket until it is upgraded or ends.
pub(super) async fn attend<S, B>(front: Arc<Front>, wire: Wire, peer: Peer, ticket: Ticket, service: S)
where
    S: Clone + Send + 'static,
    TowerToHyperService<S>: hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    <TowerToHyperService<S> as hyper::service::Service<Request<Incoming>>>::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let ticket = Arc::new(ticket);
    let deadline = sleep(front.limits.handshake_timeout);
    pin!(deadline);
    let entered = tokio::select! {
        biased;
        () = ticket.evicted() => return,
        () = front.shutdown.cancelled() => return,
        () = &mut deadline => {
            front.counters.handshake_timeouts.add();
            return;
        }
        entered = front.enter(wire, &peer, &ticket) => entered,
    };
    let Some((wire, proxied)) = entered else { return };
    let info = ConnectionInfo { peer, proxied, secure: front.tls.is_some(), ticket: Arc::clone(&ticket) };
    let desk = Desk { service: TowerToHyperService::new(service), info };
    let connection = front.http().serve_connection(TokioIo::new(wire), desk).with_upgrades();
    pin!(connection);
    let (mut answered, mut is_stopping, mut has_deadline) = (0, false, true);
    loop {
        tokio::select! {
            biased;
            () = ticket.evicted() => return,
            ended = &mut connection => {
                if let Err(error) = ended {
                    front.count(&error);
                }
                return;
            }
            () = front.shutdown.cancelled(), if !is_stopping => {
                is_stopping = true;
                has_deadline = true;
                connection.as_mut().graceful_shutdown();
                deadline.set(sleep(front.limits.grace));
            }
            () = &mut deadline, if has_deadline => {
                let is_on = answered < ticket.answers();
                if !is_stopping && ticket.is_admitted() {
                    has_deadline = false;
                } else if !is_stopping && is_on {
                    answered = ticket.answers();
                    deadline.set(sleep(front.limits.handshake_timeout));
                } else {
                    front.counters.handshake_timeouts.add();
                    return;
                }
            }
        }
    }
}

/// The service of one connection: it says of every request how it came in.
struct Desk<S> {
    service: TowerToHyperService<S>,
    info: ConnectionInfo,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Desk<S>
where
    TowerToHyperService<S>: hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    <TowerToHyperService<S> as hyper::service::Service<Request<Incoming>>>::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let serving: Serving = self.info.ticket.serving();
        let version = request.version();
        request.extensions_mut().insert(self.info.clone());
        request.extensions_mut().insert(version);
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(serving);
            answer
        })
    }
}
