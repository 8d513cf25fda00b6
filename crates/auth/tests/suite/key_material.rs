//! Keys as operators give them: what fits is taken, what does not is refused with the remedy.

use gateway_auth::{
    Algorithm, Key, KeyFault, KeyMaterial, KeySpec, Keyring, SigningKey, SigningMaterial, algorithm::Family,
};
use gateway_domain::Detail;
use serde_json::{Value, json};

use crate::support::*;

fn fault(algorithm: Algorithm, material: KeyMaterial) -> KeyFault {
    Key::new(spec(None, algorithm, material)).unwrap_err()
}

fn pem(text: &str) -> KeyMaterial {
    KeyMaterial::PublicPem(text.as_bytes().to_vec())
}

fn public(algorithm: Algorithm) -> String {
    generated(algorithm, "main").public.clone().unwrap()
}

#[test]
fn a_private_key_given_as_public_is_refused() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let private = &generated(algorithm, "main").private;
        assert_eq!(fault(algorithm, pem(private)), KeyFault::PrivateGiven);
    }
    let text = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----";
    assert!(fault(Algorithm::Es256, pem(text)).to_string().contains("openssl pkey -pubout"));
}

#[test]
fn a_key_must_be_of_the_kind_that_its_algorithm_needs() {
    let kinds = [
        (Algorithm::Rs256, Family::Rsa),
        (Algorithm::Es256, Family::P256),
        (Algorithm::Es384, Family::P384),
        (Algorithm::EdDsa, Family::Ed25519),
    ];
    for (algorithm, wanted) in kinds {
        for (other, found) in kinds.into_iter().filter(|(_, found)| *found != wanted) {
            assert_eq!(fault(algorithm, pem(&public(other))), KeyFault::Family { wanted, found });
            let private = SigningMaterial::PrivatePem(generated(other, "main").private.clone().into_bytes());
            assert_eq!(SigningKey::new(None, algorithm, private).unwrap_err(), KeyFault::Family { wanted, found });
        }
        assert_eq!(fault(algorithm, KeyMaterial::Secret(SECRET.to_vec())), KeyFault::Material(algorithm));
        let secret = SigningMaterial::Secret(SECRET.to_vec());
        assert_eq!(SigningKey::new(None, algorithm, secret).unwrap_err(), KeyFault::Material(algorithm));
    }
    let hs = fault(Algorithm::Hs256, pem(&public(Algorithm::Es256)));
    assert_eq!(hs.to_string(), "HS256 needs a shared secret, given as such");
}

#[test]
fn weak_foreign_and_broken_keys_are_refused() {
    assert_eq!(fault(Algorithm::Rs256, pem(include_str!("../fixtures/rsa_1024.pub.pem"))), KeyFault::RsaSize(1024));
    assert_eq!(fault(Algorithm::Es256, pem(include_str!("../fixtures/certificate.pem"))), KeyFault::Certificate);
    assert_eq!(fault(Algorithm::Es384, pem(include_str!("../fixtures/p521.pub.pem"))), KeyFault::Unreadable);
    assert_eq!(fault(Algorithm::Es256, pem("no key")), KeyFault::NotPem);
    assert_eq!(fault(Algorithm::Es256, pem("-----BEGIN X-----\nAAAA\n-----END X-----")), KeyFault::NotPem);
    let rsa = "-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----";
    assert_eq!(fault(Algorithm::Rs256, pem(rsa)), KeyFault::Unreadable);
    let wanted = KeyFault::Family { wanted: Family::P256, found: Family::Rsa };
    assert_eq!(fault(Algorithm::Es256, pem(rsa)), wanted);
}

#[test]
fn a_signing_key_is_a_private_key_in_a_form_that_is_taken() {
    let refused = |algorithm, text: &str| {
        SigningKey::new(None, algorithm, SigningMaterial::PrivatePem(text.as_bytes().to_vec())).unwrap_err()
    };
    assert_eq!(refused(Algorithm::Es256, &public(Algorithm::Es256)), KeyFault::NotPkcs8);
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----");
    assert_eq!(refused(Algorithm::Es256, &block("EC PRIVATE KEY")), KeyFault::NotPkcs8);
    assert_eq!(refused(Algorithm::Es256, &block("ENCRYPTED PRIVATE KEY")), KeyFault::Encrypted);
    assert_eq!(refused(Algorithm::Es256, &block("PRIVATE KEY")), KeyFault::Unreadable);
    assert_eq!(refused(Algorithm::Rs256, &block("RSA PRIVATE KEY")), KeyFault::Unreadable);
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256] {
        // Cut short, but still saying what it is.
        let private = &generated(algorithm, "main").private;
        let lines: Vec<_> = private.lines().collect();
        let cut = [lines[0], lines[1], lines[lines.len() - 1]].join("\n");
        let cut =
            if algorithm == Algorithm::EdDsa { cut.replacen("MC4", "MC5", 1).replacen("MFEC", "MFED", 1) } else { cut };
        assert_eq!(refused(algorithm, &cut), KeyFault::Unreadable, "{algorithm}");
    }
    let short = SigningKey::new(None, Algorithm::Hs256, SigningMaterial::Secret(vec![1; 8]));
    assert_eq!(short.unwrap_err(), KeyFault::ShortSecret(8));
    let long = "x".repeat(257);
    for kid in ["", long.as_str()] {
        let key = SigningKey::new(Some(kid.into()), Algorithm::Hs256, SigningMaterial::Secret(SECRET.to_vec()));
        assert_eq!(key.unwrap_err(), KeyFault::KeyId);
        assert_eq!(Key::new(hs256(Some(kid))).unwrap_err(), KeyFault::KeyId);
    }
}

#[test]
fn a_jwk_serves_as_a_key_of_its_own() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps512, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let signer = signing(algorithm, None, "main");
        let material = KeyMaterial::Jwk(entry(&signer).to_string().into_bytes());
        let judge = judge(ring([spec(None, algorithm, material)]));
        admitted(&judge, &minted(&signer, None));
    }
    let secret = json!({"kty": "oct", "k": part(std::str::from_utf8(SECRET).unwrap())});
    let judge = judge(ring([spec(None, Algorithm::Hs256, KeyMaterial::Jwk(secret.to_string().into_bytes()))]));
    admitted(&judge, &token(json!({})));
}

#[test]
fn a_jwk_that_contradicts_itself_is_refused() {
    let good = entry(&signing(Algorithm::Es256, None, "main"));
    let with = |name: &str, value: Value| {
        let mut entry = good.clone();
        entry[name] = value;
        fault(Algorithm::Es256, KeyMaterial::Jwk(entry.to_string().into_bytes()))
    };
    assert_eq!(with("d", json!("AAAA")), KeyFault::PrivateGiven);
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("alg", json!("ES384")),
        ("alg", json!("XX")),
        ("alg", json!(1)),
        ("kty", json!("RSA")),
        ("crv", json!("P-521")),
        ("crv", json!("P-384")),
        ("x", json!("AAAA")),
        ("x", json!("!")),
        ("y", json!(null)),
    ] {
        assert!(matches!(with(name, value.clone()), KeyFault::Jwk(_)), "{name} {value}");
    }
    let zero = json!(part(&"\0".repeat(32)));
    assert_eq!(with("x", zero), KeyFault::Unreadable);
    let other = KeyMaterial::Jwk(entry(&signing(Algorithm::EdDsa, None, "main")).to_string().into_bytes());
    assert!(matches!(fault(Algorithm::Es256, other), KeyFault::Jwk(_)));
    let mut unnamed = entry(&signing(Algorithm::EdDsa, None, "main"));
    unnamed.as_object_mut().unwrap().remove("alg");
    let wanted = KeyFault::Family { wanted: Family::P256, found: Family::Ed25519 };
    assert_eq!(fault(Algorithm::Es256, KeyMaterial::Jwk(unnamed.to_string().into_bytes())), wanted);
    assert!(matches!(fault(Algorithm::Es256, KeyMaterial::Jwk(b"[]".to_vec())), KeyFault::Jwk(_)));
    for (name, value) in [("e", json!("AAAAAAAAAAAAAA")), ("e", json!("Ag")), ("n", json!("AQAB")), ("n", json!(""))] {
        let mut entry = entry(&signing(Algorithm::Rs256, None, "main"));
        entry[name] = value;
        let fault = fault(Algorithm::Rs256, KeyMaterial::Jwk(entry.to_string().into_bytes()));
        assert!(matches!(fault, KeyFault::Unreadable | KeyFault::RsaSize(_)), "{name} {fault}");
    }
    let mut short = entry(&signing(Algorithm::EdDsa, None, "main"));
    short["x"] = json!("AAAA");
    assert!(matches!(fault(Algorithm::EdDsa, KeyMaterial::Jwk(short.to_string().into_bytes())), KeyFault::Jwk(_)));
}

#[test]
fn a_ring_that_could_confuse_is_refused() {
    let make = |keys: Vec<KeySpec>| {
        Keyring::new(keys.into_iter().map(|spec| Key::new(spec).unwrap()).collect(), vec![], no_fetch()).map(drop)
    };
    assert_eq!(make(vec![]), Err(KeyFault::NoKeys));
    assert_eq!(make(vec![hs256(Some("a")), hs256(Some("a"))]), Err(KeyFault::DuplicateKeyId("a".into())));
    assert_eq!(make(vec![hs256(None), hs256(None)]), Ok(()));
    let of = |issuer: &str, prefix: Option<&str>| KeySpec {
        issuer: Some(issuer.into()),
        user_prefix: prefix.map(Into::into),
        ..hs256(Some("k"))
    };
    let confused = Err(KeyFault::UserPrefix("configured".into()));
    assert_eq!(make(vec![of("a", None), of("b", None)]), confused);
    assert_eq!(make(vec![of("a", Some("a:")), of("b", None)]), confused);
    assert_eq!(make(vec![of("a", Some("a:")), of("b", Some(""))]), confused);
    assert_eq!(make(vec![of("a", Some("x")), of("b", Some("x"))]), confused);
    assert_eq!(make(vec![of("a", Some("x")), of("b", Some("xy"))]), confused);
    assert_eq!(make(vec![of("a", Some("a:")), of("b", Some("b:"))]), Ok(()));
    assert_eq!(make(vec![of("a", None), hs256(Some("own"))]), Ok(()));
}

#[test]
fn keys_are_replaced_all_at_once_and_not_after_a_fault() {
    let judge = judge(ring([hs256(Some("old"))]));
    let old = with_header(json!({"kid": "old"}), json!({}));
    admitted(&judge, &old);
    assert_eq!(judge.keys().replace_local(vec![]), Err(KeyFault::NoKeys));
    admitted(&judge, &old);
    judge.keys().replace_local(vec![Key::new(hs256(Some("new"))).unwrap()]).unwrap();
    invalid(&judge, &old, Detail::UnknownKey);
    admitted(&judge, &with_header(json!({"kid": "new"}), json!({})));
}

#[test]
fn a_key_tells_what_it_is() {
    let key = Key::new(KeySpec { issuer: Some("me".into()), ..hs256(Some("main")) }).unwrap();
    assert_eq!((key.kid(), key.issuer(), &**key.label()), (Some("main"), Some("me"), "main"));
    assert!(key.serves(Algorithm::Hs256) && !key.serves(Algorithm::Hs384));
    assert_eq!(&**Key::new(hs256(None)).unwrap().label(), "configured");
}
