//! Connections: one item each, and what undoes everything that their coming did.

use aws_sdk_dynamodb::types::AttributeValue;
use gateway_domain::{AgentId, ConnectionId, Room, Timestamp};

use super::{
    StoreFault, Table,
    item::{Item, find, find_moment, find_set, key, number, parsed, read_member, set_of, text, wanted, write_member},
};
use crate::kept::{self, Kept};

const SORT: &str = "connection";

fn key_of(id: ConnectionId) -> Item {
    key(&format!("connection#{id}"), SORT)
}

impl Table {
    /// A connection.
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<Kept>, StoreFault> {
        self.get(key_of(id), "read for a connection").await?.as_ref().map(read).transpose()
    }

    /// Keeps a connection.
    pub async fn keep(&self, kept: &Kept) -> Result<(), StoreFault> {
        let mut item = key_of(kept.member.id);
        write_member(&mut item, &kept.member);
        let mut put = |name: &str, value| drop(item.insert(name.to_owned(), value));
        put("principal", text(kept::write(&kept.principal)));
        put("connected", number(kept.connected_at.millis()));
        put("authenticated", number(kept.authenticated_at.millis()));
        put("seat", text(&kept.seat));
        if let Some(address) = kept.address {
            put("address", text(address.to_string()));
        }
        if let Some(name) = &kept.user_agent {
            put("user_agent", text(name));
        }
        if let Some(agent) = &kept.agent {
            put("agent_id", text(agent.as_str()));
        }
        for (name, rooms) in [("rooms", &kept.rooms), ("asked", &kept.asked)] {
            if !rooms.is_empty() {
                put(name, AttributeValue::Ss(rooms.iter().cloned().collect()));
            }
        }
        self.write(item, "written for a connection").await
    }

    /// Replaces what the token gave, here and wherever the connection is found; not where it has left. What another event
    /// changes meanwhile, such as its rooms, stays as that leaves it.
    pub async fn restand(&self, kept: &Kept) -> Result<(), StoreFault> {
        let member = &kept.member;
        let (mut expression, mut removed) =
            ("SET principal = :principal, authenticated = :at".to_owned(), "".to_owned());
        let mut asked = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(member.id)))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":principal", text(kept::write(&kept.principal)))
            .expression_attribute_values(":at", number(kept.authenticated_at.millis()));
        let role = member.role.as_ref().map(|role| text(role.as_str()));
        let until = member.until.map(|until| number(until.millis()));
        for (name, value) in [("role", role), ("until", until)] {
            asked = asked.expression_attribute_names(format!("#{name}"), name);
            match value {
                Some(value) => {
                    expression.push_str(&format!(", #{name} = :{name}"));
                    asked = asked.expression_attribute_values(format!(":{name}"), value);
                }
                None => removed.push_str(&format!(", #{name}")),
            }
        }
        expression.push_str(" REMOVE warned");
        expression.push_str(&removed);
        if !super::seats::unless_refused(asked.update_expression(expression).send().await, "written for a token")? {
            return Ok(());
        }
        for room in kept.rooms.iter().chain(&kept.asked) {
            if let Ok(room) = Room::parse(room) {
                self.enter(&room, member).await?;
            }
        }
        Ok(())
    }

    /// Notes in a connection that is here that it asked for a room; not where that would be one too many.
    pub async fn note_asked(&self, id: ConnectionId, room: &Room, most: usize) -> Result<bool, StoreFault> {
        let asked = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(id)))
            .update_expression("ADD asked :room")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(asked) OR contains(asked, :name) OR size(asked) < :most)",
            )
            .expression_attribute_values(":room", set_of(room.as_str()))
            .expression_attribute_values(":name", text(room.as_str()))
            .expression_attribute_values(":most", number(most));
        super::seats::unless_refused(asked.send().await, "written for a room")
    }

    /// Notes that a connection is no more in a room.
    pub async fn note_left(&self, id: ConnectionId, room: &Room) -> Result<(), StoreFault> {
        let asked = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(id)))
            .update_expression("DELETE asked :room, rooms :room")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":room", set_of(room.as_str()));
        super::seats::unless_refused(asked.send().await, "written for a room").map(drop)
    }

    /// Notes what a connection was told of its ends.
    pub async fn note_told(&self, id: ConnectionId, warned: Option<Timestamp>, of_end: bool) -> Result<(), StoreFault> {
        let asked = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(id)))
            .update_expression("SET warned = :warned, told = :told")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":warned", number(warned.map_or(0, Timestamp::millis)))
            .expression_attribute_values(":told", AttributeValue::Bool(of_end));
        super::seats::unless_refused(asked.send().await, "written for a notice").map(drop)
    }

    /// Undoes all that the coming of a connection did. The connection itself goes last, so that whoever stops half-way
    /// can be followed by another.
    pub async fn forget(&self, kept: &Kept) -> Result<(), StoreFault> {
        let id = kept.member.id;
        for room in kept.rooms.iter().chain(&kept.asked) {
            if let Ok(room) = Room::parse(room) {
                self.leave(&room, id).await?;
            }
        }
        if let Some(agent) = &kept.agent {
            self.leave_agent(agent, id).await?;
        }
        self.give_back(&kept.member.user, &kept.seat).await?;
        self.delete(key_of(id), "written for a connection").await
    }
}

fn read(item: &Item) -> Result<Kept, StoreFault> {
    let principal = kept::read(wanted(item, "principal")?).map_err(|fault| StoreFault::Item(fault.to_string()))?;
    let member = read_member(item)?;
    Ok(Kept {
        principal,
        connected_at: find_moment(item, "connected").unwrap_or(Timestamp::from_millis(0)),
        authenticated_at: find_moment(item, "authenticated").unwrap_or(Timestamp::from_millis(0)),
        address: find(item, "address").and_then(|text| text.parse().ok()),
        user_agent: find(item, "user_agent").map(str::to_owned),
        agent: find(item, "agent_id").is_some().then(|| parsed(item, "agent_id")).transpose()?,
        seat: wanted(item, "seat")?.to_owned(),
        rooms: find_set(item, "rooms"),
        asked: find_set(item, "asked"),
        warned: find_moment(item, "warned").filter(|at| at.millis() > 0),
        told_of_end: item.get("told").and_then(|told| told.as_bool().ok()).copied().unwrap_or_default(),
        member,
    })
}

impl Table {
    async fn leave_agent(&self, agent: &AgentId, id: ConnectionId) -> Result<(), StoreFault> {
        let asked = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(super::rooms::agent_key(agent)))
            .condition_expression("attribute_not_exists(pk) OR id = :id")
            .expression_attribute_values(":id", text(id.to_string()));
        super::seats::unless_refused(asked.send().await, "written for an agent").map(drop)
    }
}
