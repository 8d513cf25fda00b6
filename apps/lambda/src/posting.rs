//! Telling a text to all whom its targets mean, each once.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use gateway_domain::{Code, Refusal, Room, target::Target};
use gateway_server::{clock, hub::Letter};

use crate::{
    connections::Told,
    front::Front,
    kept::{Kept, Member},
    table::StoreFault,
};

/// The most connections that one post is told to.
pub const MOST_RECEIVERS: usize = 10_000;
const ROOMS_AT_A_TIME: usize = 16;

impl Front {
    /// Tells a text to all whom the targets mean, each once. The sender itself is meant by `sender` alone.
    pub(crate) async fn post(
        &self,
        targets: &[Target],
        text: String,
        from: Option<&Kept>,
    ) -> Result<Result<Told, Refusal>, StoreFault> {
        let found = stream::iter(targets.to_vec()).map(|target| self.meant(target, from));
        let found: Vec<_> = found.buffered(ROOMS_AT_A_TIME).collect().await;
        let mut meant = BTreeMap::new();
        for members in found {
            meant.extend(members?.into_iter().map(|member| (member.id, member)));
        }
        if meant.len() > MOST_RECEIVERS {
            let why = format!("it would go to more than {MOST_RECEIVERS} connections: split the room");
            return Ok(Err(Refusal::new(Code::LimitExceeded, why)));
        }
        let (told, gone) = self.connections.tell(meant.into_values().collect(), &mut Letter::new(text)).await;
        // Who is gone was forgotten by what was known of it. Where that had gone before, these are the last to know it.
        for id in gone {
            for room in targets.iter().filter_map(room_of) {
                self.connections.table.leave(&room, id).await?;
            }
        }
        Ok(Ok(told))
    }

    async fn meant(&self, target: Target, from: Option<&Kept>) -> Result<Vec<Member>, StoreFault> {
        let (table, now) = (&self.connections.table, clock::now().wall);
        let mut found = match target {
            Target::User { user, role } => {
                let mut members = match format!("user:{user}").parse() {
                    Ok(room) => table.members(&room, MOST_RECEIVERS, now).await?,
                    Err(_) => Vec::new(),
                };
                members.retain(|member| role.is_none() || member.role == role);
                members
            }
            Target::Room(room) => table.members(&room, MOST_RECEIVERS, now).await?,
            Target::Agent(agent) => table.agent(&agent, now).await?.into_iter().collect(),
            Target::Connection(id) => table.connection(id).await?.map(|kept| kept.member).into_iter().collect(),
            Target::Sender => return Ok(from.map(|kept| kept.member.clone()).into_iter().collect()),
            Target::Subscribe(_) | Target::Role(_) | Target::Endpoint(_) | Target::Webhook(_) => Vec::new(),
        };
        found.retain(|member| from.is_none_or(|from| from.member.id != member.id));
        Ok(found)
    }
}

/// The room that a target means.
fn room_of(target: &Target) -> Option<Room> {
    match target {
        Target::Room(room) => Some(room.clone()),
        Target::User { user, .. } => format!("user:{user}").parse().ok(),
        Target::Agent(_)
        | Target::Connection(_)
        | Target::Role(_)
        | Target::Endpoint(_)
        | Target::Webhook(_)
        | Target::Sender
        | Target::Subscribe(_) => None,
    }
}
