//! Connections that are somewhere else: found in the table, spoken to by the management API. Whoever turns out to be gone
//! is forgotten on the spot.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use gateway_domain::{ConnectionId, Refusal, envelope::Notice};
use gateway_server::{audit::Audit, clock, hub::Letter, refusal::ErrorPayload};

use crate::{
    audit,
    doors::Doors,
    kept::{Kept, Member},
    management::{Management, Said},
    table::{StoreFault, Table},
};

/// Texts that are on their way at a time.
const AT_A_TIME: usize = 32;

/// All connections.
#[derive(Clone, Debug)]
pub struct Connections {
    /// Where they are written down.
    pub table: Table,
    /// How they are reached.
    pub management: Management,
    /// What they speak.
    pub doors: Arc<Doors>,
    /// Where their ends are recorded.
    pub audit: Arc<Audit>,
}

/// What became of a text for many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// So many were told.
    pub delivered: usize,
    /// So many were gone, and are forgotten now.
    pub removed: usize,
    /// So many could not be told, though they may be there.
    pub failed: usize,
}

impl Connections {
    /// Whether the connection is there, for all that anybody knows.
    pub async fn is_there(&self, id: ConnectionId) -> Result<bool, StoreFault> {
        match self.table.connection(id).await? {
            Some(Kept { member, .. }) => Ok(self.management.is_there(&member.stage, &member.wire).await),
            None => Ok(false),
        }
    }

    /// Undoes all that the coming of a connection did; who it was, where it was known.
    pub async fn forget(&self, id: ConnectionId) -> Result<Option<Kept>, StoreFault> {
        let Some(kept) = self.table.connection(id).await? else { return Ok(None) };
        self.table.forget(&kept).await?;
        Ok(Some(kept))
    }

    /// Says a text to one connection. One that is gone is forgotten.
    pub async fn say(&self, member: &Member, text: &str) -> Said {
        let said = self.management.say(&member.stage, &member.wire, text).await;
        match &said {
            Said::Yes => {}
            Said::Gone => self.bury(member.id).await,
            Said::No(why) => tracing::warn!(connection = %member.id, %why, "a connection could not be told"),
        }
        said
    }

    /// Forgets a connection that was found to be gone.
    pub async fn bury(&self, id: ConnectionId) {
        match self.forget(id).await {
            Ok(Some(kept)) => audit::lost(&self.audit, &kept, clock::now()),
            Ok(None) => {}
            Err(fault) => tracing::error!(connection = %id, %fault, "a connection that is gone could not be forgotten"),
        }
    }

    /// Ends a connection, which reads why first: the service has no code for that.
    pub async fn end(&self, id: ConnectionId, refusal: &Refusal) -> Result<(), StoreFault> {
        let Some(kept) = self.table.connection(id).await? else { return Ok(()) };
        self.end_kept(&kept, refusal).await
    }

    /// The same, of one that was read already.
    pub async fn end_kept(&self, kept: &Kept, refusal: &Refusal) -> Result<(), StoreFault> {
        let member = &kept.member;
        let notice = Notice { kind: "error", id: None, payload: Some(ErrorPayload::of(refusal)) };
        if let Some(text) = self.in_words_of(&member.door, &mut Letter::new(notice.to_text().unwrap_or_default())) {
            self.management.say(&member.stage, &member.wire, &text).await;
        }
        if let Said::No(why) = self.management.end(&member.stage, &member.wire).await {
            tracing::warn!(connection = %member.id, %why, "a connection could not be ended");
        }
        self.table.forget(kept).await?;
        audit::ended(&self.audit, kept, refusal, clock::now());
        Ok(())
    }

    /// Tells a letter to all of them, each in its own words, with so many on their way at a time; and who turned out to be
    /// gone.
    pub async fn tell(&self, members: Vec<Member>, letter: &mut Letter) -> (Told, Vec<ConnectionId>) {
        let now = clock::now().wall;
        // Nothing is delivered past the end of a token; whoever is woken next minute ends the connection.
        let awake = members.into_iter().filter(|member| member.until.is_none_or(|until| until > now));
        let written: Vec<_> =
            awake.filter_map(|member| Some((self.in_words_of(&member.door, letter)?, member))).collect();
        let said =
            stream::iter(written).map(|(text, member)| async move { (self.say(&member, &text).await, member.id) });
        let said: Vec<_> = said.buffer_unordered(AT_A_TIME).collect().await;
        let count = |wanted: fn(&Said) -> bool| said.iter().filter(|(said, _)| wanted(said)).count();
        let gone: Vec<_> = said.iter().filter(|(said, _)| *said == Said::Gone).map(|(_, id)| *id).collect();
        let told = Told {
            delivered: count(|said| *said == Said::Yes),
            removed: gone.len(),
            failed: count(|said| matches!(said, Said::No(_))),
        };
        (told, gone)
    }

    /// The letter in the words of a door; nothing where it is withheld there, or nobody speaks there.
    pub fn in_words_of(&self, door: &str, letter: &mut Letter) -> Option<String> {
        let door = self.doors.of(door).filter(|door| door.hears())?;
        letter.in_words_of(&door.vocabulary).map(|text| text.as_str().to_owned())
    }
}
