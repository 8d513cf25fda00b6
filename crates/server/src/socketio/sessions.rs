//! The table of open sessions: each is found by its id, which nobody can guess, and struck out when its task ends. For some
//! seconds more its id is remembered: what its client had sent before it heard of the end is late, and not a stranger's guess.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use gateway_domain::{Code, Refusal, Tick};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::session::{Request, Requests};
use crate::clock;

/// Requests of one client that wait for its session.
const REQUESTS: usize = 4;
/// For how long an id that ended is remembered: a slow network, and a poll's answer that crossed a post.
const LATE: Duration = Duration::from_secs(10);
/// How many are remembered; beyond it the oldest are forgotten early.
const MOST_LATE: usize = 1_024;

/// What is wrong with a request, as Engine.IO numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(crate) enum EngineFault {
    /// Neither `polling` nor `websocket`.
    #[error("Transport unknown")]
    Transport = 0,
    /// A session that never was, or is no more.
    #[error("Session ID unknown")]
    Session = 1,
    /// A session begins with a GET.
    #[error("Bad handshake method")]
    Method = 2,
    /// It does not fit the session.
    #[error("Bad request")]
    Request = 3,
    /// Another version than 4.
    #[error("Unsupported protocol version")]
    Version = 5,
}

/// The sessions that are open.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    open: Mutex<HashMap<Uuid, Entry>>,
    ended: Mutex<VecDeque<(Tick, Uuid)>>,
}

#[derive(Debug)]
struct Entry {
    requests: mpsc::Sender<Box<Request>>,
    shared: Arc<Shared>,
}

/// What a session, its lines and its requests look at.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Changes with every sign of life.
    pub(super) heard: AtomicU64,
    /// Whether a namespace was ever granted.
    pub(super) is_in: AtomicBool,
    /// Rings when the client is to prove that it is there.
    pub(super) probe: Notify,
}

/// The place of a session; dropping it strikes the session out.
#[derive(Debug)]
pub(super) struct Place {
    sessions: Arc<Sessions>,
    id: Uuid,
}

impl Shared {
    /// Whether the client has shown who it is.
    pub(crate) fn is_in(&self) -> bool {
        self.is_in.load(std::sync::atomic::Ordering::Acquire)
    }
}

impl Sessions {
    pub(super) fn of_at_most(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), ended: Mutex::default() })
    }

    /// A new session: its place, and what is asked of it.
    pub(super) fn enter(self: &Arc<Self>) -> Result<(Place, Arc<Shared>, Requests), Refusal> {
        let (requests, asked) = mpsc::channel(REQUESTS);
        let shared = Arc::<Shared>::default();
        let id = Uuid::new_v4();
        let mut open = self.open.lock();
        if open.len() >= self.most {
            return Err(Refusal::plain(Code::NodeFull).retry_after(Duration::from_secs(5)));
        }
        open.insert(id, Entry { requests, shared: Arc::clone(&shared) });
        drop(open);
        Ok((Place { sessions: Arc::clone(self), id }, shared, asked))
    }

    /// The session of that id.
    pub(crate) fn find(&self, sid: &str) -> Option<(mpsc::Sender<Box<Request>>, Arc<Shared>)> {
        let id = Uuid::try_parse(sid).ok()?;
        let open = self.open.lock();
        open.get(&id).map(|entry| (entry.requests.clone(), Arc::clone(&entry.shared)))
    }

    /// Whether a session of that id ended a moment ago.
    pub(crate) fn ended_lately(&self, sid: &str, now: Tick) -> bool {
        let Ok(id) = Uuid::try_parse(sid) else { return false };
        let mut ended = self.ended.lock();
        forget(&mut ended, now);
        ended.iter().any(|(_, other)| *other == id)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.lock().len()
    }
}

impl Place {
    /// The id, as the client is told it.
    pub(super) fn sid(&self) -> String {
        self.id.simple().to_string()
    }
}

/// Forgets what ended too long ago, and gives the room back where nothing is left.
fn forget(ended: &mut VecDeque<(Tick, Uuid)>, now: Tick) {
    while ended.front().is_some_and(|(at, _)| now.since(*at) >= LATE) {
        ended.pop_front();
    }
    if ended.is_empty() && ended.capacity() > 0 {
        *ended = VecDeque::new();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Remembered first: at no moment is it neither open nor of late.
        let now = clock::now().tick;
        let mut ended = self.sessions.ended.lock();
        forget(&mut ended, now);
        if ended.len() >= MOST_LATE {
            ended.pop_front();
        }
        ended.push_back((now, self.id));
        drop(ended);
        let mut open = self.sessions.open.lock();
        open.remove(&self.id);
        if open.is_empty() {
            open.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_id_of_a_session_is_remembered_for_some_seconds_behind_its_end_and_not_too_many_are() {
        let sessions = Sessions::of_at_most(MOST_LATE);
        let late = |sid: &str| sessions.ended_lately(sid, clock::now().tick);
        let (place, ..) = sessions.enter().unwrap();
        let sid = place.sid();
        assert!(!late(&sid), "it is open");
        drop(place);
        assert!(late(&sid) && !late(&"0".repeat(32)) && !late("x"));
        tokio::time::advance(LATE).await;
        assert!(!late(&sid));
        assert_eq!(sessions.ended.lock().capacity(), 0, "what is empty holds nothing");
        let sids: Vec<_> = (0..=MOST_LATE).map(|_| sessions.enter().unwrap().0.sid()).collect();
        assert!(!late(&sids[0]) && late(&sids[1]), "the oldest is forgotten early");
        assert_eq!(sessions.ended.lock().len(), MOST_LATE);
    }

    #[test]
    fn a_session_is_found_by_its_id_until_it_ends_and_the_table_is_bounded() {
        let sessions = Sessions::of_at_most(1);
        let (place, shared, _asked) = sessions.enter().unwrap();
        let sid = place.sid();
        assert_eq!(sid.len(), 32);
        let (_, found) = sessions.find(&sid).unwrap();
        assert!(Arc::ptr_eq(&found, &shared) && !found.is_in());
        assert_eq!(sessions.enter().unwrap_err().code, Code::NodeFull);
        drop(place);
        assert!(sessions.find(&sid).is_none() && sessions.len() == 0);
        let (other, ..) = sessions.enter().unwrap();
        assert_ne!(other.sid(), sid);
        for unknown in ["", "x", &"0".repeat(32)] {
            assert!(sessions.find(unknown).is_none());
        }
    }
}
