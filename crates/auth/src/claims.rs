//! Which claims mean what. A claim is found by a dotted path, or by the first of several; a claim that is there in
//! another form than it must have refuses the token, for a half-understood token is a misunderstood one.

use std::{num::NonZeroU32, sync::Arc};

use gateway_domain::{
    AgentId, PlanName, Role, Timestamp, UserId,
    name::{NameFault, Permission},
    plan::OwnLimits,
    refusal::{Detail, Refusal},
};
use serde_json::{Map, Value};

pub use crate::claims::path::{AgentSource, ClaimPath, NotAPath};

mod path;

/// The most roles that a token may have.
pub const MOST_ROLES: usize = 64;
/// The most permissions that a token may have.
pub const MOST_PERMISSIONS: usize = 256;

/// Where a token tells what.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimNames {
    /// The user: a text, or a whole number.
    pub user: ClaimPath,
    /// The roles: a list, or words in a text.
    pub roles: ClaimPath,
    /// The plan.
    pub plan: ClaimPath,
    /// The permissions: a list, or words in a text.
    pub permissions: ClaimPath,
    /// The agent.
    pub agent: AgentSource,
    /// Tighter limits: `{"connections": 3, "rate": "60/m", "burst": "10/s"}`.
    pub limits: ClaimPath,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            user: ClaimPath::one("sub"),
            roles: ClaimPath::either("roles", "role"),
            plan: ClaimPath::one("plan"),
            permissions: ClaimPath::one("permissions"),
            agent: AgentSource::Claim(ClaimPath::one("sub")),
            limits: ClaimPath::one("limits"),
        }
    }
}

/// What the claims of one token say, in our words; nobody's prefix is on it yet.
pub(crate) struct Reading<'a> {
    names: &'a ClaimNames,
    claims: &'a Map<String, Value>,
}

/// A claim that is missing, or has not the form.
fn fault(path: &ClaimPath, what: &str) -> Refusal {
    Refusal::invalid_token(Detail::ClaimMissing, format!("the claim `{path}` {what}"))
}

impl<'a> Reading<'a> {
    pub(crate) fn new(names: &'a ClaimNames, claims: &'a Map<String, Value>) -> Self {
        Self { names, claims }
    }

    pub(crate) fn user(&self, prefix: &str) -> Result<UserId, Refusal> {
        let path = &self.names.user;
        let value = path.find(self.claims).ok_or_else(|| fault(path, "names the user, and is missing"))?;
        identity(path, value, prefix, UserId::parse)
    }

    pub(crate) fn agent(&self, prefix: &str) -> Result<Option<AgentId>, Refusal> {
        let AgentSource::Claim(path) = &self.names.agent else { return Ok(None) };
        path.find(self.claims).map(|value| identity(path, value, prefix, AgentId::parse)).transpose()
    }

    pub(crate) fn roles(&self) -> Result<Vec<Role>, Refusal> {
        words(&self.names.roles, self.claims, MOST_ROLES, Role::parse)
    }

    pub(crate) fn permissions(&self) -> Result<Vec<Permission>, Refusal> {
        words(&self.names.permissions, self.claims, MOST_PERMISSIONS, Permission::parse)
    }

    pub(crate) fn plan(&self) -> Result<Option<PlanName>, Refusal> {
        let path = &self.names.plan;
        let Some(value) = path.find(self.claims) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| fault(path, "is not a text"))?;
        PlanName::parse(text).map(Some).map_err(|why| fault(path, &why.to_string()))
    }

    pub(crate) fn limits(&self) -> Result<OwnLimits, Refusal> {
        let path = &self.names.limits;
        let Some(value) = path.find(self.claims) else { return Ok(OwnLimits::default()) };
        own_limits(value).ok_or_else(|| fault(path, "has not the form {connections, rate, burst}"))
    }

    /// The moment that a registered claim names, where it is there.
    pub(crate) fn moment(&self, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
        let Some(value) = self.claims.get(name) else { return Ok(None) };
        moment(value).map(Some).ok_or_else(|| {
            Refusal::invalid_token(Detail::ClaimMissing, format!("the claim `{name}` is not a number of seconds"))
        })
    }

    /// The token's own id; one that could not be looked up again is none.
    pub(crate) fn token_id(&self) -> Result<Option<Arc<str>>, Refusal> {
        match self.claims.get("jti") {
            None => Ok(None),
            Some(Value::String(id)) if (1..=256).contains(&id.len()) => Ok(Some(Arc::from(id.as_str()))),
            Some(_) => {
                Err(Refusal::invalid_token(Detail::ClaimMissing, "the claim `jti` is not a text of 1 to 256 bytes"))
            }
        }
    }
}

fn identity<T>(
    path: &ClaimPath,
    value: &Value,
    prefix: &str,
    parse: impl Fn(&str) -> Result<T, NameFault>,
) -> Result<T, Refusal> {
    let text = match value {
        Value::String(text) if text.is_empty() => return Err(fault(path, "is empty")),
        Value::String(text) => format!("{prefix}{text}"),
        Value::Number(number) if number.is_u64() || number.is_i64() => format!("{prefix}{number}"),
        _ => return Err(fault(path, "is neither a text nor a whole number")),
    };
    parse(&text).map_err(|why| fault(path, &why.to_string()))
}

fn words<T: PartialEq>(
    path: &ClaimPath,
    claims: &Map<String, Value>,
    most: usize,
    parse: impl Fn(&str) -> Result<T, NameFault>,
) -> Result<Vec<T>, Refusal> {
    let texts: Vec<&str> = match path.find(claims) {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => text.split_ascii_whitespace().take(most + 1).collect(),
        Some(Value::Array(items)) => {
            let texts: Option<_> = items.iter().take(most + 1).map(Value::as_str).collect();
            texts.ok_or_else(|| fault(path, "has an entry that is not a text"))?
        }
        Some(_) => return Err(fault(path, "is neither a list nor a text")),
    };
    if texts.len() > most {
        return Err(fault(path, &format!("has more than {most} entries")));
    }
    let mut words = Vec::with_capacity(texts.len());
    for text in texts {
        let word = parse(text).map_err(|why| fault(path, &format!("has an entry that {why}")))?;
        if !words.contains(&word) {
            words.push(word);
        }
    }
    Ok(words)
}

fn own_limits(value: &Value) -> Option<OwnLimits> {
    let members = value.as_object()?;
    let rate = |name| match members.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_str()?.parse().ok().map(Some),
    };
    let connections = match members.get("connections") {
        None | Some(Value::Null) => None,
        Some(value) => Some(NonZeroU32::new(u32::try_from(value.as_u64()?).ok()?)?.get()),
    };
    Some(OwnLimits { connections, rate: rate("rate")?, burst: rate("burst")? })
}

/// A number of seconds, with or without a fraction, however large: the calendar's end is the end.
fn moment(value: &Value) -> Option<Timestamp> {
    let number = value.as_number()?;
    if let Some(seconds) = number.as_i64() {
        return Some(Timestamp::from_seconds(seconds));
    }
    // A cast from a float stops at the ends of the integer. Rounding down never lengthens a token's life.
    number.as_f64().map(|seconds| Timestamp::from_millis((seconds * 1000.0).floor() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read<T>(claims: Value, what: impl for<'a> Fn(&Reading<'a>) -> Result<T, Refusal>) -> Result<T, String> {
        let names = ClaimNames::default();
        let claims = claims.as_object().unwrap().clone();
        what(&Reading::new(&names, &claims)).map_err(|refusal| {
            assert_eq!(refusal.detail, Some(Detail::ClaimMissing));
            refusal.message.into_owned()
        })
    }

    #[test]
    fn a_user_is_a_text_or_a_whole_number() {
        let user = |claim: Value| read(json!({ "sub": claim }), |reading| reading.user("x:"));
        assert_eq!(user(json!("ann")).unwrap().as_str(), "x:ann");
        assert_eq!(user(json!(42)).unwrap().as_str(), "x:42");
        assert_eq!(user(json!(-7)).unwrap().as_str(), "x:-7");
        for (claim, words) in [
            (json!(1.5), "neither a text nor a whole number"),
            (json!(true), "neither"),
            (json!(["ann"]), "neither"),
            (json!(null), "is missing"),
            (json!(""), "is empty"),
            (json!("a\nb"), "has a control character"),
            (json!("a".repeat(255)), "longer than 256 bytes"),
        ] {
            let message = user(claim).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn roles_are_a_list_or_words() {
        let roles = |claims| {
            read(claims, |reading| reading.roles()).map(|roles| roles.iter().map(Role::to_string).collect::<Vec<_>>())
        };
        assert_eq!(roles(json!({"roles": ["a", "b", "a"]})).unwrap(), ["a", "b"]);
        assert_eq!(roles(json!({"role": " a  b "})).unwrap(), ["a", "b"]);
        assert_eq!(roles(json!({"roles": ["a"], "role": "b"})).unwrap(), ["a"]);
        assert_eq!(roles(json!({"roles": null, "role": "b"})).unwrap(), ["b"]);
        assert!(roles(json!({})).unwrap().is_empty());
        for claims in
            [json!({"roles": 1}), json!({"roles": [1]}), json!({"roles": [""]}), json!({"roles": {"a": true}})]
        {
            assert!(roles(claims.clone()).is_err(), "{claims}");
        }
    }

    #[test]
    fn the_number_of_roles_and_permissions_is_bounded() {
        let many = |count: usize| (0..count).map(|n| json!(format!("w{n}"))).collect::<Vec<_>>();
        assert_eq!(read(json!({"roles": many(64)}), |reading| reading.roles()).unwrap().len(), 64);
        assert!(read(json!({"roles": many(65)}), |reading| reading.roles()).is_err());
        assert!(read(json!({"role": "a ".repeat(65)}), |reading| reading.roles()).is_err());
        assert_eq!(read(json!({"permissions": many(256)}), |reading| reading.permissions()).unwrap().len(), 256);
        assert!(read(json!({"permissions": many(257)}), |reading| reading.permissions()).is_err());
    }

    #[test]
    fn own_limits_have_one_form() {
        let limits = |claim: Value| read(json!({ "limits": claim }), |reading| reading.limits());
        let read = limits(json!({"connections": 3, "rate": "60/m", "burst": "10/s", "other": 1})).unwrap();
        assert_eq!((read.connections, read.rate.unwrap().to_string()), (Some(3), "60/m".to_owned()));
        assert_eq!(read.burst.unwrap().to_string(), "10/s");
        assert_eq!(limits(json!({})).unwrap(), OwnLimits::default());
        assert_eq!(limits(json!(null)).unwrap(), OwnLimits::default());
        for claim in [
            json!(3),
            json!({"connections": -1}),
            json!({"connections": 0}),
            json!({"connections": 1u64 << 40}),
            json!({"rate": 5}),
            json!({"burst": "x"}),
        ] {
            assert!(limits(claim.clone()).is_err(), "{claim}");
        }
    }

    #[test]
    fn a_plan_is_a_text() {
        assert_eq!(read(json!({"plan": "free"}), |reading| reading.plan()).unwrap(), Some("free".parse().unwrap()));
        assert_eq!(read(json!({}), |reading| reading.plan()).unwrap(), None);
        assert!(read(json!({"plan": 1}), |reading| reading.plan()).is_err());
        assert!(read(json!({"plan": ""}), |reading| reading.plan()).is_err());
    }

    #[test]
    fn a_moment_is_a_number_of_any_size() {
        let at = |claim: Value| read(json!({ "exp": claim }), |reading| reading.moment("exp"));
        assert_eq!(at(json!(10)).unwrap(), Some(Timestamp::from_seconds(10)));
        assert_eq!(at(json!(10.0005)).unwrap(), Some(Timestamp::from_millis(10_000)));
        assert_eq!(at(json!(10.5)).unwrap(), Some(Timestamp::from_millis(10_500)));
        let last = Timestamp::from_seconds(i64::MAX);
        for huge in [json!(u64::MAX), json!(i64::MAX), json!(1e300)] {
            assert_eq!(at(huge).unwrap(), Some(last));
        }
        assert_eq!(at(json!(-1e300)).unwrap(), Some(Timestamp::from_seconds(i64::MIN)));
        assert_eq!(read(json!({}), |reading| reading.moment("exp")).unwrap(), None);
        for claim in [json!("10"), json!(null), json!([10])] {
            assert!(at(claim).is_err());
        }
    }

    #[test]
    fn a_token_id_is_a_text_that_can_be_kept() {
        let id = |claim: Value| read(json!({ "jti": claim }), |reading| reading.token_id());
        assert_eq!(id(json!("x")).unwrap().as_deref(), Some("x"));
        for claim in [json!(1), json!(""), json!("x".repeat(257))] {
            assert!(id(claim).is_err());
        }
        assert_eq!(read(json!({}), |reading| reading.token_id()).unwrap(), None);
    }

    #[test]
    fn the_agent_comes_from_a_claim_or_is_left_to_the_query() {
        let claims = json!({"sub": "ann", "device": 7}).as_object().unwrap().clone();
        let agent = |source: &str| {
            let names = ClaimNames { agent: source.parse().unwrap(), ..ClaimNames::default() };
            Reading::new(&names, &claims).agent("p-").unwrap().map(|agent| agent.to_string())
        };
        assert_eq!(agent("sub").as_deref(), Some("p-ann"));
        assert_eq!(agent("device").as_deref(), Some("p-7"));
        assert_eq!(agent("absent"), None);
        assert_eq!(agent("query:agentId"), None);
        assert_eq!("query:".parse::<AgentSource>(), Err(NotAPath));
    }
}
