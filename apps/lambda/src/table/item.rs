//! Items of the table, taken apart and put together.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use gateway_domain::Timestamp;

use super::{StoreFault, Table};
use crate::kept::{Member, uuid_in};

pub(super) type Item = HashMap<String, AttributeValue>;

/// A text.
pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A set of one text.
pub(super) fn set_of(value: &str) -> AttributeValue {
    AttributeValue::Ss(vec![value.to_owned()])
}

/// A key.
pub(super) fn key(partition: &str, sort: &str) -> Item {
    [("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))].into()
}

/// The text of that name; nothing where it is not there.
pub(super) fn find<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// The text of that name.
pub(super) fn wanted<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreFault> {
    find(item, name).ok_or_else(|| StoreFault::Item(format!("it has no `{name}`")))
}

/// The number of that name; nothing where it is not there.
pub(super) fn find_number(item: &Item, name: &str) -> Option<i64> {
    item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok())
}

/// The moment of that name; nothing where it is not there.
pub(super) fn find_moment(item: &Item, name: &str) -> Option<Timestamp> {
    find_number(item, name).map(Timestamp::from_millis)
}

/// The texts of that name; none where it is not there, since a set is never empty.
pub(super) fn find_set(item: &Item, name: &str) -> BTreeSet<String> {
    item.get(name).and_then(|value| value.as_ss().ok()).into_iter().flatten().cloned().collect()
}

/// What is read as a name of the domain.
pub(super) fn parsed<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, StoreFault> {
    wanted(item, name)?.parse().map_err(|_| StoreFault::Item(format!("its `{name}` is none")))
}

/// Writes what others need to find a connection.
pub(super) fn write_member(item: &mut Item, member: &Member) {
    let Member { id, wire, stage, user, role, door, until, ends } = member;
    let mut put = |name: &str, value| drop(item.insert(name.to_owned(), value));
    put("id", text(id.to_string()));
    put("wire", text(wire));
    put("stage", text(stage));
    put("user", text(user.as_str()));
    put("door", text(door));
    put("ends", number(ends.millis()));
    put("ttl", number(super::ttl(*ends)));
    if let Some(role) = role {
        put("role", text(role.as_str()));
    }
    if let Some(until) = until {
        put("until", number(until.millis()));
    }
}

/// Reads it again.
pub(super) fn read_member(item: &Item) -> Result<Member, StoreFault> {
    let no_id = || StoreFault::Item("its `id` is none".into());
    Ok(Member {
        id: gateway_domain::ConnectionId::new(uuid_in(wanted(item, "id")?).ok_or_else(no_id)?),
        wire: wanted(item, "wire")?.to_owned(),
        stage: wanted(item, "stage")?.to_owned(),
        user: parsed(item, "user")?,
        role: find(item, "role").is_some().then(|| parsed(item, "role")).transpose()?,
        door: wanted(item, "door")?.to_owned(),
        until: find_moment(item, "until"),
        ends: find_moment(item, "ends").unwrap_or(Timestamp::from_millis(0)),
    })
}

impl Table {
    /// Reads one item, as it is now.
    pub(super) async fn get(&self, key: Item, what: &'static str) -> Result<Option<Item>, StoreFault> {
        let asked = self.client.get_item().table_name(&self.name).set_key(Some(key)).consistent_read(true);
        Ok(asked.send().await.map_err(StoreFault::of(what))?.item)
    }

    /// Deletes one item, whether it is there or not.
    pub(super) async fn delete(&self, key: Item, what: &'static str) -> Result<(), StoreFault> {
        let asked = self.client.delete_item().table_name(&self.name).set_key(Some(key));
        asked.send().await.map_err(StoreFault::of(what)).map(drop)
    }

    /// Writes one item, in the place of what was there.
    pub(super) async fn write(&self, item: Item, what: &'static str) -> Result<(), StoreFault> {
        let asked = self.client.put_item().table_name(&self.name).set_item(Some(item));
        asked.send().await.map_err(StoreFault::of(what)).map(drop)
    }

    /// The items of a partition, at most so many.
    pub(super) async fn all(&self, partition: &str, most: usize, what: &'static str) -> Result<Vec<Item>, StoreFault> {
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let asked = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(partition))
                .set_exclusive_start_key(from);
            let page = asked.send().await.map_err(StoreFault::of(what))?;
            found.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() || found.len() > most {
                return Ok(found);
            }
        }
    }
}
