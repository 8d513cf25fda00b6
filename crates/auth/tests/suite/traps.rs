//! Every trap of the JWT library and every token hole that others had, by name.

use std::{sync::Arc, time::Duration};

use gateway_auth::{Algorithm, Key, KeyFault, KeyMaterial, TokenRules, claims::ClaimNames};
use gateway_domain::{Code, Detail, Timestamp, Token};
use serde_json::json;

use crate::support::*;

fn plain() -> gateway_auth::Authenticator {
    judge(ring([hs256(Some("main"))]))
}

#[test]
fn a_token_without_an_audience_is_refused_where_one_is_demanded() {
    let rules = TokenRules { audience: vec!["gateway".into(), "other".into()], ..TokenRules::default() };
    let judge = judge_by(rules, ring([hs256(None)]));
    for others in [
        json!({}),
        json!({"aud": "else"}),
        json!({"aud": []}),
        json!({"aud": ["else"]}),
        json!({"aud": 1}),
        json!({"aud": [["gateway"]]}),
    ] {
        invalid(&judge, &token(others), Detail::Audience);
    }
    admitted(&judge, &token(json!({"aud": "gateway"})));
    admitted(&judge, &token(json!({"aud": ["else", "other"]})));
}

#[test]
fn a_token_without_an_issuer_is_refused_where_one_is_demanded() {
    let judge = judge(ring([gateway_auth::KeySpec { issuer: Some("https://id.example".into()), ..hs256(None) }]));
    for others in
        [json!({}), json!({"iss": "https://id.example/"}), json!({"iss": ["https://id.example"]}), json!({"iss": 1})]
    {
        invalid(&judge, &token(others), Detail::Issuer);
    }
    let principal = admitted(&judge, &token(json!({"iss": "https://id.example"})));
    assert_eq!(principal.issuer.as_deref(), Some("https://id.example"));
}

#[test]
fn nbf_and_iat_are_checked_with_the_leeway_and_the_reason_says_by_how_much() {
    for claim in ["nbf", "iat"] {
        admitted(&plain(), &token(json!({claim: NOON + 30})));
        let refusal = invalid(&plain(), &token(json!({claim: NOON + 31})), Detail::NotYetValid);
        assert!(refusal.message.contains(&format!("`{claim}` lies 31 s ahead, and 30 s")), "{}", refusal.message);
        assert_eq!(refusal.user, Some("ann".parse().unwrap()));
        invalid(&plain(), &token(json!({claim: 1e300})), Detail::NotYetValid);
        invalid(&plain(), &token(json!({claim: "soon"})), Detail::ClaimMissing);
    }
}

#[test]
fn any_crit_is_refused() {
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("x"), json!({})] {
        invalid(&plain(), &with_header(json!({"crit": crit, "b64": true}), json!({})), Detail::Crit);
    }
}

#[test]
fn an_empty_or_short_secret_is_no_key() {
    for length in [0, 1, 31] {
        let material = KeyMaterial::Secret(vec![b'x'; length]);
        assert_eq!(Key::new(spec(None, Algorithm::Hs256, material)).unwrap_err(), KeyFault::ShortSecret(length));
    }
    assert!(Key::new(spec(None, Algorithm::Hs512, KeyMaterial::Secret(vec![b'x'; 32]))).is_ok());
}

#[test]
fn keys_of_several_families_stand_side_by_side() {
    // One list of algorithms for all keys would refuse what each of them signed.
    let algorithms = [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
    let signers: Vec<_> = algorithms.into_iter().map(|algorithm| signing(algorithm, None, "main")).collect();
    let keys = signers.iter().map(verifying).collect();
    let judge = judge(gateway_auth::Keyring::new(keys, vec![], no_fetch()).unwrap());
    for signer in &signers {
        admitted(&judge, &minted(signer, None));
    }
}

#[test]
fn a_token_is_measured_before_it_is_decoded() {
    let judge = judge_by(TokenRules { max_bytes: 300, ..TokenRules::default() }, ring([hs256(None)]));
    admitted(&judge, &token(json!({})));
    let refusal = invalid(&judge, &token(json!({"filler": "x".repeat(300)})), Detail::TooLong);
    assert!(refusal.message.contains("at most 300"));
    invalid(&judge, &Token::new(".".repeat(1_000_000)), Detail::TooLong);
    invalid(&plain(), &Token::new("x".repeat(8193)), Detail::TooLong);
}

#[test]
fn an_unsigned_token_is_refused_in_any_spelling() {
    for spelling in ["none", "None", "NONE", "nOnE"] {
        let message =
            format!("{}.{}.", part(&json!({"alg": spelling}).to_string()), part(&claims(json!({})).to_string()));
        let refusal = invalid(&plain(), &Token::new(message), Detail::Algorithm);
        assert!(refusal.message.contains("unsigned"));
    }
    let stripped = token(json!({}));
    let (message, _) = stripped.expose().rsplit_once('.').unwrap();
    invalid(&plain(), &Token::new(format!("{message}.")), Detail::Signature);
}

#[test]
fn a_public_key_is_never_a_shared_secret() {
    // The classic confusion: the token says HS256 and is signed with the text of the public key.
    let signer = signing(Algorithm::Rs256, Some("main"), "main");
    let KeyMaterial::PublicPem(text) = signer.verifying_material() else { panic!() };
    let judge = judge(gateway_auth::Keyring::new(vec![verifying(&signer)], vec![], no_fetch()).unwrap());
    for kid in [json!("main"), json!(null)] {
        let mut header = json!({"alg": "HS256"});
        if !kid.is_null() {
            header["kid"] = kid;
        }
        let forged = hs256_signed(&header.to_string(), &claims(json!({})).to_string(), &text);
        invalid(&judge, &forged, Detail::Algorithm);
    }
    let fault = Key::new(spec(None, Algorithm::Hs256, KeyMaterial::Secret(text))).unwrap_err();
    assert_eq!(fault, KeyFault::PemAsSecret);
}

#[test]
fn the_key_fixes_the_algorithm_within_its_family_too() {
    let signer = signing(Algorithm::Ps256, Some("main"), "main");
    let other = signing(Algorithm::Rs256, Some("main"), "main");
    let judge = judge(gateway_auth::Keyring::new(vec![verifying(&signer)], vec![], no_fetch()).unwrap());
    admitted(&judge, &minted(&signer, None));
    invalid(&judge, &minted(&other, None), Detail::Algorithm);
}

#[test]
fn keys_that_a_token_brings_along_or_points_at_are_ignored() {
    let server = KeyServer::default();
    let thief = signing(Algorithm::Es256, Some("evil"), "thief");
    server.serve("https://evil.example/keys", set([entry(&thief)]));
    let keys =
        gateway_auth::Keyring::new(vec![Key::new(hs256(Some("main"))).unwrap()], vec![], server.fetch()).unwrap();
    let judge = judge(keys);
    let header = json!({
        "alg": "ES256", "kid": "evil", "jwk": entry(&thief), "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain", "x5c": ["AAAA"],
    });
    let message = format!("{}.{}", part(&header.to_string()), part(&claims(json!({})).to_string()));
    let genuine = minted(&thief, None);
    let (_, signature) = genuine.expose().rsplit_once('.').unwrap();
    invalid(&judge, &Token::new(format!("{message}.{signature}")), Detail::UnknownKey);
    invalid(&judge, &genuine, Detail::UnknownKey);
    // Beside a good signature they change nothing.
    admitted(
        &judge,
        &with_header(json!({"kid": "main", "jwk": entry(&thief), "jku": "https://evil.example"}), json!({})),
    );
    assert_eq!(server.asked(), 0);
}

#[test]
fn an_encrypted_token_is_malformed() {
    let refusal = invalid(&plain(), &Token::new("a.b.c.d.e"), Detail::Malformed);
    assert!(refusal.message.contains("three parts"));
}

#[test]
fn tokens_of_another_purpose_open_nothing() {
    for typ in [
        json!("refresh+jwt"),
        json!("rt+jwt"),
        json!("id_token"),
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("JWE"),
        json!(1),
        json!(""),
    ] {
        invalid(&plain(), &with_header(json!({"typ": typ}), json!({})), Detail::Malformed);
    }
    for typ in [json!("jwt"), json!("at+JWT"), json!("application/at+jwt"), json!(null)] {
        admitted(&plain(), &with_header(json!({"typ": typ}), json!({})));
    }
    invalid(&plain(), &Token::new(format!("gwr_{}", "A".repeat(64))), Detail::Malformed);
}

#[test]
fn a_token_without_exp_is_refused() {
    let refusal = invalid(&plain(), &token(json!({"exp": null})), Detail::ClaimMissing);
    assert!(refusal.message.contains("`exp`"));
    invalid(&plain(), &token(json!({"exp": "2030"})), Detail::ClaimMissing);
}

#[test]
fn a_token_without_the_user_claim_is_refused() {
    for sub in [json!(null), json!(""), json!("a\u{7}b"), json!("x".repeat(257)), json!([]), json!(1.5)] {
        let refusal = invalid(&plain(), &token(json!({"sub": sub})), Detail::ClaimMissing);
        assert_eq!(refusal.user, None);
    }
    assert_eq!(admitted(&plain(), &token(json!({"sub": 7}))).user.as_str(), "7");
}

#[test]
fn the_deadline_is_exp_and_its_leeway_and_nothing_else() {
    let rules =
        TokenRules { exp_leeway: Duration::from_secs(5), leeway: Duration::from_secs(600), ..TokenRules::default() };
    let judge = judge_by(rules, ring([hs256(None)]));
    let one = token(json!({"exp": NOON}));
    let principal = done(judge.verify(&one, now())).unwrap();
    assert_eq!(principal.expires_at, Timestamp::from_seconds(NOON + 5));
    assert!(done(judge.verify(&one, after(Duration::from_millis(1_004_999)))).is_ok());
    let refusal = done(judge.verify(&one, later(5))).unwrap_err();
    assert_eq!((refusal.code, refusal.detail), (Code::TokenExpired, None));
    assert_eq!(refusal.user, Some("ann".parse().unwrap()));

    let refusal = refused(&plain(), &token(json!({"exp": NOON})));
    assert_eq!(refusal.to_string(), "TOKEN_EXPIRED: the token expired at 2027-01-15T08:00:00.000Z");
    admitted(&plain(), &token(json!({"exp": NOON as f64 + 0.001})));
}

#[test]
fn a_huge_or_negative_exp_does_not_overflow() {
    for exp in [json!(u64::MAX), json!(i64::MAX), json!(1e308), json!(253_402_300_800i64)] {
        let rules = TokenRules { exp_leeway: Duration::MAX, ..TokenRules::default() };
        let judge = judge_by(rules, ring([hs256(None)]));
        assert_eq!(admitted(&judge, &token(json!({"exp": exp}))).expires_at, Timestamp::from_seconds(i64::MAX));
    }
    for exp in [json!(0), json!(-1), json!(i64::MIN), json!(-1e308)] {
        assert_eq!(refused(&plain(), &token(json!({"exp": exp}))).code, Code::TokenExpired);
    }
}

#[test]
fn a_member_named_twice_is_malformed() {
    let good = claims(json!({})).to_string();
    for (header, claims) in [
        (r#"{"alg":"HS256","alg":"HS256"}"#, good.as_str()),
        (r#"{"alg":"none","\u0061lg":"HS256"}"#, &good),
        (r#"{"alg":"HS256"}"#, r#"{"sub":"ann","exp":1900000000,"sub":"root"}"#),
        (r#"{"alg":"HS256"}"#, r#"{"sub":"ann","exp":1900000000,"a":{"roles":[],"roles":["admin"]}}"#),
    ] {
        invalid(&plain(), &hs256_signed(header, claims, SECRET), Detail::Malformed);
    }
}

#[test]
fn base64_is_strict() {
    let good = token(json!({}));
    let text = good.expose();
    for wrong in [
        format!("{text}="),
        format!("{text}=="),
        text.replacen('.', ". ", 1),
        format!(" {text}"),
        format!("{text}\n"),
        text.replace('_', "/").replace('-', "+") + "+",
    ] {
        invalid(&plain(), &Token::new(wrong), Detail::Malformed);
    }
    // Bits beyond the last byte must be zero: one signature has one spelling.
    let mut bytes = text.as_bytes().to_vec();
    let last = bytes.last_mut().unwrap();
    *last += 1;
    invalid(&plain(), &Token::new(String::from_utf8(bytes).unwrap()), Detail::Malformed);
}

#[test]
fn the_user_is_known_to_the_audit_only_after_the_signature() {
    let forged = hs256_signed(r#"{"alg":"HS256"}"#, &claims(json!({"exp": 0})).to_string(), &[b'x'; 32]);
    let refusal = invalid(&plain(), &forged, Detail::Signature);
    assert_eq!(refusal.user, None);
    assert!(refusal.reason().contains("main"));
    assert_eq!(refused(&plain(), &token(json!({"exp": 0}))).user, Some("ann".parse().unwrap()));
}

#[test]
fn a_claim_in_another_form_refuses_the_token() {
    for others in
        [json!({"roles": 1}), json!({"permissions": [1]}), json!({"plan": []}), json!({"limits": 1}), json!({"jti": 1})]
    {
        let refusal = invalid(&plain(), &token(others), Detail::ClaimMissing);
        assert_eq!(refusal.user, Some("ann".parse().unwrap()));
    }
    let names = ClaimNames { agent: "device".parse().unwrap(), ..ClaimNames::default() };
    let judge = judge_by(TokenRules { claims: names, ..TokenRules::default() }, ring([hs256(None)]));
    invalid(&judge, &token(json!({"device": true})), Detail::ClaimMissing);
}

#[test]
fn no_secret_is_ever_printed() {
    let secret = String::from_utf8(SECRET.to_vec()).unwrap();
    let signer = signing(Algorithm::Hs256, Some("main"), "main");
    let generated = generated(Algorithm::Hs256, "main");
    let ring = ring([hs256(Some("main"))]);
    let judge = judge(self::ring([hs256(Some("main"))]));
    let issuer = issuer(signer.clone(), None);
    let minted = issuer.mint(&grant("ann"), now()).unwrap();
    let printed = format!(
        "{:?} {:?} {signer:?} {generated:?} {ring:?} {judge:?} {issuer:?} {minted:?} {:?} {:?}",
        hs256(None),
        Key::new(hs256(None)).unwrap(),
        gateway_auth::SigningMaterial::Secret(SECRET.to_vec()),
        [KeyMaterial::Jwk(SECRET.to_vec()), KeyMaterial::PublicPem(SECRET.to_vec())],
    );
    let bytes = format!("{:?}", SECRET);
    for secret in [secret.as_str(), &generated.private, minted.token.expose(), bytes.trim_matches(['[', ']'])] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let pem = format!("{:?}", gateway_auth::SigningMaterial::PrivatePem(vec![1]));
    assert_eq!(pem, "PrivatePem(***)");
    let _ = Arc::new(printed);
}
