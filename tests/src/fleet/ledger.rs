//! What was said, what each follower made of it, and whether that is what was promised: every event once, in order, or the word
//! that some were missed. A follower's account is checked against the offsets while it is kept, and against all others at the end.

use std::collections::{BTreeMap, HashMap, HashSet};

/// One event: who said it, and the how-manieth of its it is.
pub type Event = (usize, u64);

/// What its publisher was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// All nodes have it.
    Cluster,
    /// This node has it, and no other.
    Node,
    /// Nobody has it.
    Refused,
    /// Nothing: the node went away.
    Nothing,
}

/// What a follower noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It was told that it may have missed some; the first time it came, too.
    Break,
    /// It heard that, at that place.
    Heard(Event, String, u64),
}

/// What one follower heard over all of its connections.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// All of it, in its order.
    pub notes: Vec<Note>,
    /// The epoch and the offset of the last.
    pub since: Option<(String, u64)>,
    /// How many it got when it came again.
    pub recovered: u64,
    /// What it heard or was told against the promise.
    pub faults: Vec<String>,
}

impl Account {
    /// It is told where the room stands: to its question, or unasked.
    pub fn told(&mut self, epoch: &str, top: u64, recovered: Option<bool>, missed: u64) {
        match (&self.since, recovered) {
            (Some((known, last)), Some(true)) => {
                if known != epoch || last + missed != top {
                    self.faults.push(format!("recovered {missed} from {known}/{last} to {epoch}/{top}"));
                }
                self.recovered += missed;
            }
            _ => {
                self.notes.push(Note::Break);
                self.since = Some((epoch.to_owned(), top));
            }
        }
    }

    /// It hears an event.
    pub fn heard(&mut self, event: Event, offset: u64) {
        let Some((epoch, last)) = &mut self.since else {
            return self.faults.push(format!("{event:?} came before it was told that it is subscribed"));
        };
        if offset != *last + 1 {
            self.faults.push(format!("{event:?} has the offset {offset} after {last} of {epoch}"));
        }
        *last = offset;
        self.notes.push(Note::Heard(event, epoch.clone(), offset));
    }

    /// Whether it heard that one.
    pub fn has_heard(&self, event: Event) -> bool {
        self.events().any(|heard| heard == event)
    }

    /// How often it was told that it may have missed some, when it came first apart.
    pub fn breaks(&self) -> usize {
        self.notes.iter().filter(|note| **note == Note::Break).count().saturating_sub(1)
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        self.notes.iter().filter_map(|note| match note {
            Note::Heard(event, ..) => Some(*event),
            Note::Break => None,
        })
    }
}

/// Everything that was said, by publisher, in its order.
pub type Said = Vec<Vec<Told>>;

/// What is wrong with these accounts of what was said.
pub fn faults(said: &Said, accounts: &[Account]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut places: HashMap<(&str, u64), Event> = HashMap::new();
    for (who, account) in accounts.iter().enumerate() {
        let mut found = account.faults.clone();
        for note in &account.notes {
            if let Note::Heard(event, epoch, offset) = note {
                let there = *places.entry((epoch, *offset)).or_insert(*event);
                if there != *event {
                    found.push(format!("{epoch}/{offset} is {event:?}, and {there:?} for others"));
                }
            }
        }
        found.extend(once(said, account));
        found.extend(in_order(said, account));
        faults.extend(found.into_iter().map(|fault| format!("follower {who}: {fault}")));
    }
    faults
}

fn told(said: &Said, (publisher, nth): Event) -> Option<Told> {
    said.get(publisher)?.get(usize::try_from(nth).ok()?).copied()
}

/// What all nodes have is heard once. What was told not to be carried may have been, and is heard once between two breaks.
fn once(said: &Said, account: &Account) -> Vec<String> {
    let (mut ever, mut lately, mut faults) = (HashSet::new(), HashSet::new(), Vec::new());
    for note in &account.notes {
        match note {
            Note::Break => lately.clear(),
            Note::Heard(event, epoch, offset) => {
                let again = !ever.insert(*event);
                let at_once = !lately.insert(*event);
                if at_once || (again && told(said, *event) == Some(Told::Cluster)) {
                    faults.push(format!("{event:?} was heard twice, again at {epoch}/{offset}"));
                }
            }
        }
    }
    faults
}

/// What all nodes have is heard in the order in which its publisher said it, and none is missing but at a break.
fn in_order(said: &Said, account: &Account) -> Vec<String> {
    let (mut faults, mut latest) = (Vec::new(), BTreeMap::<usize, u64>::new());
    // Since the last break.
    let mut lately = BTreeMap::<usize, u64>::new();
    let heard: HashSet<Event> = account.events().collect();
    let missing = |publisher: usize, from: u64, to: u64| {
        (from..to)
            .find(|nth| told(said, (publisher, *nth)) == Some(Told::Cluster) && !heard.contains(&(publisher, *nth)))
    };
    for note in &account.notes {
        let Note::Heard(event, ..) = note else {
            lately.clear();
            continue;
        };
        let (publisher, nth) = *event;
        if told(said, *event) != Some(Told::Cluster) {
            continue;
        }
        if latest.insert(publisher, nth).is_some_and(|last| last >= nth) {
            faults.push(format!("{event:?} was heard after a later one"));
        }
        if let Some(last) = lately.insert(publisher, nth)
            && let Some(lost) = missing(publisher, last + 1, nth)
        {
            faults.push(format!("{:?} was never heard, and nobody said so, before {event:?}", (publisher, lost)));
        }
    }
    for (publisher, last) in lately {
        let end = said.get(publisher).map_or(0, |all| all.len() as u64);
        if let Some(lost) = missing(publisher, last + 1, end) {
            faults.push(format!("{:?} was never heard, and nobody said so, until the end", (publisher, lost)));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(offsets: &[(u64, u64)]) -> Account {
        let mut account = Account::default();
        account.told("e", 0, None, 0);
        for (nth, offset) in offsets {
            account.heard((0, *nth), *offset);
        }
        account
    }

    #[test]
    fn an_account_without_a_flaw_has_none() {
        let said = vec![vec![Told::Cluster, Told::Refused, Told::Cluster]];
        assert_eq!(faults(&said, &[account(&[(0, 1), (2, 2)])]), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_flaw_is_seen() {
        let said = vec![vec![Told::Cluster; 4]];
        for (offsets, flaw) in [
            (&[(0, 1), (1, 2), (3, 3)][..], "never heard"),
            (&[(0, 1), (1, 2), (2, 3)], "until the end"),
            (&[(0, 1), (1, 2), (1, 3), (2, 4), (3, 5)], "twice"),
            (&[(0, 1), (2, 2), (1, 3), (3, 4)], "after a later one"),
            (&[(0, 1), (1, 2), (2, 4), (3, 5)], "has the offset"),
        ] {
            let found = faults(&said, &[account(offsets)]);
            assert!(found.iter().any(|fault| fault.contains(flaw)), "{flaw}: {found:?}");
        }
        let other = account(&[(1, 1), (2, 2), (3, 3)]);
        let found = faults(&said, &[account(&[(0, 1), (1, 2), (2, 3), (3, 4)]), other]);
        assert!(found.iter().any(|fault| fault.contains("for others")), "{found:?}");
    }

    #[test]
    fn a_break_excuses_what_was_missed_there_and_nothing_else() {
        let said = vec![vec![Told::Cluster; 5]];
        let mut account = account(&[(0, 1)]);
        account.told("f", 7, Some(false), 0);
        account.heard((0, 2), 8);
        account.heard((0, 4), 9);
        let found = faults(&said, &[account]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("(0, 3) was never heard"), "{found:?}");
    }
}
