//! The doors: endpoints, and namespaces of Socket.IO, each with its own law.

use std::sync::Arc;

use anyhow::Result;
use gateway_domain::{
    session::{OnExpiry, SessionRules},
    vocabulary::Vocabulary,
};
use gateway_server::endpoint::{Endpoint, Endpoints, Handler, MessagesScope, RejectWith};
#[cfg(feature = "net")]
use gateway_server::socketio::SessionTimes;
use gateway_transport::OriginLaw;

use crate::config::{self, Config};

/// The doors. Those that speak alike share one vocabulary, so that what goes to several of them is written once.
pub(super) fn doors(endpoints: &[config::Endpoint]) -> Result<Endpoints> {
    let mut vocabularies: Vec<Arc<Vocabulary>> = Vec::new();
    let mut shared = |vocabulary: Vocabulary| {
        if let Some(known) = vocabularies.iter().find(|known| ***known == vocabulary) {
            return Arc::clone(known);
        }
        let vocabulary = Arc::new(vocabulary);
        vocabularies.push(Arc::clone(&vocabulary));
        vocabulary
    };
    endpoints.iter().map(|written| endpoint(written, shared(written.vocabulary()?))).collect()
}

/// The namespaces of Socket.IO, as the doors that they are.
pub fn namespaces(config: &Config) -> Result<Vec<Endpoint>> {
    let native = Arc::new(Vocabulary::native());
    let namespaces = config.socketio.namespaces.iter();
    namespaces.map(|namespace| endpoint(&namespace.as_endpoint(), Arc::clone(&native))).collect()
}

/// How sessions of Socket.IO are kept.
#[cfg(feature = "net")]
pub(super) fn times(socketio: &config::Socketio) -> SessionTimes {
    SessionTimes {
        ping_interval: socketio.ping_interval.get(),
        ping_timeout: socketio.ping_timeout.get(),
        connect_timeout: socketio.connect_timeout.get(),
    }
}

fn endpoint(endpoint: &config::Endpoint, vocabulary: Arc<Vocabulary>) -> Result<Endpoint> {
    let origins: Vec<String> = endpoint.origins.iter().map(ToString::to_string).collect();
    Ok(Endpoint {
        path: endpoint.path.as_str().into(),
        roles: endpoint.roles.clone(),
        origins: OriginLaw::parse(&origins)?,
        agents: endpoint.agents,
        reject_with: match endpoint.reject_with {
            config::RejectWith::Http => RejectWith::Http,
            config::RejectWith::CloseCode => RejectWith::CloseCode,
        },
        session: SessionRules {
            on_expiry: match endpoint.on_expiry {
                config::OnExpiry::Close => OnExpiry::Close,
                config::OnExpiry::Keep => OnExpiry::Keep,
            },
            expiry_warning: endpoint.expiry_warning.get().map(|ahead| ahead.get()).unwrap_or_default(),
            heartbeat: Some(endpoint.heartbeat.get()),
            heartbeat_timeout: endpoint.heartbeat_timeout.get(),
            idle_timeout: endpoint.idle_timeout.get().map(|limit| limit.get()),
        },
        heartbeat_message: endpoint.heartbeat_message,
        handler: match endpoint.handler {
            config::Handler::Routes => Handler::Routes,
            config::Handler::Echo => Handler::Echo,
        },
        vocabulary,
        join: endpoint.joined()?,
        max_message: endpoint.max_message.bytes(),
        plan: endpoint.plan.clone(),
        messages_scope: match endpoint.messages_scope {
            config::MessagesScope::User => MessagesScope::User,
            config::MessagesScope::Connection => MessagesScope::Connection,
        },
    })
}
