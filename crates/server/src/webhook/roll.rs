//! Which connections are here, for each hook, in a file that survives a crash: whoever stands in it at the next start
//! went with the process, and its hook is told so. A line comes with a connection, and another when what becomes of the
//! news of its end is settled. It is as long as there are live connections and ends that wait to be told.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use gateway_domain::ConnectionId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::happening::Facts;
use crate::journal::{Journal, JournalFault, Pending};

/// Those who are here, by hook and connection.
type Present = BTreeMap<(Arc<str>, ConnectionId), Arc<Facts>>;

/// A connection that a process before this one left, and the hook that is to be told of its end.
pub(super) type Left = (Arc<str>, Arc<Facts>);

#[derive(Debug)]
pub(super) struct Roll {
    /// Held while a change is queued, so that the file has the changes in their order.
    present: Arc<Mutex<Present>>,
    journal: Journal<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Here { webhook: Box<str>, connection: Facts },
    Gone { webhook: Box<str>, connection: ConnectionId },
}

impl Roll {
    /// Opens the file. Those who stand in it are handed over, and stand there until [`Self::gone`].
    pub(super) fn open(path: PathBuf) -> Result<(Self, Vec<Left>), JournalFault> {
        let mut present = Present::new();
        let mut journal = Journal::open(path, |line| match line {
            Line::Here { webhook, connection } => {
                present.insert((webhook.into(), connection.connection_id), Arc::new(connection));
            }
            Line::Gone { webhook, connection } => {
                present.remove(&(webhook.into(), connection));
            }
        })?;
        let left = present.iter().map(|((webhook, _), facts)| (Arc::clone(webhook), Arc::clone(facts))).collect();
        let present = Arc::new(Mutex::new(present));
        let whole = Arc::clone(&present);
        journal.start(move || {
            let all = whole.lock();
            let line = |((webhook, _), facts): (&(Arc<str>, _), &Arc<Facts>)| Line::Here {
                webhook: (**webhook).into(),
                connection: (**facts).clone(),
            };
            all.iter().map(line).collect()
        })?;
        Ok((Self { present, journal }, left))
    }

    /// A connection is here.
    pub(super) fn here(&self, webhook: &Arc<str>, facts: &Arc<Facts>) -> Pending {
        let mut present = self.present.lock();
        present.insert((Arc::clone(webhook), facts.connection_id), Arc::clone(facts));
        self.journal.append(vec![Line::Here { webhook: (**webhook).into(), connection: (**facts).clone() }])
    }

    /// The news of its end needs not be told any more. That is written down when there is time for it.
    pub(super) fn gone(&self, webhook: &Arc<str>, connection: ConnectionId) {
        let mut present = self.present.lock();
        if present.remove(&(Arc::clone(webhook), connection)).is_some() {
            let _ = self.journal.append(vec![Line::Gone { webhook: (**webhook).into(), connection }]);
        }
    }
}
