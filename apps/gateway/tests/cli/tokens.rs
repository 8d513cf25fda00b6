//! `gateway token mint` and `gateway token inspect`.

use crate::support::{CONFIG, Folder};

#[test]
fn a_minted_token_says_what_was_asked_for() {
    let folder = Folder::configured();
    let mut asked = vec!["--user", "ann", "--role", "dashboard", "--role", "agent", "--permission", "command.execute"];
    asked.extend(["--plan", "free", "--ttl", "90s"]);
    let token = folder.mint(&asked);
    assert_eq!(token.split('.').count(), 3);
    folder.write("token", &token);
    let said = folder.run(&["token", "inspect", "token"]).ends(0, &["NOT VERIFIED"]);
    assert!(said.err.contains("NOT VERIFIED"), "loudly, beside the JSON too");
    let signature = token.rsplit('.').next().unwrap();
    assert!(!said.out.contains(signature) && !said.err.contains(signature));
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["header"]["alg"], "HS256");
    assert_eq!(json["header"]["kid"], "main");
    let claims = &json["claims"];
    assert_eq!(claims["sub"], "ann");
    assert_eq!(claims["roles"], serde_json::json!(["dashboard", "agent"]));
    assert_eq!(claims["permissions"], serde_json::json!(["command.execute"]));
    assert_eq!(claims["plan"], "free");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 90);
    let exp = json["times"]["exp"].as_str().unwrap();
    assert!(exp.contains('T') && exp.contains("Z, in 1 min") || exp.contains("in 8") || exp.contains("in 90"), "{exp}");
}

#[test]
fn the_issuers_key_signs_unless_another_is_named() {
    let second =
        "[[auth.keys]]\nkid = \"second\"\nalgorithm = \"HS256\"\nsecret_env = \"SECOND\"\nroles = [\"agent\"]\n";
    let both = format!("{CONFIG}{second}");
    let folder = Folder::with(&both);
    folder.write("secret.txt", "a secret of 32 bytes at the least, made up");
    let environment = [("SECOND", "another secret, of 32 bytes at the least")];
    let mint = |more: &[&str]| folder.run_with(&[&["token", "mint", "--user", "ann"], more].concat(), "", &environment);
    mint(&[]).ends(1, &["several keys", "main, second", "--key"]);
    mint(&["--key", "third"]).ends(1, &["`third`", "main, second"]);
    mint(&["--key", "second", "--role", "admin"]).ends(1, &["may not grant", "`admin`"]);
    let kid = |token: String| {
        let said = folder.run_with(&["token", "inspect", "-"], &token, &[]).fine();
        serde_json::from_str::<serde_json::Value>(&said).unwrap()["header"]["kid"].as_str().unwrap().to_owned()
    };
    assert_eq!(kid(mint(&["--key", "second"]).fine()), "second");
    folder.write("gateway.toml", format!("{both}\n[auth.issuer]\nkey = \"second\"\n"));
    assert_eq!(kid(mint(&[]).fine()), "second");
    assert_eq!(kid(mint(&["--key", "main"]).fine()), "main");
}

#[test]
fn what_cannot_be_minted_is_told() {
    let folder = Folder::configured();
    let mint = |more: &[&str]| folder.run(&[&["token", "mint", "--user", "ann"], more].concat());
    mint(&["--ttl", "soon"]).ends(2, &["duration", "30s"]);
    mint(&["--role", ""]).ends(2, &["is empty"]);
    mint(&["--agent", "press-7"]).ends(1, &["auth.claims.agent", "leave --agent out"]);
    assert!(mint(&["--agent", "ann"]).fine().contains('.'), "the agent is called as the user is");
    let said = mint(&["--plan", "gold"]).ends(0, &["`gold`", "`default`"]);
    assert_eq!(said.out.lines().count(), 1, "only the token stands on standard output");
    folder.run(&["token", "mint"]).ends(2, &["--user"]);
    folder.write("gateway.toml", CONFIG.replace("[server]", "[auth.claims]\nagent = \"query:agentId\"\n[server]"));
    mint(&["--agent", "ann"]).ends(1, &["`agentId`"]);
    folder.write("gateway.toml", CONFIG.replace("[server]", "[auth.claims]\nagent = \"machine\"\n[server]"));
    let token = mint(&["--agent", "press-7", "--role", "agent"]).fine();
    let said = folder.run_with(&["token", "check", "--endpoint", "/ws/agent", "-"], &token, &[]).ends(0, &[]);
    assert_eq!(said.row("agent"), "press-7");
}

#[test]
fn a_gateway_that_only_verifies_mints_nothing() {
    let folder = Folder::empty();
    folder.run(&["keys", "generate", "--algorithm", "ES256", "--out", "key.pem", "--public-out", "key.pub"]).fine();
    folder.write("gateway.toml", "[[auth.keys]]\nkid = \"a\"\nalgorithm = \"ES256\"\npublic_key_file = \"key.pub\"\n");
    folder.run(&["token", "mint", "--user", "ann"]).ends(1, &["can sign", "private_key_file"]);
}

#[test]
fn without_a_configuration_the_way_to_a_token_is_told() {
    let folder = Folder::empty();
    folder.run(&["token", "mint", "--user", "ann"]).ends(2, &["no configuration", "banner"]);
    folder.run_with(&["token", "check", "--endpoint", "/ws", "-"], "x", &[]).ends(2, &["no configuration", "connect"]);
}

#[test]
fn what_is_no_token_is_told_and_never_shown() {
    let folder = Folder::empty();
    for input in ["sesame", "sesame.sesame.sesame", "", "sesame.\u{1b}.x"] {
        let said = folder.run_with(&["token", "inspect", "-"], input, &[]).ends(1, &["no token"]);
        assert!(!said.err.contains("sesame") && said.out.is_empty(), "{said:?}");
    }
    folder.run_with(&["token", "inspect", "-"], &"x".repeat(70_000), &[]).ends(1, &["more than"]);
    folder.write("token", b"\xff\xfe");
    folder.run(&["token", "inspect", "token"]).ends(1, &["UTF-8"]);
    let said = folder.run(&["token", "inspect", "eyJhbGciOiJub25lIn0.sesame.x"]);
    let said = said.ends(1, &["does not belong on a command line"]);
    assert!(!said.err.contains("sesame"), "a token in the place of a file's name is not repeated");
}
