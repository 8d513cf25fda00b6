//! How often somebody may knock: by address before the token is looked at, by user after it was verified.

use std::{collections::HashMap, hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{RateLimiter, clock::Clock};
use parking_lot::Mutex;

use gateway_domain::{Code, Now, Refusal, Tick, UserId, network::Network, plan::Rate};

use super::{HouseClock, Limiter, bounded::BoundedCounts, quota};

/// The most addresses, and the most users, that are counted apart.
pub const MOST_KEYS: usize = 100_000;
/// What an address reads that knocks too often.
pub const TOO_MANY_FROM_ADDRESS: &str = "too many handshakes from this address";
/// What a user reads who does.
pub const TOO_MANY_OF_USER: &str = "too many handshakes of this user";

/// A rate, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeRate {
    /// In the long run.
    pub rate: Rate,
    /// At once.
    pub burst: NonZeroU32,
}

/// An address that overdoes it is banned for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoBan {
    /// So many refused handshakes...
    pub violations: u32,
    /// ...within this time...
    pub within: Duration,
    /// ...are worth this ban.
    pub duration: Duration,
}

/// The limits on handshakes.
#[derive(Debug)]
pub struct HandshakeLimits {
    by_address: Option<Counter<Network>>,
    by_user: Option<Counter<UserId>>,
    auto_ban: Option<AutoBan>,
    offences: Mutex<HashMap<Network, Offences>>,
}

/// Counts by key, each at that rate.
#[derive(Debug)]
pub(super) struct Counter<K: Hash + Eq + Clone> {
    told: HandshakeRate,
    limiter: Limiter<K, BoundedCounts<K>>,
}

#[derive(Debug)]
struct Offences {
    since: Tick,
    count: u32,
}

impl HandshakeRate {
    /// How often an address may knock, as it ships.
    pub const OF_ADDRESS: Self = Self::per_second(20, 100);
    /// How often a user may, as it ships.
    pub const OF_USER: Self = Self::per_second(5, 20);

    /// So many in a second, and so many at once; at least one.
    pub(super) const fn per_second(count: u32, burst: u32) -> Self {
        Self { rate: Rate::new(at_least_one(count), Duration::from_secs(1)), burst: at_least_one(burst) }
    }

    /// The refusal of whoever comes more often, and when it makes sense to come again.
    pub fn exceeded(&self, message: &'static str, wait: Duration) -> Refusal {
        Refusal::new(Code::RateLimited, message).retry_after(wait).limit(self.rate)
    }
}

const fn at_least_one(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

impl Default for HandshakeLimits {
    /// The limits that ship; nobody is banned by himself.
    fn default() -> Self {
        Self::new(Some(HandshakeRate::OF_ADDRESS), Some(HandshakeRate::OF_USER), None)
    }
}

impl HandshakeLimits {
    /// The limits; none is off.
    pub fn new(by_address: Option<HandshakeRate>, by_user: Option<HandshakeRate>, auto_ban: Option<AutoBan>) -> Self {
        Self {
            by_address: by_address.map(Counter::new),
            by_user: by_user.map(Counter::new),
            auto_ban,
            offences: Mutex::default(),
        }
    }

    /// Counts a handshake from an address.
    pub fn knock_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.by_address
            .as_ref()
            .map_or(Ok(()), |counter| counter.count(&Network::of_customer(address), TOO_MANY_FROM_ADDRESS))
    }

    /// Counts a handshake of a user.
    pub fn knock_of(&self, user: &UserId) -> Result<(), Refusal> {
        self.by_user.as_ref().map_or(Ok(()), |counter| counter.count(user, TOO_MANY_OF_USER))
    }

    /// Notes that a handshake from there was refused for a fault of its own; how long to ban it for, where it is time.
    pub fn offence(&self, address: IpAddr, now: Now) -> Option<(Network, AutoBan)> {
        let law = self.auto_ban?;
        let customer = Network::of_customer(address);
        let mut offences = self.offences.lock();
        if offences.len() >= MOST_KEYS && !offences.contains_key(&customer) {
            return None;
        }
        let fresh = Offences { since: now.tick, count: 0 };
        let record = offences.entry(customer).or_insert(fresh);
        if now.tick.since(record.since) >= law.within {
            *record = Offences { since: now.tick, count: 0 };
        }
        record.count += 1;
        if record.count < law.violations {
            return None;
        }
        offences.remove(&customer);
        Some((customer, law))
    }

    /// Forgets those who were quiet long enough.
    pub fn sweep(&self, now: Now) {
        if let Some(counter) = &self.by_address {
            counter.sweep();
        }
        if let Some(counter) = &self.by_user {
            counter.sweep();
        }
        if let Some(law) = self.auto_ban {
            let mut offences = self.offences.lock();
            offences.retain(|_, record| now.tick.since(record.since) < law.within);
            offences.shrink_to_fit();
        }
    }

    /// The rates of an address and of a user, for whoever counts elsewhere.
    pub fn rates(&self) -> (Option<HandshakeRate>, Option<HandshakeRate>) {
        (self.by_address.as_ref().map(|counter| counter.told), self.by_user.as_ref().map(|counter| counter.told))
    }

    /// How many addresses and users are counted, for whoever watches the memory.
    pub fn counted(&self) -> (usize, usize) {
        (
            self.by_address.as_ref().map_or(0, |counter| counter.limiter.len()),
            self.by_user.as_ref().map_or(0, |counter| counter.limiter.len()),
        )
    }
}

impl<K: Hash + Eq + Clone> Counter<K> {
    pub(super) fn new(told: HandshakeRate) -> Self {
        let limiter =
            RateLimiter::new(quota(told.rate, told.burst), BoundedCounts::with_room_for(MOST_KEYS), HouseClock);
        Self { told, limiter }
    }

    pub(super) fn count(&self, key: &K, message: &'static str) -> Result<(), Refusal> {
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(HouseClock.now());
            self.told.exceeded(message, wait)
        })
    }

    pub(super) fn sweep(&self) {
        self.limiter.retain_recent();
    }

    pub(super) fn len(&self) -> usize {
        self.limiter.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(auto_ban: Option<AutoBan>) -> HandshakeLimits {
        let rate =
            |text: &str, burst| HandshakeRate { rate: text.parse().unwrap(), burst: NonZeroU32::new(burst).unwrap() };
        HandshakeLimits::new(Some(rate("20/s", 100)), Some(rate("5/s", 20)), auto_ban)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate_holds() {
        let limits = limits(None);
        let address = "203.0.113.9".parse().unwrap();
        assert_eq!((0..200).filter(|_| limits.knock_from(address).is_ok()).count(), 100);
        let refusal = limits.knock_from(address).unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_seconds()), (Code::RateLimited, Some(1)));
        assert_eq!(refusal.limit.map(|met| met.limit), Some(20));
        assert!(limits.knock_from("203.0.113.8".parse().unwrap()).is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..200).filter(|_| limits.knock_from(address).is_ok()).count(), 20);
        let ann = "ann".parse().unwrap();
        assert_eq!((0..50).filter(|_| limits.knock_of(&ann).is_ok()).count(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slash_64_is_one_customer_and_is_forgotten_in_time() {
        let limits = limits(None);
        for host in 0..100u32 {
            limits.knock_from(format!("2001:db8::{host:x}").parse().unwrap()).unwrap();
        }
        assert!(limits.knock_from("2001:db8::ffff".parse().unwrap()).is_err());
        assert_eq!(limits.counted(), (1, 0));
        tokio::time::advance(Duration::from_secs(10)).await;
        limits.sweep(crate::clock::now());
        assert_eq!(limits.counted(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_overdoes_it_is_banned_for_a_while_where_that_is_switched_on() {
        let law = AutoBan { violations: 3, within: Duration::from_secs(60), duration: Duration::from_secs(900) };
        let address = "203.0.113.9".parse().unwrap();
        let now = crate::clock::now();
        assert!((0..10).all(|_| limits(None).offence(address, now).is_none()), "off by default");
        let limits = limits(Some(law));
        assert!(limits.offence(address, now).is_none() && limits.offence(address, now).is_none());
        assert_eq!(limits.offence(address, now), Some((Network::of_customer(address), law)));
        assert!(limits.offence(address, now).is_none(), "it starts anew");
        tokio::time::advance(Duration::from_secs(60)).await;
        let later = crate::clock::now();
        assert!(limits.offence(address, later).is_none() && limits.offence(address, later).is_none());
        tokio::time::advance(Duration::from_secs(60)).await;
        limits.sweep(crate::clock::now());
        assert!(limits.offences.lock().is_empty());
    }
}
