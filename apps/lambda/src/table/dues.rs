//! What is due when: a partition for each minute, with the connections that are to be looked at in it. Whoever is woken every
//! minute reads the partitions of the last few, and nothing has to be searched for.

use std::time::Duration;

use gateway_domain::{ConnectionId, Timestamp};

use super::{
    StoreFault, Table,
    item::{Item, find, key, number, text},
};
use crate::kept::uuid_in;

const MINUTE: i64 = 60_000;
/// So many minutes back it is looked, for those in which nobody was woken.
const BACK: i64 = 10;

/// A connection that is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which one.
    pub id: ConnectionId,
    minute: i64,
}

fn key_of(due: &Due) -> Item {
    key(&partition(due.minute), &due.id.to_string())
}

fn partition(minute: i64) -> String {
    format!("due#{minute}")
}

impl Table {
    /// Plans to look at a connection then. Two plans within a minute are one.
    pub async fn plan(&self, id: ConnectionId, at: Timestamp) -> Result<Due, StoreFault> {
        let due = Due { id, minute: at.millis() / MINUTE };
        let mut item = key_of(&due);
        item.insert("id".into(), text(id.to_string()));
        item.insert("ttl".into(), number(super::ttl(at + Duration::from_secs(3600))));
        self.write(item, "written for what is due").await?;
        Ok(due)
    }

    /// Whom to look at now.
    pub async fn due(&self, most: usize, now: Timestamp) -> Result<Vec<Due>, StoreFault> {
        let this = now.millis() / MINUTE;
        let mut found = Vec::new();
        for minute in this - BACK..=this {
            let items = self.all(&partition(minute), most, "read for what is due").await?;
            let ids = items.iter().filter_map(|item| find(item, "id").and_then(uuid_in));
            found.extend(ids.map(|id| Due { id: ConnectionId::new(id), minute }));
            if found.len() >= most {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }

    /// It was looked at.
    pub async fn seen(&self, due: &Due) -> Result<(), StoreFault> {
        self.delete(key_of(due), "written for what is due").await
    }
}
