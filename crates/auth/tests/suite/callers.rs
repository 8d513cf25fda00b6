//! Callers that come with the same token again and again: known again, and not for a moment longer than the token and
//! its key are good.

use std::{sync::Arc, time::Duration};

use gateway_auth::{Algorithm, Authenticator, JwksSource, Key, KeyMaterial};
use gateway_domain::{Code, Detail, Now, Principal, Refusal, Token};
use serde_json::json;

use crate::support::*;

async fn call(judge: &Authenticator, token: &Token, now: Now) -> Result<Arc<Principal>, Refusal> {
    judge.verify_caller(token, now).await
}

fn refused_as(judged: Result<Arc<Principal>, Refusal>, code: Code, detail: Option<Detail>) {
    let refusal = judged.unwrap_err();
    assert_eq!((refusal.code, refusal.detail), (code, detail), "{refusal}");
}

#[tokio::test]
async fn a_caller_is_known_again_as_whom_it_proved_to_be() {
    let judge = judge(ring([hs256(None)]));
    let (ann, bob) = (token(json!({"roles": ["service"]})), token(json!({"sub": "bob"})));
    let first = call(&judge, &ann, now()).await.unwrap();
    assert_eq!(*first, admitted(&judge, &ann), "as everybody else who has that token");
    assert!(Arc::ptr_eq(&first, &call(&judge, &ann, later(1)).await.unwrap()), "and not verified again");
    assert_eq!(call(&judge, &bob, now()).await.unwrap().user.as_str(), "bob");
    assert!(Arc::ptr_eq(&first, &call(&judge, &ann, later(2)).await.unwrap()));
}

#[tokio::test]
async fn a_known_token_expires_to_the_millisecond_and_a_clock_set_back_makes_it_verified_again() {
    let judge = judge(ring([hs256(None)]));
    let token = token(json!({"exp": NOON + 60, "nbf": NOON + 20}));
    assert!(call(&judge, &token, later(20)).await.is_ok());
    assert!(call(&judge, &token, after(Duration::from_millis(1_059_999))).await.is_ok());
    refused_as(call(&judge, &token, later(60)).await, Code::TokenExpired, None);
    refused_as(
        call(&judge, &token, after(Duration::from_secs(900))).await,
        Code::TokenInvalid,
        Some(Detail::NotYetValid),
    );
}

#[tokio::test]
async fn no_other_text_passes_for_a_known_token() {
    let judge = judge(ring([hs256(None)]));
    let good = token(json!({}));
    call(&judge, &good, now()).await.unwrap();
    let text = good.expose();
    let forged =
        hs256_signed(r#"{"alg":"HS256"}"#, &claims(json!({})).to_string(), b"another secret of at least 32 bytes");
    for _ in 0..2 {
        refused_as(call(&judge, &forged, now()).await, Code::TokenInvalid, Some(Detail::Signature));
        for other in [format!("{text}A"), text[..text.len() - 1].to_owned(), format!("{text}="), text.to_uppercase()] {
            assert!(call(&judge, &Token::new(other), now()).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_key_that_is_taken_away_or_replaced_takes_its_known_tokens_along() {
    let judge = judge(ring([hs256(Some("main"))]));
    let token = with_header(json!({"kid": "main"}), json!({}));
    call(&judge, &token, now()).await.unwrap();
    let replace = |spec| judge.keys().replace_local(vec![Key::new(spec).unwrap()]).unwrap();

    let other = KeyMaterial::Secret(b"another secret of at least 32 bytes".to_vec());
    replace(spec(Some("main"), Algorithm::Hs256, other));
    refused_as(call(&judge, &token, now()).await, Code::TokenInvalid, Some(Detail::Signature));
    replace(hs256(Some("next")));
    refused_as(call(&judge, &token, now()).await, Code::TokenInvalid, Some(Detail::UnknownKey));

    // The same key with narrower grants is another key.
    replace(gateway_auth::KeySpec { user_prefix: Some("x:".into()), ..hs256(Some("main")) });
    assert_eq!(call(&judge, &token, now()).await.unwrap().user.as_str(), "x:ann");
    replace(hs256(Some("main")));
    assert_eq!(call(&judge, &token, now()).await.unwrap().user.as_str(), "ann");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_its_set_no_longer_has_or_that_is_too_old_takes_its_known_tokens_along() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("old"))]));
    let judge = judge_of(&server, vec![source()]);
    let token = minted(&key("old"), None);
    // The first waits for the set to be fetched.
    assert!(call(&judge, &token, now()).await.is_ok());
    let known = call(&judge, &token, now()).await.unwrap();
    assert!(Arc::ptr_eq(&known, &call(&judge, &token, later(1)).await.unwrap()));
    assert_eq!(server.asked(), 1);

    server.serve(URL, set([entry(&key("new"))]));
    judge.keys().refresh(later(400)).await;
    assert_eq!(server.asked(), 2);
    refused_as(call(&judge, &token, later(401)).await, Code::TokenInvalid, Some(Detail::UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn while_a_set_has_grown_too_old_its_known_tokens_are_not_believed_either() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("old"))]));
    let judge = judge_of(&server, vec![JwksSource { max_stale: Duration::from_secs(500), ..source() }]);
    judge.keys().refresh(now()).await;
    let token = minted(&key("old"), None);
    let known = call(&judge, &token, now()).await.unwrap();
    server.fail(URL);
    assert!(Arc::ptr_eq(&known, &call(&judge, &token, later(499)).await.unwrap()));
    refused_as(call(&judge, &token, later(501)).await, Code::AuthError, None);
}

#[tokio::test]
async fn of_many_tokens_the_latest_are_known_and_each_is_judged_by_itself() {
    let judge = judge(ring([hs256(None)]));
    let tokens: Vec<_> = (0..600).map(|n| token(json!({"sub": format!("user{n}")}))).collect();
    let mut known = Vec::new();
    for token in &tokens {
        known.push(call(&judge, token, now()).await.unwrap());
    }
    let first = call(&judge, &tokens[0], now()).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &known[0]), "forgotten long ago, and verified again");
    assert_eq!(first, known[0]);
    assert!(Arc::ptr_eq(&known[599], &call(&judge, &tokens[599], now()).await.unwrap()));
    let shown = format!("{judge:?}");
    assert!(shown.contains("Remembered") && !shown.contains("user599") && !shown.contains(tokens[599].expose()));
}
