//! A door: from a request to a connection, or to a refusal that is explained and written down.

use std::{net::IpAddr, sync::Arc, time::Duration};

use gateway_domain::{
    Code, Refusal,
    ban::{Ban, Subject as Banned},
    trace::Trace,
};
use gateway_transport::{ClientAddress, CloseFrame, Socket, SocketLimits, Upgrade, examine, upgraded};
use http::Method;
use hyper::upgrade::OnUpgrade;
use tracing::Instrument;
use warp::reply::Response;

use super::{Call, Site, answer::Answer, bans::meets};
use crate::{
    audit::{Event, Subject},
    clock, connection,
    endpoint::{Endpoint, Parameters, RejectWith, autojoin},
    gate::{Admitted, Handshake},
    house::House,
    hub::{Arrival, Occupant, Page, Seat},
    ledger::{LedgerFault, banned},
    metrics::LaidBy,
};

/// The subprotocol that is ever selected.
const SUBPROTOCOL: &str = "gateway.v1";
/// How long the peer may take between our answer and the stream.
pub(super) const UPGRADE_PATIENCE: Duration = Duration::from_secs(10);

/// Lets somebody in, or refuses.
pub(super) async fn open(site: &Arc<Site>, call: &mut Call, endpoint: Arc<Endpoint>, parameters: Parameters) -> Answer {
    if call.method != Method::GET {
        return Err(super::answer::Faulty {
            allow: Some("GET".into()),
            ..Refusal::new(Code::MethodNotAllowed, "this address takes GET").into()
        });
    }
    let upgrade = examine(&call.method, call.version, &call.headers)?;
    let on_upgrade = call.on_upgrade.take().ok_or_else(|| Refusal::plain(Code::BadUpgrade))?;
    let handshake = Handshake {
        request_id: call.request_id,
        endpoint,
        parameters,
        address: call.address,
        query: call.query()?,
        headers: std::mem::take(&mut call.headers),
        secure: call.info.secure,
    };
    let autojoin = autojoin(&handshake.query)?;
    let began = clock::tick();
    let outcome = pass(site, &handshake).await;
    site.house.metrics.doors.judged(outcome.is_ok(), clock::tick().since(began));
    call.headers = handshake.headers;
    let endpoint = handshake.endpoint;
    match outcome {
        Ok(admitted) => Ok(welcome(site, call, &upgrade, on_upgrade, endpoint, admitted, autojoin)),
        Err(refusal) => {
            site.punish(&call.address, &call.subject(), &refusal).await;
            match endpoint.reject_with {
                // What the table gives no close code is a fault of the request, and no browser makes it.
                RejectWith::CloseCode if refusal.code.close_code().is_some() => {
                    Ok(site.turn_away(call, &upgrade, on_upgrade, &refusal))
                }
                RejectWith::CloseCode | RejectWith::Http => Err(refusal.into()),
            }
        }
    }
}

async fn pass(site: &Site, handshake: &Handshake) -> Result<Admitted, Refusal> {
    let now = clock::now();
    let gate = &site.house.gate;
    let candidate = gate.examine(handshake, now).await?;
    gate.admit(handshake, candidate, now).await
}

/// The answer to somebody who is let in; the connection runs as a task of its own, so that nothing of the handshake
/// stays in memory with it.
fn welcome(
    site: &Arc<Site>,
    call: &Call,
    upgrade: &Upgrade,
    on_upgrade: OnUpgrade,
    endpoint: Arc<Endpoint>,
    admitted: Admitted,
    autojoin: bool,
) -> Response {
    let limits = SocketLimits { max_message: endpoint.max_message, ..SocketLimits::default() };
    let arrival = Arrival {
        request_id: call.request_id,
        endpoint,
        address: call.address,
        user_agent: call.name_of_agent(),
        autojoin,
    };
    let page = Page::of(&call.headers, call.info.secure);
    let (seat, occupant) = seated(&site.house, admitted, (arrival, page), &call.subject(), call.trace);
    let house = Arc::clone(&site.house);
    let ticket = call.info.ticket.clone();
    let tasks = site.tasks.clone();
    site.tasks.spawn(async move {
        // Where the stream does not come, dropping the seat undoes the admission.
        if let Ok(Ok((wire, leftover))) = tokio::time::timeout(UPGRADE_PATIENCE, upgraded(on_upgrade)).await {
            ticket.admit();
            drop(ticket);
            let socket = Socket::shared(wire, leftover, limits);
            // A task of its own again: this one's state holds what the upgrade needed.
            match connection::span(&occupant) {
                None => tasks.spawn(connection::serve(house, socket, seat, occupant)),
                Some(span) => tasks.spawn(connection::serve(house, socket, seat, occupant).instrument(span)),
            };
        }
    });
    switching(upgrade)
}

/// Whoever is let in, as the house will know it.
pub(crate) fn seated(
    house: &House,
    admitted: Admitted,
    (arrival, page): (Arrival, Option<Box<Page>>),
    subject: &Subject<'_>,
    trace: Option<Trace>,
) -> (Seat, Arc<Occupant>) {
    let Admitted { seat, standing, unknown_plan } = admitted;
    let now = clock::now();
    if let Some(plan) = unknown_plan {
        let subject = Subject { user: Some(&standing.principal.user), ..*subject };
        let reason = format!("no plan is called `{plan}`: `{}` holds instead", standing.plan.name);
        house.audit.event(Event::PlanUnknown, &subject, reason, now);
    }
    let occupant = Arc::new(Occupant::new(seat.id(), arrival, standing, now).of_page(page).traced(trace));
    (seat, occupant)
}

impl Site {
    /// Upgrades only to close with a code that a browser can read. Nothing is read from or sent to that client besides.
    fn turn_away(&self, call: &Call, upgrade: &Upgrade, on_upgrade: OnUpgrade, refusal: &Refusal) -> Response {
        self.house.metrics.doors.refused(refusal.code);
        let request_id = self.house.audit.refused(refusal, &call.subject(), clock::now());
        let frame = CloseFrame::of(refusal, Some(request_id));
        let ticket = call.info.ticket.clone();
        self.tasks.spawn(async move {
            let goodbye = async {
                if let Ok(Ok((wire, leftover))) = tokio::time::timeout(UPGRADE_PATIENCE, upgraded(on_upgrade)).await {
                    let limits = SocketLimits { max_message: 1024, ..SocketLimits::default() };
                    Socket::server(wire, leftover, limits).close(frame, connection::CLOSE_PATIENCE).await;
                }
            };
            // Whoever is turned away counts as a stranger to the end, and makes room like any other.
            tokio::select! {
                biased;
                () = ticket.evicted() => {}
                () = goodbye => {}
            }
        });
        switching(upgrade)
    }

    /// Bans an address that was refused too often for faults of its own, where the operator wants that.
    pub(crate) async fn punish(&self, address: &ClientAddress, subject: &Subject<'_>, refusal: &Refusal) {
        let own_fault = matches!(
            refusal.code,
            Code::AuthRequired | Code::TokenInvalid | Code::RateLimited | Code::OriginNotAllowed | Code::RoleMismatch
        );
        let Some(ip) = address.as_ip().filter(|ip| own_fault && self.may_ban(*ip)) else { return };
        let now = clock::now();
        if let Some((network, law)) = self.house.handshakes.offence(ip, now) {
            let reason = format!("{} refused handshakes within {} s", law.violations, law.within.as_secs());
            let ban =
                Ban { subject: Banned::Network(network), until: Some(now.wall + law.duration), reason: Some(reason) };
            let laid = self.house.ledger.ban(ban.clone()).await;
            if let Err(fault @ LedgerFault::TooManyBans(_)) = &laid {
                tracing::warn!(requestId = %subject.request_id, %fault, "an address that overdid it could not be banned");
                return;
            }
            self.house.metrics.doors.ban_laid(LaidBy::Gateway);
            let matches = self.house.hub.end_where(|here| meets(&ban.subject, here), &banned(&ban));
            let note = laid.err().map_or_else(String::new, |fault| format!(" ({fault})"));
            let reason = format!("{} by itself, {matches} connections ended{note}", ban.subject);
            self.house.audit.event(Event::BanLaid, subject, reason, now);
        }
    }

    fn may_ban(&self, ip: IpAddr) -> bool {
        !ip.to_canonical().is_loopback() && !self.addresses.trusts_address(ip)
    }
}

pub(super) fn switching(upgrade: &Upgrade) -> Response {
    let selected = upgrade.offered.iter().any(|name| &**name == SUBPROTOCOL).then_some(SUBPROTOCOL);
    // The parts are constants and a hash: they always make a response.
    upgrade.response(selected).body(Vec::new().into()).unwrap_or_default()
}
