//! The namespaces of Socket.IO, as the doors that they are.

use std::{collections::BTreeMap, sync::Arc};

use gateway_domain::{Code, Refusal, vocabulary::Vocabulary};
use http::HeaderMap;

use super::{Endpoint, RejectWith};

/// All of them, by name.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(BTreeMap<Arc<str>, Arc<Endpoint>>);

impl Namespaces {
    /// The law of a namespace.
    pub fn at(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest message that any of them takes.
    pub fn largest_message(&self) -> usize {
        self.0.values().map(|endpoint| endpoint.max_message).max().unwrap_or_default()
    }

    /// Whether a page may come as far as their door: some namespace lets it in.
    pub fn admits_page(&self, headers: &HeaderMap, secure: bool) -> Result<(), Refusal> {
        let mut laws = self.0.values().map(|endpoint| &endpoint.origins);
        match laws.any(|law| law.admits(headers, secure).is_ok()) {
            true => Ok(()),
            false => Err(Refusal::plain(Code::OriginNotAllowed)),
        }
    }
}

/// A namespace is an endpoint whose path is its name; the language of Socket.IO and the heartbeat of its sessions are laid
/// over it.
impl FromIterator<Endpoint> for Namespaces {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        let each = endpoints.into_iter().map(|mut endpoint| {
            endpoint.vocabulary = Arc::new(Vocabulary::socketio(&endpoint.path));
            endpoint.session.heartbeat = None;
            endpoint.heartbeat_message = false;
            endpoint.reject_with = RejectWith::Http;
            (Arc::clone(&endpoint.path), Arc::new(endpoint))
        });
        Self(each.collect())
    }
}
