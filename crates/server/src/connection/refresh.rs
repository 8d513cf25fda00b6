//! `auth.refresh`: a new token in a live connection. The user, the agent and the issuer must stay; everything else is
//! replaced. A bad token changes nothing; a ban or a revocation closes.

use std::{num::NonZeroU32, ops::ControlFlow, sync::Arc, time::Duration};

use gateway_domain::{Code, Now, Refusal, Timestamp, Token, envelope::Message, plan::Rate};
use governor::{RateLimiter, clock::Clock};
use serde::{Deserialize, Serialize};

use super::{Connection, line::Line};
use crate::{
    audit::Event,
    clock,
    endpoint::MessagesScope,
    gate::Identified,
    house::House,
    hub::{Ending, Occupant, Standing},
    issuing::Issued,
    limits::{Bucket, HouseClock, quota},
};

const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Refreshing has a quota of its own: ten a minute for a connection.
#[derive(Default)]
pub(super) struct RefreshQuota(Option<Box<Bucket>>);

/// What a refresh gives.
pub(super) struct Refreshed {
    standing: Standing,
    issued: Option<Issued>,
    /// The policy by which that was found.
    judged_by: Arc<House>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    #[serde(alias = "accessToken")]
    token: Option<String>,
    refresh_token: Option<String>,
}

enum Credential {
    Access(Token),
    Refresh(Token),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefreshedPayload<'a> {
    expires_at: Timestamp,
    roles: &'a [gateway_domain::Role],
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl RefreshQuota {
    fn admit(&mut self) -> Result<(), Refusal> {
        let bucket = self.0.get_or_insert_with(|| {
            let rate = Rate::new(TEN, Duration::from_secs(60));
            Box::new(RateLimiter::direct_with_clock(quota(rate, TEN), HouseClock))
        });
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(HouseClock.now());
            Refusal::new(Code::RateLimited, "too many refreshes").retry_after(wait)
        })
    }
}

impl<L: Line> Connection<L> {
    pub(super) fn on_refresh(&mut self, message: &Message<'_>, now: Now) {
        let id = message.id.as_deref();
        let credential = self.refresh_quota.admit().and_then(|()| match self.refreshing {
            Some(_) => {
                Err(Refusal::new(Code::RateLimited, "a refresh is under way").retry_after(Duration::from_secs(1)))
            }
            None => credential(message),
        });
        match credential {
            Ok(credential) => {
                let (house, occupant) = (Arc::clone(&self.house), Arc::clone(&self.occupant));
                self.refreshing = Some((id.map(str::to_owned), Box::pin(refresh(house, occupant, credential, now))));
            }
            Err(refusal) => self.say_error(id, &refusal),
        }
    }

    pub(super) fn refreshed(
        &mut self,
        (id, outcome): (Option<String>, Result<Refreshed, Refusal>),
    ) -> ControlFlow<Ending> {
        let now = clock::now();
        let id = id.as_deref();
        match outcome {
            Ok(refreshed) => {
                let (principal, judged_by) =
                    (Arc::clone(&refreshed.standing.principal), Arc::clone(&refreshed.judged_by));
                self.take_standing(id, refreshed, now);
                if judged_by.is_past()
                    && let Err(refusal) = self.come_under_policy(&judged_by, now)
                {
                    return ControlFlow::Break(Ending::Ours(refusal));
                }
                // A ban or a revocation that came meanwhile has met the old token, or is met here.
                if let Err(refusal) = self.house.gate.still_welcome(&principal, &self.occupant.address, now) {
                    return ControlFlow::Break(Ending::Ours(refusal));
                }
                // Behind the word that it was taken: which rooms are left by it.
                self.house.hub.judge_again(&self.occupant);
            }
            Err(refusal) => {
                let occupant = Arc::clone(&self.occupant);
                self.house.audit.event_of(Event::TokenRefused, &refusal, &occupant.subject(), now);
                if matches!(refusal.code, Code::Banned | Code::TokenRevoked) {
                    return ControlFlow::Break(Ending::Ours(refusal));
                }
                self.say_error(id, &refusal);
            }
        }
        ControlFlow::Continue(())
    }

    fn take_standing(&mut self, id: Option<&str>, refreshed: Refreshed, now: Now) {
        let Refreshed { standing, issued, judged_by: _ } = refreshed;
        let principal = Arc::clone(&standing.principal);
        self.session.refresh(principal.expires_at);
        self.occupant.restand(standing);
        self.from = None;
        let reason = format!("a new token, until {}", principal.expires_at);
        self.house.audit.event(Event::TokenRefreshed, &self.occupant.subject(), reason, now);
        let payload = RefreshedPayload {
            expires_at: principal.expires_at,
            roles: &principal.roles,
            access_token: issued.as_ref().map(|issued| issued.access_token.expose()),
            refresh_token: issued.as_ref().map(|issued| issued.refresh_token.expose()),
        };
        self.say("auth.refreshed", id, &payload);
    }
}

fn credential(message: &Message<'_>) -> Result<Credential, Refusal> {
    let invalid = |why: &'static str| Refusal::new(Code::InvalidMessage, why);
    let offer: Offer = message
        .payload_as()
        .map_err(|_| invalid("the payload of auth.refresh is {\"token\"} or {\"refreshToken\"}, a string"))?;
    match (offer.token.filter(|text| !text.is_empty()), offer.refresh_token.filter(|text| !text.is_empty())) {
        (Some(token), None) => Ok(Credential::Access(Token::new(token))),
        (None, Some(token)) => Ok(Credential::Refresh(Token::new(token))),
        (None, None) => Err(Refusal::plain(Code::AuthRequired)),
        (Some(_), Some(_)) => Err(invalid("auth.refresh takes a token or a refresh token, not both")),
    }
}

async fn refresh(
    house: Arc<House>,
    occupant: Arc<Occupant>,
    credential: Credential,
    now: Now,
) -> Result<Refreshed, Refusal> {
    let before = occupant.standing();
    let (token, issued) = match credential {
        Credential::Access(token) => (token, None),
        Credential::Refresh(token) => {
            let issuing = house.issuing.as_ref().ok_or_else(|| {
                Refusal::new(
                    Code::RefreshUnsupported,
                    "this gateway issues no tokens: send an access token of your issuer's",
                )
            })?;
            // Another user's token is refused before it is spent.
            if issuing.owner(&token, now).is_some_and(|owner| owner != *occupant.user()) {
                return Err(Refusal::new(Code::IdentityChanged, "the token is another user's"));
            }
            let issued = issuing.refresh(&token, now).await?;
            (issued.access_token.clone(), Some(issued))
        }
    };
    // The door as it is now, which may ask for more than when the connection came.
    let endpoint = house.door_of(&occupant).unwrap_or(&occupant.endpoint);
    // An id that the client chose at the handshake stays what it was.
    let chosen = match house.gate.agent_source {
        gateway_auth::AgentSource::Claim(_) => None,
        gateway_auth::AgentSource::Query(_) => {
            let prefix = format!("{}/", before.principal.user);
            before.principal.agent.as_ref().and_then(|agent| agent.as_str().strip_prefix(&prefix)).map(str::to_owned)
        }
    };
    let Identified { principal, role, holding } = house.gate.identify(&token, endpoint, chosen.as_deref(), now).await?;
    let (old, new) = (&before.principal, &principal);
    if (&old.user, &old.agent, &old.issuer) != (&new.user, &new.agent, &new.issuer) {
        return Err(Refusal::new(Code::IdentityChanged, "a refresh may not change the user, the agent or the issuer"));
    }
    let account = match endpoint.messages_scope {
        MessagesScope::User => house.gate.accounts.of(&principal.user),
        MessagesScope::Connection => before.account,
    };
    let standing = Standing { principal, role, plan: holding.plan, account, authenticated_at: clock::now().wall };
    Ok(Refreshed { standing, issued, judged_by: house })
}
