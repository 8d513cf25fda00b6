//! A note in the book of what is done once: the first to write it does what it says, at whatever gateway; the others read there what
//! came of it.

use std::{sync::Arc, time::Duration};

use gateway_auth::api_key;
use gateway_domain::{
    Now, Timestamp,
    link::{Act, Answer, Book, Expected},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::cluster::Link;

/// So long it is known again.
pub(super) const REMEMBERED: Duration = Duration::from_secs(300);

/// A place in that book.
pub(super) struct Note {
    link: Arc<Link>,
    key: String,
    until: Timestamp,
}

/// Who was the first to write there.
pub(super) enum First<T> {
    /// This gateway.
    Us,
    /// Another one, and it wrote this.
    Others(T),
}

/// Nobody can say now what is written, or a newer release wrote it, and it means nothing here.
pub(super) struct Unknown;

impl Note {
    pub(super) fn new(link: &Arc<Link>, key: String, now: Now) -> Self {
        Self { link: Arc::clone(link), key, until: now.wall + REMEMBERED }
    }

    /// Writes there, unless something is written.
    pub(super) async fn claim<T: Serialize + DeserializeOwned>(&self, what: &T) -> Result<First<T>, Unknown> {
        match self.put(to_text(what), Some(Expected::Absent)).await {
            Answer::Written(Ok(())) => Ok(First::Us),
            Answer::Written(Err(Some(found))) => of_text(&found).map(First::Others),
            _ => Err(Unknown),
        }
    }

    /// What is written there, where anything is.
    pub(super) async fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, Unknown> {
        match self.link.ask(Act::Read { book: Book::Once, key: self.key.clone() }).answer().await {
            Answer::Read(found) => found.as_deref().map(of_text).transpose(),
            _ => Err(Unknown),
        }
    }

    /// Writes what came of it. Where that cannot be written now, the others wait for it in vain, and end by themselves.
    pub(super) async fn ends(&self, what: &impl Serialize) {
        drop(self.put(to_text(what), None).await);
    }

    /// Nothing was done: it may be tried again.
    pub(super) async fn strike(&self) {
        drop(self.put(None, None).await);
    }

    async fn put(&self, value: Option<String>, expected: Option<Expected>) -> Answer {
        let (key, until) = (self.key.clone(), Some(self.until));
        self.link.ask(Act::Write { book: Book::Once, key, value, until, expected }).answer().await
    }
}

/// By which something else under the same name is told from the same again.
pub(super) fn digest(text: &str) -> String {
    api_key::hash_text(&api_key::hash(text))
}

fn to_text(what: &impl Serialize) -> Option<String> {
    serde_json::to_string(what).ok()
}

fn of_text<T: DeserializeOwned>(text: &str) -> Result<T, Unknown> {
    serde_json::from_str(text).map_err(|_| Unknown)
}
