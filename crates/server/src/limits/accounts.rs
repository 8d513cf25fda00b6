//! How much somebody may say: buckets and the ladder of penalties, one account a user, across all of its connections.
//!
//! An account outlives its connections for as long as it has something to remember. The map of accounts is bounded:
//! those with a live connection are at most as many as there are seats, and of the others the one that was quiet
//! longest makes room.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{RateLimiter, clock::Clock};
use parking_lot::Mutex;

use gateway_domain::{
    Now, Tick, UserId,
    plan::{Messages, Rate},
    rate::{Excess, Judgement, RateLimitTracker},
};

use super::{Bucket, HouseClock, quota};

/// The most accounts of users who are not connected.
pub const MOST_DEPARTED: usize = 100_000;
/// Different quotas that one user's tokens may carry at once; one more takes the place of the oldest.
const MOST_QUOTAS: usize = 8;

/// All accounts.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<HashMap<UserId, Arc<Account>>>);

/// What somebody has said lately, and how that was taken.
#[derive(Debug, Default)]
pub struct Account(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    tracker: RateLimitTracker,
    buckets: Vec<(Messages, Buckets)>,
    last_use: Tick,
    /// How many messages were admitted since others were told.
    spent: u32,
}

/// Two quotas; both must admit.
#[derive(Debug)]
struct Buckets {
    burst: Option<Bucket>,
    rate: Option<Bucket>,
}

impl Accounts {
    /// The user's account.
    pub fn of(&self, user: &UserId) -> Arc<Account> {
        Arc::clone(self.0.lock().entry(user.clone()).or_default())
    }

    /// The user's account, where there is one.
    pub fn peek(&self, user: &UserId) -> Option<Arc<Account>> {
        self.0.lock().get(user).cloned()
    }

    /// What users were admitted since this was asked last, those with the most of it first; at most so many users.
    pub(crate) fn spent(&self, most: usize) -> Vec<(UserId, u64)> {
        let take = |account: &Account| std::mem::take(&mut account.0.lock().spent);
        let accounts = self.0.lock();
        let spent = accounts.iter().map(|(user, account)| (user, u64::from(take(account))));
        let mut spent: Vec<_> =
            spent.filter(|(_, spent)| *spent > 0).map(|(user, spent)| (user.clone(), spent)).collect();
        drop(accounts);
        spent.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
        spent.truncate(most);
        spent
    }

    /// A user was admitted so many messages at other gateways: they are taken off its quotas here.
    pub(crate) fn charge(&self, user: &UserId, spent: u64) {
        if let Some(account) = self.peek(user) {
            let books = account.0.lock();
            books.buckets.iter().for_each(|(_, bucket)| bucket.charge(u32::try_from(spent).unwrap_or(u32::MAX)));
        }
    }

    /// Drops the accounts that nobody uses and that have nothing to remember.
    pub fn sweep(&self, now: Now) {
        let mut accounts = self.0.lock();
        accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_forgettable(now));
        let mut departed: Vec<_> = accounts
            .iter()
            .filter(|(_, account)| Arc::strong_count(account) == 1)
            .map(|(user, account)| (account.0.lock().last_use, user.clone()))
            .collect();
        if let Some(excess) = departed.len().checked_sub(MOST_DEPARTED).filter(|excess| *excess > 0) {
            departed.sort_unstable();
            for (_, user) in departed.drain(..excess) {
                accounts.remove(&user);
            }
        }
        accounts.shrink_to_fit();
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Account {
    /// Judges a message by those quotas.
    pub fn judge(&self, quotas: &Messages, now: Now) -> Judgement {
        let mut books = self.0.lock();
        books.last_use = now.tick;
        let Books { tracker, buckets, .. } = &mut *books;
        if quotas.rate.is_none() && quotas.burst.is_none() {
            return tracker.judge(now.tick, || Ok(()));
        }
        if !buckets.iter().any(|(known, _)| known == quotas) {
            if buckets.len() >= MOST_QUOTAS {
                buckets.remove(0);
            }
            buckets.push((*quotas, Buckets::new(quotas)));
        }
        let bucket = buckets.iter().find(|(known, _)| known == quotas).map(|(_, bucket)| bucket);
        let judgement = tracker.judge(now.tick, || bucket.map_or(Ok(()), Buckets::admit));
        books.spent += u32::from(judgement == Judgement::Admitted);
        judgement
    }

    /// Takes note of a message that was not understood.
    pub fn invalid(&self, now: Now) -> Option<Excess> {
        let mut books = self.0.lock();
        books.last_use = now.tick;
        books.tracker.invalid(now.tick)
    }

    /// How many violations are remembered, and how long the penalty still lasts.
    pub fn standing(&self, now: Now) -> (u32, Option<Duration>) {
        let books = self.0.lock();
        (books.tracker.violations(), books.tracker.penalty_left(now.tick))
    }

    fn is_forgettable(&self, now: Now) -> bool {
        let books = self.0.lock();
        let full_again = books.buckets.iter().map(|(quotas, _)| time_to_fill(quotas)).max().unwrap_or_default();
        books.tracker.is_clean(now.tick) && now.tick.since(books.last_use) >= full_again
    }
}

fn time_to_fill(quotas: &Messages) -> Duration {
    [quotas.rate, quotas.burst].into_iter().flatten().map(|rate| rate.period).max().unwrap_or_default()
}

impl Buckets {
    fn new(quotas: &Messages) -> Self {
        let bucket = |rate: Rate| RateLimiter::direct_with_clock(quota(rate, rate.count), HouseClock);
        Self { burst: quotas.burst.map(bucket), rate: quotas.rate.map(bucket) }
    }

    /// Takes off as many, or where that is more than there are, as nearly all as is quickly found.
    fn charge(&self, spent: u32) {
        for bucket in self.burst.iter().chain(&self.rate) {
            let mut left = spent;
            while let Some(some) = NonZeroU32::new(left) {
                if matches!(bucket.check_n(some), Ok(Ok(()))) {
                    break;
                }
                left /= 2;
            }
        }
    }

    /// How long to wait, where one of them is empty.
    fn admit(&self) -> Result<(), Duration> {
        for bucket in self.burst.iter().chain(&self.rate) {
            bucket.check().map_err(|until| until.wait_time_from(HouseClock.now()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn quotas() -> Messages {
        Messages { rate: Some("100/m".parse().unwrap()), burst: Some("20/s".parse().unwrap()) }
    }

    fn admitted(account: &Account, quotas: &Messages) -> usize {
        (0..1000).filter(|_| account.judge(quotas, clock::now()) == Judgement::Admitted).count()
    }

    #[tokio::test(start_paused = true)]
    async fn both_quotas_must_admit_and_count_over_all_connections() {
        let accounts = Accounts::default();
        let (one, other) = (accounts.of(&"ann".parse().unwrap()), accounts.of(&"ann".parse().unwrap()));
        assert_eq!(admitted(&one, &quotas()), 20);
        assert_eq!(admitted(&other, &quotas()), 0, "the user's, not the connection's");
        assert_eq!(admitted(&accounts.of(&"bob".parse().unwrap()), &quotas()), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_penalty_survives_the_connection_and_then_all_is_forgotten() {
        let accounts = Accounts::default();
        let ann: UserId = "ann".parse().unwrap();
        for _ in 0..2 {
            admitted(&accounts.of(&ann), &quotas());
            tokio::time::advance(Duration::from_millis(60)).await;
        }
        let (violations, penalty) = accounts.of(&ann).standing(clock::now());
        assert!(violations >= 2 && penalty.is_some());
        accounts.sweep(clock::now());
        assert_eq!(accounts.len(), 1);
        assert_eq!(admitted(&accounts.of(&ann), &quotas()), 0);
        tokio::time::advance(Duration::from_secs(2 * 3600)).await;
        accounts.sweep(clock::now());
        assert!(accounts.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn leaving_and_coming_back_does_not_fill_the_bucket() {
        let accounts = Accounts::default();
        let ann: UserId = "ann".parse().unwrap();
        assert_eq!(accounts.of(&ann).judge(&quotas(), clock::now()), Judgement::Admitted);
        accounts.sweep(clock::now());
        assert_eq!(accounts.len(), 1, "a bucket that is not full again is kept");
        tokio::time::advance(Duration::from_secs(60)).await;
        accounts.sweep(clock::now());
        assert!(accounts.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn off_is_off_and_many_quotas_are_bounded() {
        let account = Account::default();
        assert_eq!(admitted(&account, &Messages { rate: None, burst: None }), 1000);
        for n in 1..100u32 {
            let rate = Rate::new(std::num::NonZeroU32::new(n).unwrap(), Duration::from_secs(60));
            account.judge(&Messages { rate: Some(rate), burst: None }, clock::now());
        }
        assert_eq!(account.0.lock().buckets.len(), MOST_QUOTAS);
        for _ in 0..9 {
            assert!(account.invalid(clock::now()).is_none());
        }
        assert!(account.invalid(clock::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn departed_users_are_bounded() {
        let accounts = Accounts::default();
        for n in 0..MOST_DEPARTED + 10 {
            accounts.of(&n.to_string().parse().unwrap()).judge(&quotas(), clock::now());
        }
        accounts.sweep(clock::now());
        assert_eq!(accounts.len(), MOST_DEPARTED);
    }
}
