//! What a task does in the time between messages, done once a minute for those who are due: the warning ahead of the end of a
//! token, the end, the notice ahead of the end that the service makes, and a sign of life for who would else be cut for
//! silence. Who is gone is found out by that, too.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use gateway_domain::{
    Code, Now, Refusal, Timestamp,
    envelope::Notice,
    session::{Due, Session},
};
use gateway_server::{clock, endpoint::Endpoint, hub::Letter, refusal::ErrorPayload};
use serde_json::{Value, json};

use crate::{
    front::Front,
    kept::{Kept, LONGEST_LIFE},
    management::Said,
    table::{self, StoreFault},
};

/// How long ahead of the cut a client is told.
const AHEAD_OF_CUT: Duration = Duration::from_secs(5 * 60);
/// Connections that are looked at in one minute, and at a time.
const MOST: usize = 20_000;
const AT_A_TIME: usize = 32;
const PING: &str = r#"{"type":"ping"}"#;

impl Front {
    /// Looks at everybody who is due.
    pub(crate) async fn look_around(&self) -> Value {
        let now = clock::now();
        let due = match self.connections.table.due(MOST, now.wall).await {
            Ok(due) => due,
            Err(fault) => {
                tracing::error!(%fault, "nobody knows what is due");
                return json!({"looked": 0, "failed": true});
            }
        };
        let looked = due.len();
        let looks = stream::iter(due).map(|due| async move {
            let outcome = self.look_at(&due, now).await;
            if let Err(fault) = &outcome {
                tracing::error!(connection = %due.id, %fault, "a connection could not be looked at");
            }
            usize::from(outcome.is_err())
        });
        let failed = looks.buffer_unordered(AT_A_TIME).fold(0, |sum, one| async move { sum + one }).await;
        json!({"looked": looked, "failed": failed})
    }

    async fn look_at(&self, due: &table::Due, now: Now) -> Result<(), StoreFault> {
        let table = &self.connections.table;
        if let Some(kept) = table.connection(due.id).await?
            && let Some(next) = self.attend(&kept, now).await?
            && table.plan(due.id, next).await? == *due
        {
            // The next look is in the same minute: what was due is what is planned.
            return Ok(());
        }
        // Behind the next: whoever stops between the two looks once too often, and never too seldom.
        table.seen(due).await
    }

    /// Does what is due for a connection; when to look again, where it stays.
    async fn attend(&self, kept: &Kept, now: Now) -> Result<Option<Timestamp>, StoreFault> {
        let Some(endpoint) = self.connections.doors.of(&kept.member.door) else {
            self.connections.end_kept(kept, &Refusal::plain(Code::PolicyChanged)).await?;
            return Ok(None);
        };
        if let Err(refusal) = self.house.ledger.objection(&kept.principal, now) {
            self.connections.end_kept(kept, &refusal).await?;
            return Ok(None);
        }
        let (mut warned, mut told) = (kept.warned, kept.told_of_end);
        let mut says = PING.to_owned();
        match session(kept, endpoint, now).take_due(&endpoint.session, now) {
            Some(Due::End(refusal)) => {
                self.connections.end_kept(kept, &refusal).await?;
                return Ok(None);
            }
            Some(Due::ExpiryWarning(expires_at)) if warned != Some(expires_at) => {
                warned = Some(expires_at);
                let payload = Some(json!({ "expiresAt": expires_at }));
                says = Notice { kind: "auth.expiring", id: None, payload }.to_text().unwrap_or_default();
            }
            Some(Due::ExpiryWarning(_) | Due::Ping) | None => {}
        }
        if !told && now.wall >= cut_notice_at(kept) {
            told = true;
            self.mention(kept, &notice_of_cut(kept)).await;
        }
        if self.mention(kept, &says).await == Said::Gone {
            return Ok(None);
        }
        if (warned, told) != (kept.warned, kept.told_of_end) {
            self.connections.table.note_told(kept.member.id, warned, told).await?;
        }
        let seen = Kept { warned, told_of_end: told, ..kept.clone() };
        Ok(Some(self.next_look(&seen, endpoint, now)))
    }

    async fn mention(&self, kept: &Kept, text: &str) -> Said {
        match self.connections.in_words_of(&kept.member.door, &mut Letter::new(text.to_owned())) {
            Some(text) => self.connections.say(&kept.member, &text).await,
            None => Said::Yes,
        }
    }

    /// When a connection is to be looked at next.
    pub(crate) fn next_look(&self, kept: &Kept, endpoint: &Endpoint, now: Now) -> Timestamp {
        let mut session = session(kept, endpoint, now);
        // What it was warned of is no more a reason to look.
        if kept.warned == Some(kept.principal.expires_at) {
            while let Some(Due::ExpiryWarning(_)) = session.take_due(&endpoint.session, now) {}
        }
        let next = session.next_due(&endpoint.session, now).map(|tick| now.wall + tick.since(now.tick));
        let cut = Some(cut_notice_at(kept)).filter(|_| !kept.told_of_end);
        let soonest = [next, cut].into_iter().flatten().min().unwrap_or(now.wall + LONGEST_LIFE);
        // A minute is the finest that anybody is woken.
        soonest.max(now.wall + Duration::from_secs(1))
    }
}

/// The clocks of a connection as they are at this moment, counted from the last thing that it was told.
fn session(kept: &Kept, endpoint: &Endpoint, now: Now) -> Session {
    Session::new(&endpoint.session, kept.principal.expires_at, Duration::ZERO, now)
}

fn cut_notice_at(kept: &Kept) -> Timestamp {
    let ahead = LONGEST_LIFE.saturating_sub(AHEAD_OF_CUT);
    kept.connected_at + ahead
}

/// The word for it is that of a gateway that leaves: the connection will end, and the client may come again at once.
fn notice_of_cut(kept: &Kept) -> String {
    let ends = kept.connected_at + LONGEST_LIFE;
    let refusal =
        Refusal::new(Code::Draining, format!("API Gateway ends every connection after 2 h, this one at {ends}"))
            .retry_after(Duration::from_secs(1));
    Notice { kind: "error", id: None, payload: Some(ErrorPayload::of(&refusal)) }.to_text().unwrap_or_default()
}
