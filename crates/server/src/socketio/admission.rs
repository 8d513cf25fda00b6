//! A CONNECT: the second half of the corridor, with the token that it brings. Who is let in is a connection of its own.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, sync::atomic::Ordering};

use gateway_domain::{Code, Now, Refusal, RequestId, Token};
use gateway_transport::socketio::{Credentials, Outgoing};
use tokio::sync::mpsc;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    carrier::Carrier,
    line::{NamespaceLine, refused},
    session::{Namespace, Session, Visitor, broken},
};
use crate::{
    audit::Subject,
    clock, connection,
    endpoint::{Endpoint, Parameters},
    gate::{Admitted, Handshake},
    http::{Site, seated},
    hub::{Arrival, Page},
};

/// The namespaces of one session at once.
const MOST_NAMESPACES: usize = 4;
/// The attempts of one session that may come to nothing.
const MOST_FAILED: u8 = 8;
/// What was said in a namespace and not yet taken up.
const HEARD: usize = 4;

/// A CONNECT at the gate.
pub(super) type Admitting = Pin<Box<dyn Future<Output = Judged> + Send>>;

/// What the gate says.
pub(super) struct Judged {
    request_id: RequestId,
    endpoint: Arc<Endpoint>,
    outcome: Result<Admitted, Refusal>,
}

impl Session {
    /// Asks the gate. Nothing more is read of the client until it has answered.
    pub(super) fn on_connect(&mut self, path: &str, credentials: &Credentials<'_>, now: Now) -> Result<(), Refusal> {
        if self.namespaces.iter().any(|own| *own.occupant.endpoint.path == *path) {
            return Err(broken("a second CONNECT to a namespace that the client is in"));
        }
        self.site = self.site.now();
        let Some(endpoint) = self.site.house.namespaces.at(path).cloned() else {
            // The client is told in the words of the protocol, the operator in the house's.
            let refusal = Refusal::new(Code::NotFound, format!("there is no namespace `{path}`"));
            self.site.house.metrics.doors.refused(refusal.code);
            self.site.house.audit.refused(&refusal, &self.visitor.subject(), now);
            let unknown = Outgoing::ConnectError { message: "Invalid namespace", data: None }.to_message(path);
            self.own.push_back(unknown.into());
            return self.one_more_failed();
        };
        // The first is the handshake's own; a further one is a handshake for itself.
        let first = self.stranger.is_some() && self.failed == 0;
        let request_id = if first { self.visitor.request_id } else { RequestId::new(Uuid::new_v4()) };
        if self.namespaces.len() == MOST_NAMESPACES {
            let why = format!("a connection is in {MOST_NAMESPACES} namespaces at most");
            let refusal = Refusal::new(Code::LimitExceeded, why);
            return self.turn_away(&endpoint, request_id, &refusal, now);
        }
        let handed = credentials.token();
        let (site, visitor) = (Arc::clone(&self.site), Arc::clone(&self.visitor));
        self.admitting = Some(Box::pin(judge(site, visitor, endpoint, request_id, handed)));
        Ok(())
    }

    /// The gate has answered.
    pub(super) fn judged(&mut self, judged: Judged, now: Now) {
        let Judged { request_id, endpoint, outcome } = judged;
        match outcome {
            Ok(admitted) => self.welcome(endpoint, request_id, admitted),
            Err(refusal) => {
                let turned_away = self.turn_away(&endpoint, request_id, &refusal, now);
                if self.namespaces.is_empty() {
                    self.close(Some(refusal), now);
                } else if let Err(refusal) = turned_away {
                    self.fail(refusal, now);
                }
            }
        }
    }

    fn turn_away(
        &mut self,
        endpoint: &Endpoint,
        request_id: RequestId,
        refusal: &Refusal,
        now: Now,
    ) -> Result<(), Refusal> {
        self.site.house.metrics.doors.refused(refusal.code);
        let subject = self.visitor.subject_at(endpoint, request_id);
        let request_id = self.site.house.audit.refused(refusal, &subject, now);
        self.own.push_back(refused(&endpoint.path, refusal, request_id).into());
        self.one_more_failed()
    }

    fn one_more_failed(&mut self) -> Result<(), Refusal> {
        self.failed += 1;
        if self.failed < MOST_FAILED { Ok(()) } else { Err(broken("too many attempts to be let in")) }
    }

    /// The connection runs as a task of its own, as all do.
    fn welcome(&mut self, endpoint: Arc<Endpoint>, request_id: RequestId, admitted: Admitted) {
        let visitor = &self.visitor;
        let arrival = Arrival {
            request_id,
            endpoint: Arc::clone(&endpoint),
            address: visitor.address,
            user_agent: visitor.user_agent.clone(),
            autojoin: visitor.autojoin,
        };
        let subject = visitor.subject_at(&endpoint, request_id);
        let page = Page::of(&visitor.headers, visitor.secure);
        let (seat, occupant) = seated(&self.site.house, admitted, (arrival, page), &subject, visitor.trace);
        occupant.carry_by(self.transport());
        let (to, heard) = mpsc::channel(HEARD);
        let line = NamespaceLine {
            namespace: Arc::clone(&endpoint.path),
            connection: occupant.id,
            max_message: endpoint.max_message,
            heard,
            told: self.teller.clone(),
            shared: Arc::clone(&self.shared),
            queued: VecDeque::new(),
            is_admitted: false,
        };
        let serving = connection::serve(Arc::clone(&self.site.house), line, seat, Arc::clone(&occupant));
        match connection::span(&occupant) {
            None => self.lines.spawn(self.site.tasks.track_future(serving)),
            Some(span) => self.lines.spawn(self.site.tasks.track_future(serving.instrument(span))),
        };
        self.namespaces.push(Namespace { occupant, to });
        self.shows_who_it_is();
    }

    /// The client is no stranger any more.
    fn shows_who_it_is(&mut self) {
        self.connect_by = None;
        self.shared.is_in.store(true, Ordering::Release);
        if let Some(stranger) = self.stranger.take() {
            stranger.admit();
            self.counted = Some(self.site.tasks.token());
            if let Carrier::Websocket(socket) = &mut self.carrier {
                socket.take_messages_of(self.front.most_bytes(true));
            }
        }
    }
}

/// The gate's checks, and what a refusal costs.
async fn judge(
    site: Arc<Site>,
    visitor: Arc<Visitor>,
    endpoint: Arc<Endpoint>,
    request_id: RequestId,
    handed: Result<Option<Token>, Refusal>,
) -> Judged {
    let handshake = Handshake {
        request_id,
        endpoint: Arc::clone(&endpoint),
        parameters: Parameters::default(),
        address: visitor.address,
        query: visitor.query.clone(),
        headers: visitor.headers.clone(),
        secure: visitor.secure,
    };
    let began = clock::tick();
    let outcome = pass(&site, &handshake, handed).await;
    site.house.metrics.doors.judged(outcome.is_ok(), clock::tick().since(began));
    if let Err(refusal) = &outcome {
        site.punish(&visitor.address, &visitor.subject_at(&endpoint, request_id), refusal).await;
    }
    Judged { request_id, endpoint, outcome }
}

async fn pass(site: &Site, handshake: &Handshake, handed: Result<Option<Token>, Refusal>) -> Result<Admitted, Refusal> {
    let now = clock::now();
    let gate = &site.house.gate;
    let candidate = gate.present(handshake, handed)?;
    gate.admit(handshake, candidate, now).await
}

impl Visitor {
    /// Whom an audit record is about, at a namespace.
    fn subject_at<'a>(&'a self, endpoint: &'a Endpoint, request_id: RequestId) -> Subject<'a> {
        Subject { request_id, endpoint: Some(&endpoint.path), ..self.subject() }
    }
}
