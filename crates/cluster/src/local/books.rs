//! Books that all nodes read, and the counts of knocks and of what was spent.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use gateway_domain::{
    Now, Tick, Timestamp,
    link::{Book, Expected},
};

/// All books.
#[derive(Debug, Default)]
pub(super) struct Books {
    written: HashMap<Book, BTreeMap<String, Written>>,
    /// When each that knocked has paid for all its knocks.
    knocks: HashMap<String, Tick>,
    /// How much was spent by all, ever.
    spent: HashMap<String, u64>,
}

#[derive(Clone, Debug)]
struct Written {
    value: String,
    until: Option<Timestamp>,
}

impl Books {
    /// What stands there.
    pub(super) fn read(&mut self, book: Book, key: &str, now: Now) -> Option<&str> {
        let entries = self.written.get_mut(&book)?;
        entries.retain(|_, entry| entry.until.is_none_or(|until| now.wall < until));
        entries.get(key).map(|entry| entry.value.as_str())
    }

    /// All that stands in it.
    pub(super) fn all(&self, book: Book, now: Now) -> Vec<(String, String)> {
        let entries = self.written.get(&book).into_iter().flatten();
        let standing = entries.filter(|(_, entry)| entry.until.is_none_or(|until| now.wall < until));
        standing.map(|(key, entry)| (key.clone(), entry.value.clone())).collect()
    }

    /// Writes, where what stands there is what was expected; else says what does.
    pub(super) fn write(
        &mut self,
        book: Book,
        key: &str,
        entry: (Option<String>, Option<Timestamp>),
        expected: Option<&Expected>,
        now: Now,
    ) -> Result<(), Option<String>> {
        let standing = self.read(book, key, now);
        let fits = match expected {
            None => true,
            Some(Expected::Absent) => standing.is_none(),
            Some(Expected::Value(value)) => standing == Some(value.as_str()),
        };
        if !fits {
            return Err(standing.map(str::to_owned));
        }
        let entries = self.written.entry(book).or_default();
        match entry {
            (Some(value), until) => entries.insert(key.to_owned(), Written { value, until }),
            (None, _) => entries.remove(key),
        };
        Ok(())
    }

    /// One more knock: the generic cell rate algorithm, as everywhere.
    pub(super) fn knock(&mut self, key: &str, every: Duration, burst: u32, now: Now) -> Result<(), Duration> {
        self.knocks.retain(|_, paid| *paid > now.tick);
        let paid = self.knocks.get(key).copied().unwrap_or(now.tick);
        let room = every * burst.max(1);
        let then = paid.max(now.tick) + every;
        let ahead = then.since(now.tick);
        if ahead > room {
            return Err(ahead.saturating_sub(room));
        }
        self.knocks.insert(key.to_owned(), then);
        Ok(())
    }

    /// Adds what a node spent, and says how much the others did since it asked last.
    pub(super) fn spend(&mut self, spent: &[(String, u64)], seen: &mut HashMap<String, u64>) -> Vec<u64> {
        let each = spent.iter().map(|(key, amount)| {
            let total = self.spent.entry(key.clone()).or_default();
            let before = *total;
            *total = total.saturating_add(*amount);
            let known = seen.insert(key.clone(), *total);
            known.map_or(0, |known| before.saturating_sub(known))
        });
        each.collect()
    }
}
