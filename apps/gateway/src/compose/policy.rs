//! What the house is told to do, and can be told otherwise while it runs.

use std::sync::Arc;

use anyhow::Result;
use gateway_auth::{ApiKey, ApiKeys, Grant, Keyring, TokenRules};
use gateway_domain::PlanName;
use gateway_server::{
    house::Policy,
    issuing::Signer,
    limits::{AutoBan, CallLimits, HandshakeLimits, HandshakeRate},
    plans::Plans,
};
use gateway_transport::{OriginLaw, TokenSources};

use super::{
    doors::{doors, namespaces},
    keys,
};
use crate::config::{self, Config, Loaded, Secrets};

/// What that configuration says, with those keys.
pub(super) fn policy(loaded: &Loaded, secrets: &Secrets, keys: Keyring) -> Result<Policy> {
    let Config { http, auth, api_keys, endpoints, limits, .. } = &loaded.config;
    let api_origins: Vec<String> = http.origins.iter().map(ToString::to_string).collect();
    Ok(Policy {
        keys,
        tokens: TokenRules {
            audience: auth.audience.iter().map(|name| name.as_str().into()).collect(),
            leeway: auth.leeway.get(),
            exp_leeway: auth.exp_leeway.get(),
            max_bytes: auth.max_token.bytes(),
            claims: keys::claim_names(auth)?,
        },
        token_sources: TokenSources::new(auth.token_sources.iter().map(token_source).collect()),
        endpoints: doors(endpoints)?,
        namespaces: namespaces(&loaded.config)?.into_iter().collect(),
        api_origins: OriginLaw::parse(&api_origins)?,
        plans: plans(&loaded.config),
        handshakes: Arc::new(handshake_limits(limits)),
        calls: call_limits(&loaded.config),
        routes: loaded.config.routes()?,
        schemas: loaded.schemas()?,
        issuing: signer(&loaded.config, secrets)?,
        api_keys: known_api_keys(api_keys, secrets),
        configuration: serde_json::to_value(&loaded.config).unwrap_or_default(),
    })
}

fn plans(config: &Config) -> Plans {
    let name = PlanName::usual();
    let fallback = config.plans.get(&name).cloned().unwrap_or_default().named(&name);
    Plans::new(config.plans.iter().map(|(name, plan)| plan.named(name)), fallback)
}

pub(super) fn handshake_limits(limits: &config::Limits) -> HandshakeLimits {
    HandshakeLimits::new(
        limits.handshakes_per_ip.get().map(handshake_rate),
        limits.handshakes_per_user.get().map(handshake_rate),
        limits.auto_ban.get().map(|law| AutoBan {
            violations: law.violations.get(),
            within: law.within.get(),
            duration: law.duration.get(),
        }),
    )
}

pub(super) fn call_limits(config: &Config) -> CallLimits {
    let of_keys = config.api_keys.iter();
    let of_keys = of_keys.filter_map(|key| Some((key.id.as_str().into(), key.rate?.get().map(handshake_rate))));
    CallLimits::new(config.http.rate.get().map(handshake_rate), of_keys)
}

fn handshake_rate(limit: &config::Handshakes) -> HandshakeRate {
    HandshakeRate { rate: *limit.rate, burst: limit.burst.non_zero() }
}

fn signer(config: &Config, secrets: &Secrets) -> Result<Option<Signer>> {
    let (Some(own), Some(issuer)) = (&config.auth.issuer, keys::own_issuer(&config.auth, secrets)?) else {
        return Ok(None);
    };
    let key = config.auth.keys.iter().find(|key| key.kid.as_ref().is_some_and(|kid| *kid == own.key));
    let user_prefix = key.and_then(|key| key.user_prefix.as_ref()).map(|prefix| prefix.as_str().into());
    Ok(Some(Signer { issuer, user_prefix }))
}

fn known_api_keys(keys: &[config::ApiKey], secrets: &Secrets) -> ApiKeys {
    ApiKeys::new(keys.iter().zip(&secrets.api_keys).map(|(key, material)| ApiKey {
        id: key.id.as_str().into(),
        sha256: match material {
            config::ApiKeyMaterial::Sha256(hash) => *hash,
            config::ApiKeyMaterial::Key(secret) => {
                gateway_auth::api_key::hash(&String::from_utf8_lossy(secret.expose()))
            }
        },
        grant: Grant {
            user: key.user.clone(),
            roles: key.roles.clone(),
            permissions: key.permissions.clone(),
            plan: key.plan.clone(),
            agent: key.agent.clone(),
        },
    }))
}

fn token_source(source: &config::value::TokenSource) -> gateway_transport::TokenSource {
    use config::value::TokenSource as Written;
    use gateway_transport::TokenSource as Meant;
    match source {
        Written::Query => Meant::Query,
        Written::Header => Meant::Header,
        Written::Subprotocol => Meant::Subprotocol,
        Written::Cookie(name) => Meant::Cookie(name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use gateway_domain::plan::Plan;

    use super::*;

    #[test]
    fn what_a_house_does_of_itself_is_what_ships() {
        let shipped = Config::default();
        assert_eq!(config::Plan::default().named(&PlanName::usual()), Plan::default());
        let config::Limits { handshakes_per_ip, handshakes_per_user, auto_ban, .. } = &shipped.limits;
        assert_eq!(handshakes_per_ip.get().map(handshake_rate), Some(HandshakeRate::OF_ADDRESS));
        assert_eq!(handshakes_per_user.get().map(handshake_rate), Some(HandshakeRate::OF_USER));
        assert_eq!(shipped.http.rate.get().map(handshake_rate), Some(HandshakeRate::OF_CALLER));
        assert!(auto_ban.get().is_none());
        let tokens = TokenRules::default();
        let said = (shipped.auth.leeway.get(), shipped.auth.exp_leeway.get(), shipped.auth.max_token.bytes());
        assert_eq!(said, (tokens.leeway, tokens.exp_leeway, tokens.max_bytes));
    }
}
