//! The ledger on a disk: what was answered is there after any crash, what was cut off is not, and damage is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "ledger/books.rs"]
mod books;
#[path = "ledger/crash.rs"]
mod crash;

use std::{os::unix::fs::PermissionsExt, process::Command, sync::Arc};

use books::{AN_HOUR, JTIS, Known, Shelf, address, ban, ban_of, families, grant, of_token, of_user, principal, user};
use gateway_domain::{
    Code,
    ban::{Ban, Bans, Subject},
};
use gateway_server::{
    clock,
    ledger::{JournalFault, Ledger, LedgerFault, Lifting},
};
use gateway_transport::ClientAddress;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_second_gateway_is_kept_away_from_the_file() {
    let shelf = Shelf::new();
    let first = shelf.open().unwrap();
    assert!(first.is_lasting());
    let fault = shelf.open().unwrap_err();
    assert!(matches!(&fault, JournalFault::Locked(path) if *path == shelf.file), "{fault}");
    assert!(fault.to_string().contains("another gateway"));
    first.ban(ban_of("mallory", "spam")).await.unwrap();
    drop(first);
    assert_eq!(shelf.open().unwrap().bans(clock::now()).len(), 1);
}

#[tokio::test]
async fn the_file_is_the_owners_alone() {
    let shelf = Shelf::new();
    drop(shelf.open().unwrap());
    assert_eq!(std::fs::metadata(&shelf.file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told_by_name() {
    let shelf = Shelf::new();
    let nowhere = shelf.file.join("below").join("state.jsonl");
    let fault = Ledger::open(Some(nowhere), Vec::new(), families(), clock::now()).unwrap_err();
    assert!(matches!(fault, JournalFault::Io { .. }) && fault.to_string().contains("below"), "{fault}");
}

#[tokio::test]
async fn without_a_file_it_all_holds_until_the_end_of_the_house() {
    let ledger = Ledger::open(None, Vec::new(), families(), clock::now()).unwrap();
    assert!(!ledger.is_lasting());
    ledger.ban(ban_of("mallory", "spam")).await.unwrap();
    assert_eq!(ledger.lift(&Subject::User(user("ann"))).await.unwrap(), Lifting::NotBanned);
    let mallory = principal("mallory", "t", clock::now());
    assert_eq!(ledger.objection(&mallory, clock::now()).unwrap_err().code, Code::Banned);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_not_carried_on() {
    let shelf = Shelf::new();
    let ledger = shelf.open().unwrap();
    let until = Some(clock::now().wall + AN_HOUR);
    ledger.ban(Ban { until, ..ban_of("mallory", "an hour") }).await.unwrap();
    ledger.ban(ban_of("eve", "for good")).await.unwrap();
    tokio::time::advance(AN_HOUR).await;
    assert_eq!(ledger.bans(clock::now()).len(), 1, "it ends by itself");
    ledger.sweep(clock::now());
    drop(ledger);
    let bans = shelf.open().unwrap().bans(clock::now());
    assert_eq!(bans, [ban_of("eve", "for good")]);
}

#[tokio::test]
async fn a_revoked_users_refresh_tokens_stay_dead_after_a_restart() {
    let shelf = Shelf::new();
    let (ledger, now) = (shelf.open().unwrap(), clock::now());
    let mut tokens = Vec::new();
    for name in ["ann", "ann", "bob"] {
        tokens.push(ledger.begin_family(grant(name), now).await.unwrap());
    }
    ledger.revoke(of_user("ann")).await.unwrap();
    for ledger in [ledger, shelf_after(&shelf)] {
        let owners: Vec<_> = tokens.iter().map(|token| ledger.owner(token, now)).collect();
        assert_eq!(owners, [None, None, Some(user("bob"))]);
        assert_eq!(ledger.rotate(&tokens[0], now).await.unwrap_err().code, Code::TokenRevoked);
    }
}

/// The books as a copy of the file has them: the file itself is still in use.
fn shelf_after(shelf: &Shelf) -> Ledger {
    let copy = Shelf::holding(&shelf.read());
    copy.open().unwrap()
}

#[tokio::test]
async fn a_rotated_token_goes_on_after_a_restart_and_a_spent_one_ends_its_family() {
    let shelf = Shelf::new();
    let now = clock::now();
    let ledger = shelf.open().unwrap();
    let first = ledger.begin_family(grant("ann"), now).await.unwrap();
    let second = ledger.rotate(&first, now).await.unwrap().token;
    drop(ledger);
    let ledger = shelf.open().unwrap();
    assert_eq!(ledger.owner(&second, now), Some(user("ann")));
    let third = ledger.rotate(&second, now).await.unwrap().token;
    assert_eq!(ledger.rotate(&first, now).await.unwrap_err().code, Code::TokenRevoked);
    drop(ledger);
    assert_eq!(shelf.open().unwrap().owner(&third, now), None, "the thief's and the owner's end together");
}

#[tokio::test]
async fn no_refresh_token_is_in_the_file() {
    let shelf = Shelf::new();
    let (ledger, now) = (shelf.open().unwrap(), clock::now());
    let first = ledger.begin_family(grant("ann"), now).await.unwrap();
    let second = ledger.rotate(&first, now).await.unwrap().token;
    let text = String::from_utf8(shelf.read()).unwrap();
    for token in [first, second] {
        let secret = token.expose().strip_prefix("gwr_").unwrap();
        assert!(!text.contains(secret) && !text.contains(&secret[24..]));
    }
}

#[tokio::test]
async fn a_ban_of_the_configuration_holds_whatever_the_file_and_the_api_say() {
    let shelf = Shelf::new();
    let now = clock::now();
    let subject = address("203.0.113.0/24");
    let stranger = ClientAddress::Ip("203.0.113.9".parse().unwrap());
    // The file once had a ban on the same addresses, and lifted it.
    let ledger = shelf.open().unwrap();
    ledger.ban(ban(subject.clone(), "first time")).await.unwrap();
    ledger.lift(&subject).await.unwrap();
    ledger.ban(Ban { until: Some(now.wall + AN_HOUR), ..ban_of("mallory", "an hour") }).await.unwrap();
    drop(ledger);
    let configured = || vec![ban(subject.clone(), "by the operator"), ban_of("mallory", "by the operator")];
    let ledger = shelf.open_with(configured()).unwrap();
    assert!(ledger.ban_on(&stranger, now).is_some(), "a lifting of old does not open the configuration's ban");
    assert_eq!(ledger.lift(&subject).await.unwrap(), Lifting::Configured);
    // One by the API on the same subject, which is over soon, takes nothing away.
    ledger.ban(Ban { until: Some(now.wall + AN_HOUR), ..ban(subject.clone(), "an hour") }).await.unwrap();
    let mut later = now;
    later.wall = now.wall + 2 * AN_HOUR;
    ledger.sweep(later);
    assert!(ledger.ban_on(&stranger, later).is_some());
    assert!(ledger.objection(&principal("mallory", "t", now), later).is_err());
    assert_eq!(ledger.bans(later).len(), 2);
    drop(ledger);
    let ledger = shelf.open().unwrap();
    assert!(ledger.ban_on(&stranger, later).is_none(), "it is gone with its line of the configuration");
}

#[tokio::test]
async fn ten_thousand_changes_of_one_subject_end_in_a_short_file() {
    let shelf = Shelf::new();
    let ledger = Arc::new(shelf.open().unwrap());
    ledger.ban(ban_of("eve", "from the beginning")).await.unwrap();
    let token = ledger.begin_family(grant("ann"), clock::now()).await.unwrap();
    ledger.revoke(of_token("t1")).await.unwrap();
    for round in 0..26 {
        let mut changes = JoinSet::new();
        for n in 0..500 {
            let ledger = Arc::clone(&ledger);
            changes.spawn(async move { ledger.ban(ban_of("mallory", &format!("{round}/{n}"))).await });
        }
        while let Some(laid) = changes.join_next().await {
            laid.unwrap().unwrap();
        }
    }
    ledger.ban(ban_of("mallory", "the last")).await.unwrap();
    assert!(shelf.lines() < 6_000, "{} lines", shelf.lines());
    let known = |ledger: &Ledger| Known::of(ledger, &JTIS, &[], std::slice::from_ref(&token));
    let before = known(&ledger);
    assert_eq!(before.bans, [ban_of("eve", "from the beginning"), ban_of("mallory", "the last")]);
    assert_eq!(
        (before.revoked.as_slice(), before.owners.as_slice()),
        (&["t1".to_owned()][..], &[Some(user("ann"))][..])
    );
    drop(ledger);
    assert_eq!(known(&shelf.open().unwrap()), before);
    assert_eq!(std::fs::metadata(&shelf.file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_long_file_is_rewritten_at_the_next_change_over_what_a_crash_left_beside_it() {
    let shelf = Shelf::new();
    let ledger = shelf.open().unwrap();
    ledger.ban(ban_of("mallory", "spam")).await.unwrap();
    drop(ledger);
    let line = shelf.read();
    shelf.write(&line.repeat(12_000));
    // A rewriting that was cut off: longer than what is to come, and broken.
    let beside = std::path::PathBuf::from(format!("{}.rewrite", shelf.file.display()));
    std::fs::write(&beside, "{\"ban\"".repeat(1_000)).unwrap();
    let ledger = shelf.open().unwrap();
    assert_eq!(ledger.bans(clock::now()).len(), 1);
    ledger.ban(ban_of("eve", "noise")).await.unwrap();
    assert!(shelf.lines() <= 3 && !beside.exists(), "{} lines", shelf.lines());
    assert!(matches!(shelf.open().unwrap_err(), JournalFault::Locked(_)), "it is locked all the same");
    ledger.ban(ban_of("zoe", "noise")).await.unwrap();
    drop(ledger);
    assert_eq!(shelf.open().unwrap().bans(clock::now()).len(), 3);
}

#[tokio::test]
async fn a_long_file_of_living_entries_is_left_alone() {
    let shelf = Shelf::new();
    let mut text = Vec::new();
    for n in 0..11_000 {
        text.extend_from_slice(format!("{{\"ban\":{{\"user\":\"u{n}\"}}}}\n").as_bytes());
    }
    shelf.write(&text);
    let ledger = shelf.open().unwrap();
    ledger.ban(ban_of("one-more", "")).await.unwrap();
    assert_eq!((ledger.bans(clock::now()).len(), shelf.lines()), (11_001, 11_001));
    assert!(shelf.read().starts_with(&text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_at_once_lose_nothing() {
    let shelf = Shelf::new();
    let ledger = Arc::new(shelf.open().unwrap());
    let mut writers = JoinSet::new();
    for n in 0..64 {
        let ledger = Arc::clone(&ledger);
        writers.spawn(async move {
            let name = format!("user{n}");
            ledger.ban(ban_of(&name, "one")).await.unwrap();
            ledger.revoke(of_token(&format!("jti{n}"))).await.unwrap();
            let mut token = ledger.begin_family(grant(&name), clock::now()).await.unwrap();
            for _ in 0..5 {
                token = ledger.rotate(&token, clock::now()).await.unwrap().token;
            }
            if n % 2 == 0 {
                ledger.lift(&Subject::User(user(&name))).await.unwrap();
            }
            token
        });
    }
    let tokens = writers.join_all().await;
    let jtis: Vec<String> = (0..64).map(|n| format!("jti{n}")).collect();
    let jtis: Vec<&str> = jtis.iter().map(String::as_str).collect();
    let before = Known::of(&ledger, &jtis, &[], &tokens);
    assert_eq!((before.bans.len(), before.revoked.len()), (32, 64));
    assert!(before.owners.iter().all(Option::is_some));
    drop(ledger);
    assert_eq!(Known::of(&shelf.open().unwrap(), &jtis, &[], &tokens), before);
}

#[tokio::test]
async fn one_ban_too_many_is_refused_and_not_written() {
    let shelf = Shelf::new();
    let mut text = String::new();
    for n in 0..Bans::MOST {
        text.push_str(&format!("{{\"ban\":{{\"user\":\"{n}\"}}}}\n"));
    }
    // What a house with more room wrote is read as far as there is room.
    text.push_str("{\"ban\":{\"user\":\"too-many\"}}\n");
    shelf.write(text.as_bytes());
    let ledger = shelf.open().unwrap();
    assert_eq!(ledger.bans(clock::now()).len(), Bans::MOST);
    let fault = ledger.ban(ban_of("mallory", "spam")).await.unwrap_err();
    assert!(matches!(fault, LedgerFault::TooManyBans(_)), "{fault}");
    assert_eq!(shelf.read(), text.as_bytes());
}

#[test]
fn where_the_disk_is_full_a_change_is_in_force_and_says_that_it_is_not_lasting() {
    // No file of the child may grow beyond a few KiB: writing fails as on a full disk, half way in a line.
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", limited, std::env::current_exe().unwrap().to_str().unwrap()])
        .args(["on_a_full_disk", "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("the disk was full"), "{said}");
}

#[tokio::test]
#[ignore = "started by the test above, which limits how large a file may grow"]
async fn on_a_full_disk() {
    let shelf = Shelf::new();
    if std::fs::write(shelf.file.with_extension("trial"), [0; 64 << 10]).is_ok() {
        return;
    }
    let (ledger, now) = (shelf.open().unwrap(), clock::now());
    let token = ledger.begin_family(grant("ann"), now).await.unwrap();
    let mut written = 0;
    let fault = loop {
        match ledger.ban(ban_of("mallory", &format!("{written} {}", "x".repeat(100)))).await {
            Ok(()) => written += 1,
            Err(fault) => break fault,
        }
        assert!(written < 1_000, "the disk was never full");
    };
    println!("the disk was full after {written} changes");
    assert!(matches!(&fault, LedgerFault::NotWritten(JournalFault::Io { .. })), "{fault:?}");
    assert!(fault.to_string().contains("in force") && fault.to_string().contains("state.jsonl"), "{fault}");
    let reason = |ledger: &Ledger| ledger.bans(now)[0].reason.clone().unwrap();
    assert!(reason(&ledger).starts_with(&format!("{written} ")), "the change holds");
    // A crash now: all that was answered as written is there, and the half of a line is not.
    assert!(reason(&shelf_after(&shelf)).starts_with(&format!("{} ", written - 1)));
    // The books are small, though their history was not: the next change finds room by writing them anew.
    ledger.ban(ban_of("mallory", "short")).await.unwrap();
    drop(ledger);
    let ledger = shelf.open().unwrap();
    assert_eq!((reason(&ledger).as_str(), ledger.owner(&token, now)), ("short", Some(user("ann"))));
    // And where even they have no room, a session is not begun: its token could not be kept.
    let refusal = loop {
        if let Err(refusal) = ledger.begin_family(grant("bob"), now).await {
            break refusal;
        }
    };
    assert_eq!((refusal.code, refusal.retry_after_seconds()), (Code::AuthError, Some(5)));
    assert!(!refusal.message.contains("state.jsonl") && refusal.reason().contains("state.jsonl"), "{refusal:?}");
}
