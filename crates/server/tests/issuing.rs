//! Issuing: who gets tokens, who gets the next, and who gets none any more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use gateway_auth::{
    Algorithm, Authenticator, Grant, Issuer, IssuerRules, Key, Keyring, SigningKey, SigningMaterial, TokenRules,
    Verdict,
};
use gateway_domain::{
    Code, Token,
    ban::{Ban, Subject},
};
use gateway_server::{
    clock,
    issuing::{Issuing, Signer},
    ledger::Ledger,
};

const QUARTER: Duration = Duration::from_secs(900);

fn signing() -> SigningKey {
    let secret = SigningMaterial::Secret(b"a secret of 32 bytes at the least".to_vec());
    SigningKey::new(Some("main".into()), Algorithm::Hs256, secret).unwrap()
}

fn office(user_prefix: Option<&str>) -> (Issuing, Arc<Ledger>) {
    let rules = IssuerRules { access_ttl: QUARTER, ..IssuerRules::default() };
    let ledger = Arc::new(Ledger::in_memory());
    let issuer = Issuer::new(signing(), rules).unwrap();
    let signer = Signer { issuer, user_prefix: user_prefix.map(Arc::from) };
    (Issuing::new(signer, Arc::clone(&ledger)), ledger)
}

fn ann() -> Grant {
    Grant {
        user: "ann".parse().unwrap(),
        roles: vec!["agent".parse().unwrap()],
        permissions: Vec::new(),
        plan: Some("free".parse().unwrap()),
        agent: None,
    }
}

#[tokio::test]
async fn what_is_issued_opens_doors_and_has_the_form_of_the_contract() {
    let (office, _) = office(None);
    let now = clock::now();
    let issued = office.issue(&ann(), now).await.unwrap();
    let form = serde_json::to_value(&issued).unwrap();
    let expected = serde_json::json!({
        "access_token": issued.access_token.expose(), "refresh_token": issued.refresh_token.expose(),
        "token_type": "Bearer", "expires_in": 900, "user_id": "ann", "plan": "free",
    });
    assert_eq!(form, expected);
    let spoken = format!("{issued:?}");
    assert!(!spoken.contains(issued.access_token.expose()) && !spoken.contains(issued.refresh_token.expose()));

    let key = signing();
    let keys = Keyring::of(vec![Key::verifying(&key, "main").unwrap()]).unwrap();
    let judge = Authenticator::new(TokenRules::default(), Arc::new(keys));
    let opens = |token: &Token| match judge.verify(token, now) {
        Verdict::Done(judged) => judged.map(|principal| principal.user.to_string()).map_err(|refusal| refusal.code),
        Verdict::KeyWanted(_) => panic!("the key is here"),
    };
    assert_eq!(opens(&issued.access_token), Ok("ann".into()));
    assert_eq!(opens(&issued.refresh_token), Err(Code::TokenInvalid), "a refresh token opens no door");
}

#[tokio::test]
async fn a_refresh_token_is_spent_by_its_use() {
    let (office, _) = office(None);
    let now = clock::now();
    let first = office.issue(&ann(), now).await.unwrap().refresh_token;
    assert_eq!(office.owner(&first, now).unwrap().as_str(), "ann");
    let next = office.refresh(&first, now).await.unwrap();
    assert_eq!((next.user_id.as_str(), next.plan.as_ref().unwrap().as_str()), ("ann", "free"));
    assert_eq!((office.owner(&first, now), office.owner(&next.refresh_token, now).is_some()), (None, true));
    assert_eq!(office.refresh(&first, now).await.unwrap_err().code, Code::TokenRevoked);
    assert_eq!(office.refresh(&next.refresh_token, now).await.unwrap_err().code, Code::TokenRevoked);
    assert_eq!(office.refresh(&Token::new("gwr_nonsense"), now).await.unwrap_err().code, Code::TokenInvalid);
}

#[tokio::test]
async fn a_banned_user_gets_no_token_and_goes_on_with_the_same_one_when_the_ban_is_lifted() {
    for (prefix, name) in [(None, "ann"), (Some("acme:"), "acme:ann")] {
        let (office, ledger) = office(prefix);
        let now = clock::now();
        let issued = office.issue(&ann(), now).await.unwrap();
        assert_eq!(issued.user_id.as_str(), name, "everywhere but in the token a user has the prefix");
        let claims = gateway_auth::inspect(&issued.access_token).unwrap().claims;
        assert_eq!(claims["sub"], "ann");
        let subject = Subject::User(name.parse().unwrap());
        ledger.ban(Ban { subject: subject.clone(), until: None, reason: None }).await.unwrap();
        assert_eq!(office.issue(&ann(), now).await.unwrap_err().code, Code::Banned);
        assert_eq!(office.refresh(&issued.refresh_token, now).await.unwrap_err().code, Code::Banned);
        ledger.lift(&subject).await.unwrap();
        let next = office.refresh(&issued.refresh_token, now).await.unwrap();
        assert_eq!(next.user_id.as_str(), name, "the refusal did not spend it");
    }
}

#[tokio::test]
async fn a_name_that_no_token_could_carry_gets_none() {
    let (office, _) = office(Some(&"x".repeat(254)));
    let refusal = office.issue(&ann(), clock::now()).await.unwrap_err();
    assert_eq!(refusal.code, Code::AuthError);
    assert!(refusal.reason().contains("longer than 256 bytes"), "{}", refusal.reason());
}
