//! Tokens that the gateway makes are tokens that it takes, and that anybody else can read.

use std::{sync::Arc, time::Duration};

use gateway_auth::{
    AgentSource, Algorithm, Grant, Issuer, IssuerRules, KeyFault, Keyring, TokenRules, claims::ClaimNames, inspect,
};
use gateway_domain::Timestamp;
use serde_json::json;

use crate::support::*;

fn full() -> Grant {
    serde_json::from_value(json!({
        "user": "ann", "roles": ["agent", "dashboard"], "permissions": ["a.read"], "plan": "free", "agent": "unit-7",
    }))
    .unwrap()
}

fn rules(claims: ClaimNames) -> IssuerRules {
    IssuerRules {
        issuer: Some("https://own".into()),
        audience: vec!["gateway".into()],
        access_ttl: Duration::from_secs(900),
        claims,
    }
}

#[test]
fn what_is_granted_is_what_is_read_wherever_the_claims_stand() {
    let names: ClaimNames = serde_json::from_value(json!({
        "user": "who.id", "roles": ["who.roles", "role"], "plan": "https://x.y/plan", "agent": "device",
    }))
    .unwrap();
    let signer = signing(Algorithm::EdDsa, Some("main"), "main");
    let issuer = Issuer::new(signer.clone(), rules(names.clone())).unwrap();
    let minted = issuer.mint(&full(), now()).unwrap();
    let rules = TokenRules { audience: vec!["gateway".into()], claims: names, ..TokenRules::default() };
    let judge = judge_by(rules, Keyring::new(vec![verifying(&signer)], vec![], no_fetch()).unwrap());
    let principal = admitted(&judge, &minted.token);
    assert_eq!(
        (principal.user, principal.roles, principal.permissions),
        (full().user, full().roles, full().permissions)
    );
    assert_eq!((principal.plan, principal.agent), (full().plan, full().agent));
    assert_eq!(principal.expires_at, minted.expires_at);
    assert_eq!(minted.expires_at, Timestamp::from_seconds(NOON + 900));
    assert_eq!((principal.token_id, principal.issuer.as_deref()), (Some(minted.token_id), Some("https://own")));
    assert_eq!((issuer.access_ttl(), signer.kid().map(|kid| &**kid)), (Duration::from_secs(900), Some("main")));
}

#[test]
fn times_are_whole_seconds_unless_asked_otherwise() {
    let issuer = issuer(signing(Algorithm::Hs256, None, "main"), None);
    let odd = after(Duration::from_millis(1_000_700));
    let minted = issuer.mint(&grant("ann"), odd).unwrap();
    let claims = inspect(&minted.token).unwrap().claims;
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOON), &json!(NOON + 900)));
    let minted = issuer.mint_for(&grant("ann"), Duration::from_millis(1500), odd).unwrap();
    assert_eq!(inspect(&minted.token).unwrap().claims["exp"], json!(NOON as f64 + 2.2));
    assert_eq!(minted.expires_at, Timestamp::from_millis(NOON * 1000 + 2200));
    let endless = issuer.mint_for(&grant("ann"), Duration::MAX, odd);
    assert_eq!(endless.unwrap().expires_at, Timestamp::from_seconds(i64::MAX));
}

#[test]
fn every_token_has_an_id_of_its_own() {
    let issuer = issuer(signing(Algorithm::Hs384, None, "main"), None);
    let ids: Vec<Arc<str>> = (0..10).map(|_| issuer.mint(&grant("ann"), now()).unwrap().token_id).collect();
    assert!(ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id)));
}

#[test]
fn the_header_and_the_registered_claims_are_what_others_expect() {
    let signer = signing(Algorithm::Es256, Some("main"), "main");
    let read = |rules: IssuerRules| {
        inspect(&Issuer::new(signer.clone(), rules).unwrap().mint(&full(), now()).unwrap().token).unwrap()
    };
    let one = read(rules(ClaimNames::default()));
    assert_eq!(one.header, json!({"alg": "ES256", "typ": "JWT", "kid": "main"}));
    assert_eq!(
        (&one.claims["iss"], &one.claims["aud"], &one.claims["sub"]),
        (&json!("https://own"), &json!("gateway"), &json!("ann"))
    );
    let several = read(IssuerRules { audience: vec!["a".into(), "b".into()], ..rules(ClaimNames::default()) });
    assert_eq!(several.claims["aud"], json!(["a", "b"]));
    let names = ClaimNames { agent: AgentSource::Query("agentId".into()), ..ClaimNames::default() };
    let none = read(IssuerRules { audience: vec![], issuer: None, ..rules(names) });
    for absent in ["aud", "iss", "agent", "device"] {
        assert!(none.claims.get(absent).is_none());
    }
}

#[test]
fn claims_that_would_collide_are_refused_before_the_first_token() {
    for names in [
        json!({"user": "jti"}),
        json!({"user": "exp"}),
        json!({"user": "iss"}),
        json!({"roles": "sub"}),
        json!({"plan": "sub.plan"}),
        json!({"permissions": "roles"}),
        json!({"agent": "plan"}),
    ] {
        let claims: ClaimNames = serde_json::from_value(names.clone()).unwrap();
        let issuer = Issuer::new(signing(Algorithm::Hs256, None, "main"), rules(claims));
        assert!(matches!(issuer, Err(KeyFault::ClaimsCollide(_))), "{names}");
    }
}
