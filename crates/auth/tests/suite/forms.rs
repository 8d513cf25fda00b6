//! What a good token gives, for every algorithm and every way to choose a key.

use gateway_auth::{AgentSource, Algorithm, ClaimPath, KeySpec, Keyring, TokenRules, claims::ClaimNames, inspect};
use gateway_domain::{Detail, Timestamp, Token};
use serde_json::json;

use crate::support::*;

#[test]
fn every_algorithm_signs_and_verifies() {
    for algorithm in Algorithm::ALL {
        let signer = signing(*algorithm, Some("main"), "main");
        let judge = judge(Keyring::new(vec![verifying(&signer)], vec![], no_fetch()).unwrap());
        let principal = admitted(&judge, &minted(&signer, None));
        assert_eq!((principal.user.as_str(), &*principal.key), ("ann", "main"), "{algorithm}");
        // Another key of the same kind does not fit.
        let thief = signing(*algorithm, Some("main"), "thief");
        invalid(&judge, &minted(&thief, None), Detail::Signature);
    }
}

#[test]
fn a_principal_holds_what_the_token_says() {
    let judge = judge(ring([hs256(None)]));
    let principal = admitted(
        &judge,
        &token(json!({
            "roles": ["dashboard", "admin"], "permissions": "a.read b.write", "plan": "free", "jti": "t-1", "iat": NOON - 1,
            "iss": "somebody", "limits": {"connections": 2}, "custom": {"deep": [1]},
        })),
    );
    assert!(principal.is("dashboard") && principal.is("admin"));
    assert_eq!(principal.permissions.len(), 2);
    assert_eq!(principal.plan, Some("free".parse().unwrap()));
    assert_eq!((principal.token_id.as_deref(), principal.issuer.as_deref()), (Some("t-1"), Some("somebody")));
    assert_eq!(principal.issued_at, Some(Timestamp::from_seconds(NOON - 1)));
    assert_eq!(principal.expires_at, Timestamp::from_seconds(NOON + 900));
    assert_eq!(principal.own_limits.connections, Some(2));
    assert_eq!(principal.agent, Some("ann".parse().unwrap()));
    assert_eq!(principal.claims["custom"], json!({"deep": [1]}));
    assert_eq!(&*principal.key, "configured");
}

#[test]
fn claims_stand_where_the_configuration_says() {
    let claims = ClaimNames {
        user: ClaimPath::first_of(["uid", "sub"]).unwrap(),
        roles: "realm_access.roles".parse().unwrap(),
        agent: AgentSource::Query("agentId".into()),
        ..ClaimNames::default()
    };
    let judge = judge_by(TokenRules { claims, ..TokenRules::default() }, ring([hs256(None)]));
    let principal =
        admitted(&judge, &token(json!({"uid": "bob", "realm_access": {"roles": ["agent"]}, "roles": ["admin"]})));
    assert_eq!((principal.user.as_str(), principal.agent), ("bob", None));
    assert!(principal.roles == ["agent".parse().unwrap()]);
    assert_eq!(admitted(&judge, &token(json!({}))).user.as_str(), "ann");
}

#[test]
fn a_key_grants_no_more_than_its_roles() {
    let roles = Some(vec!["agent".parse().unwrap(), "dashboard".parse().unwrap()]);
    let judge = judge(ring([KeySpec { roles, ..hs256(None) }]));
    let principal = admitted(&judge, &token(json!({"roles": ["admin", "agent", "service"]})));
    assert_eq!(principal.roles, ["agent".parse().unwrap()]);
}

#[test]
fn a_prefix_keeps_the_users_and_agents_of_issuers_apart() {
    let of = |kid: &str, issuer: &str, prefix: &str| KeySpec {
        issuer: Some(issuer.into()),
        user_prefix: Some(prefix.into()),
        ..hs256(Some(kid))
    };
    let judge = judge(ring([of("a", "https://a", "a:"), of("b", "https://b", "b:")]));
    let from = |kid: &str, issuer: &str| with_header(json!({"kid": kid}), json!({"iss": issuer}));
    let principal = admitted(&judge, &from("a", "https://a"));
    assert_eq!((principal.user.as_str(), principal.agent.unwrap().as_str()), ("a:ann", "a:ann"));
    assert_eq!(admitted(&judge, &from("b", "https://b")).user.as_str(), "b:ann");
    for crossed in [from("a", "https://b"), from("b", "https://a"), with_header(json!({"kid": "a"}), json!({}))] {
        invalid(&judge, &crossed, Detail::Issuer);
    }
    assert_eq!(admitted(&judge, &token(json!({"iss": "https://b"}))).user.as_str(), "b:ann");
}

#[test]
fn a_key_id_chooses_its_key_and_no_other() {
    let judge = judge(ring([hs256(Some("main"))]));
    admitted(&judge, &with_header(json!({"kid": "main"}), json!({})));
    admitted(&judge, &token(json!({})));
    invalid(&judge, &with_header(json!({"kid": "other"}), json!({})), Detail::UnknownKey);
    invalid(&judge, &with_header(json!({"kid": ""}), json!({})), Detail::UnknownKey);
    invalid(&judge, &with_header(json!({"kid": "x".repeat(5000)}), json!({})), Detail::UnknownKey);
    invalid(&judge, &with_header(json!({"kid": 1}), json!({})), Detail::Malformed);
    invalid(&judge, &with_header(json!({"alg": "RS256", "kid": "main"}), json!({})), Detail::Algorithm);
}

#[test]
fn a_key_without_an_id_is_tried_where_no_key_has_the_id() {
    let other = || gateway_auth::KeyMaterial::Secret(vec![b'x'; 32]);
    let judge = judge(ring([hs256(None), spec(Some("other"), Algorithm::Hs256, other())]));
    admitted(&judge, &with_header(json!({"kid": "unheard of"}), json!({})));
    invalid(&judge, &with_header(json!({"kid": "other"}), json!({})), Detail::Signature);
}

#[test]
fn a_token_is_tried_against_a_bounded_number_of_keys() {
    let filler = |n: u8| spec(None, Algorithm::Hs256, gateway_auth::KeyMaterial::Secret(vec![n; 32]));
    let in_reach = (0..7).map(filler).chain([hs256(None)]);
    admitted(&judge(ring(in_reach)), &token(json!({})));
    let out_of_reach = (0..8).map(filler).chain([hs256(None)]);
    invalid(&judge(ring(out_of_reach)), &token(json!({})), Detail::Signature);
}

#[test]
fn what_has_not_the_form_is_malformed() {
    let judge = judge(ring([hs256(None)]));
    let good = claims(json!({})).to_string();
    for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.é.é"] {
        invalid(&judge, &Token::new(text), Detail::Malformed);
    }
    for header in ["{}", "[]", "1", r#"{"alg":1}"#, r#"{"typ":"JWT"}"#] {
        invalid(&judge, &hs256_signed(header, &good, SECRET), Detail::Malformed);
    }
    for claims in ["", "[]", "\"x\"", "{\"sub\":"] {
        invalid(&judge, &hs256_signed(r#"{"alg":"HS256"}"#, claims, SECRET), Detail::Malformed);
    }
    invalid(&judge, &hs256_signed(r#"{"alg":"ES256K"}"#, &good, SECRET), Detail::Algorithm);
}

#[test]
fn inspecting_takes_a_token_apart_without_believing_it() {
    let forged = hs256_signed(r#"{"alg":"none","crit":["x"]}"#, r#"{"exp":0}"#, b"any");
    let inspected = inspect(&forged).unwrap();
    assert_eq!((inspected.header["alg"].as_str(), &inspected.claims["exp"]), (Some("none"), &json!(0)));
    assert_eq!(inspect(&Token::new("x")).unwrap_err().detail, Some(Detail::Malformed));
    assert_eq!(inspect(&Token::new("x".repeat(70_000))).unwrap_err().detail, Some(Detail::TooLong));
}
