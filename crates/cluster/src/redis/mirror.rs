//! What stands in the books that are told, as this node knows it: so that it can be put back where Redis lost it.

use std::collections::{BTreeMap, HashMap};

use gateway_domain::{Timestamp, link::Book};

/// The books that are told.
pub(crate) const TOLD: [Book; 2] = [Book::Bans, Book::Revocations];

/// One entry: what it says, and until when.
pub(crate) type Entry = (String, Option<Timestamp>);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    books: HashMap<Book, BTreeMap<String, Entry>>,
}

impl Mirror {
    /// One was written, or taken out.
    pub(crate) fn note(&mut self, book: Book, key: &str, entry: Option<Entry>) {
        let entries = self.books.entry(book).or_default();
        match entry {
            Some(entry) => entries.insert(key.to_owned(), entry),
            None => entries.remove(key),
        };
    }

    /// What stands in one of them.
    pub(crate) fn entries(&self, book: Book) -> BTreeMap<String, Entry> {
        self.books.get(&book).cloned().unwrap_or_default()
    }
}
