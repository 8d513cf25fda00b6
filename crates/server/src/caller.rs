//! A backend that calls: known by an API key or by a token, in a header alone, never in a query or a cookie.

use gateway_domain::{Code, Detail, Now, Refusal, Role, Token, UserId};
use gateway_transport::bearer;
use http::HeaderMap;

use crate::{house::House, ledger::banned_user};

/// The role of backends.
pub const SERVICE: &str = "service";
/// The role of those who may do everything, which includes [`SERVICE`].
pub const ADMIN: &str = "admin";

/// Somebody whose credential is good.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// Who.
    pub user: UserId,
    /// The role in which it may call; none, where it may not.
    pub role: Option<&'static str>,
    /// The API key that was shown, by its id.
    pub key: Option<&'a str>,
}

/// Who calls, by the headers of the call.
pub async fn known<'a>(house: &'a House, headers: &HeaderMap, now: Now) -> Result<Known<'a>, Refusal> {
    if let Some(key) = api_key(headers)? {
        let key = house.api_keys.find(&key).ok_or_else(wrong_key)?;
        if let Some(refusal) = banned_user(&house.ledger, &key.grant.user, now) {
            return Err(refusal);
        }
        let (user, role) = (key.grant.user.clone(), calling_role(&key.grant.roles));
        return Ok(Known { user, role, key: Some(&key.id) });
    }
    let token = bearer(headers)?.ok_or_else(|| {
        Refusal::new(Code::AuthRequired, "send a bearer token in the header Authorization, or an API key in X-API-Key")
    })?;
    // A backend comes with the same token again and again. Whatever it proved, the ledger has the last word, each time.
    let principal = house.gate.authenticator.verify_caller(&token, now).await?;
    house.ledger.objection(&principal, now)?;
    Ok(Known { user: principal.user.clone(), role: calling_role(&principal.roles), key: None })
}

/// The greatest of these roles that may call.
fn calling_role(roles: &[Role]) -> Option<&'static str> {
    [ADMIN, SERVICE].into_iter().find(|wanted| roles.iter().any(|role| role.as_str() == *wanted))
}

/// The API key of a call.
pub fn api_key(headers: &HeaderMap) -> Result<Option<Token>, Refusal> {
    let mut keys = headers.get_all("x-api-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(Refusal::new(Code::InvalidRequest, "send X-API-Key once"));
    }
    let key = key.to_str().map_err(|_| wrong_key())?.trim();
    Ok((!key.is_empty()).then(|| Token::new(key)))
}

/// The same words for a key of nobody and for a key in a wrong form.
pub fn wrong_key() -> Refusal {
    Refusal::invalid_token(Detail::UnknownKey, "the API key is nobody's")
}
