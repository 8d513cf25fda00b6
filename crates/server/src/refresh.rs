//! `auth.refresh`: what a new token makes of somebody who is here. The user, the agent and the issuer must stay; everything
//! else is replaced. A bad token changes nothing; a ban or a revocation closes.

use gateway_auth::AgentSource;
use gateway_domain::{Code, Now, Refusal, Role, Timestamp, Token, envelope::Message};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{Endpoint, MessagesScope},
    gate::{Gate, Identified, Seats},
    hub::Standing,
    issuing::{Issued, Issuing},
};

/// What a client offers for going on.
#[derive(Debug)]
pub enum Credential {
    /// A token of its issuer's.
    Access(Token),
    /// A refresh token of this gateway's.
    Refresh(Token),
}

/// What a refresh gives.
#[derive(Debug)]
pub struct Refreshed {
    /// What holds from now on.
    pub standing: Standing,
    /// The tokens, where this gateway issued them.
    pub issued: Option<Issued>,
}

/// The payload of `auth.refreshed`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshedPayload<'a> {
    expires_at: Timestamp,
    roles: &'a [Role],
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    #[serde(alias = "accessToken")]
    token: Option<String>,
    refresh_token: Option<String>,
}

impl Credential {
    /// Reads what a message offers.
    pub fn read(message: &Message<'_>) -> Result<Self, Refusal> {
        let invalid = |why: &'static str| Refusal::new(Code::InvalidMessage, why);
        let offer: Offer = message
            .payload_as()
            .map_err(|_| invalid("the payload of auth.refresh is {\"token\"} or {\"refreshToken\"}, a string"))?;
        match (offer.token.filter(|text| !text.is_empty()), offer.refresh_token.filter(|text| !text.is_empty())) {
            (Some(token), None) => Ok(Self::Access(Token::new(token))),
            (None, Some(token)) => Ok(Self::Refresh(Token::new(token))),
            (None, None) => Err(Refusal::plain(Code::AuthRequired)),
            (Some(_), Some(_)) => Err(invalid("auth.refresh takes a token or a refresh token, not both")),
        }
    }
}

impl Refreshed {
    /// What the client is told of it.
    pub fn payload(&self) -> RefreshedPayload<'_> {
        let principal = &self.standing.principal;
        RefreshedPayload {
            expires_at: principal.expires_at,
            roles: &principal.roles,
            access_token: self.issued.as_ref().map(|issued| issued.access_token.expose()),
            refresh_token: self.issued.as_ref().map(|issued| issued.refresh_token.expose()),
        }
    }
}

/// Judges what was offered, for somebody at that door who stood like that before.
pub async fn refresh<S: Seats>(
    gate: &Gate<S>,
    issuing: Option<&Issuing>,
    endpoint: &Endpoint,
    before: Standing,
    credential: Credential,
    now: Now,
) -> Result<Refreshed, Refusal> {
    let old = &before.principal;
    let (token, issued) = match credential {
        Credential::Access(token) => (token, None),
        Credential::Refresh(token) => {
            let issuing = issuing.ok_or_else(|| {
                Refusal::new(
                    Code::RefreshUnsupported,
                    "this gateway issues no tokens: send an access token of your issuer's",
                )
            })?;
            issuing.learn(&token).await;
            // Another user's token is refused before it is spent.
            if issuing.owner(&token, now).is_some_and(|owner| owner != old.user) {
                return Err(Refusal::new(Code::IdentityChanged, "the token is another user's"));
            }
            let issued = issuing.refresh(&token, now).await?;
            (issued.access_token.clone(), Some(issued))
        }
    };
    // An id that the client chose at the handshake stays what it was.
    let chosen = match gate.agent_source {
        AgentSource::Claim(_) => None,
        AgentSource::Query(_) => {
            let prefix = format!("{}/", old.user);
            old.agent.as_ref().and_then(|agent| agent.as_str().strip_prefix(&prefix)).map(str::to_owned)
        }
    };
    let Identified { principal, role, holding } = gate.identify(&token, endpoint, chosen.as_deref(), now).await?;
    if (&old.user, &old.agent, &old.issuer) != (&principal.user, &principal.agent, &principal.issuer) {
        return Err(Refusal::new(Code::IdentityChanged, "a refresh may not change the user, the agent or the issuer"));
    }
    let account = match endpoint.messages_scope {
        MessagesScope::User => gate.accounts.of(&principal.user),
        MessagesScope::Connection => before.account,
    };
    let standing =
        Standing { principal, role, plan: holding.plan, account, authenticated_at: crate::clock::now().wall };
    Ok(Refreshed { standing, issued })
}
