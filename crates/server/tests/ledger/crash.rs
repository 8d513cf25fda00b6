//! Crashes: a file that was cut off at any byte, or damaged in the middle, and what is read of it.

use gateway_domain::{
    Code, Token,
    ban::{Ban, Subject},
};
use gateway_server::{
    clock,
    ledger::{JournalFault, Ledger, Lifting},
};

use crate::books::{AN_HOUR, JTIS, Known, Shelf, address, ban, ban_of, grant, of_token, of_user, user};

/// A file, with where each change ended in it and what was known then.
struct Story {
    bytes: Vec<u8>,
    chapters: Vec<(usize, Known)>,
    tokens: Vec<Token>,
}

const USERS: [&str; 2] = ["eve", "mallory"];

impl Story {
    /// Every kind of change, one line each.
    async fn write() -> Self {
        let shelf = Shelf::new();
        let ledger = shelf.open().unwrap();
        let now = clock::now();
        let mut story = Self { bytes: Vec::new(), chapters: Vec::new(), tokens: Vec::new() };
        story.note(&shelf, &ledger);
        ledger.ban(ban(address("203.0.113.0/24"), "scans")).await.unwrap();
        story.note(&shelf, &ledger);
        ledger.ban(Ban { until: Some(now.wall + AN_HOUR), ..ban_of("mallory", "spam") }).await.unwrap();
        story.note(&shelf, &ledger);
        ledger.revoke(of_token("t1")).await.unwrap();
        story.note(&shelf, &ledger);
        let first = ledger.begin_family(grant("ann"), now).await.unwrap();
        story.tokens.push(first.clone());
        story.note(&shelf, &ledger);
        let second = ledger.rotate(&first, now).await.unwrap().token;
        story.tokens.push(second.clone());
        story.note(&shelf, &ledger);
        assert_eq!(ledger.lift(&address("203.0.113.0/24")).await.unwrap(), Lifting::Lifted);
        story.note(&shelf, &ledger);
        ledger.revoke(of_user("eve")).await.unwrap();
        story.note(&shelf, &ledger);
        story.tokens.push(ledger.begin_family(grant("bob"), now).await.unwrap());
        story.note(&shelf, &ledger);
        assert_eq!(ledger.rotate(&first, now).await.unwrap_err().code, Code::TokenRevoked, "spent, so its family ends");
        story.note(&shelf, &ledger);
        ledger.ban(ban_of("mallory", "still spam: \u{e9}\u{1f6ab} \"quoted\"\n")).await.unwrap();
        story.note(&shelf, &ledger);
        drop(ledger);
        story.bytes = shelf.read();
        // A chapter that was written before a token was made knows nothing of it.
        let tokens = story.tokens.len();
        story.chapters.iter_mut().for_each(|(_, known)| known.owners.resize(tokens, None));
        story
    }

    fn note(&mut self, shelf: &Shelf, ledger: &Ledger) {
        self.chapters.push((shelf.read().len(), Known::of(ledger, &JTIS, &USERS, &self.tokens)));
    }

    fn known(&self, ledger: &Ledger) -> Known {
        Known::of(ledger, &JTIS, &USERS, &self.tokens)
    }

    /// What must be known of a file that was cut off there.
    fn up_to(&self, bytes: usize) -> &Known {
        let whole = self.chapters.iter().rev().find(|(end, _)| *end <= bytes);
        &whole.unwrap().1
    }
}

#[tokio::test]
async fn a_crash_at_any_byte_keeps_exactly_the_changes_that_were_wholly_written() {
    let story = Story::write().await;
    assert_eq!(story.chapters.last().unwrap().0, story.bytes.len(), "what was answered is on the disk");
    assert_eq!(story.chapters.len(), 11);
    for cut in 0..=story.bytes.len() {
        let shelf = Shelf::holding(&story.bytes[..cut]);
        let ledger = shelf.open().unwrap_or_else(|fault| panic!("cut at {cut}: {fault}"));
        assert_eq!(story.known(&ledger), *story.up_to(cut), "cut at {cut}");
        drop(ledger);
        let whole = story.chapters.iter().rev().find(|(end, _)| *end <= cut).unwrap().0;
        assert_eq!(shelf.read(), &story.bytes[..whole], "the torn end is gone, at {cut}");
    }
}

#[tokio::test]
async fn what_is_written_behind_a_torn_end_is_read_again() {
    let story = Story::write().await;
    let ends: Vec<usize> = story.chapters.iter().map(|(end, _)| *end).collect();
    let near = ends.iter().flat_map(|end| [end.saturating_sub(1), *end, end + 1]);
    for cut in near.filter(|cut| *cut <= story.bytes.len()) {
        let shelf = Shelf::holding(&story.bytes[..cut]);
        let ledger = shelf.open().unwrap();
        ledger.ban(ban_of("zoe", "later")).await.unwrap();
        let known = story.known(&ledger);
        drop(ledger);
        assert_eq!(story.known(&shelf.open().unwrap()), known, "cut at {cut}");
        assert!(known.bans.iter().any(|ban| ban.subject == Subject::User(user("zoe"))));
    }
}

#[tokio::test]
async fn zeros_or_garbage_at_the_end_are_a_torn_end() {
    let story = Story::write().await;
    for tail in [&[0; 4096][..], b"\0\0\0\n\0\0", b"{\"ban\":", b"nonsense\n", b"\xff\xfe\n\xff\n", b"\n\n"] {
        let shelf = Shelf::holding(&[&story.bytes, tail].concat());
        assert_eq!(story.known(&shelf.open().unwrap()), *story.up_to(usize::MAX), "{tail:?}");
        assert_eq!(shelf.read(), story.bytes);
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_refused_with_its_line_and_nothing_is_changed() {
    let story = Story::write().await;
    for (before, ends) in story.chapters[..story.chapters.len() - 1].windows(2).enumerate() {
        let (line, middle) = (before + 1, (ends[0].0 + ends[1].0) / 2);
        let mut bytes = story.bytes.clone();
        bytes[middle] = 0;
        let shelf = Shelf::holding(&bytes);
        let fault = shelf.open().unwrap_err();
        assert!(matches!(&fault, JournalFault::Damaged { line: told, .. } if *told == line), "{fault}");
        let text = fault.to_string();
        assert!(text.contains(&format!("line {line}")) && text.contains("state.jsonl"), "{text}");
        assert_eq!(shelf.read(), bytes, "whoever repairs it finds it as it was");
        shelf.write(&story.bytes);
        assert!(shelf.open().is_ok(), "and it is not locked");
    }
}
