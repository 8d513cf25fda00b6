//! Bans: addresses, blocks of addresses and users that stay outside, some until a time.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use crate::{
    name::UserId,
    network::Network,
    time::{Now, Timestamp},
};

/// Who is banned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// An address, or a block of them.
    #[serde(rename = "address")]
    Network(Network),
    /// A user, wherever it comes from.
    User(UserId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "address {network}"),
            Self::User(user) => write!(f, "user {user}"),
        }
    }
}

/// One ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Who.
    #[serde(flatten)]
    pub subject: Subject,
    /// How long; none for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Ban {
    /// Whether it holds at that moment.
    pub fn holds(&self, now: Now) -> bool {
        self.until.is_none_or(|until| now.wall < until)
    }
}

/// Every place is taken: a ban must end, or be lifted, before another is laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} bans, as many as can be: lift some, or ban a block of addresses instead of each")]
pub struct TooManyBans(pub usize);

/// All bans. A look-up costs one hash per prefix length in use, however many bans there are.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    networks: HashMap<Network, Ban>,
    prefixes: BTreeSet<u8>,
    users: HashMap<UserId, Ban>,
}

impl Bans {
    /// The most bans that are kept.
    pub const MOST: usize = 100_000;

    /// Lays a ban, or replaces the one on the same subject.
    pub fn put(&mut self, ban: Ban) -> Result<(), TooManyBans> {
        if self.len() >= Self::MOST && self.get(&ban.subject).is_none() {
            return Err(TooManyBans(Self::MOST));
        }
        match &ban.subject {
            Subject::Network(network) => {
                self.prefixes.insert(network.prefix());
                self.networks.insert(*network, ban);
            }
            Subject::User(user) => {
                self.users.insert(user.clone(), ban);
            }
        }
        Ok(())
    }

    /// Lifts a ban; the one that was there.
    pub fn lift(&mut self, subject: &Subject) -> Option<Ban> {
        let lifted = match subject {
            Subject::Network(network) => self.networks.remove(network),
            Subject::User(user) => self.users.remove(user),
        };
        self.prefixes = self.networks.keys().map(Network::prefix).collect();
        lifted
    }

    /// The ban on that very subject.
    pub fn get(&self, subject: &Subject) -> Option<&Ban> {
        match subject {
            Subject::Network(network) => self.networks.get(network),
            Subject::User(user) => self.users.get(user),
        }
    }

    /// The ban that keeps this address out, the widest first.
    pub fn on_address(&self, address: IpAddr, now: Now) -> Option<&Ban> {
        self.prefixes.iter().find_map(|prefix| {
            let ban = self.networks.get(&Network::around(address, *prefix))?;
            ban.holds(now).then_some(ban)
        })
    }

    /// The ban that keeps this user out.
    pub fn on_user(&self, user: &UserId, now: Now) -> Option<&Ban> {
        self.users.get(user).filter(|ban| ban.holds(now))
    }

    /// Drops the bans that are over.
    pub fn sweep(&mut self, now: Now) {
        self.networks.retain(|_, ban| ban.holds(now));
        self.users.retain(|_, ban| ban.holds(now));
        self.prefixes = self.networks.keys().map(Network::prefix).collect();
    }

    /// Every ban, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Ban> {
        self.networks.values().chain(self.users.values())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.networks.len() + self.users.len()
    }

    /// Whether nobody is banned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tick;

    fn at(seconds: i64) -> Now {
        Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(seconds) }
    }

    fn ban(json: serde_json::Value) -> Ban {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_ban_holds_until_its_time() {
        let mut bans = Bans::default();
        bans.put(ban(serde_json::json!({"user": "mallory", "until": "1970-01-01T00:00:10Z"}))).unwrap();
        let mallory = "mallory".parse().unwrap();
        assert!(bans.on_user(&mallory, at(9)).is_some());
        assert!(bans.on_user(&mallory, at(10)).is_none());
        assert!(bans.on_user(&"ann".parse().unwrap(), at(9)).is_none());
        bans.sweep(at(9));
        assert_eq!(bans.len(), 1);
        bans.sweep(at(10));
        assert!(bans.is_empty());
    }

    #[test]
    fn a_block_keeps_out_all_its_addresses_until_it_is_lifted() {
        let mut bans = Bans::default();
        bans.put(ban(serde_json::json!({"address": "2001:db8::/32", "reason": "abuse"}))).unwrap();
        bans.put(ban(serde_json::json!({"address": "203.0.113.9"}))).unwrap();
        assert!(bans.on_address("2001:db8:1::5".parse().unwrap(), at(0)).is_some());
        assert!(bans.on_address("::ffff:203.0.113.9".parse().unwrap(), at(0)).is_some());
        assert!(bans.on_address("203.0.113.8".parse().unwrap(), at(0)).is_none());
        let subject = Subject::Network("2001:db8::/32".parse().unwrap());
        assert_eq!(bans.get(&subject).unwrap().reason.as_deref(), Some("abuse"));
        assert!(bans.lift(&subject).is_some() && bans.lift(&subject).is_none());
        assert!(bans.on_address("2001:db8:1::5".parse().unwrap(), at(0)).is_none());
        assert!(bans.on_address("203.0.113.9".parse().unwrap(), at(0)).is_some());
        let user = Subject::User("x".parse().unwrap());
        assert!(bans.lift(&user).is_none());
        assert_eq!((user.to_string(), subject.to_string()), ("user x".into(), "address 2001:db8::/32".into()));
    }

    #[test]
    fn a_ban_that_is_over_does_not_hide_one_that_holds() {
        let mut bans = Bans::default();
        bans.put(ban(serde_json::json!({"address": "10.0.0.0/8", "until": "1970-01-01T00:00:01Z"}))).unwrap();
        bans.put(ban(serde_json::json!({"address": "10.1.0.0/16"}))).unwrap();
        assert!(bans.on_address("10.1.2.3".parse().unwrap(), at(5)).is_some());
        assert!(bans.on_address("10.2.2.3".parse().unwrap(), at(5)).is_none());
        bans.sweep(at(5));
        assert_eq!(bans.iter().count(), 1);
    }

    #[test]
    fn the_table_is_bounded_and_a_known_subject_may_still_be_changed() {
        let mut bans = Bans::default();
        for n in 0..Bans::MOST {
            bans.put(Ban { subject: Subject::User(n.to_string().parse().unwrap()), until: None, reason: None })
                .unwrap();
        }
        let one_more = Ban { subject: Subject::User("more".parse().unwrap()), until: None, reason: None };
        assert_eq!(bans.put(one_more), Err(TooManyBans(Bans::MOST)));
        let known = Ban { subject: Subject::User("7".parse().unwrap()), until: None, reason: Some("again".into()) };
        assert_eq!(bans.put(known), Ok(()));
    }
}
