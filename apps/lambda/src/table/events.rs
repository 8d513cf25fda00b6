//! Events that were told, known again by their id for five minutes. An event whose teller stopped half-way is told again:
//! better twice than never.

use std::time::Duration;

use gateway_domain::{EventId, Timestamp};

use super::{
    StoreFault, Table,
    item::{Item, find, find_moment, find_number, key, number, text},
};

const REMEMBERED: Duration = Duration::from_secs(300);
/// Whoever tells an event has this long; then another may.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of an event that somebody wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is the caller's to tell.
    Now,
    /// It was told to so many.
    Told(usize),
    /// It is being told.
    Underway,
    /// Another was told under that id.
    Other,
}

fn key_of(id: EventId) -> Item {
    key(&format!("event#{id}"), "event")
}

impl Table {
    /// Begins to tell an event, unless that was done.
    pub async fn begin(&self, id: EventId, digest: &str, now: Timestamp) -> Result<Begun, StoreFault> {
        let mut item = key_of(id);
        item.insert("digest".into(), text(digest));
        item.insert("until".into(), number((now + REMEMBERED).millis()));
        item.insert("mine".into(), number((now + PATIENCE).millis()));
        item.insert("ttl".into(), number(super::ttl(now + REMEMBERED)));
        let asked = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(
                "attribute_not_exists(pk) OR #until <= :now OR (attribute_not_exists(told) AND mine <= :now AND digest = :digest)",
            )
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":digest", text(digest));
        if super::seats::unless_refused(asked.send().await, "written for an event")? {
            return Ok(Begun::Now);
        }
        let Some(item) = self.get(key_of(id), "read for an event").await? else { return Ok(Begun::Underway) };
        if find(&item, "digest") != Some(digest) && find_moment(&item, "until").is_some_and(|until| until > now) {
            return Ok(Begun::Other);
        }
        let told = find_number(&item, "told").and_then(|told| usize::try_from(told).ok());
        Ok(told.map_or(Begun::Underway, Begun::Told))
    }

    /// Notes to how many an event was told.
    pub async fn told(&self, id: EventId, delivered: usize) -> Result<(), StoreFault> {
        let asked = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(id)))
            .update_expression("SET told = :told")
            .expression_attribute_values(":told", number(delivered));
        asked.send().await.map_err(StoreFault::of("written for an event")).map(drop)
    }

    /// Lets an event be told again, after it could not be.
    pub async fn untold(&self, id: EventId) -> Result<(), StoreFault> {
        self.delete(key_of(id), "written for an event").await
    }
}
