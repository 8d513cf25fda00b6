//! What the house remembers of who may not come in: bans, revocations and refresh families.
//!
//! In memory, and where the operator wants it in a file that survives a crash at any byte. A change takes effect at
//! once and is answered when it is on the disk; where the disk refuses, the answer says that the change is in force
//! and will not survive a restart.

mod families;
mod shared;

use std::{path::PathBuf, sync::Arc, time::Duration};

use gateway_auth::{
    Grant, RefreshFamilies, RefreshRules,
    refresh::{FamilyEvent, Rotated},
};
use gateway_domain::{
    Code, Now, Principal, Refusal, Token, UserId,
    ban::{Ban, Bans, Subject, TooManyBans},
    revocation::{Revocation, Revocations, RevokedSubject, TooManyRevocations},
};
use gateway_transport::address::ClientAddress;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

pub use crate::journal::JournalFault;
use crate::{
    cluster::Link,
    journal::{Journal, Pending},
};
use shared::Shared;
#[cfg(feature = "net")]
pub(crate) use shared::is_met;

/// One change, as the file keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    Ban(Ban),
    Lift(Subject),
    Revoke(Revocation),
    Family(FamilyEvent),
}

/// Why a change is not as lasting as it should be.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFault {
    /// No room for one more ban.
    #[error(transparent)]
    TooManyBans(#[from] TooManyBans),
    /// No room for one more revocation.
    #[error(transparent)]
    TooManyRevocations(#[from] TooManyRevocations),
    /// It is in force, and will not survive a restart.
    #[error("the change is in force, but could not be written down and will not survive a restart: {0}")]
    NotWritten(#[from] JournalFault),
}

/// The books.
#[derive(Debug)]
pub struct Ledger {
    books: Arc<Books>,
    journal: Option<Journal<Entry>>,
    /// Held while families change and the change is queued, so that the file has their changes in their order.
    families_in_order: Mutex<()>,
    /// To the books that all gateways share, where there are others.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Books {
    bans: RwLock<Bans>,
    /// From the configuration: they stand apart, so that they hold whatever the API and the file say.
    configured: RwLock<Bans>,
    revocations: RwLock<Revocations>,
    families: RefreshFamilies,
}

impl Ledger {
    /// Opens the books; those of the file, where there is one, are read first.
    pub fn open(
        file: Option<PathBuf>,
        configured: Vec<Ban>,
        families: RefreshFamilies,
        now: Now,
    ) -> Result<Self, JournalFault> {
        let books = Arc::new(Books::of(families));
        *books.configured.write() = gathered(configured);
        let journal = match file {
            None => None,
            Some(path) => {
                let mut journal = Journal::open(path, |entry| books.apply(entry))?;
                let snapshot = {
                    let books = Arc::clone(&books);
                    move || books.snapshot(crate::clock::now())
                };
                books.sweep(now);
                journal.start(snapshot)?;
                Some(journal)
            }
        };
        Ok(Self { books, journal, families_in_order: Mutex::new(()), shared: None })
    }

    /// Books that end with the process, and name nobody yet. A refresh token waits for a week.
    pub fn in_memory() -> Self {
        let families = RefreshFamilies::new(RefreshRules::new(Duration::from_secs(7 * 86_400)));
        Self { books: Arc::new(Books::of(families)), journal: None, families_in_order: Mutex::new(()), shared: None }
    }

    /// Shares what is laid here with the others that the link joins, and takes what they lay.
    pub fn linked(mut self, link: Arc<Link>) -> Self {
        self.shared = Some(Shared::new(link));
        self
    }

    /// Puts other bans of the configuration in the place of those from before.
    pub fn configure(&self, bans: Vec<Ban>) {
        *self.books.configured.write() = gathered(bans);
    }

    /// Whether the books survive a restart.
    pub const fn is_lasting(&self) -> bool {
        self.journal.is_some()
    }

    /// The ban that keeps this address out.
    pub fn ban_on(&self, address: &ClientAddress, now: Now) -> Option<Ban> {
        let ip = address.as_ip()?;
        let configured = self.books.configured.read().on_address(ip, now).cloned();
        configured.or_else(|| self.books.bans.read().on_address(ip, now).cloned())
    }

    /// Why this user's token may not pass: revoked, or the user is banned.
    pub fn objection(&self, principal: &Principal, now: Now) -> Result<(), Refusal> {
        if let Some(revocation) = self.books.revocations.read().on(principal, now) {
            return Err(revoked(revocation, principal));
        }
        banned_user(self, &principal.user, now).map_or(Ok(()), Err)
    }

    /// Lays a ban, or changes the one on the same subject.
    pub async fn ban(&self, ban: Ban) -> Result<(), LedgerFault> {
        let pending = {
            let mut bans = self.books.bans.write();
            bans.put(ban.clone())?;
            self.share(&ban);
            self.write([Entry::Ban(ban)])
        };
        Ok(pending.written().await?)
    }

    /// Lifts a ban. One that the configuration lays cannot be lifted here.
    pub async fn lift(&self, subject: &Subject) -> Result<Lifting, LedgerFault> {
        if self.books.configured.read().get(subject).is_some() {
            return Ok(Lifting::Configured);
        }
        let pending = {
            let mut bans = self.books.bans.write();
            if bans.lift(subject).is_none() {
                return Ok(Lifting::NotBanned);
            }
            if let Some(shared) = &self.shared {
                shared.lift(subject);
            }
            self.write([Entry::Lift(subject.clone())])
        };
        pending.written().await?;
        Ok(Lifting::Lifted)
    }

    /// Every ban that holds.
    pub fn bans(&self, now: Now) -> Vec<Ban> {
        let configured = self.books.configured.read();
        let laid = self.books.bans.read();
        // Of two on one subject, the one that cannot be lifted is told.
        let own = laid.iter().filter(|ban| !configured.get(&ban.subject).is_some_and(|ban| ban.holds(now)));
        let mut bans: Vec<Ban> = configured.iter().chain(own).filter(|ban| ban.holds(now)).cloned().collect();
        bans.sort_by(|a, b| a.subject.cmp(&b.subject));
        bans
    }

    /// How much of everything holds.
    pub fn counts(&self, now: Now) -> LedgerCounts {
        let laid = self.books.bans.read();
        let mut counts = LedgerCounts { revocations: self.books.revocations.read().len(), ..LedgerCounts::default() };
        for ban in self.books.configured.read().iter().chain(laid.iter()).filter(|ban| ban.holds(now)) {
            match ban.subject {
                Subject::Network(_) => counts.addresses += 1,
                Subject::User(_) => counts.users += 1,
            }
        }
        counts
    }

    /// Revokes tokens; where they are a user's, its refresh families end, too.
    pub async fn revoke(&self, revocation: Revocation) -> Result<(), LedgerFault> {
        let pending = {
            let mut revocations = self.books.revocations.write();
            revocations.put(revocation.clone())?;
            if let Some(shared) = &self.shared {
                shared.revoke(&revocation);
            }
            let _in_order = self.families_in_order.lock();
            let ended = match &revocation.subject {
                RevokedSubject::User { user, .. } => self.books.families.end_of_user(user),
                RevokedSubject::Token { .. } => Vec::new(),
            };
            self.tell_ended(&ended, crate::clock::now());
            self.write(std::iter::once(Entry::Revoke(revocation)).chain(ended.into_iter().map(Entry::Family)))
        };
        Ok(pending.written().await?)
    }

    /// Begins a refresh family.
    pub async fn begin_family(&self, grant: Grant, now: Now) -> Result<Token, Refusal> {
        let (token, events, pending) = {
            let _in_order = self.families_in_order.lock();
            let (token, events) = self.books.families.begin(grant, now)?;
            let pending = self.write(events.iter().cloned().map(Entry::Family));
            (token, events, pending)
        };
        self.tell_families(&events, None, now).await?;
        pending.written().await.map_err(|fault| not_kept(&fault))?;
        Ok(token)
    }

    /// Rotates a refresh token. The old one is spent by now, so the new one is handed out even where the disk refuses
    /// the change: after a restart it would be unknown, which sends its holder to log in.
    pub async fn rotate(&self, presented: &Token, now: Now) -> Result<Rotated, Refusal> {
        let before = self.learn(presented).await;
        let (outcome, is_overtaken) = self.rotate_here(presented, before, now).await?;
        if is_overtaken {
            // Another gateway was quicker with it: here it is spent, and ends its family.
            return self.rotate_here(presented, None, now).await?.0;
        }
        outcome
    }

    async fn rotate_here(
        &self,
        presented: &Token,
        before: Option<String>,
        now: Now,
    ) -> Result<(Result<Rotated, Refusal>, bool), Refusal> {
        let (outcome, events, pending) = {
            let _in_order = self.families_in_order.lock();
            let (outcome, events) = match self.books.families.rotate(presented, now) {
                Ok(mut rotated) => {
                    let events = std::mem::take(&mut rotated.events);
                    (Ok(rotated), events)
                }
                Err(refused) => (Err(*refused.refusal), refused.events),
            };
            let pending = self.write(events.iter().cloned().map(Entry::Family));
            (outcome, events, pending)
        };
        let told = self.tell_families(&events, before, now).await?;
        if let Err(fault) = pending.written().await {
            tracing::error!(%fault, "a refresh was not written down and will not survive a restart");
        }
        Ok((outcome, matches!(told, families::Shared::Overtaken)))
    }

    /// Whose refresh token it is, if it is one.
    pub fn owner(&self, presented: &Token, now: Now) -> Option<UserId> {
        self.books.families.owner(presented, now)
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Now) {
        self.books.sweep(now);
    }

    fn share(&self, ban: &Ban) {
        if let Some(shared) = &self.shared {
            shared.ban(ban);
        }
    }

    fn write(&self, entries: impl IntoIterator<Item = Entry>) -> Pending {
        self.journal.as_ref().map_or(Pending::Nothing, |journal| journal.append(entries.into_iter().collect()))
    }
}

/// How many bans and revocations there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Bans of addresses.
    pub addresses: usize,
    /// Bans of users.
    pub users: usize,
    /// Revocations.
    pub revocations: usize,
}

/// What became of a ban that should be lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifting {
    /// It is lifted.
    Lifted,
    /// There was none.
    NotBanned,
    /// The configuration lays it.
    Configured,
}

/// The refusal for a ban.
pub fn banned(ban: &Ban) -> Refusal {
    let until = ban.until.map_or_else(String::new, |until| format!(" until {until}"));
    let refusal = Refusal::plain(Code::Banned);
    refusal.because(match &ban.reason {
        Some(reason) => format!("{} is banned{until}: {reason}", ban.subject),
        None => format!("{} is banned{until}", ban.subject),
    })
}

/// The refusal for a revoked token.
pub fn revoked(revocation: &Revocation, principal: &Principal) -> Refusal {
    let cause = match &revocation.subject {
        RevokedSubject::Token { jti } => format!("the token {jti} was revoked"),
        RevokedSubject::User { user, before } => format!("the tokens of {user} up to {before} were revoked"),
    };
    Refusal::new(Code::TokenRevoked, "the token was revoked").because(cause).of_user(&principal.user)
}

fn not_kept(fault: &JournalFault) -> Refusal {
    Refusal::new(Code::AuthError, "the token could not be kept")
        .because(fault.to_string())
        .retry_after(std::time::Duration::from_secs(5))
}

impl Books {
    fn of(families: RefreshFamilies) -> Self {
        let (bans, configured, revocations) = Default::default();
        Self { bans, configured, revocations, families }
    }

    fn apply(&self, entry: Entry) {
        // A file with more than there is room for was written by a house with more room: what fits is kept.
        match entry {
            Entry::Ban(ban) => drop(self.bans.write().put(ban)),
            Entry::Lift(subject) => drop(self.bans.write().lift(&subject)),
            Entry::Revoke(revocation) => drop(self.revocations.write().put(revocation)),
            Entry::Family(event) => self.families.restore(&event),
        }
    }

    fn snapshot(&self, now: Now) -> Vec<Entry> {
        let bans = self.bans.read();
        let mut entries: Vec<Entry> = bans.iter().filter(|ban| ban.holds(now)).cloned().map(Entry::Ban).collect();
        entries.extend(self.revocations.read().iter().cloned().map(Entry::Revoke));
        entries.extend(self.families.snapshot(now).into_iter().map(Entry::Family));
        entries
    }

    fn sweep(&self, now: Now) {
        self.bans.write().sweep(now);
        self.revocations.write().sweep(now);
        // A family that is over needs no line: its own dates say so.
        self.families.sweep(now);
    }
}

/// The refusal for a user who is banned.
pub fn banned_user(ledger: &Ledger, user: &UserId, now: Now) -> Option<Refusal> {
    let Books { configured, bans, .. } = &*ledger.books;
    let refused = |ban: &Ban| banned(ban).of_user(user);
    let by_configuration = configured.read().on_user(user, now).map(refused);
    by_configuration.or_else(|| bans.read().on_user(user, now).map(refused))
}

/// The bans of a configuration, which is bounded by its own reader, far below the most that there is room for.
fn gathered(bans: Vec<Ban>) -> Bans {
    let mut gathered = Bans::default();
    for ban in bans {
        let _ = gathered.put(ban);
    }
    gathered
}
