//! Refresh tokens: spent by their use, ended by their reuse, bounded, and kept across a restart as hashes only.

use std::time::Duration;

use gateway_auth::{
    FamilyEvent, RefreshFamilies, RefreshRules,
    refresh::{NotRotated, Rotated},
};
use gateway_domain::{Code, Detail, Token};
use proptest::prelude::*;

use crate::support::*;

const HOUR: u64 = 3600;

fn families() -> RefreshFamilies {
    RefreshFamilies::new(RefreshRules::new(Duration::from_secs(HOUR)))
}

fn begin(families: &RefreshFamilies, user: &str) -> Token {
    families.begin(grant(user), now()).unwrap().0
}

fn refused(outcome: Result<Rotated, NotRotated>) -> (Code, Option<Detail>, usize) {
    let NotRotated { refusal, events } = outcome.unwrap_err();
    (refusal.code, refusal.detail, events.len())
}

#[test]
fn a_token_is_exchanged_for_the_next_one() {
    let families = families();
    let first = begin(&families, "ann");
    assert!(first.expose().starts_with("gwr_"));
    let second = families.rotate(&first, later(10)).unwrap();
    assert_eq!((second.grant, second.events.len()), (grant("ann"), 1));
    assert_eq!(second.expires_at, later(10 + HOUR).wall);
    assert_ne!(first, second.token);
    assert!(families.rotate(&second.token, later(20)).is_ok());
    assert_eq!(families.len(), 1);
}

#[test]
fn a_spent_token_that_comes_again_ends_its_whole_family() {
    let families = families();
    let first = begin(&families, "ann");
    let other = begin(&families, "ann");
    let second = families.rotate(&first, now()).unwrap().token;
    let third = families.rotate(&second, now()).unwrap().token;
    let thief = families.rotate(&first, now()).unwrap_err();
    assert_eq!((thief.refusal.code, thief.refusal.user), (Code::TokenRevoked, Some("ann".parse().unwrap())));
    assert!(matches!(thief.events[..], [FamilyEvent::Ended { .. }]));
    for token in [&first, &second, &third] {
        assert_eq!(refused(families.rotate(token, now())), (Code::TokenRevoked, None, 0));
    }
    assert!(families.rotate(&other, now()).is_ok(), "another login of the same user stays");
}

#[test]
fn what_is_no_refresh_token_is_refused() {
    let families = families();
    let good = begin(&families, "ann");
    let stranger = begin(&self::families(), "eve");
    for text in [
        "",
        "gwr_",
        "gwr_!!",
        "gwk_AAAA",
        &good.expose()[4..],
        &format!("{}=", good.expose()),
        &format!("gwr_{}", "A".repeat(9000)),
    ] {
        assert_eq!(
            refused(families.rotate(&Token::new(text), now())),
            (Code::TokenInvalid, Some(Detail::Malformed), 0)
        );
        assert_eq!(families.owner(&Token::new(text), now()), None);
        assert!(families.end(&Token::new(text)).is_empty());
    }
    assert_eq!(refused(families.rotate(&stranger, now())), (Code::TokenInvalid, Some(Detail::UnknownKey), 0));
    assert!(families.rotate(&good, now()).is_ok());
}

#[test]
fn a_family_slides_but_not_for_ever() {
    let families = families();
    let mut token = begin(&families, "ann");
    for hour in 1..=3 {
        token = families.rotate(&token, later(hour * HOUR - hour)).unwrap().token;
    }
    let last = families.rotate(&token, later(4 * HOUR - 10)).unwrap();
    assert_eq!(last.expires_at, later(4 * HOUR).wall, "four times the time of one token");
    assert_eq!(refused(families.rotate(&last.token, later(4 * HOUR))), (Code::TokenExpired, None, 0));
    assert!(families.snapshot(later(4 * HOUR)).is_empty());
}

#[test]
fn an_unused_token_expires() {
    let families = families();
    let token = begin(&families, "ann");
    assert_eq!(families.owner(&token, later(HOUR - 1)), Some("ann".parse().unwrap()));
    assert_eq!(families.owner(&token, later(HOUR)), None);
    assert!(families.sweep(later(HOUR)).is_empty(), "for a while it is still told apart from a stranger");
    for _ in 0..2 {
        assert_eq!(refused(families.rotate(&token, later(HOUR))), (Code::TokenExpired, None, 0));
    }
    let swept = families.sweep(later(2 * HOUR));
    assert_eq!((swept.len(), families.standing(&swept[0])), (1, None), "its dates say all that others need");
    assert!(families.is_empty());
    assert_eq!(refused(families.rotate(&token, later(2 * HOUR))), (Code::TokenInvalid, Some(Detail::UnknownKey), 0));
}

#[test]
fn asking_for_the_owner_spends_nothing() {
    let families = families();
    let first = begin(&families, "ann");
    assert_eq!(families.owner(&first, now()), Some("ann".parse().unwrap()));
    let second = families.rotate(&first, now()).unwrap().token;
    assert_eq!(families.owner(&first, now()), None);
    assert!(families.rotate(&second, now()).is_ok(), "nor does it end anything");
}

#[test]
fn a_user_or_a_login_can_be_ended() {
    let families = families();
    let tokens = [begin(&families, "ann"), begin(&families, "ann"), begin(&families, "bob"), begin(&families, "bob")];
    assert_eq!(families.end_of_user(&"ann".parse().unwrap()).len(), 2);
    assert_eq!(families.end_of_user(&"ann".parse().unwrap()).len(), 0);
    assert_eq!(families.end(&tokens[2]).len(), 1);
    let alive: Vec<_> = tokens.iter().map(|token| families.rotate(token, now()).is_ok()).collect();
    assert_eq!(alive, [false, false, false, true]);
}

#[test]
fn one_family_too_many_of_a_user_ends_the_eldest() {
    let families =
        RefreshFamilies::new(RefreshRules { most_of_user: 2, ..RefreshRules::new(Duration::from_secs(HOUR)) });
    let first = begin(&families, "ann");
    let second = begin(&families, "ann");
    begin(&families, "bob");
    let (_, events) = families.begin(grant("ann"), now()).unwrap();
    assert!(matches!(events[..], [FamilyEvent::Ended { .. }, FamilyEvent::Begun { .. }]));
    assert!(families.rotate(&first, now()).is_err() && families.rotate(&second, now()).is_ok());
    assert_eq!(families.len(), 3);
}

#[test]
fn a_full_table_takes_nobody_new_until_a_family_has_ended() {
    let families = RefreshFamilies::new(RefreshRules { most: 2, ..RefreshRules::new(Duration::from_secs(HOUR)) });
    let first = begin(&families, "ann");
    begin(&families, "bob");
    let refusal = families.begin(grant("eve"), now()).unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_seconds()), (Code::AuthError, Some(60)));
    assert!(families.rotate(&first, later(1)).is_ok());
    // Bob's time is over.
    let (_, events) = families.begin(grant("eve"), later(HOUR)).unwrap();
    assert_eq!((events.len(), families.len()), (2, 2));
}

#[test]
fn a_journal_rebuilds_the_table_and_holds_no_token() {
    let families = families();
    let mut journal = Vec::new();
    let (ann, events) = families.begin(grant("ann"), now()).unwrap();
    journal.extend(events);
    let (bob, events) = families.begin(grant("bob"), now()).unwrap();
    journal.extend(events);
    let rotated = families.rotate(&ann, now()).unwrap();
    journal.extend(rotated.events);
    journal.extend(families.end(&bob));

    let text = serde_json::to_string(&journal).unwrap();
    for token in [&ann, &bob, &rotated.token] {
        assert!(!text.contains(&token.expose()[4..]) && !format!("{journal:?}").contains(token.expose()));
    }
    let read: Vec<FamilyEvent> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, journal);
    for events in [read, families.snapshot(now())] {
        let restored = self::families();
        events.iter().for_each(|event| restored.restore(event));
        assert_eq!(restored.len(), 1);
        assert_eq!(restored.owner(&rotated.token, now()), Some("ann".parse().unwrap()));
        assert_eq!(refused(restored.rotate(&ann, now())), (Code::TokenRevoked, None, 1));
    }
    assert!(families.snapshot(later(HOUR)).is_empty());
    assert!(serde_json::from_str::<FamilyEvent>(r#"{"change":"ended","family":"xyz"}"#).is_err());
    assert!(format!("{families:?}").contains("len: 1"));
}

#[test]
fn a_family_that_ended_elsewhere_is_known_as_ended_where_it_never_was() {
    let elsewhere = families();
    let token = begin(&elsewhere, "ann");
    let here = families();
    let ended = elsewhere.end(&token);
    assert_eq!(elsewhere.standing(&ended[0]).as_ref(), Some(&ended[0]));
    ended.iter().for_each(|event| here.restore(event));
    assert_eq!(refused(here.rotate(&token, now())), (Code::TokenRevoked, None, 0));
}

#[test]
fn a_journal_that_contradicts_itself_does_no_harm() {
    let donor = families();
    let (_, begun) = donor.begin(grant("ann"), now()).unwrap();
    let families = RefreshFamilies::new(RefreshRules { most: 1, ..RefreshRules::new(Duration::from_secs(HOUR)) });
    let FamilyEvent::Begun { family, live, expires_at, .. } = begun[0].clone() else { panic!() };
    families.restore(&FamilyEvent::Rotated { family, live, expires_at });
    families.restore(&FamilyEvent::Ended { family });
    assert!(families.is_empty());
    families.restore(&begun[0]);
    let (_, second) = donor.begin(grant("bob"), now()).unwrap();
    families.restore(&second[0]);
    assert_eq!(families.len(), 1, "no more than the table holds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done: the table keeps its bounds, a snapshot restores it, and at most one token of a family lives.
    #[test]
    fn a_table_keeps_its_laws(steps in prop::collection::vec((0u8..5, 0usize..8, 0u64..2000), 1..60)) {
        let rules = RefreshRules { most: 6, most_of_user: 2, ..RefreshRules::new(Duration::from_secs(HOUR)) };
        let families = RefreshFamilies::new(rules);
        let mut tokens: Vec<Token> = Vec::new();
        let mut clock = 0;
        for (what, which, wait) in steps {
            clock += wait;
            let now = later(clock);
            let chosen = tokens.get(which % tokens.len().max(1)).cloned();
            match (what, chosen) {
                (0 | 1, _) => tokens.extend(families.begin(grant(&format!("u{which}")), now).ok().map(|(token, _)| token)),
                (2, Some(token)) => tokens.extend(families.rotate(&token, now).ok().map(|rotated| rotated.token)),
                (3, Some(token)) => drop(families.end(&token)),
                _ => drop(families.end_of_user(&format!("u{which}").parse().unwrap())),
            }
            prop_assert!(families.len() <= 6);
            let living = tokens.iter().filter(|token| families.owner(token, now).is_some()).count();
            prop_assert!(living <= families.len());
            let restored = RefreshFamilies::new(rules);
            families.snapshot(now).iter().for_each(|event| restored.restore(event));
            for token in &tokens {
                prop_assert_eq!(families.owner(token, now), restored.owner(token, now));
            }
        }
    }
}
