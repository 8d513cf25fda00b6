//! Who is in which room, and which connection an agent has. A room is a partition, and each member an item in it.

use gateway_domain::{AgentId, ConnectionId, Room, Timestamp};

use super::{
    StoreFault, Table,
    item::{Item, key, read_member, text, write_member},
};
use crate::kept::Member;

/// Who holds the place of an agent.
#[derive(Debug)]
pub enum Holder {
    /// Nobody else.
    Free,
    /// Another connection, of this or of another user.
    Taken(Box<Member>),
}

fn partition(room: &Room) -> String {
    format!("room#{room}")
}

pub(super) fn agent_key(agent: &AgentId) -> Item {
    key(&format!("agent#{agent}"), "agent")
}

impl Table {
    /// Puts a connection into a room; a second time it is only written anew.
    pub async fn enter(&self, room: &Room, member: &Member) -> Result<(), StoreFault> {
        let mut item = key(&partition(room), &member.id.to_string());
        write_member(&mut item, member);
        self.write(item, "written for a room").await
    }

    /// Takes a connection out of a room.
    pub async fn leave(&self, room: &Room, id: ConnectionId) -> Result<(), StoreFault> {
        self.delete(key(&partition(room), &id.to_string()), "written for a room").await
    }

    /// Who is in a room now; one more than `most`, where there are more.
    pub async fn members(&self, room: &Room, most: usize, now: Timestamp) -> Result<Vec<Member>, StoreFault> {
        let items = self.all(&partition(room), most, "read for a room").await?;
        let members: Result<Vec<_>, _> = items.iter().map(read_member).collect();
        Ok(members?.into_iter().filter(|member| member.ends > now).take(most.saturating_add(1)).collect())
    }

    /// The connection of an agent.
    pub async fn agent(&self, agent: &AgentId, now: Timestamp) -> Result<Option<Member>, StoreFault> {
        let item = self.get(agent_key(agent), "read for an agent").await?;
        let member = item.as_ref().map(read_member).transpose()?;
        Ok(member.filter(|member| member.ends > now))
    }

    /// Gives the place of an agent to a connection, where `instead_of` or nobody holds it.
    pub async fn seat_agent(
        &self,
        agent: &AgentId,
        member: &Member,
        instead_of: Option<ConnectionId>,
        now: Timestamp,
    ) -> Result<Holder, StoreFault> {
        let mut item = agent_key(agent);
        write_member(&mut item, member);
        let instead_of = instead_of.unwrap_or(member.id).to_string();
        let asked = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR id = :id OR ends <= :now")
            .expression_attribute_values(":id", text(instead_of))
            .expression_attribute_values(":now", super::item::number(now.millis()));
        if super::seats::unless_refused(asked.send().await, "written for an agent")? {
            return Ok(Holder::Free);
        }
        Ok(self.agent(agent, now).await?.map_or(Holder::Free, |holder| Holder::Taken(Box::new(holder))))
    }
}
