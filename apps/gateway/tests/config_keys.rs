//! Bad keys: which tokens would be believed, and whose they would be, with the words that an operator reads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

#[path = "config/support.rs"]
mod support;

use support::{KEY, each_beside_a_key_has_one, each_has_one, faults, warnings};

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    for text in [
        "[[api_keys]]\nid = \"b\"\nuser = \"b\"\nsha256 = \"hunter2hunter2\"",
        "[[auth.keys]]\njwks_url = \"https://ann:hunter2hunter2@id.example/\"",
    ] {
        let found = faults(&format!("{KEY}{text}")).join("\n");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn keys_must_be_sound() {
    each_has_one(&[
        ("[server]\n", "1:1  auth.keys", &["there is no key", "gateway keys generate"]),
        ("[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"", "1:1  auth.keys[0]", &["no source", "secret_file"]),
        (
            "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_env = \"SECRET\"\njwks_url = \"https://id.example/\"",
            "5:1  auth.keys[0].jwks_url",
            &["several sources: secret_env, jwks_url"],
        ),
        ("[[auth.keys]]\nsecret_env = \"SECRET\"", "1:1  auth.keys[0].algorithm", &["no algorithm", "\"HS256\""]),
        (
            "[[auth.keys]]\nsecret_env = \"SECRET\"\nalgorithm = \"RS256\"",
            "3:1  auth.keys[0].algorithm",
            &["RS256 does not go with secret_env"],
        ),
        ("[[auth.keys]]\nsecret_env = \"SECRET\"\nalgorithm = \"none\"", "3:1  auth.keys[0].algorithm", &["unsigned"]),
        (
            "[[auth.keys]]\nsecret_env = \"SECRET\"\nalgorithm = \"HS256\"\nalgorithms = [\"HS256\"]",
            "4:1  auth.keys[0].algorithms",
            &["Use `algorithm`"],
        ),
        (
            "[[auth.keys]]\nsecret_env = \"SECRET\"\nalgorithm = \"HS256\"\nprivate_key_file = \"x\"",
            "4:1  auth.keys[0].private_key_file",
            &["does not go with secret_env"],
        ),
        (
            "[[auth.keys]]\nsecret_env = \"ABSENT\"\nalgorithm = \"HS256\"",
            "2:1  auth.keys[0].secret_env",
            &["`ABSENT` is not set"],
        ),
        (
            "[[auth.keys]]\nsecret_env = \"SHORT\"\nalgorithm = \"HS256\"",
            "2:1  auth.keys[0].secret_env",
            &["5 bytes, and 32 are the least"],
        ),
        (
            "[[auth.keys]]\njwks_url = \"http://id.example/jwks\"",
            "2:1  auth.keys[0].jwks_url",
            &["plain http", "https://id.example"],
        ),
        (
            "[[auth.keys]]\njwks_url = \"https://id.example/jwks\"\nalgorithms = [\"RS256\", \"HS256\"]",
            "3:1  auth.keys[0].algorithms",
            &["HS256 needs a shared secret"],
        ),
        (
            "[[auth.keys]]\njwks_url = \"https://id.example/jwks\"\nalgorithm = \"HS256\"",
            "3:1  auth.keys[0].algorithm",
            &["HS256 needs a shared secret"],
        ),
        (
            "[[auth.keys]]\njwks_url = \"https://id.example/jwks\"\nalgorithm = \"RS256\"\nalgorithms = [\"RS256\"]",
            "3:1  auth.keys[0].algorithm",
            &["Keep `algorithms`"],
        ),
        (
            "[[auth.keys]]\njwks_url = \"https://id.example/jwks\"\nmax_stale = \"1m\"",
            "3:1  auth.keys[0].max_stale",
            &["every 5m", "after 1m"],
        ),
    ]);
    each_beside_a_key_has_one(&[
        (
            "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS512\"\nsecret_env = \"SECRET\"",
            "6:1  auth.keys[1].kid",
            &["auth.keys[0] has this kid"],
        ),
        ("[auth.issuer]\nkey = \"other\"", "6:1  auth.issuer.key", &["no key with the kid `other`", "`main`"]),
        (
            "[[auth.keys]]\nkid = \"far\"\njwks_url = \"https://id.example/jwks\"\n[auth.issuer]\nkey = \"far\"",
            "9:1  auth.issuer.key",
            &["can verify, but not sign", "private_key_file"],
        ),
        (
            "[auth.issuer]\nkey = \"main\"\nrefresh_ttl = \"15m\"",
            "7:1  auth.issuer.refresh_ttl",
            &["must outlive an access token (15m)"],
        ),
        ("[[api_keys]]\nid = \"b\"\nuser = \"b\"", "5:1  api_keys[0]", &["no key", "gateway keys hash"]),
    ]);
}

#[test]
fn hashes_and_names_of_api_keys_are_their_own() {
    let hash = "ab".repeat(32);
    let text = format!(
        "{KEY}[[api_keys]]\nid = \"a\"\nuser = \"a\"\nsha256 = \"{hash}\"\n[[api_keys]]\nid = \"b\"\nuser = \"b\"\nsha256 = \"{hash}\"\nkey_env = \"SECRET\"\n"
    );
    let found = faults(&text);
    assert!(found[0].starts_with("gateway.toml:9:1  api_keys[1]: this API key has sha256 and key_env"), "{found:#?}");
    assert!(
        found[1].starts_with("gateway.toml:12:1  api_keys[1].sha256: this is the key of api_keys[0]"),
        "{found:#?}"
    );
    assert!(!found.join("").contains(&hash));
}

#[test]
fn users_of_one_issuer_cannot_speak_for_those_of_another() {
    let key = |issuer: &str, prefix: &str| {
        format!("[[auth.keys]]\nalgorithm = \"HS256\"\nsecret_env = \"SECRET\"\nissuer = \"{issuer}\"\n{prefix}\n")
    };
    let found = faults(&(key("a", "") + &key("b", "")));
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("gateway.toml:1:1  auth.keys[0]: there are several issuers"), "{found:#?}");
    let found = faults(&(key("a", "user_prefix = \"x:\"") + &key("b", "user_prefix = \"x:y\"")));
    assert!(found[0].starts_with("gateway.toml:10:1  auth.keys[1].user_prefix: `x:y` and `x:`"), "{found:#?}");
    // Two keys of one issuer are one, and need none.
    let same = key("a", "kid = \"1\"") + &key("a", "kid = \"2\"");
    assert_eq!(warnings(&same), [""; 0]);
    // The same kid at two issuers is two keys.
    let two = key("a", "kid = \"1\"\nuser_prefix = \"a:\"") + &key("b", "kid = \"1\"\nuser_prefix = \"b:\"");
    assert_eq!(warnings(&two), [""; 0]);
    let ambiguous = faults(&format!("{two}[auth.issuer]\nkey = \"1\"\n"));
    assert!(ambiguous[0].contains("auth.keys[0] and auth.keys[1] are both called `1`"), "{ambiguous:#?}");
}
