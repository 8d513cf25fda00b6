//! Every key by which a token may be verified: those given by hand, and sets from elsewhere. The law: a key is chosen
//! by issuer, source, id and algorithm together, so that no issuer's key ever verifies another issuer's token.

use std::{sync::Arc, time::Duration};

use gateway_domain::{Now, refusal::Detail};
use parking_lot::RwLock;

use crate::{
    jws::Wanted,
    key::{Key, KeyFault},
    keyring::source::Source,
};

pub use crate::keyring::{
    origin::{Fetch, FetchFault, JwksOrigin, JwksSource},
    source::{SourceFault, SourceStatus},
};

mod absent;
mod origin;
mod source;

/// How many keys one token may be tried against.
const MOST_TRIES: usize = 8;
/// The shortest wait that a client is told while keys are out of reach.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The keys of the gateway.
pub struct Keyring {
    local: RwLock<Arc<[Arc<Key>]>>,
    sources: Vec<Arc<Source>>,
    fetch: Fetch,
}

/// Sets that may have the key of a token, and were not read late enough to tell.
#[derive(Clone, Debug)]
pub struct KeyWanted {
    sources: Vec<usize>,
    kid: Option<Arc<str>>,
}

/// What the ring has for a token.
#[derive(Default)]
pub(crate) struct Found {
    /// To be tried, in this order.
    pub(crate) keys: Vec<Arc<Key>>,
    /// Worth asking.
    pub(crate) wanted: Option<KeyWanted>,
    /// A set that might have the key is out of reach, for this long at least.
    pub(crate) unavailable: Option<Duration>,
    /// Why keys that were near did not fit.
    pub(crate) near: Option<Detail>,
}

impl Keyring {
    /// A ring of keys given by hand and of sets; sets that are given as bytes are read at once, the others are
    /// fetched by [`refresh`](Self::refresh) or when a token asks for them.
    pub fn new(keys: Vec<Key>, sources: Vec<JwksSource>, fetch: Fetch) -> Result<Self, KeyFault> {
        let sources = sources.into_iter().map(Source::new).collect::<Result<Vec<_>, _>>()?;
        let ring = Self { local: RwLock::new(Arc::default()), sources, fetch };
        ring.replace_local(keys)?;
        Ok(ring)
    }

    /// A ring of keys given by hand alone: nothing is fetched.
    pub fn of(keys: Vec<Key>) -> Result<Self, KeyFault> {
        let nothing = || FetchFault("no set of keys is known here".into());
        Self::new(keys, Vec::new(), Arc::new(move |_| Box::pin(async move { Err(nothing()) })))
    }

    /// A ring of these keys and sets that goes on with what this one has fetched: a set of which nothing else is said than
    /// before is the same set.
    pub fn heir(&self, keys: Vec<Key>, sources: Vec<JwksSource>) -> Result<Self, KeyFault> {
        let source = |spec: JwksSource| match self.sources.iter().find(|source| source.is_of(&spec)) {
            Some(source) => Ok(Arc::clone(source)),
            None => Source::new(spec),
        };
        let sources = sources.into_iter().map(source).collect::<Result<Vec<_>, _>>()?;
        let ring = Self { local: RwLock::new(Arc::default()), sources, fetch: Arc::clone(&self.fetch) };
        ring.replace_local(keys)?;
        Ok(ring)
    }

    /// The key of that name that serves that issuer, where there is one now.
    pub(crate) fn named(&self, label: &str, issuer: Option<&str>, now: Now) -> Option<Arc<Key>> {
        let is_it = |key: &&Arc<Key>| &**key.label() == label && fits(key.issuer(), issuer);
        let local = self.local.read().iter().find(is_it).cloned();
        local.or_else(|| self.sources.iter().find_map(|source| source.keys(now)?.iter().find(is_it).cloned()))
    }

    /// Puts other keys in the place of those given by hand, all at once; after a fault the old ones stay.
    pub fn replace_local(&self, keys: Vec<Key>) -> Result<(), KeyFault> {
        let keys: Arc<[Arc<Key>]> = keys.into_iter().map(Arc::new).collect();
        self.check(&keys)?;
        *self.local.write() = keys;
        Ok(())
    }

    /// Puts another set in the place of one that is given as bytes; after a fault the old one stays.
    pub fn replace_set(&self, name: &str, bytes: &[u8], now: Now) -> Result<(), KeyFault> {
        let source = self.sources.iter().find(|source| source.is_given() && source.name() == name);
        source.ok_or_else(|| KeyFault::NoSuchSource(name.into()))?.replace(bytes, now)
    }

    /// Fetches the sets whose time has come, at once, and waits for them a little. Call it every few seconds.
    pub async fn refresh(&self, now: Now) {
        let flights: Vec<_> =
            self.sources.iter().filter_map(|source| source.refresh_if_due(&self.fetch, now)).collect();
        for mut flight in flights {
            // The end of the sender is the end of the flight.
            let _ = tokio::time::timeout(crate::authenticator::PATIENCE, flight.changed()).await;
        }
    }

    /// How the sets are: for readiness and for people.
    pub fn status(&self, now: Now) -> Vec<SourceStatus> {
        self.sources.iter().map(|source| source.status(now)).collect()
    }

    /// Asks the sets that a token wants, or joins those who ask already, and waits for all answers.
    pub(crate) async fn look_up(&self, wanted: &KeyWanted, now: Now) {
        let asked = wanted.sources.iter().filter_map(|index| self.sources.get(*index));
        let flights: Vec<_> = asked.filter_map(|source| source.look_up(&self.fetch, wanted.kid.clone(), now)).collect();
        for mut flight in flights {
            let _ = flight.changed().await;
        }
    }

    /// The keys that a token may be tried against.
    pub(crate) fn find(&self, wanted: &Wanted<'_>, now: Now) -> Found {
        let mut found = Found::default();
        let local = self.local.read().clone();
        let named_here = choose(&local, wanted, &mut found, |key| fits(key.issuer(), wanted.issuer));
        let mut asked = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let keys = source.keys(now);
            if !self.serves_issuer(source, wanted.issuer, &local) {
                let known = keys.is_some_and(|keys| keys.iter().any(|key| key.kid() == wanted.kid.as_deref()));
                if known || wanted.kid.is_none() {
                    found.near.get_or_insert(Detail::Issuer);
                }
                continue;
            }
            if !source.allows(wanted.algorithm) {
                found.near.get_or_insert(Detail::Algorithm);
                continue;
            }
            let settled = match &keys {
                Some(keys) => choose(keys, wanted, &mut found, |_| true) || wanted.kid.is_none(),
                None => false,
            };
            if settled || named_here {
                continue;
            }
            if source.may_look_up(wanted.kid.as_deref(), now) {
                asked.push(index);
            }
            if let Some(wait) = source.out_of_reach(now) {
                found.unavailable = found.unavailable.max(Some(wait.max(SHORTEST_WAIT)));
            }
        }
        found.wanted = (!asked.is_empty()).then(|| KeyWanted { sources: asked, kid: wanted.kid.clone() });
        found
    }

    /// A set that is bound to no issuer serves those that nobody else answers for.
    fn serves_issuer(&self, source: &Source, issuer: Option<&str>, local: &[Arc<Key>]) -> bool {
        if source.issuer().is_some() {
            return fits(source.issuer(), issuer);
        }
        issuer.is_none_or(|issuer| {
            let theirs = local.iter().filter_map(|key| key.issuer());
            !theirs.chain(self.sources.iter().filter_map(|source| source.issuer())).any(|other| other == issuer)
        })
    }

    fn check(&self, keys: &[Arc<Key>]) -> Result<(), KeyFault> {
        if keys.is_empty() && self.sources.is_empty() {
            return Err(KeyFault::NoKeys);
        }
        for (at, key) in keys.iter().enumerate() {
            let same = |other: &Arc<Key>| other.kid.is_some() && other.kid == key.kid && other.issuer == key.issuer;
            if keys.iter().take(at).any(same) {
                return Err(KeyFault::DuplicateKeyId(key.label().clone()));
            }
        }
        let bound = keys.iter().map(|key| (key.issuer(), &key.grants));
        let bound = bound.chain(self.sources.iter().map(|source| (source.issuer(), source.grants())));
        let bound: Vec<_> =
            bound.filter_map(|(issuer, grants)| Some((issuer?, grants.user_prefix.as_deref(), &grants.name))).collect();
        for (issuer, prefix, name) in &bound {
            let mixed = bound
                .iter()
                .filter(|(other, _, _)| other != issuer)
                .any(|(_, other, _)| prefix.is_none_or(|prefix| other.is_none_or(|other| prefix.starts_with(other))));
            if mixed {
                return Err(KeyFault::UserPrefix((*name).clone()));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("local", &*self.local.read()).finish_non_exhaustive()
    }
}

fn fits(bound: Option<&str>, issuer: Option<&str>) -> bool {
    bound.is_none_or(|bound| issuer == Some(bound))
}

/// Adds the keys that may have signed the token; whether one of them has the id that the token names.
fn choose(keys: &[Arc<Key>], wanted: &Wanted<'_>, found: &mut Found, issuer_fits: impl Fn(&Key) -> bool) -> bool {
    let names = |key: &Key| wanted.kid.is_some() && key.kid == wanted.kid;
    let named = keys.iter().any(|key| names(key) && issuer_fits(key));
    for key in keys {
        // A key without an id may be any; it is not tried where another has the very id.
        let eligible = names(key) || wanted.kid.is_none() || (key.kid.is_none() && !named);
        if !eligible {
            continue;
        }
        if !key.serves(wanted.algorithm) {
            found.near.get_or_insert(Detail::Algorithm);
        } else if !issuer_fits(key) {
            found.near.get_or_insert(Detail::Issuer);
        } else if found.keys.len() < MOST_TRIES {
            found.keys.push(key.clone());
        }
    }
    named
}
