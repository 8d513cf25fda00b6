//! The gate: every check between a handshake and a seat, in one order, the cheapest first.
//!
//! [`Gate::examine`] needs no token: draining, node full, address ban, address rate, Origin, token present.
//! [`Gate::admit`] needs one: token valid, revoked, user ban, role, user rate, seat. Each check is a `?`;
//! there is no path to a seat around any of them. Who keeps the seats and counts the knocks is a port ([`Seats`]): in a
//! house that stands alone nothing but an unknown key makes anybody wait. A refresh goes through [`Gate::identify`], the middle of the same
//! corridor.
//!
//! [`Gate::examine`] has two halves, for a door where the token comes later than the request: [`Gate::approach`] is about
//! the address, [`Gate::present`] about the page and its token.

mod check;
mod seats;

use std::sync::Arc;

use gateway_auth::{AgentSource, Authenticator};
use gateway_domain::{AgentId, Code, Detail, Now, Principal, Refusal, RequestId, Role, Token};
use gateway_transport::{address::ClientAddress, credential::TokenSources, query::Query};
use http::HeaderMap;

use crate::{
    endpoint::{Endpoint, MessagesScope, Parameters},
    hub::{Hub, Seat, Standing},
    ledger::{Ledger, banned},
    limits::{Account, Accounts, HandshakeLimits},
    plans::{Holding, Plans},
};
pub use check::Check;
pub use seats::{Claim, Seats};

/// The gate and what it asks.
#[derive(Debug)]
pub struct Gate<S = Arc<Hub>> {
    /// Who is it.
    pub authenticator: Arc<Authenticator>,
    /// Where an agent's id comes from.
    pub agent_source: AgentSource,
    /// Where a token may be.
    pub token_sources: TokenSources,
    /// Who may not come in.
    pub ledger: Arc<Ledger>,
    /// How often one may knock.
    pub handshakes: Arc<HandshakeLimits>,
    /// How much one may say.
    pub accounts: Arc<Accounts>,
    /// Which limits hold.
    pub plans: Plans,
    /// The seats.
    pub seats: S,
}

/// Somebody at a door.
#[derive(Debug)]
pub struct Handshake {
    /// What the client and the operator call it.
    pub request_id: RequestId,
    /// Which door.
    pub endpoint: Arc<Endpoint>,
    /// What the path says of whoever comes.
    pub parameters: Parameters,
    /// From where.
    pub address: ClientAddress,
    /// The query of its address.
    pub query: Query,
    /// Its headers.
    pub headers: HeaderMap,
    /// Whether it came over TLS.
    pub secure: bool,
}

/// Somebody who passed the checks that need no token.
#[derive(Debug)]
pub struct Candidate {
    token: Token,
}

/// Who a token proved to be, for one door.
#[derive(Clone, Debug)]
pub struct Identified {
    /// Who.
    pub principal: Arc<Principal>,
    /// As what.
    pub role: Option<Role>,
    /// With which limits.
    pub holding: Holding,
}

/// Somebody who is let in.
#[derive(Debug)]
pub struct Admitted<T = Seat> {
    /// The place.
    pub seat: T,
    /// What the token gives.
    pub standing: Standing,
    /// What the audit should know besides.
    pub unknown_plan: Option<gateway_domain::PlanName>,
}

impl<S: Seats> Gate<S> {
    /// The checks that need no token.
    pub async fn examine(&self, handshake: &Handshake, now: Now) -> Result<Candidate, Refusal> {
        self.approach(&handshake.address, now).await?;
        self.present(handshake, Ok(None))
    }

    /// The first half: whether anybody may come in, and from there.
    pub async fn approach(&self, address: &ClientAddress, now: Now) -> Result<(), Refusal> {
        self.seats.open_to_newcomers()?;
        if let Some(ban) = self.ledger.ban_on(address, now) {
            return Err(banned(&ban));
        }
        if let Some(ip) = address.as_ip() {
            self.seats.knock_from(&self.handshakes, ip, now).await?;
        }
        Ok(())
    }

    /// The second half: whether that page may come in, and a token that was handed over, else that of the request.
    pub fn present(&self, handshake: &Handshake, handed: Result<Option<Token>, Refusal>) -> Result<Candidate, Refusal> {
        handshake.endpoint.origins.admits(&handshake.headers, handshake.secure)?;
        if let Some(token) = handed? {
            return Ok(Candidate { token });
        }
        let (token, _source) = self
            .token_sources
            .find(&handshake.query, &handshake.headers)?
            .ok_or_else(|| Refusal::plain(Code::AuthRequired))?;
        Ok(Candidate { token })
    }

    /// The checks that need a token, and the seat.
    pub async fn admit(
        &self,
        handshake: &Handshake,
        candidate: Candidate,
        now: Now,
    ) -> Result<Admitted<S::Seat>, Refusal> {
        let agent = self.claimed_agent(&handshake.query)?;
        let identified = self.identify(&candidate.token, &handshake.endpoint, agent.as_deref(), now).await?;
        handshake.parameters.are_of(&identified.principal)?;
        let user = &identified.principal.user;
        let knocked = self.seats.knock_of(&self.handshakes, user, now).await;
        knocked.map_err(|refusal| refusal.of_user(user))?;
        let Identified { principal, role, holding } = &identified;
        let endpoint = &handshake.endpoint;
        let (request_id, role, plan) = (handshake.request_id, role.as_ref(), &*holding.plan);
        let seat = self.seats.take(Claim { request_id, principal, role, plan, endpoint }).await?;
        let account = match handshake.endpoint.messages_scope {
            MessagesScope::User => self.accounts.of(user),
            MessagesScope::Connection => Arc::new(Account::default()),
        };
        let Identified { principal, role, holding } = identified;
        let standing = Standing { principal, role, plan: holding.plan, account, authenticated_at: now.wall };
        Ok(Admitted { seat, standing, unknown_plan: holding.unknown })
    }

    /// From "token valid" to "role": at a handshake, and at a refresh.
    pub async fn identify(
        &self,
        token: &Token,
        endpoint: &Endpoint,
        agent: Option<&str>,
        now: Now,
    ) -> Result<Identified, Refusal> {
        let mut principal = self.authenticator.verify_patiently(token, now).await?;
        if let Some(agent) = agent {
            // An id that a client chose means nothing without the user who chose it.
            let id = AgentId::parse(&format!("{}/{agent}", principal.user)).map_err(|fault| {
                Refusal::invalid_token(Detail::ClaimMissing, format!("the agent id {fault}")).of_user(&principal.user)
            })?;
            principal.agent = Some(id);
        }
        self.ledger.objection(&principal, now)?;
        let role = admitted_role(&principal, endpoint)?;
        let holding = self.plans.holding(&principal, endpoint.plan.as_ref());
        Ok(Identified { principal: Arc::new(principal), role, holding })
    }

    /// Asks again what may have changed since the gate was passed, once the connection can be found.
    pub fn still_welcome(&self, principal: &Principal, address: &ClientAddress, now: Now) -> Result<(), Refusal> {
        if let Some(ban) = self.ledger.ban_on(address, now) {
            return Err(banned(&ban));
        }
        self.ledger.objection(principal, now)
    }

    /// The agent id that the client names in its address, where the operator lets it.
    fn claimed_agent(&self, query: &Query) -> Result<Option<String>, Refusal> {
        match &self.agent_source {
            AgentSource::Claim(_) => Ok(None),
            AgentSource::Query(name) => Ok(query.get(name)?.filter(|id| !id.is_empty()).map(str::to_owned)),
        }
    }
}

/// The first of the endpoint's roles that the token has. An endpoint that names none admits everybody, as the first
/// role of the token.
pub(crate) fn admitted_role(principal: &Principal, endpoint: &Endpoint) -> Result<Option<Role>, Refusal> {
    if endpoint.roles.is_empty() {
        return Ok(principal.roles.first().cloned());
    }
    let wanted = || endpoint.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", ");
    let role = principal.first_role_of(&endpoint.roles).ok_or_else(|| {
        let has = principal.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", ");
        Refusal::new(Code::RoleMismatch, format!("{} is for: {}", endpoint.path, wanted()))
            .because(format!(
                "{} is for: {}; the token has: {}",
                endpoint.path,
                wanted(),
                if has.is_empty() { "none" } else { &has }
            ))
            .of_user(&principal.user)
    })?;
    Ok(Some(role.clone()))
}
