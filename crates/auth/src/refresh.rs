//! Refresh tokens: opaque, of 256 random bits, kept as hashes, spent by their use. Each use gives the next of a
//! family; a spent one that comes again tells of a theft and ends the family, whoever holds its live token.
//!
//! A family slides: every use gives it another [`ttl`](RefreshRules::ttl), but it ends [`life`](RefreshRules::life)
//! after it began, whatever happens. The table is bounded: one family too many of a user ends that user's eldest;
//! when the whole table is full, nobody new gets a family until one has ended.
//!
//! Every change is an event, which can be kept in a journal; events hold hashes, never tokens.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_domain::{
    Now, Timestamp, Token, UserId,
    refusal::{Code, Detail, Refusal},
};
use parking_lot::Mutex;

use crate::{api_key::sha256, issuer::Grant, key::KeyFault, signing::random};

pub use crate::refresh::event::{FamilyEvent, Hash};

mod ended;
mod event;

const PREFIX: &str = "gwr_";
/// The part that names the family, and the part that is new each time.
const PARTS: (usize, usize) = (16, 32);
/// How long an ended time is still told apart from a token that never was.
const TOLD_FOR: Duration = Duration::from_secs(3600);

/// How long families live, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRules {
    /// How long a token waits for its use.
    pub ttl: Duration,
    /// How long a family can be prolonged in all.
    pub life: Duration,
    /// How many families there may be.
    pub most: usize,
    /// How many of them one user may have.
    pub most_of_user: usize,
}

impl RefreshRules {
    /// Tokens that wait that long; a family lives at most four times as long.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, life: ttl.saturating_mul(4), most: 100_000, most_of_user: 64 }
    }
}

/// All living families.
pub struct RefreshFamilies {
    rules: RefreshRules,
    table: Mutex<Table>,
}

/// A token that was exchanged for the next.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// For whom.
    pub grant: Grant,
    /// The next token.
    pub token: Token,
    /// Until when it waits.
    pub expires_at: Timestamp,
    /// What changed.
    pub events: Vec<FamilyEvent>,
}

/// A token that was not exchanged.
#[derive(Clone, Debug)]
pub struct NotRotated {
    /// Why.
    pub refusal: Box<Refusal>,
    /// What changed all the same.
    pub events: Vec<FamilyEvent>,
}

#[derive(Default)]
struct Table {
    families: HashMap<Hash, Family>,
    /// In the order in which they began.
    of_user: HashMap<UserId, Vec<Hash>>,
    by_expiry: BTreeSet<(Timestamp, Hash)>,
    ended: ended::Ended,
}

struct Family {
    grant: Grant,
    /// Of the one token that is not spent.
    live: Hash,
    ends_at: Timestamp,
    expires_at: Timestamp,
}

impl RefreshFamilies {
    /// An empty table.
    pub fn new(rules: RefreshRules) -> Self {
        Self { rules, table: Mutex::default() }
    }

    /// Begins a family and gives its first token.
    pub fn begin(&self, grant: Grant, now: Now) -> Result<(Token, Vec<FamilyEvent>), Refusal> {
        let name = random::<{ PARTS.0 }>().map_err(no_luck)?;
        let (token, live) = next_token(&name).map_err(no_luck)?;
        let mut table = self.table.lock();
        let mut events = table.sweep(now.wall, TOLD_FOR);
        if table.families.len() >= self.rules.most {
            events.extend(table.sweep(now.wall, Duration::ZERO));
        }
        let eldest = table.of_user.get(&grant.user).filter(|families| families.len() >= self.rules.most_of_user.max(1));
        if let Some(eldest) = eldest.and_then(|families| families.first()).copied() {
            events.extend(table.revoke(&eldest));
        }
        if table.families.len() >= self.rules.most {
            return Err(Refusal::new(Code::AuthError, "there is no room for another session at the moment")
                .because("the table of refresh families is full")
                .retry_after(Duration::from_secs(60)));
        }
        let ends_at = now.wall + self.rules.life;
        let expires_at = ends_at.min(now.wall + self.rules.ttl);
        let begun = FamilyEvent::Begun { family: Hash(sha256(&name)), live, grant, expires_at, ends_at };
        table.apply(&begun);
        events.push(begun);
        Ok((token, events))
    }

    /// Whose token it is, where it would be taken; it is not spent by this.
    pub fn owner(&self, presented: &Token, now: Now) -> Option<UserId> {
        let (family, hash) = parse(presented)?;
        let table = self.table.lock();
        let found = table.families.get(&family)?;
        (found.live.is(&hash) && now.wall < found.expires_at).then(|| found.grant.user.clone())
    }

    /// The name under which the family of a token is kept elsewhere; it says nothing of the token.
    pub fn name(presented: &Token) -> Option<String> {
        parse(presented).map(|(family, _)| FamilyEvent::Ended { family }.name())
    }

    /// The event that rebuilds the family of that name as it stands here; its end, where it was ended before its time. None
    /// where its time was over: its own dates say so wherever it is known.
    pub fn standing(&self, event: &FamilyEvent) -> Option<FamilyEvent> {
        let (FamilyEvent::Begun { family, .. } | FamilyEvent::Rotated { family, .. } | FamilyEvent::Ended { family }) =
            event;
        let table = self.table.lock();
        match table.families.get(family) {
            None => table.ended.has(family).then_some(FamilyEvent::Ended { family: *family }),
            Some(known) => Some(FamilyEvent::Begun {
                family: *family,
                live: known.live,
                grant: known.grant.clone(),
                expires_at: known.expires_at,
                ends_at: known.ends_at,
            }),
        }
    }

    /// Exchanges a token for the next.
    pub fn rotate(&self, presented: &Token, now: Now) -> Result<Rotated, NotRotated> {
        let refused = |refusal: Refusal| NotRotated { refusal: Box::new(refusal), events: Vec::new() };
        let malformed = || refused(Refusal::invalid_token(Detail::Malformed, "this is not a refresh token"));
        let unknown = || refused(Refusal::invalid_token(Detail::UnknownKey, "the refresh token is not known here"));
        let (name, secret) = bytes(presented).ok_or_else(malformed)?;
        let (id, hash) = (Hash(sha256(&name)), Hash(sha256(&secret)));
        let (token, live) = next_token(&name).map_err(|fault| refused(no_luck(fault)))?;
        let mut table = self.table.lock();
        let Some(family) = table.families.get(&id) else {
            let revoked = || Refusal::new(Code::TokenRevoked, "everything that came from the same login has ended");
            return Err(if table.ended.has(&id) { refused(revoked()) } else { unknown() });
        };
        if now.wall >= family.expires_at {
            let deadline = family.expires_at;
            let expired = Refusal::new(Code::TokenExpired, format!("the refresh token expired at {deadline}"));
            return Err(refused(expired.of_user(&family.grant.user)));
        }
        if !family.live.is(&hash) {
            let reused = Refusal::new(
                Code::TokenRevoked,
                "the refresh token was used before: everything that came from the same login has ended",
            );
            let refusal = Box::new(reused.of_user(&family.grant.user));
            return Err(NotRotated { refusal, events: table.revoke(&id).into_iter().collect() });
        }
        let grant = family.grant.clone();
        let expires_at = family.ends_at.min(now.wall + self.rules.ttl);
        let event = FamilyEvent::Rotated { family: id, live, expires_at };
        table.apply(&event);
        Ok(Rotated { grant, token, expires_at, events: vec![event] })
    }

    /// Ends the family of a token, as a logout does; one that is not known changes nothing.
    pub fn end(&self, presented: &Token) -> Vec<FamilyEvent> {
        let Some((family, _)) = parse(presented) else { return Vec::new() };
        self.table.lock().revoke(&family).into_iter().collect()
    }

    /// Ends all families of a user.
    pub fn end_of_user(&self, user: &UserId) -> Vec<FamilyEvent> {
        let mut table = self.table.lock();
        let families = table.of_user.get(user).cloned().unwrap_or_default();
        families.iter().filter_map(|family| table.revoke(family)).collect()
    }

    /// Ends those whose time is over, for the journal's sake.
    pub fn sweep(&self, now: Now) -> Vec<FamilyEvent> {
        self.table.lock().sweep(now.wall, TOLD_FOR)
    }

    /// Takes an event back from a journal. One that contradicts what is there, or would overfill the table,
    /// changes nothing.
    pub fn restore(&self, event: &FamilyEvent) {
        let mut table = self.table.lock();
        let full = matches!(event, FamilyEvent::Begun { .. }) && table.families.len() >= self.rules.most;
        if !full {
            table.apply(event);
        }
    }

    /// Events that rebuild what is there now.
    pub fn snapshot(&self, now: Now) -> Vec<FamilyEvent> {
        let table = self.table.lock();
        let living = table.of_user.values().flatten().filter_map(|id| Some((id, table.families.get(id)?)));
        living
            .filter(|(_, family)| now.wall < family.expires_at)
            .map(|(id, family)| FamilyEvent::Begun {
                family: *id,
                live: family.live,
                grant: family.grant.clone(),
                expires_at: family.expires_at,
                ends_at: family.ends_at,
            })
            .collect()
    }

    /// How many families there are.
    pub fn len(&self) -> usize {
        self.table.lock().families.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for RefreshFamilies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshFamilies").field("rules", &self.rules).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Table {
    fn apply(&mut self, event: &FamilyEvent) {
        match event {
            FamilyEvent::Begun { family, live, grant, expires_at, ends_at } => {
                self.end(family);
                self.of_user.entry(grant.user.clone()).or_default().push(*family);
                self.by_expiry.insert((*expires_at, *family));
                let begun = Family { grant: grant.clone(), live: *live, ends_at: *ends_at, expires_at: *expires_at };
                self.families.insert(*family, begun);
            }
            FamilyEvent::Rotated { family, live, expires_at } => {
                if let Some(known) = self.families.get_mut(family) {
                    self.by_expiry.remove(&(known.expires_at, *family));
                    self.by_expiry.insert((*expires_at, *family));
                    known.live = *live;
                    known.expires_at = *expires_at;
                }
            }
            // Of a family that was never here, too: whoever ended it elsewhere ended it for all.
            FamilyEvent::Ended { family } => {
                self.end(family);
                self.ended.put(*family);
            }
        }
    }

    /// Ends a family before its time.
    fn revoke(&mut self, id: &Hash) -> Option<FamilyEvent> {
        let event = self.end(id)?;
        self.ended.put(*id);
        Some(event)
    }

    fn end(&mut self, id: &Hash) -> Option<FamilyEvent> {
        let family = self.families.remove(id)?;
        self.by_expiry.remove(&(family.expires_at, *id));
        if let Some(families) = self.of_user.get_mut(&family.grant.user) {
            families.retain(|other| other != id);
            if families.is_empty() {
                self.of_user.remove(&family.grant.user);
            }
        }
        Some(FamilyEvent::Ended { family: *id })
    }

    /// Ends those whose time has been over for that long.
    fn sweep(&mut self, now: Timestamp, over_for: Duration) -> Vec<FamilyEvent> {
        let mut events = Vec::new();
        while let Some((_, id)) = self.by_expiry.first().filter(|(expiry, _)| *expiry + over_for <= now).copied() {
            events.extend(self.end(&id));
        }
        events
    }
}

/// The next token of a family, and the hash under which it is kept.
fn next_token(name: &[u8; PARTS.0]) -> Result<(Token, Hash), KeyFault> {
    let secret = random::<{ PARTS.1 }>()?;
    let text = URL_SAFE_NO_PAD.encode([name.as_slice(), &secret].concat());
    Ok((Token::new(format!("{PREFIX}{text}")), Hash(sha256(&secret))))
}

fn bytes(token: &Token) -> Option<([u8; PARTS.0], [u8; PARTS.1])> {
    let text = token.expose().strip_prefix(PREFIX).filter(|text| text.len() <= 64)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (name, secret) = bytes.split_first_chunk()?;
    Some((*name, secret.try_into().ok()?))
}

/// The hashes of the family and of the secret that a token names.
fn parse(token: &Token) -> Option<(Hash, Hash)> {
    bytes(token).map(|(name, secret)| (Hash(sha256(&name)), Hash(sha256(&secret))))
}

impl Hash {
    fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

fn no_luck(fault: KeyFault) -> Refusal {
    Refusal::new(Code::AuthError, "no token can be made at the moment").because(fault.to_string())
}
