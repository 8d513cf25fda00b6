//! The table of open sessions: each is found by its id, which nobody can guess, and struck out when its task ends.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use gateway_domain::{Code, Refusal};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::session::Request;

/// Requests of one client that wait for its session.
const REQUESTS: usize = 4;

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
}

#[derive(Debug)]
struct Entry {
    requests: mpsc::Sender<Request>,
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
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// A new session: its place, and what is asked of it.
    pub(super) fn enter(self: &Arc<Self>) -> Result<(Place, Arc<Shared>, mpsc::Receiver<Request>), Refusal> {
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
    pub(crate) fn find(&self, sid: &str) -> Option<(mpsc::Sender<Request>, Arc<Shared>)> {
        let id = Uuid::try_parse(sid).ok()?;
        let open = self.open.lock();
        open.get(&id).map(|entry| (entry.requests.clone(), Arc::clone(&entry.shared)))
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

impl Drop for Place {
    fn drop(&mut self) {
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
