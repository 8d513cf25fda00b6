//! Who calls the API: a token or an API key in a header, never in a query or a cookie; and a role that may.

use gateway_domain::{Code, Now, Refusal, Role, Token, UserId};
use gateway_transport::bearer;

use super::{Call, Site};
use crate::{clock, ledger::banned, ledger::banned_user};

const SERVICE: &str = "service";
const ADMIN: &str = "admin";

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Role `service`, or `admin`.
    Service,
    /// Role `admin`.
    Admin,
}

/// A caller who may.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) user: UserId,
    /// `admin`, or else `service`.
    pub(super) role: &'static str,
}

/// Somebody whose credential is good.
struct Known<'a> {
    user: UserId,
    /// The role in which it may call; none, where it may not.
    role: Option<&'static str>,
    /// The API key that was shown, by its id.
    key: Option<&'a str>,
}

impl Site {
    /// Whether the caller may, and who it is.
    pub(super) async fn caller(&self, call: &Call, need: Need) -> Result<Caller, Refusal> {
        let now = clock::now();
        if let Some(ban) = self.house.ledger.ban_on(&call.address, now) {
            return Err(banned(&ban));
        }
        let Known { user, role, key } =
            self.known(call, now).await.map_err(|refusal| self.after_failure(call, refusal))?;
        self.house.calls.call_of(&user, key).map_err(|refusal| refusal.of_user(&user))?;
        let admitted = match need {
            Need::Service => role,
            Need::Admin => role.filter(|role| *role == ADMIN),
        };
        if let Some(role) = admitted {
            call.info.ticket.admit();
            return Ok(Caller { user, role });
        }
        let wanted = if need == Need::Admin { "`admin`" } else { "`service` or `admin`" };
        Err(Refusal::new(Code::Forbidden, format!("this call needs the role {wanted}")).of_user(&user))
    }

    async fn known(&self, call: &Call, now: Now) -> Result<Known<'_>, Refusal> {
        if let Some(key) = api_key(call)? {
            let key = self.house.api_keys.find(&key).ok_or_else(wrong_key)?;
            if let Some(refusal) = banned_user(&self.house.ledger, &key.grant.user, now) {
                return Err(refusal);
            }
            let (user, role) = (key.grant.user.clone(), calling_role(&key.grant.roles));
            return Ok(Known { user, role, key: Some(&key.id) });
        }
        let token = bearer(&call.headers)?.ok_or_else(|| {
            Refusal::new(
                Code::AuthRequired,
                "send a bearer token in the header Authorization, or an API key in X-API-Key",
            )
        })?;
        // A backend comes with the same token again and again. Whatever it proved, the ledger has the last word, each time.
        let principal = self.house.gate.authenticator.verify_caller(&token, now).await?;
        self.house.ledger.objection(&principal, now)?;
        Ok(Known { user: principal.user.clone(), role: calling_role(&principal.roles), key: None })
    }

    /// Guessing costs: failures count as handshakes of the address, and end in 429.
    fn after_failure(&self, call: &Call, refusal: Refusal) -> Refusal {
        let knock = call.address.as_ip().map_or(Ok(()), |ip| self.house.handshakes.knock_from(ip));
        knock.err().unwrap_or(refusal)
    }
}

/// The greatest of these roles that may call.
fn calling_role(roles: &[Role]) -> Option<&'static str> {
    [ADMIN, SERVICE].into_iter().find(|wanted| roles.iter().any(|role| role.as_str() == *wanted))
}

/// The API key of a call.
pub(super) fn api_key(call: &Call) -> Result<Option<Token>, Refusal> {
    let mut keys = call.headers.get_all("x-api-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(Refusal::new(Code::InvalidRequest, "send X-API-Key once"));
    }
    let key = key.to_str().map_err(|_| wrong_key())?.trim();
    Ok((!key.is_empty()).then(|| Token::new(key)))
}

/// The same words for a key of nobody and for a key in a wrong form.
pub(super) fn wrong_key() -> Refusal {
    Refusal::invalid_token(gateway_domain::Detail::UnknownKey, "the API key is nobody's")
}
