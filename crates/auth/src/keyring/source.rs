//! One set of keys and its upkeep: one fetch at a time, whoever asks; old keys serve while new ones are on the way;
//! a set that cannot be read is tried again soon, then less soon; strangers' key ids can make it read only so often.

use std::{sync::Arc, time::Duration};

use gateway_domain::{Now, Tick, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    algorithm::{Algorithm, Family},
    jwk::{self, KeySet, SetBounds},
    key::{Grants, Key, KeyFault, LONGEST_KEY_ID, RoleBound},
    keyring::{
        absent::{Absent, Allowance},
        origin::{Fetch, FetchFault, JwksOrigin, JwksSource},
    },
};

/// A fetch that takes longer has failed; whoever fetches should give up earlier.
const LONGEST_FETCH: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Why a set was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// It was not fetched.
    #[error("it could not be fetched: {0}")]
    Fetch(FetchFault),
    /// It was fetched, and is of no use.
    #[error(transparent)]
    Set(KeyFault),
    /// It did not come in time.
    #[error("it could not be fetched in {} seconds", LONGEST_FETCH.as_secs())]
    TooSlow,
    /// The fetch broke down.
    #[error("the fetch broke off")]
    BrokeOff,
}

/// How a set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is fetched, rather than given.
    pub is_fetched: bool,
    /// Whether its keys verify tokens at this moment.
    pub usable: bool,
    /// How many keys it has.
    pub keys: usize,
    /// How many of its entries are of no use here.
    pub dropped: usize,
    /// When it was last read.
    pub last_success: Option<Timestamp>,
    /// What went wrong since then, and when.
    pub last_fault: Option<(Timestamp, SourceFault)>,
    /// How often it was asked for.
    pub fetches: u64,
    /// How often in vain.
    pub failures: u64,
}

pub(super) struct Source {
    spec: JwksSource,
    /// What was said of it, as it was said.
    told: JwksSource,
    grants: Arc<Grants>,
    state: Mutex<State>,
}

struct State {
    keys: Arc<[Arc<Key>]>,
    dropped: usize,
    read: Option<Now>,
    fault: Option<(Timestamp, SourceFault)>,
    /// In a row.
    failures: u32,
    fetches: u64,
    failed: u64,
    not_before: Tick,
    allowance: Allowance,
    absent: Absent,
    /// Lives as long as its sender, which the fetch owns.
    flight: Option<watch::Receiver<()>>,
}

impl Source {
    pub(super) fn new(mut spec: JwksSource) -> Result<Arc<Self>, KeyFault> {
        let told = spec.clone();
        spec.algorithms.retain(|algorithm| algorithm.family() != Family::Secret);
        let roles = match (&spec.origin, spec.roles.take()) {
            (_, Some(roles)) => RoleBound::Only(roles),
            (JwksOrigin::Url(_), None) => RoleBound::AllButPowers,
            (JwksOrigin::Given(_), None) => RoleBound::All,
        };
        let user_prefix = spec.user_prefix.take().filter(|prefix| !prefix.is_empty());
        let grants = Arc::new(Grants { name: spec.name.clone(), user_prefix, roles });
        let state = State {
            keys: Arc::default(),
            dropped: 0,
            read: None,
            fault: None,
            failures: 0,
            fetches: 0,
            failed: 0,
            not_before: Tick::ZERO,
            allowance: Allowance::full(),
            absent: Absent::default(),
            flight: None,
        };
        let source = Self { spec, told, grants, state: Mutex::new(state) };
        if let JwksOrigin::Given(bytes) = &source.spec.origin {
            source.state.lock().put(source.read(bytes)?);
        }
        Ok(Arc::new(source))
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.spec.issuer.as_deref()
    }

    pub(super) fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    /// Whether that is what was said of it.
    pub(super) fn is_of(&self, spec: &JwksSource) -> bool {
        self.told == *spec
    }

    pub(super) fn is_given(&self) -> bool {
        matches!(self.spec.origin, JwksOrigin::Given(_))
    }

    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.spec.algorithms.contains(&algorithm)
    }

    /// The keys; none where they were never read, or too long ago.
    pub(super) fn keys(&self, now: Now) -> Option<Arc<[Arc<Key>]>> {
        let state = self.state.lock();
        self.is_usable(&state, now).then(|| state.keys.clone())
    }

    pub(super) fn replace(&self, bytes: &[u8], now: Now) -> Result<(), KeyFault> {
        let set = self.read(bytes)?;
        let mut state = self.state.lock();
        state.put(set);
        state.read = Some(now);
        Ok(())
    }

    /// How long the set is out of reach, where it is: never read, too old, or failing.
    pub(super) fn out_of_reach(&self, now: Now) -> Option<Duration> {
        let state = self.state.lock();
        let out = !self.is_usable(&state, now) || state.failures > 0;
        out.then(|| state.not_before.since(now.tick))
    }

    /// Whether asking the set could help a token, and is allowed at this moment.
    pub(super) fn may_look_up(&self, kid: Option<&str>, now: Now) -> bool {
        let mut state = self.state.lock();
        !self.is_given() && (state.flight().is_some() || self.may_start(&mut state, kid, now))
    }

    /// Asks the set, or joins who asks already.
    pub(super) fn look_up(
        self: &Arc<Self>,
        fetch: &Fetch,
        kid: Option<Arc<str>>,
        now: Now,
    ) -> Option<watch::Receiver<()>> {
        let mut state = self.state.lock();
        if let Some(flight) = state.flight() {
            return Some(flight);
        }
        if !self.may_start(&mut state, kid.as_deref(), now) {
            return None;
        }
        if self.is_usable(&state, now) {
            state.allowance.take();
        }
        self.start(&mut state, fetch, kid, now)
    }

    pub(super) fn refresh_if_due(self: &Arc<Self>, fetch: &Fetch, now: Now) -> Option<watch::Receiver<()>> {
        let mut state = self.state.lock();
        let fresh = |read: Now| now.tick.since(read.tick) < self.spec.refresh_every;
        let due = state.failures > 0 || !state.read.is_some_and(fresh);
        if !due || now.tick < state.not_before || state.flight().is_some() {
            return None;
        }
        self.start(&mut state, fetch, None, now)
    }

    pub(super) fn status(&self, now: Now) -> SourceStatus {
        let state = self.state.lock();
        SourceStatus {
            name: self.spec.name.clone(),
            is_fetched: !self.is_given(),
            usable: self.is_usable(&state, now),
            keys: state.keys.len(),
            dropped: state.dropped,
            last_success: state.read.map(|read| read.wall),
            last_fault: state.fault.clone(),
            fetches: state.fetches,
            failures: state.failed,
        }
    }

    fn is_usable(&self, state: &State, now: Now) -> bool {
        self.is_given() || state.read.is_some_and(|read| now.tick.since(read.tick) <= self.spec.max_stale)
    }

    fn may_start(&self, state: &mut State, kid: Option<&str>, now: Now) -> bool {
        if now.tick < state.not_before {
            return false;
        }
        // Without usable keys nobody comes in, so the set is asked whatever the token says.
        !self.is_usable(state, now)
            || kid.is_some_and(|kid| {
                kid.len() <= LONGEST_KEY_ID
                    && !state.absent.has(kid, now.tick)
                    && state.allowance.is_left(self.spec.min_interval, now.tick)
            })
    }

    /// The fetch lives in a task of its own: who waits for it may go away.
    fn start(
        self: &Arc<Self>,
        state: &mut State,
        fetch: &Fetch,
        kid: Option<Arc<str>>,
        now: Now,
    ) -> Option<watch::Receiver<()>> {
        let JwksOrigin::Url(url) = &self.spec.origin else { return None };
        let (landed, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        state.fetches += 1;
        let answer = fetch(url.clone());
        let source = self.clone();
        tokio::spawn(async move {
            // In a task of its own once more, so that a panic in there is an outcome like any other.
            let mut answer = tokio::spawn(answer);
            let outcome = match tokio::time::timeout(LONGEST_FETCH, &mut answer).await {
                Ok(Ok(Ok(bytes))) => source.read(&bytes).map_err(SourceFault::Set),
                Ok(Ok(Err(fault))) => Err(SourceFault::Fetch(fault)),
                Ok(Err(_)) => Err(SourceFault::BrokeOff),
                Err(_) => {
                    answer.abort();
                    Err(SourceFault::TooSlow)
                }
            };
            source.land(outcome, kid, now);
            drop(landed);
        });
        Some(flight)
    }

    fn land(&self, outcome: Result<KeySet, SourceFault>, kid: Option<Arc<str>>, started: Now) {
        let mut state = self.state.lock();
        state.flight = None;
        match outcome {
            Ok(set) => {
                state.put(set);
                state.read = Some(started);
                state.fault = None;
                state.failures = 0;
                state.not_before = Tick::ZERO;
                // Only the id for which the fetch began: another may have been published since.
                if let Some(kid) = kid.filter(|kid| !state.keys.iter().any(|key| key.kid() == Some(kid))) {
                    state.absent.put(kid, started.tick + self.spec.absent_for);
                }
            }
            Err(fault) => {
                state.fault = Some((started.wall, fault));
                let wait = FIRST_RETRY.saturating_mul(1 << state.failures.min(16)).min(self.spec.min_interval);
                state.failures = state.failures.saturating_add(1);
                state.failed += 1;
                state.not_before = started.tick + wait;
            }
        }
    }

    fn read(&self, bytes: &[u8]) -> Result<KeySet, KeyFault> {
        let bounds = SetBounds {
            issuer: self.spec.issuer.as_ref(),
            grants: &self.grants,
            algorithms: &self.spec.algorithms,
            max_keys: self.spec.max_keys,
            max_bytes: self.spec.max_bytes,
        };
        jwk::set(bytes, &bounds)
    }
}

impl State {
    fn put(&mut self, set: KeySet) {
        self.keys = set.keys.into_iter().map(Arc::new).collect();
        self.dropped = set.dropped;
    }

    fn flight(&self) -> Option<watch::Receiver<()>> {
        self.flight.clone().filter(|flight| flight.has_changed().is_ok())
    }
}
