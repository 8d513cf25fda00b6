//! Coming and going. What the gate decides is told by the status of `$connect`, which the service passes on to the client;
//! who is let in is written down before the answer, and greeted after it, since nobody can hear anything earlier.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use gateway_domain::{Code, Now, Refusal, RequestId, Room};
use gateway_server::{
    audit::{Event, Subject},
    clock,
    endpoint::{Endpoint, autojoin},
    gate::{Admitted, Handshake},
    greeting,
    hub::{Arrival, Letter, Occupant, Standing, sender},
};
use gateway_transport::{ClientAddress, Query};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    answer, audit,
    front::{Front, Later},
    invocation::Visit,
    kept::{Kept, LONGEST_LIFE, Member, id_of},
    management::Said,
    seats::Taken,
    table::{Holder, StoreFault},
};

/// The subprotocol that is ever selected.
const SUBPROTOCOL: &str = "gateway.v1";
/// How often it is tried to greet somebody, and the first pause between two attempts: the service establishes a
/// connection only when it has our answer.
const GREETINGS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// Somebody whom the gate has let in, and who is to be written down.
struct Coming<'a> {
    visit: &'a Visit,
    endpoint: &'a Arc<Endpoint>,
    subject: &'a Subject<'a>,
    /// Whether it is put into the rooms that one is put into by itself.
    joins: bool,
    now: Now,
}

impl Front {
    /// Somebody wants in.
    pub(crate) async fn connect(&self, visit: &Visit) -> Value {
        let id = id_of(&visit.stage, &visit.wire);
        let request_id = RequestId::new(id.uuid());
        let address = visit.address();
        let agent = visit.user_agent();
        let subject = Subject {
            address: address.as_ref(),
            user_agent: agent.as_deref(),
            endpoint: Some(&visit.stage),
            ..Subject::new(request_id)
        };
        let Some((endpoint, parameters)) = visit.door(self) else {
            return self.turned_away(&Refusal::plain(Code::NotFound), &Subject { elsewhere: true, ..subject });
        };
        let subject = Subject { endpoint: Some(&endpoint.path), ..subject };
        let outcome = async {
            let handshake = Handshake {
                request_id,
                endpoint: Arc::clone(&endpoint),
                parameters,
                address: address.unwrap_or(ClientAddress::Local),
                query: visit.query()?,
                headers: visit.headers(),
                // The service takes nothing else.
                secure: true,
            };
            let joins = autojoin(&handshake.query)?;
            let now = clock::now();
            let candidate = self.gate.examine(&handshake, now).await?;
            let admitted = self.gate.admit(&handshake, candidate, now).await?;
            let coming = Coming { visit, endpoint: &endpoint, subject: &subject, joins, now };
            self.sit_down(&coming, admitted).await
        };
        match outcome.await {
            Ok(()) => welcome(visit),
            Err(refusal) => self.turned_away(&refusal, &subject),
        }
    }

    fn turned_away(&self, refusal: &Refusal, subject: &Subject<'_>) -> Value {
        let request_id = self.house.audit.refused(refusal, subject, clock::now());
        answer::refused(refusal, request_id, &[])
    }

    /// Writes down who was let in, wherever others will look for it.
    async fn sit_down(&self, coming: &Coming<'_>, admitted: Admitted<Taken>) -> Result<(), Refusal> {
        let Coming { endpoint, subject, now, .. } = *coming;
        let Admitted { seat, standing, unknown_plan } = admitted;
        if let Some(plan) = unknown_plan {
            let subject = Subject { user: Some(&standing.principal.user), ..*subject };
            let reason = format!("no plan is called `{plan}`: `{}` holds instead", standing.plan.name);
            self.house.audit.event(Event::PlanUnknown, &subject, reason, now);
        }
        let kept = self.kept(coming, &seat, &standing);
        let written = self.write_down(&kept, endpoint, now).await;
        let refusal = match written {
            Ok(Ok(())) => {
                audit::connected(&self.house.audit, &kept, now);
                if endpoint.hears() {
                    let occupant = self.occupant(&kept, endpoint, standing, now);
                    let mut letter = Letter::new(greeting::text(&occupant, now));
                    if let Some(text) = self.connections.in_words_of(&endpoint.path, &mut letter) {
                        self.say_later(Later { member: kept.member, text });
                    }
                }
                return Ok(());
            }
            Ok(Err(refusal)) => refusal,
            Err(fault) => fault.refusal(),
        };
        // Whatever was written goes again, and the seat with it.
        if let Err(fault) = self.connections.table.forget(&kept).await {
            tracing::error!(%fault, connection = %kept.member.id, "a seat is left behind until it is verified");
        }
        Err(refusal)
    }

    fn kept(&self, coming: &Coming<'_>, seat: &Taken, standing: &Standing) -> Kept {
        let Coming { visit, endpoint, subject, joins, now } = *coming;
        let mut kept = Kept {
            member: Member {
                id: seat.id,
                wire: visit.wire.clone(),
                stage: visit.stage.clone(),
                user: standing.principal.user.clone(),
                role: standing.role.clone(),
                door: endpoint.path.to_string(),
                until: until(endpoint, standing),
                ends: now.wall + LONGEST_LIFE,
            },
            principal: (*standing.principal).clone(),
            connected_at: now.wall,
            authenticated_at: standing.authenticated_at,
            address: subject.address.and_then(ClientAddress::as_ip),
            user_agent: subject.user_agent.map(str::to_owned),
            agent: standing.principal.agent.clone().filter(|_| endpoint.agents),
            seat: seat.mark.clone(),
            rooms: BTreeSet::new(),
            asked: BTreeSet::new(),
            warned: None,
            told_of_end: false,
        };
        if joins && endpoint.hears() {
            let occupant = self.occupant(&kept, endpoint, standing.clone(), now);
            let speaker = sender(&occupant, standing);
            let own = format!("user:{}", kept.member.user);
            let joined = endpoint.join.iter().filter_map(|room| room.room(&speaker)).map(|room| room.to_string());
            kept.rooms = joined.chain([own]).collect();
        }
        kept
    }

    async fn write_down(&self, kept: &Kept, endpoint: &Endpoint, now: Now) -> Result<Result<(), Refusal>, StoreFault> {
        let table = &self.connections.table;
        table.keep(kept).await?;
        if let Some(agent) = &kept.agent {
            let mut instead_of = None;
            while let Holder::Taken(holder) = table.seat_agent(agent, &kept.member, instead_of, now.wall).await? {
                if holder.user != kept.member.user && self.connections.is_there(holder.id).await? {
                    let why = format!("connection {} of another user is that agent", holder.id);
                    return Ok(Err(Refusal::plain(Code::AgentIdTaken).because(why).of_user(&kept.member.user)));
                }
                // Of the same user the newer stays; who is gone has no place to lose.
                self.connections.end(holder.id, &Refusal::plain(Code::Replaced)).await?;
                instead_of = Some(holder.id);
            }
        }
        for room in &kept.rooms {
            if let Ok(room) = Room::parse(room) {
                table.enter(&room, &kept.member).await?;
            }
        }
        if endpoint.hears() {
            table.plan(kept.member.id, self.next_look(kept, endpoint, now)).await?;
        }
        Ok(Ok(()))
    }

    /// A connection as routes, rules and records see it.
    pub(crate) fn occupant(&self, kept: &Kept, endpoint: &Arc<Endpoint>, standing: Standing, now: Now) -> Occupant {
        let arrival = Arrival {
            request_id: RequestId::new(kept.member.id.uuid()),
            endpoint: Arc::clone(endpoint),
            address: kept.address.map_or(ClientAddress::Local, ClientAddress::ip),
            user_agent: kept.user_agent.as_deref().map(Into::into),
            autojoin: true,
        };
        Occupant::new(kept.member.id, arrival, standing, now)
    }

    /// Says the first word. A connection that does not come about is forgotten.
    pub(crate) async fn greet(&self, member: &Member, text: &str) {
        let mut pause = FIRST_PAUSE;
        for _ in 1..GREETINGS {
            match self.connections.management.say(&member.stage, &member.wire, text).await {
                Said::Yes => return,
                // Not there yet, or never.
                Said::Gone => tokio::time::sleep(pause).await,
                Said::No(why) => {
                    tracing::warn!(connection = %member.id, %why, "a connection could not be greeted");
                    return;
                }
            }
            pause *= 2;
        }
        self.connections.say(member, text).await;
    }

    /// Somebody left. The service says so at best once, and may say it twice.
    pub(crate) async fn disconnect(&self, visit: &Visit) -> Value {
        let id = id_of(&visit.stage, &visit.wire);
        match self.connections.forget(id).await {
            Ok(Some(kept)) => {
                let code = visit.request.request_context.disconnect_status_code;
                audit::left(&self.house.audit, &kept, code, clock::now());
            }
            Ok(None) => {}
            Err(fault) => tracing::error!(connection = %id, %fault, "who left is still written down"),
        }
        answer::done()
    }
}

/// From when on nothing is handled or delivered; never, where the endpoint keeps who has expired.
pub(crate) fn until(endpoint: &Endpoint, standing: &Standing) -> Option<gateway_domain::Timestamp> {
    let closes = endpoint.session.on_expiry == gateway_domain::session::OnExpiry::Close;
    closes.then_some(standing.principal.expires_at)
}

fn welcome(visit: &Visit) -> Value {
    let headers = visit.headers();
    let offers = headers.get_all(http::header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offers.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    if offered.any(|name| name.trim() == SUBPROTOCOL) {
        return json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": SUBPROTOCOL}});
    }
    answer::done()
}

impl Visit {
    fn door(&self, front: &Front) -> Option<(Arc<Endpoint>, gateway_server::endpoint::Parameters)> {
        let request = &self.request;
        let path = request.path_parameters.get("proxy").map(String::as_str);
        let variable = request.stage_variables.get("endpoint").map(String::as_str);
        front.connections.doors.behind(&self.stage, path, variable)
    }

    fn address(&self) -> Option<ClientAddress> {
        let source = self.request.request_context.identity.source_ip.as_deref()?;
        source.parse().ok().map(ClientAddress::ip)
    }

    fn user_agent(&self) -> Option<String> {
        let headers = self.headers();
        let name = headers.get(http::header::USER_AGENT)?.to_str().ok()?;
        Some(name.chars().take(256).collect())
    }

    fn headers(&self) -> HeaderMap {
        let request = &self.request;
        if request.multi_value_headers.is_empty() { &request.headers } else { &request.multi_value_headers }.clone()
    }

    /// The query. The service has decoded it; parameters that came twice are still there twice.
    fn query(&self) -> Result<Query, Refusal> {
        let request = &self.request;
        let several = &request.multi_value_query_string_parameters;
        let parameters = if several.is_empty() { &request.query_string_parameters } else { several };
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        Query::parse(&pairs.join("&"))
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
