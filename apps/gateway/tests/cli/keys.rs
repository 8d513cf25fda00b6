//! `gateway keys`: what is made fits what is configured.

use std::os::unix::fs::PermissionsExt;

use crate::support::Folder;

/// A configuration whose key is that one, and mint and check by it.
#[track_caller]
fn works(folder: &Folder, algorithm: &str, key: &str) {
    let config = format!("[[auth.keys]]\nkid = \"main\"\nalgorithm = \"{algorithm}\"\n{key}\n");
    folder.write("gateway.toml", config);
    assert!(folder.run(&["config", "check"]).fine().starts_with("ok\n"), "{algorithm}");
    let token = folder.mint(&["--user", "ann", "--role", "agent"]);
    let said = folder.run_with(&["token", "check", "--endpoint", "/ws/agent", "-"], &token, &[]);
    assert_eq!(said.ends(0, &[]).row("admitted"), "ann", "{algorithm}");
}

#[test]
fn a_secret_just_works_wherever_it_was_put() {
    for algorithm in ["HS256", "HS384", "HS512"] {
        let folder = Folder::empty();
        let printed = folder.run(&["keys", "generate", "--algorithm", algorithm]).fine();
        assert_eq!(printed.lines().count(), 1);
        folder.write("secret.txt", &printed);
        works(&folder, algorithm, "secret_file = \"secret.txt\"");
        assert_eq!(folder.run(&["keys", "generate", "--algorithm", algorithm, "--out", "other.txt"]).fine(), "");
        works(&folder, algorithm, "secret_file = \"other.txt\"");
    }
}

#[test]
fn a_key_pair_just_works_for_every_algorithm() {
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"] {
        let folder = Folder::empty();
        let generate = ["keys", "generate", "--algorithm", algorithm, "--public-out", "key.pub"];
        folder.write("key.pem", folder.run(&generate).fine());
        works(&folder, algorithm, "public_key_file = \"key.pub\"\nprivate_key_file = \"key.pem\"");
    }
}

#[test]
fn a_printed_pair_is_clearly_parted_and_signs_as_it_was_printed() {
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let folder = Folder::empty();
        let printed = folder.run(&["keys", "generate", "--algorithm", algorithm]).fine();
        let (private, public) = printed.split_once("\nThe public key, for those who verify:\n\n").unwrap();
        assert!(private.ends_with("-----END PRIVATE KEY-----\n") && public.starts_with("-----BEGIN PUBLIC KEY-----"));
        folder.write("key.pub", public);
        folder.write("both.pem", &printed);
        works(&folder, algorithm, "public_key_file = \"key.pub\"\nprivate_key_file = \"both.pem\"");
    }
}

#[test]
fn a_file_with_a_secret_is_its_owners_alone_and_never_written_over() {
    let folder = Folder::empty();
    let generate = ["keys", "generate", "--algorithm", "EdDSA", "--out", "key.pem"];
    assert!(folder.run(&generate).fine().starts_with("-----BEGIN PUBLIC KEY-----"), "the other half is printed");
    let kept = folder.read("key.pem");
    let mode = std::fs::metadata(folder.path("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    folder.run(&generate).ends(1, &["key.pem", "kept"]);
    assert_eq!(folder.read("key.pem"), kept);
}

#[test]
fn what_cannot_be_made_is_told() {
    let folder = Folder::empty();
    folder.run(&["keys", "generate", "--algorithm", "none"]).ends(2, &["HS256"]);
    folder.run(&["keys", "generate"]).ends(2, &["--algorithm"]);
    folder.run(&["keys", "generate", "--algorithm", "HS256", "--public-out", "key.pub"]).ends(1, &["no public key"]);
    assert!(!folder.path("key.pub").exists());
}

#[test]
fn an_api_key_and_its_hash_belong_together() {
    let folder = Folder::empty();
    let said = folder.run(&["keys", "generate", "--api-key"]).ends(0, &[]);
    let (key, hash) = (said.row("key").to_owned(), said.row("sha256").to_owned());
    assert!(key.starts_with("gwk_") && hash.len() == 64);
    assert_eq!(folder.run_with(&["keys", "hash"], &format!("{key}\n"), &[]).fine().trim(), hash);

    let said = folder.run(&["keys", "generate", "--api-key", "--out", "key.txt"]).ends(0, &[]);
    assert!(!said.out.contains("gwk_"));
    let again = folder.run_with(&["keys", "hash"], &folder.read("key.txt"), &[]).fine();
    assert_eq!(again.trim(), said.row("sha256"));
}

#[test]
fn nothing_and_too_much_have_no_hash() {
    let folder = Folder::empty();
    folder.run_with(&["keys", "hash"], " \n", &[]).ends(1, &["no API key"]);
    folder.run_with(&["keys", "hash"], &"x".repeat(2000), &[]).ends(1, &["at most"]);
}
