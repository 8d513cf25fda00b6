//! The making of access tokens, for gateways that issue their own. What it writes stands where the gateway will read
//! it: the same claim names rule both directions.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_domain::{AgentId, Now, PlanName, Role, Timestamp, Token, UserId, name::Permission};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    claims::{AgentSource, ClaimNames, ClaimPath},
    key::KeyFault,
    signing::SigningKey,
};

/// For whom a token is made, and what it says of them. The user is named as the token names it: the prefix of a
/// key comes before it only when the token is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The user.
    pub user: UserId,
    /// What the user is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// What the user may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// Which limits hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanName>,
    /// The agent. Where the same claim names user and agent, the user's name is the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

/// What all tokens of an issuer have in common.
#[derive(Clone, Debug)]
pub struct IssuerRules {
    /// The issuer that they name.
    pub issuer: Option<Arc<str>>,
    /// The audiences that they name.
    pub audience: Vec<Arc<str>>,
    /// How long they are valid.
    pub access_ttl: Duration,
    /// Which claims mean what.
    pub claims: ClaimNames,
}

impl Default for IssuerRules {
    /// No issuer and no audience are named; a token is valid for a quarter of an hour.
    fn default() -> Self {
        Self { issuer: None, audience: Vec::new(), access_ttl: Duration::from_secs(900), claims: ClaimNames::default() }
    }
}

/// Makes tokens.
#[derive(Debug)]
pub struct Issuer {
    key: SigningKey,
    rules: IssuerRules,
}

/// A token that was made.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The token.
    pub token: Token,
    /// Its `exp`.
    pub expires_at: Timestamp,
    /// Its `jti`.
    pub token_id: Arc<str>,
}

impl Issuer {
    /// An issuer by these rules; refused where two claims would stand in one place.
    pub fn new(key: SigningKey, rules: IssuerRules) -> Result<Self, KeyFault> {
        let issuer = Self { key, rules };
        let name = |_| KeyFault::Library;
        let trial = Grant {
            user: UserId::parse("user").map_err(name)?,
            roles: vec![Role::parse("role").map_err(name)?],
            permissions: vec![Permission::parse("permission").map_err(name)?],
            plan: Some(PlanName::parse("plan").map_err(name)?),
            agent: Some(AgentId::parse("agent").map_err(name)?),
        };
        issuer.claims(&trial, registered(&issuer.rules))?;
        Ok(issuer)
    }

    /// How long its tokens are valid.
    pub fn access_ttl(&self) -> Duration {
        self.rules.access_ttl
    }

    /// Makes a token.
    pub fn mint(&self, grant: &Grant, now: Now) -> Result<Minted, KeyFault> {
        self.mint_for(grant, self.rules.access_ttl, now)
    }

    /// Makes a token that is valid for that long.
    pub fn mint_for(&self, grant: &Grant, ttl: Duration, now: Now) -> Result<Minted, KeyFault> {
        let token_id: Arc<str> = Uuid::new_v4().to_string().into();
        let issued_at = now.wall.millis().div_euclid(1000);
        // Whole seconds, as most readers expect, unless the time asked for has a fraction itself.
        let (exp, expires_at) = if ttl.subsec_millis() == 0 {
            let expires_at = Timestamp::from_seconds(issued_at) + ttl;
            (json!(expires_at.millis().div_euclid(1000)), expires_at)
        } else {
            let expires_at = now.wall + ttl;
            (json!(expires_at.millis() as f64 / 1000.0), expires_at)
        };
        let mut claims = registered(&self.rules);
        for (name, value) in [("iat", json!(issued_at)), ("exp", exp), ("jti", json!(token_id))] {
            claims.insert(name.to_owned(), value);
        }
        let token = self.signed(self.claims(grant, claims)?)?;
        Ok(Minted { token, expires_at, token_id })
    }

    fn claims(&self, grant: &Grant, mut claims: Map<String, Value>) -> Result<Map<String, Value>, KeyFault> {
        let names = &self.rules.claims;
        let mut put = |path: &ClaimPath, value: Value| {
            path.place(&mut claims, value).map_err(|_| KeyFault::ClaimsCollide(path.to_string().into()))
        };
        put(&names.user, json!(grant.user))?;
        if !grant.roles.is_empty() {
            put(&names.roles, json!(grant.roles))?;
        }
        if !grant.permissions.is_empty() {
            put(&names.permissions, json!(grant.permissions))?;
        }
        if let Some(plan) = &grant.plan {
            put(&names.plan, json!(plan))?;
        }
        match (&names.agent, &grant.agent) {
            (AgentSource::Claim(path), Some(agent)) if path.paths().next() != names.user.paths().next() => {
                put(path, json!(agent))?;
            }
            _ => {}
        }
        Ok(claims)
    }

    fn signed(&self, claims: Map<String, Value>) -> Result<Token, KeyFault> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(self.key.algorithm()));
        header.insert("typ".to_owned(), json!("JWT"));
        if let Some(kid) = self.key.kid() {
            header.insert("kid".to_owned(), json!(kid));
        }
        let part = |members: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(members).to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(message.as_bytes())?;
        Ok(Token::new(format!("{message}.{signature}")))
    }
}

/// The registered claims, the places of those that each token fills in anew included.
fn registered(rules: &IssuerRules) -> Map<String, Value> {
    let mut claims = Map::new();
    for name in ["iat", "exp", "jti"] {
        claims.insert(name.to_owned(), Value::Null);
    }
    if let Some(issuer) = &rules.issuer {
        claims.insert("iss".to_owned(), json!(issuer));
    }
    match rules.audience.as_slice() {
        [] => {}
        [one] => {
            claims.insert("aud".to_owned(), json!(one));
        }
        several => {
            claims.insert("aud".to_owned(), json!(several));
        }
    }
    claims
}
