//! The records of connections that no task owns: their subject is what the table knows of them.

use gateway_domain::{Now, Refusal, RequestId};
use gateway_server::audit::{Audit, Event, Subject};
use gateway_transport::ClientAddress;

use crate::kept::Kept;

/// A connection began.
pub fn connected(audit: &Audit, kept: &Kept, now: Now) {
    about(kept, |subject| audit.event(Event::Connected, subject, "admitted", now));
}

/// The gateway ended it.
pub fn ended(audit: &Audit, kept: &Kept, refusal: &Refusal, now: Now) {
    about(kept, |subject| audit.event_of(Event::Disconnected, refusal, subject, now));
}

/// The service said that it ended.
pub fn left(audit: &Audit, kept: &Kept, code: Option<i64>, now: Now) {
    let how = code.map_or_else(|| "closed by the peer".to_owned(), |code| format!("closed by the peer with {code}"));
    about(kept, |subject| audit.event(Event::Disconnected, subject, how, now));
}

/// It was found to be gone.
pub fn lost(audit: &Audit, kept: &Kept, now: Now) {
    about(kept, |subject| audit.event(Event::Disconnected, subject, "lost: the service knows it no more", now));
}

/// Whom a record of a connection is about.
pub fn about<T>(kept: &Kept, tell: impl FnOnce(&Subject<'_>) -> T) -> T {
    let address = kept.address.map(ClientAddress::ip);
    tell(&Subject {
        user: Some(&kept.member.user),
        address: address.as_ref(),
        endpoint: Some(&kept.member.door),
        user_agent: kept.user_agent.as_deref(),
        connection: Some(kept.member.id),
        ..Subject::new(RequestId::new(kept.member.id.uuid()))
    })
}
