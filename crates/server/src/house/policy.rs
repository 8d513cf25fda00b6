//! What a house is told to do: who is believed, which doors there are, what may be said and how much of it. All of it can be
//! another one while the gateway runs.

use std::sync::Arc;

use gateway_auth::{ApiKeys, Keyring, TokenRules};
use gateway_domain::{plan::Plan, route::Routes};
use gateway_transport::{OriginLaw, TokenSources};
use serde_json::Value;

use crate::{
    endpoint::{Endpoints, Namespaces},
    issuing::Signer,
    limits::{CallLimits, HandshakeLimits},
    plans::Plans,
    publish::Schemas,
};

/// What a house is told to do. Begin with [`trusting`](Self::trusting), and put other parts in the place of those.
#[derive(Debug)]
pub struct Policy {
    /// Whose tokens are believed.
    pub keys: Keyring,
    /// What every token must fulfil, and which claims mean what.
    pub tokens: TokenRules,
    /// Where a token may be.
    pub token_sources: TokenSources,
    /// The doors.
    pub endpoints: Endpoints,
    /// The doors of Socket.IO.
    pub namespaces: Namespaces,
    /// Which pages may call the API.
    pub api_origins: OriginLaw,
    /// Which limits hold for whom.
    pub plans: Plans,
    /// How often one may knock.
    pub handshakes: Arc<HandshakeLimits>,
    /// How often a backend may call.
    pub calls: CallLimits,
    /// Who may say what, and where it goes.
    pub routes: Routes,
    /// What events have to look like.
    pub schemas: Schemas,
    /// Who signs tokens here, where anybody gets some.
    pub issuing: Option<Signer>,
    /// Which backends are known by a key.
    pub api_keys: ApiKeys,
    /// The configuration that it was made of, without its secrets, for those who look at it by the API.
    pub configuration: Value,
}

impl Policy {
    /// Believes tokens of those keys, and has no door yet, no page and no route: nobody comes in, and nothing is said. The
    /// limits are those that ship.
    pub fn trusting(keys: Keyring) -> Self {
        Self {
            keys,
            tokens: TokenRules::default(),
            token_sources: TokenSources::default(),
            endpoints: Endpoints::default(),
            namespaces: Namespaces::default(),
            api_origins: OriginLaw::default(),
            plans: Plans::new([], Plan::default()),
            handshakes: Arc::default(),
            calls: CallLimits::default(),
            routes: Routes::default(),
            schemas: Schemas::default(),
            issuing: None,
            api_keys: ApiKeys::default(),
            configuration: Value::Null,
        }
    }
}
