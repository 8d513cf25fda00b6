//! From a new configuration to the house that comes in the place of another: what it knows and whom it holds stays, and
//! what counts goes on counting where its limits are the same.

use std::sync::Arc;

use anyhow::{Context, Result};
use gateway_domain::ban::Ban;
use gateway_server::{House, house::Policy, hub::HubRules, webhook::Heir as HookHeir};

use super::{
    foundation::{bans, hub_rules, open_files},
    hooks, keys,
    policy::{call_limits, handshake_limits, policy},
};
use crate::config::{Config, Loaded, Secrets};

/// A house that can come in the place of another, with all that goes along with it.
pub struct Heir {
    house: House,
    rules: HubRules,
    bans: Vec<Ban>,
    hooks: Vec<HookHeir>,
}

/// The house of another configuration than `before`, with the same hub, ledger and books. Nothing is changed yet.
pub fn heir(was: &House, before: (&Config, &Secrets), (loaded, secrets): (&Loaded, &Secrets)) -> Result<Heir> {
    let (old, old_secrets) = before;
    let config = &loaded.config;
    let rates = |config: &Config| {
        let limits = &config.limits;
        (limits.handshakes_per_ip, limits.handshakes_per_user, limits.auto_ban)
    };
    let handshakes = match rates(old) == rates(config) {
        true => Arc::clone(&was.handshakes),
        false => Arc::new(handshake_limits(&config.limits)),
    };
    let calls = |config: &Config| (config.http.rate, config.api_keys.clone());
    let calls = if calls(old) == calls(config) { was.calls.clone() } else { call_limits(config) };
    let (own, sets) = (keys::keys(&config.auth, secrets)?, keys::sets(&config.auth, secrets)?);
    let keys = was.gate.authenticator.keys().heir(own, sets)?;
    let policy = Policy { handshakes, calls, ..policy(loaded, secrets, keys)? };
    let hooks = config.webhooks.iter().zip(&secrets.webhooks).map(|(hook, secret)| {
        let known = old.webhooks.iter().zip(&old_secrets.webhooks).any(|known| known == (hook, secret));
        if known { HookHeir::Same(hook.name.as_str().into()) } else { HookHeir::New(hooks::one(hook, secret)) }
    });
    Ok(Heir {
        rules: hub_rules(config, open_files())?,
        bans: bans(config),
        hooks: hooks.collect(),
        house: was.heir(policy),
    })
}

impl Heir {
    /// Comes in the place of that house: the house that stands now, and how many connections it admits no more.
    pub fn enter(self, was: &Arc<House>) -> Result<(Arc<House>, usize)> {
        let Self { house, rules, bans, hooks } = self;
        // The one step that can fail is the first.
        was.hub.webhooks().adopt(hooks).context("what stands beside state.file")?;
        was.ledger.configure(bans);
        was.hub.adopt(rules);
        Ok(was.succeeded_by(house))
    }
}
