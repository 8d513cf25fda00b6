//! Refresh families that all gateways share: each change is written where all read it, and only if nobody changed it meanwhile.
//!
//! A token that is used at two gateways at once is spent by one of them; the other finds that, and ends the family, as one
//! gateway does to a token that comes twice.

use std::time::Duration;

use gateway_auth::{RefreshFamilies, refresh::FamilyEvent};
use gateway_domain::{
    Code, Now, Refusal, Token,
    link::{Act, Answer, Book, Expected},
};

use super::{Entry, Ledger};
use crate::cluster::WhenAway;

/// So long the end of a family is remembered by all.
const TOLD_FOR: Duration = Duration::from_secs(3600);

/// How a change came out.
pub(super) enum Shared {
    /// It is written, or is for this gateway alone.
    Done,
    /// Another gateway changed the family meanwhile; that is known here by now.
    Overtaken,
}

impl Ledger {
    /// Learns of the others how the family of that token stands; what stands there, to be compared with.
    pub(crate) async fn learn(&self, presented: &Token) -> Option<String> {
        let (shared, key) = (self.shared.as_ref()?, RefreshFamilies::name(presented)?);
        match shared.link().ask(Act::Read { book: Book::Families, key }).answer().await {
            Answer::Read(Some(value)) => {
                self.take_family(&value);
                Some(value)
            }
            _ => None,
        }
    }

    /// Tells the others of changes of families; `before` is how the changed one stood.
    pub(super) async fn tell_families(
        &self,
        events: &[FamilyEvent],
        before: Option<String>,
        now: Now,
    ) -> Result<Shared, Refusal> {
        let Some(shared) = &self.shared else { return Ok(Shared::Done) };
        for event in events {
            let Some(standing) = self.books.families.standing(event) else { continue };
            let until = match &standing {
                FamilyEvent::Begun { ends_at, .. } => *ends_at,
                FamilyEvent::Rotated { .. } | FamilyEvent::Ended { .. } => now.wall + TOLD_FOR,
            };
            // An end is written whatever stood there.
            let expected = match event {
                FamilyEvent::Begun { .. } => Some(Expected::Absent),
                FamilyEvent::Rotated { .. } => before.clone().map(Expected::Value),
                FamilyEvent::Ended { .. } => None,
            };
            let value = serde_json::to_string(&standing).ok();
            let act = Act::Write { book: Book::Families, key: event.name(), value, until: Some(until), expected };
            match shared.link().ask(act).answer().await {
                Answer::Written(Ok(())) => {}
                Answer::Written(Err(Some(found))) => {
                    self.take_family(&found);
                    return Ok(Shared::Overtaken);
                }
                Answer::Written(Err(None)) => return Ok(Shared::Done),
                _ if shared.link().when_away() == WhenAway::FailClosed => {
                    return Err(Refusal::new(
                        Code::AuthError,
                        "the token cannot be kept by all gateways at the moment",
                    )
                    .retry_after(Duration::from_secs(5)));
                }
                _ => {}
            }
        }
        Ok(Shared::Done)
    }

    /// Tells the others of families that ended with their user's tokens, as soon as they can be told.
    pub(super) fn tell_ended(&self, events: &[FamilyEvent], now: Now) {
        let Some(shared) = &self.shared else { return };
        for event in events {
            let (key, value) = (event.name(), serde_json::to_string(event).ok());
            let until = Some(now.wall + TOLD_FOR);
            shared.link().must(Act::Write { book: Book::Families, key, value, until, expected: None });
        }
    }

    fn take_family(&self, value: &str) {
        match serde_json::from_str::<FamilyEvent>(value) {
            Ok(event) => {
                let _in_order = self.families_in_order.lock();
                self.books.families.restore(&event);
                drop(self.write([Entry::Family(event)]));
            }
            Err(fault) => tracing::warn!(%fault, "what another gateway wrote of a refresh family cannot be read"),
        }
    }
}
