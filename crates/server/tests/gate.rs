//! The gate as a whole, from a handshake to a seat: every refusal, their order, and what each of them costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "gate/world.rs"]
mod world;

use std::{sync::Arc, time::Duration};

use gateway_auth::{Algorithm, SigningKey, SigningMaterial};
use gateway_domain::{
    Code, Detail, Timestamp,
    ban::{Ban, Subject},
    plan::OwnLimits,
    revocation::{Revocation, RevokedSubject},
};
use gateway_server::{clock, endpoint::MessagesScope, gate::Check, ledger::Lifting};
use gateway_transport::{ClientAddress, OriginLaw};
use http::{HeaderMap, HeaderValue};
use world::{LONG_AGO, World, named, signing_key, somebody};

const A_MINUTE: Duration = Duration::from_secs(60);

/// The checks of the gate itself; path and form are its doorway's.
fn checks() -> &'static [Check] {
    let start = Check::ORDER.iter().position(|check| *check == Check::Draining).unwrap();
    &Check::ORDER[start..]
}

#[tokio::test]
async fn who_has_every_fault_is_told_the_first_and_so_on_until_none_is_left() {
    let checks = checks();
    assert_eq!(checks.len(), 12);
    for (at, first) in checks.iter().enumerate() {
        let world = World::with(checks[at..].iter().copied()).await;
        assert_eq!(world.stopped_by().await, Some(*first));
    }
    assert_eq!(World::fair().await.stopped_by().await, None);
}

#[tokio::test]
async fn each_fault_alone_is_told_and_of_two_the_earlier() {
    for (at, earlier) in checks().iter().enumerate() {
        assert_eq!(World::with([*earlier]).await.stopped_by().await, Some(*earlier));
        for later in &checks()[at + 1..] {
            let told = World::with([*earlier, *later]).await.stopped_by().await;
            assert_eq!(told, Some(*earlier), "{earlier:?} stands before {later:?}");
        }
    }
}

#[tokio::test]
async fn every_refusal_says_when_to_come_back_whom_it_met_and_which_limit() {
    for check in checks() {
        let world = World::with([*check]).await;
        let refusal = world.pass(&world.handshake()).await.unwrap_err();
        let waits = matches!(check, Check::Draining | Check::NodeFull | Check::AddressRate | Check::UserRate);
        // With `reject_new` a seat is free when somebody leaves; the hint is there all the same.
        assert_eq!(refusal.retry_after.is_some(), waits || *check == Check::Seat, "{check:?}");
        let limited = matches!(check, Check::AddressRate | Check::UserRate | Check::Seat);
        assert_eq!(refusal.limit.is_some(), limited, "{check:?}");
        assert_eq!(refusal.user.is_some(), *check >= Check::TokenValid, "{check:?}");
        if let Some(token) = &world.token {
            assert!(!format!("{refusal:?}").contains(token.as_str()), "{check:?} repeats the token");
        }
    }
}

#[tokio::test]
async fn who_is_let_in_has_a_seat_a_role_a_plan_and_an_account() {
    let world = World::fair().await;
    let before = world.seats();
    let admitted = world.pass(&world.handshake()).await.unwrap();
    assert_eq!(world.seats(), before + 1);
    let standing = &admitted.standing;
    assert_eq!(standing.principal.user.as_str(), "ann");
    assert_eq!(standing.role.as_ref().unwrap().as_str(), "dashboard");
    assert_eq!((standing.plan.name.as_str(), admitted.unknown_plan), ("default", None));
    assert!(Arc::ptr_eq(&standing.account, &world.house.accounts.peek(&world.grant.user).unwrap()));
    drop(admitted.seat);
    assert_eq!(world.seats(), before);
}

#[tokio::test]
async fn a_refused_caller_leaves_no_seat_no_account_and_no_count_behind_its_check() {
    for check in checks() {
        let world = World::with([*check]).await;
        let before = (world.seats(), world.house.handshakes.counted());
        world.pass(&world.handshake()).await.unwrap_err();
        let (addresses, users) = world.house.handshakes.counted();
        assert_eq!(world.seats(), before.0, "{check:?}");
        assert!(world.house.accounts.is_empty(), "{check:?}");
        let counts_address = *check >= Check::AddressRate;
        let counts_user = *check >= Check::UserRate;
        assert_eq!((addresses, users), (usize::from(counts_address), usize::from(counts_user)), "{check:?}");
    }
}

#[tokio::test]
async fn keys_are_asked_for_only_once_a_handshake_and_only_when_all_before_has_passed() {
    for check in &checks()[..6] {
        let mut world = World::with([*check]).await;
        if *check != Check::TokenPresent {
            world.token = Some(world.minted_by(far_key(), A_MINUTE));
        }
        assert_eq!(world.stopped_by().await, Some(*check));
        assert_eq!(world.fetches(), 0, "{check:?} is cheaper than a key");
    }
    let mut world = World::fair().await;
    world.token = Some(world.minted_by(far_key(), A_MINUTE));
    let refusal = world.pass(&world.handshake()).await.unwrap_err();
    assert_eq!((refusal.code, world.fetches()), (Code::AuthError, 1), "never admitted, and judged once");
    assert_eq!(Check::behind(refusal.code, refusal.user.is_some()), Some(Check::TokenValid));
}

/// A key that only a set elsewhere could have.
fn far_key() -> SigningKey {
    let pem = gateway_auth::generate(Algorithm::EdDsa).unwrap().private;
    SigningKey::new(Some("far".into()), Algorithm::EdDsa, SigningMaterial::PrivatePem(pem.into_bytes())).unwrap()
}

#[tokio::test]
async fn the_first_token_that_is_there_is_judged_and_no_other_ever_read() {
    let world = World::fair().await;
    let (good, over) = (world.minted(A_MINUTE), world.minted(Duration::ZERO));
    let bearer = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(text).unwrap());
        headers
    };
    let good_in_front = world.handshake_with(&format!("token={good}"), bearer("not even a bearer"));
    assert!(world.pass(&good_in_front).await.is_ok());

    let world = World::fair().await;
    let bad_in_front = world.handshake_with(&format!("token={over}"), bearer(&format!("Bearer {good}")));
    assert_eq!(world.pass(&bad_in_front).await.unwrap_err().code, Code::TokenExpired, "a good one behind saves nobody");

    let world = World::fair().await;
    let empty_in_front = world.handshake_with("token=", bearer(&format!("Bearer {good}")));
    assert!(world.pass(&empty_in_front).await.is_ok());

    let world = World::fair().await;
    let twice = world.handshake_with(&format!("token={good}&token={good}"), HeaderMap::new());
    assert_eq!(world.pass(&twice).await.unwrap_err().code, Code::InvalidRequest);
}

#[tokio::test]
async fn a_token_of_another_key_is_refused_whoever_it_names() {
    let mut world = World::fair().await;
    let other = SigningMaterial::Secret(b"another secret of 32 bytes, surely".to_vec());
    let forger = SigningKey::new(Some("main".into()), Algorithm::Hs256, other).unwrap();
    world.token = Some(world.minted_by(forger, A_MINUTE));
    let refusal = world.pass(&world.handshake()).await.unwrap_err();
    assert_eq!((refusal.code, refusal.detail), (Code::TokenInvalid, Some(Detail::Signature)));
    assert_eq!(refusal.user, None, "an unproven name is nobody's");
}

#[tokio::test]
async fn the_roles_of_the_door_decide_in_their_order() {
    let role_at = async |roles: &[&str], wanted: &[&str]| {
        let mut world = World::fair().await;
        world.grant.roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        world.door.roles = wanted.iter().map(|role| role.parse().unwrap()).collect();
        world.token = Some(world.minted(A_MINUTE));
        let admitted = world.pass(&world.handshake()).await;
        admitted.map(|admitted| admitted.standing.role.map(|role| role.to_string()))
    };
    assert_eq!(role_at(&["dashboard", "admin"], &["admin", "dashboard"]).await.unwrap().as_deref(), Some("admin"));
    assert_eq!(role_at(&["viewer", "agent"], &[]).await.unwrap().as_deref(), Some("viewer"));
    assert_eq!(role_at(&[], &[]).await.unwrap(), None, "an open door takes whoever is somebody");
    let refusal = role_at(&["viewer", "agent"], &["dashboard"]).await.unwrap_err();
    assert_eq!(refusal.code, Code::RoleMismatch);
    assert!(refusal.reason().contains("is for: dashboard; the token has: viewer, agent"), "{}", refusal.reason());
    assert!(!refusal.message.contains("viewer"), "what the token has is for the operator");
    let refusal = role_at(&[], &["dashboard"]).await.unwrap_err();
    assert!(refusal.reason().ends_with("the token has: none"), "{}", refusal.reason());
}

#[tokio::test]
async fn the_plan_is_the_tokens_else_the_doors_else_the_default() {
    let plan_of = async |of_token: Option<&str>, of_door: Option<&str>| {
        let mut world = World::fair().await;
        world.grant.plan = of_token.and_then(named);
        world.door.plan = of_door.and_then(named);
        world.token = Some(world.minted(A_MINUTE));
        let admitted = world.pass(&world.handshake()).await.unwrap();
        (admitted.standing.plan.name.to_string(), admitted.unknown_plan.map(|name| name.to_string()))
    };
    assert_eq!(plan_of(None, None).await, ("default".into(), None));
    assert_eq!(plan_of(None, Some("wide")).await, ("wide".into(), None));
    assert_eq!(plan_of(Some("wide"), None).await, ("wide".into(), None));
    assert_eq!(plan_of(Some("gold"), Some("wide")).await, ("default".into(), Some("gold".into())));
    assert_eq!(plan_of(None, Some("gold")).await, ("default".into(), None), "a door's plan is the operator's own word");
}

#[tokio::test]
async fn a_tokens_own_limits_make_its_plan_tighter() {
    let world = World::fair().await;
    let mut principal = somebody("ann");
    principal.plan = named("wide");
    let whole = world.house.gate.plans.holding(&principal, None);
    principal.own_limits = OwnLimits { connections: Some(2), ..OwnLimits::default() };
    let tight = world.house.gate.plans.holding(&principal, None);
    assert_eq!((whole.plan.connections, tight.plan.connections), (Some(3), Some(2)));
}

#[tokio::test]
async fn messages_count_for_the_user_or_for_the_connection_as_the_door_says() {
    let mut world = World::fair().await;
    world.door.messages_scope = MessagesScope::Connection;
    let admitted = world.pass(&world.handshake()).await.unwrap();
    assert!(world.house.accounts.is_empty(), "the account is the connection's own");
    drop(admitted);
}

#[tokio::test]
async fn an_agent_names_itself_in_the_address_only_below_its_user() {
    let as_agent = async |query: &str| {
        let world = World::fair().await.agents_by_query();
        let query = format!("token={}&{query}", world.minted(A_MINUTE));
        let admitted = world.pass(&world.handshake_with(&query, HeaderMap::new())).await;
        admitted.map(|admitted| admitted.standing.principal.agent.as_ref().map(ToString::to_string))
    };
    assert_eq!(as_agent("agentId=robot").await.unwrap().as_deref(), Some("ann/robot"));
    assert_eq!(as_agent("").await.unwrap(), None);
    assert_eq!(as_agent("agentId=").await.unwrap(), None);
    assert_eq!(as_agent("agentId=a&agentId=b").await.unwrap_err().code, Code::InvalidRequest);
    let refusal = as_agent("agentId=a%00b").await.unwrap_err();
    assert_eq!((refusal.code, refusal.detail), (Code::TokenInvalid, Some(Detail::ClaimMissing)));
    assert_eq!(refusal.user.unwrap().as_str(), "ann");
}

#[tokio::test]
async fn a_process_of_this_machine_has_no_address_to_ban_or_to_count() {
    let mut world = World::with([Check::AddressBan, Check::AddressRate]).await;
    let everybody = Subject::Network("0.0.0.0/0".parse().unwrap());
    world.house.ledger.ban(Ban { subject: everybody, until: None, reason: None }).await.unwrap();
    assert_eq!(world.stopped_by().await, Some(Check::AddressBan));
    world.address = ClientAddress::Local;
    assert_eq!(world.stopped_by().await, None);
}

#[tokio::test]
async fn a_door_without_a_list_takes_no_page_and_every_program() {
    let mut world = World::fair().await;
    world.door.origins = OriginLaw::default();
    assert_eq!(world.stopped_by().await, Some(Check::Origin));
    let mut world = World::fair().await;
    world.door.origins = OriginLaw::default();
    world.origin = None;
    assert_eq!(world.stopped_by().await, None);
}

#[tokio::test]
async fn a_ban_or_a_revocation_after_the_gate_is_seen_when_the_connection_sits_down() {
    let world = World::fair().await;
    let (gate, ledger, now) = (&world.house.gate, &world.house.ledger, clock::now());
    let mut ann = somebody("ann");
    ann.token_id = Some("t1".into());
    let asked = || gate.still_welcome(&ann, &world.address, now).map_err(|refusal| refusal.code);
    assert_eq!(asked(), Ok(()));
    let address = Subject::Network("203.0.113.9".parse().unwrap());
    let ban = Ban { subject: address.clone(), until: Some(now.wall + A_MINUTE), reason: Some("noise".into()) };
    ledger.ban(ban).await.unwrap();
    let refusal = gate.still_welcome(&ann, &world.address, now).unwrap_err();
    assert_eq!((refusal.code, refusal.user.clone()), (Code::Banned, None));
    assert!(refusal.reason().contains("203.0.113.9") && refusal.reason().ends_with("noise"), "{}", refusal.reason());
    assert!(!refusal.message.contains("noise"), "the reason is the operator's");
    assert_eq!(ledger.lift(&address).await.unwrap(), Lifting::Lifted);
    assert_eq!(asked(), Ok(()));
    let revoke = |subject| ledger.revoke(Revocation { subject, until: Some(now.wall + A_MINUTE) });
    revoke(RevokedSubject::User { user: "bob".parse().unwrap(), before: now.wall }).await.unwrap();
    assert_eq!(asked(), Ok(()), "another user's");
    revoke(RevokedSubject::Token { jti: "t1".into() }).await.unwrap();
    assert_eq!(asked(), Err(Code::TokenRevoked));
}

#[tokio::test]
async fn a_revocation_up_to_a_time_spares_the_tokens_after_it() {
    let world = World::fair().await;
    let subject = RevokedSubject::User { user: "ann".parse().unwrap(), before: LONG_AGO };
    world.house.ledger.revoke(Revocation { subject, until: None }).await.unwrap();
    assert_eq!(world.stopped_by().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_over_at_its_very_deadline_and_not_a_millisecond_before() {
    let world = World::fair().await;
    let handshake = world.handshake();
    let exp = world.pass(&handshake).await.unwrap().standing.principal.expires_at;
    tokio::time::advance(2 * A_MINUTE).await;
    let mut now = clock::now();
    now.wall = exp;
    assert_eq!(world.pass_at(&handshake, now).await.unwrap_err().code, Code::TokenExpired);
    tokio::time::advance(2 * A_MINUTE).await;
    now.wall = Timestamp::from_millis(exp.millis() - 1);
    assert!(world.pass_at(&handshake, now).await.is_ok());
}

#[tokio::test]
async fn what_an_unknown_key_signed_is_no_reason_to_ask_the_same_set_at_every_knock() {
    let mut world = World::fair().await;
    // From a machine of our own, so that no rate of handshakes stands in front.
    (world.address, world.origin) = (ClientAddress::Local, None);
    for _ in 0..50 {
        world.token = Some(world.minted_by(far_key(), A_MINUTE));
        assert_eq!(world.pass(&world.handshake()).await.unwrap_err().code, Code::AuthError);
    }
    assert!(world.fetches() <= 2, "asked {} times", world.fetches());
    world.token = Some(world.minted_by(signing_key("main"), A_MINUTE));
    assert!(world.pass(&world.handshake()).await.is_ok(), "the keys that are here still open");
}

#[test]
fn every_check_asks_something_and_stands_behind_a_code() {
    let questions: std::collections::BTreeSet<_> = Check::ORDER.iter().map(|check| check.question()).collect();
    assert_eq!(questions.len(), Check::ORDER.len());
    for check in Check::ORDER {
        let behind = Code::ALL.iter().flat_map(|code| [Check::behind(*code, false), Check::behind(*code, true)]);
        assert!(behind.flatten().any(|found| found == check), "{check:?} never refuses");
    }
}
