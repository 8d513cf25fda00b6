//! What of a new configuration can be in force while the gateway runs: everything but what is made once, with the process.

use super::{Auth, Config, Issuer, Limits, Loaded, Server, Socketio};

impl Loaded {
    /// What of it can be in force in a gateway that began with that configuration.
    #[must_use]
    pub fn in_force_after(&self, before: &Config) -> Self {
        Self { config: before.taking_up(&self.config), ..self.clone() }
    }
}

impl Config {
    /// That configuration as far as a gateway takes it up that began with this one: what needs a restart stays as it is.
    #[must_use]
    pub fn taking_up(&self, new: &Self) -> Self {
        let new = new.clone();
        Self {
            server: Server { log: new.server.log, ..self.server.clone() },
            admin: self.admin.clone(),
            console: self.console.clone(),
            state: self.state.clone(),
            audit: self.audit.clone(),
            cluster: self.cluster.clone(),
            auth: Auth { issuer: issuer(self.auth.issuer.as_ref(), new.auth.issuer), ..new.auth },
            socketio: Socketio { namespaces: new.socketio.namespaces, ..self.socketio.clone() },
            limits: Limits {
                handshake_timeout: self.limits.handshake_timeout,
                header_timeout: self.limits.header_timeout,
                unauthenticated: self.limits.unauthenticated,
                unauthenticated_per_address: self.limits.unauthenticated_per_address,
                ..new.limits
            },
            http: new.http,
            api_keys: new.api_keys,
            endpoints: new.endpoints,
            routes: new.routes,
            rooms: new.rooms,
            events: new.events,
            webhooks: new.webhooks,
            plans: new.plans,
            bans: new.bans,
        }
    }
}

/// The families of refresh tokens live as long as they were begun to.
fn issuer(old: Option<&Issuer>, new: Option<Issuer>) -> Option<Issuer> {
    match (old, new) {
        (Some(old), Some(new)) => Some(Issuer { refresh_ttl: old.refresh_ttl, ..new }),
        (_, new) => new,
    }
}
