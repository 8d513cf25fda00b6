//! The seats of a user: one item with a set of marks, so that a race of fifty for ten has ten winners by one condition.
//! A mark says when the seat was taken, and which connection has it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use gateway_domain::{ConnectionId, Timestamp, UserId};

use super::{
    StoreFault, Table,
    item::{Item, find_set, key, number, set_of},
};
use crate::kept::{LONGEST_LIFE, uuid_in};

fn key_of(user: &UserId) -> Item {
    key(&format!("user#{user}"), "seats")
}

/// The mark of a seat. Marks are in the order in which the seats were taken.
pub fn mark(id: ConnectionId, taken_at: Timestamp) -> String {
    format!("{:014} {id}", taken_at.millis())
}

/// What a mark says: when its seat was taken, and by which connection.
pub fn read_mark(mark: &str) -> Option<(Timestamp, ConnectionId)> {
    let (millis, id) = mark.split_once(' ')?;
    Some((Timestamp::from_millis(millis.parse().ok()?), ConnectionId::new(uuid_in(id)?)))
}

impl Table {
    /// Takes a seat, where the user has fewer than `limit`.
    pub async fn take_seat(&self, user: &UserId, mark: &str, limit: u32, now: Timestamp) -> Result<bool, StoreFault> {
        let asked = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(user)))
            .update_expression("ADD held :mark SET #ttl = :ttl")
            .condition_expression("attribute_not_exists(held) OR size(held) < :limit")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":mark", set_of(mark))
            .expression_attribute_values(":limit", number(limit))
            .expression_attribute_values(":ttl", number(super::ttl(now + LONGEST_LIFE)));
        unless_refused(asked.send().await, "written for a seat")
    }

    /// The marks of the user, the oldest first.
    pub async fn held(&self, user: &UserId) -> Result<BTreeSet<String>, StoreFault> {
        let item = self.get(key_of(user), "read for seats").await?;
        Ok(item.map(|item| find_set(&item, "held")).unwrap_or_default())
    }

    /// Gives a seat back; a second time does nothing.
    pub async fn give_back(&self, user: &UserId, mark: &str) -> Result<(), StoreFault> {
        let asked = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(user)))
            .update_expression("DELETE held :mark")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":mark", set_of(mark));
        unless_refused(asked.send().await, "written for a seat").map(drop)
    }
}

/// Whether a change was made: not where its condition did not hold.
pub(super) fn unless_refused<T, E>(
    outcome: Result<T, SdkError<E, HttpResponse>>,
    what: &'static str,
) -> Result<bool, StoreFault>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(StoreFault::of(what)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_in_the_order_of_time_and_say_what_they_are() {
        let id = ConnectionId::new(uuid::Uuid::from_u128(7));
        let (old, new) = (Timestamp::from_millis(999_999_999_999), Timestamp::from_millis(1_000_000_000_000));
        assert!(mark(id, old) < mark(id, new));
        assert_eq!(read_mark(&mark(id, new)), Some((new, id)));
        for broken in ["", "x", "1 2", "x 00000000-0000-0000-0000-000000000007"] {
            assert_eq!(read_mark(broken), None, "{broken}");
        }
    }
}
