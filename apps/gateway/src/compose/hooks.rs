//! Webhooks: from what the configuration says to the rules that hold.

use gateway_auth::Seal;
use gateway_server::webhook::{Address, BreakerRules, HookRules, Kind, QueueBounds};

use crate::config::{HookEvent, HookSecrets, Webhook};

/// The rules of all of them.
pub(super) fn rules(hooks: &[Webhook], secrets: &[HookSecrets]) -> Vec<HookRules> {
    hooks.iter().zip(secrets).map(|(hook, secrets)| one(hook, secrets)).collect()
}

pub(super) fn one(hook: &Webhook, secrets: &HookSecrets) -> HookRules {
    let secrets = std::iter::once(&secrets.current).chain(&secrets.previous);
    let event = |event: &HookEvent| match event {
        HookEvent::Connect => Kind::Connect,
        HookEvent::Disconnect => Kind::Disconnect,
        HookEvent::Message => Kind::Message,
    };
    HookRules {
        name: hook.name.as_str().into(),
        address: Address::new(hook.url.as_str()),
        seals: secrets.map(|secret| Seal::new(secret.expose())).collect(),
        events: hook.events.iter().map(event).collect(),
        endpoints: hook.endpoints.iter().map(|path| path.as_str().into()).collect(),
        timeout: hook.timeout.get(),
        at_once: hook.at_once.get() as usize,
        queue: QueueBounds { events: hook.queue.events.get() as usize, bytes: hook.queue.bytes.bytes() },
        breaker: BreakerRules { failures: hook.breaker.failures.get(), pause: hook.breaker.pause.get() },
    }
}
