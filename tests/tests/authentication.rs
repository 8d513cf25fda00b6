//! Only a good token opens a door, and everybody else is told which kind of bad theirs was: every failure of a token
//! is a 401 before any upgrade, with the kind in the body, in the challenge and in the audit; every algorithm works,
//! and the key, never the token, says which one it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, Options, SECRET, TestClient, TestGateway,
    client::Refused,
    keys::{KeyPair, hs256, jwks, name, unsigned},
    tokens::{now, token},
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

async fn refused(gateway: &TestGateway, token: &str) -> Refused {
    TestClient::connect(gateway, "/ws", token).await.expect_err("a token that opens nothing")
}

/// What every refusal of a token has.
fn well_told(refused: &Refused, code: &str, detail: &str) {
    assert_eq!((refused.status, refused.code(), refused.detail()), (401, code, detail), "{refused:?}");
    let error = &refused.body["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    let then = if code == "TOKEN_EXPIRED" { "refresh" } else { "stop" };
    assert_eq!(error["then"], then);
    assert_eq!(error["requestId"].as_str().map(str::len), Some(36), "{error}");
    assert_eq!(refused.header("content-type"), "application/json");
    let challenge = refused.header("www-authenticate");
    let kind = if code == "AUTH_REQUIRED" { "invalid_request" } else { "invalid_token" };
    assert!(challenge.starts_with(&format!("Bearer error=\"{kind}\", error_description=\"")), "{challenge}");
    assert!(challenge.ends_with('"') && challenge.matches('"').count() == 4, "{challenge}");
    assert!(refused.headers.get("sec-websocket-accept").is_none(), "nothing was upgraded");
}

#[tokio::test]
async fn every_failure_of_a_token_has_its_name() {
    let gateway = TestGateway::with("[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n");
    let good = Claims::of("ann", "dashboard");
    let main = json!({"alg": "HS256", "kid": "main", "typ": "JWT"});
    let header = |member: &str, value: Value| {
        let mut header = main.clone();
        header[member] = value;
        header
    };
    let with_header = |member: &str, value: Value| hs256(&header(member, value), &good, SECRET.as_bytes());
    let whole = good.sign();
    let parts: Vec<&str> = whole.split('.').collect();
    let other_key = EncodingKey::from_secret(b"another secret of thirty-two bytes or more");
    let none = json!({"alg": "none"});
    let padded = format!("{}.{}.{}=", parts[0], parts[1], parts[2]);
    let table: Vec<(&str, String, &str, &str)> = vec![
        ("no JWT at all", "nonsense".into(), "TOKEN_INVALID", "malformed"),
        ("two parts", format!("{}.{}", parts[0], parts[1]), "TOKEN_INVALID", "malformed"),
        ("four parts", format!("{whole}.x"), "TOKEN_INVALID", "malformed"),
        ("padding", padded.replace('=', "%3D"), "TOKEN_INVALID", "malformed"),
        ("an empty signature", format!("{}.{}.", parts[0], parts[1]), "TOKEN_INVALID", "signature"),
        ("another secret", good.sign_with(Algorithm::HS256, Some("main"), &other_key), "TOKEN_INVALID", "signature"),
        (
            "other claims under the signature",
            format!("{}.{}", unsigned(&main, &Claims::of("root", "admin")), parts[2]),
            "TOKEN_INVALID",
            "signature",
        ),
        ("expired", good.clone().expiring_in(-60).sign(), "TOKEN_EXPIRED", ""),
        ("expired this very second", good.clone().expiring_in(0).sign(), "TOKEN_EXPIRED", ""),
        ("not yet valid", good.clone().with("nbf", now() + 300).sign(), "TOKEN_INVALID", "not_yet_valid"),
        ("issued in the future", good.clone().with("iat", now() + 300).sign(), "TOKEN_INVALID", "not_yet_valid"),
        ("unsigned", format!("{}.", unsigned(&none, &good)), "TOKEN_INVALID", "algorithm"),
        (
            "unsigned, in capitals",
            format!("{}.", unsigned(&json!({"alg": "NONE"}), &good)),
            "TOKEN_INVALID",
            "algorithm",
        ),
        (
            "unsigned, with a signature",
            format!("{}.{}", unsigned(&none, &good), parts[2]),
            "TOKEN_INVALID",
            "algorithm",
        ),
        ("another algorithm of the family", with_header("alg", json!("HS512")), "TOKEN_INVALID", "algorithm"),
        ("an algorithm of nobody", with_header("alg", json!("HS1024")), "TOKEN_INVALID", "algorithm"),
        ("no algorithm", hs256(&json!({"kid": "main"}), &good, SECRET.as_bytes()), "TOKEN_INVALID", "malformed"),
        ("no expiry", good.clone().without("exp").sign(), "TOKEN_INVALID", "claim_missing"),
        ("an expiry in words", good.clone().with("exp", "tomorrow").sign(), "TOKEN_INVALID", "claim_missing"),
        ("no user", good.clone().without("sub").sign(), "TOKEN_INVALID", "claim_missing"),
        ("an empty user", good.clone().with("sub", "").sign(), "TOKEN_INVALID", "claim_missing"),
        ("a user with a line break", good.clone().with("sub", "a\nb").sign(), "TOKEN_INVALID", "claim_missing"),
        ("a user of 257 bytes", good.clone().with("sub", "x".repeat(257)).sign(), "TOKEN_INVALID", "claim_missing"),
        ("a user that is a list", good.clone().with("sub", json!(["ann"])).sign(), "TOKEN_INVALID", "claim_missing"),
        ("an extension that nobody knows", with_header("crit", json!(["b64"])), "TOKEN_INVALID", "crit"),
        ("an empty list of extensions", with_header("crit", json!([])), "TOKEN_INVALID", "crit"),
        ("another kind of token", with_header("typ", json!("logout+jwt")), "TOKEN_INVALID", "malformed"),
        ("a key of nobody", with_header("kid", json!("other")), "TOKEN_INVALID", "unknown_key"),
        ("too long", good.clone().with("pad", "x".repeat(9000)).sign(), "TOKEN_INVALID", "too_long"),
        ("a refresh token", format!("gwr_{}", "A".repeat(64)), "TOKEN_INVALID", "malformed"),
    ];
    for (what, token, code, detail) in table {
        let refused = refused(&gateway, &token).await;
        assert_eq!((refused.code(), refused.detail()), (code, detail), "{what}: {}", refused.body);
        well_told(&refused, code, detail);
    }
    well_told(&TestClient::open(&gateway.ws("/ws"), &[]).await.unwrap_err(), "AUTH_REQUIRED", "");
    assert_eq!(gateway.connections().await, 0);
    TestClient::greeted(&gateway, "/ws", &good.with("nbf", now() + 10).with("iat", now() + 10).sign()).await;
}

#[tokio::test]
async fn a_token_for_others_or_of_others_opens_nothing() {
    let gateway = TestGateway::open(Options {
        own_keys: true,
        config: "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n\
                 issuer = \"https://id.example\"\n[auth]\naudience = [\"gateway\", \"other\"]\nleeway = \"5s\"\nexp_leeway = \"60s\"\n"
            .into(),
        ..Options::default()
    });
    let good = Claims::of("ann", "dashboard").with("iss", "https://id.example").with("aud", "gateway");
    for (what, claims, detail) in [
        ("no issuer", good.clone().without("iss"), "issuer"),
        ("another issuer", good.clone().with("iss", "https://evil.example"), "issuer"),
        ("an issuer with a slash too many", good.clone().with("iss", "https://id.example/"), "issuer"),
        ("no audience", good.clone().without("aud"), "audience"),
        ("another audience", good.clone().with("aud", "gateways"), "audience"),
        ("a list without ours", good.clone().with("aud", json!(["a", "b"])), "audience"),
        ("beyond the leeway", good.clone().with("nbf", now() + 20), "not_yet_valid"),
    ] {
        let refused = refused(&gateway, &claims.sign()).await;
        assert_eq!(refused.detail(), detail, "{what}");
        well_told(&refused, "TOKEN_INVALID", detail);
    }
    for claims in [good.clone(), good.clone().with("aud", json!(["a", "other"])), good.clone().expiring_in(-30)] {
        TestClient::greeted(&gateway, "/ws", &claims.sign()).await.0.leave().await;
    }
    let late = refused(&gateway, &good.clone().expiring_in(-61).sign()).await;
    well_told(&late, "TOKEN_EXPIRED", "");
}

#[tokio::test]
async fn every_algorithm_opens_the_door_by_pem_and_by_jwk_and_no_other_does_for_that_key() {
    let rsa = KeyPair::new("rs256", Algorithm::RS256);
    let named = |algorithm: Algorithm| {
        let name = name(algorithm);
        let pair = if name.starts_with(['R', 'P']) { rsa.signing_by(algorithm) } else { KeyPair::new("x", algorithm) };
        pair.called(&name.to_lowercase())
    };
    let pairs: Vec<KeyPair> = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ]
    .map(named)
    .into();
    let (mut config, mut files) = (String::new(), Vec::new());
    for (at, pair) in pairs.iter().enumerate() {
        // One by PEM, the next as a JWK.
        let (file, bytes) = if at % 2 == 0 {
            (format!("{}.pem", pair.kid), pair.public.clone().into_bytes())
        } else {
            (format!("{}.json", pair.kid), pair.jwk().to_string().into_bytes())
        };
        config += &format!(
            "[[auth.keys]]\nkid = \"{}\"\nalgorithm = \"{}\"\npublic_key_file = \"{file}\"\n",
            pair.kid,
            name(pair.algorithm)
        );
        files.push((file, bytes));
    }
    for (kid, secret) in [("HS384", "h384.txt"), ("HS512", "h512.txt")] {
        config += &format!("[[auth.keys]]\nkid = \"{kid}\"\nalgorithm = \"{kid}\"\nsecret_file = \"{secret}\"\n");
        files.push((secret.to_owned(), vec![b'k'; 64]));
    }
    config += "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";
    let gateway = TestGateway::open(Options { config, files, ..Options::default() });

    let claims = Claims::of("ann", "dashboard");
    let enter = async |token: &str| {
        let (client, ready) = TestClient::greeted(&gateway, "/ws", token).await;
        assert_eq!(ready["userId"], "ann");
        client.leave().await;
    };
    for pair in &pairs {
        enter(&pair.sign(&claims)).await;
        // The key's own public text as the secret of an HMAC: the oldest trick.
        let confused = hs256(&json!({"alg": "HS256", "kid": pair.kid}), &claims, pair.public.as_bytes());
        well_told(&refused(&gateway, &confused).await, "TOKEN_INVALID", "algorithm");
    }
    let long = EncodingKey::from_secret(&[b'k'; 64]);
    enter(&claims.sign()).await;
    enter(&claims.sign_with(Algorithm::HS384, Some("HS384"), &long)).await;
    enter(&claims.sign_with(Algorithm::HS512, Some("HS512"), &long)).await;
    // A pair that fits another algorithm of the family is still bound to its own.
    let other = rsa.signing_by(Algorithm::RS512).called("rs256");
    well_told(&refused(&gateway, &other.sign(&claims)).await, "TOKEN_INVALID", "algorithm");
    // A stranger's key under a known name.
    let stranger = KeyPair::new("es256", Algorithm::ES256);
    well_told(&refused(&gateway, &stranger.sign(&claims)).await, "TOKEN_INVALID", "signature");
}

#[tokio::test]
async fn a_set_in_a_file_verifies_by_key_id_and_a_secret_in_it_never_counts() {
    let (one, two) = (KeyPair::new("one", Algorithm::ES256), KeyPair::new("two", Algorithm::EdDSA));
    let mut set = jwks([&one, &two]);
    set["keys"]
        .as_array_mut()
        .unwrap()
        .push(json!({"kty": "oct", "kid": "shared", "k": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}));
    let gateway = TestGateway::open(Options {
        own_keys: true,
        config: "[[auth.keys]]\njwks_file = \"set.json\"\n".into(),
        files: vec![("set.json".into(), set.to_string().into_bytes())],
        ..Options::default()
    });
    let claims = Claims::of("ann", "dashboard");
    for pair in [&one, &two] {
        TestClient::greeted(&gateway, "/ws", &pair.sign(&claims)).await.0.leave().await;
    }
    let crossed = one.called("two");
    well_told(&refused(&gateway, &crossed.sign(&claims)).await, "TOKEN_INVALID", "algorithm");
    let shared = hs256(&json!({"alg": "HS256", "kid": "shared"}), &claims, &[b'k'; 32]);
    assert_eq!(refused(&gateway, &shared).await.code(), "TOKEN_INVALID");
    // What a header brings along or points at is not even read.
    let header = json!({"alg": "ES256", "kid": "evil", "jwk": KeyPair::new("evil", Algorithm::ES256).jwk(), "jku": "http://127.0.0.1:1/"});
    let pointing = hs256(&header, &claims, b"whatever");
    well_told(&refused(&gateway, &pointing).await, "TOKEN_INVALID", "unknown_key");
}

#[tokio::test]
async fn a_refusal_repeats_nothing_of_the_token() {
    let gateway = TestGateway::start();
    let marked = Claims::of("very-secret-name", "dashboard").with("iss", "SECRET-CLAIM").expiring_in(-5).sign();
    for token in [marked.as_str(), "very-secret-nonsense", &token("ann", "dashboard").replace('.', "!")] {
        let refused = refused(&gateway, token).await;
        let told = format!("{}{:?}", refused.body, refused.headers);
        for piece in token.split('.').chain(["SECRET-CLAIM", "very-secret"]) {
            assert!(!told.contains(piece), "{told}");
        }
    }
}
