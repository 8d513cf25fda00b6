//! `gateway config`.

use crate::support::{CONFIG, Folder};

#[test]
fn a_sound_configuration_is_ok_and_says_what_is_worth_a_second_look() {
    let folder = Folder::configured();
    assert_eq!(folder.run(&["config", "check"]).fine(), "ok\n");
    let warned = folder.run(&["config", "check", "--set", "auth.exp_leeway=10m"]).fine();
    assert!(warned.starts_with("ok\nwarning: command line  auth.exp_leeway: "), "{warned}");
}

#[test]
fn every_fault_is_named_at_once_and_the_exit_code_is_2() {
    let folder = Folder::with(&CONFIG.replace("secret.txt", "nowhere.txt").replace("agents = true", "agent = true"));
    let said = folder.run(&["config", "check"]);
    said.ends(
        2,
        &["gateway.toml:4:", "nowhere.txt", "gateway keys generate", "endpoints[0].agent", "Did you mean `agents`?"],
    );
    let said = folder.run(&["config", "check", "--config", "elsewhere.toml"]);
    said.ends(2, &["elsewhere.toml", "cannot be read"]);
}

#[test]
fn keys_that_are_not_what_they_are_said_to_be_are_all_found_before_anything_serves() {
    let folder = Folder::empty();
    for (algorithm, name) in [("ES256", "elliptic"), ("EdDSA", "edwards")] {
        let (secret, public) = (format!("{name}.pem"), format!("{name}.pub"));
        let files = ["--out", &secret, "--public-out", &public];
        folder.run(&[&["keys", "generate", "--algorithm", algorithm], &files[..]].concat()).fine();
    }
    let keys = "[[auth.keys]]\nkid = \"a\"\nalgorithm = \"RS256\"\npublic_key_file = \"elliptic.pub\"\n\n\
                [[auth.keys]]\nkid = \"b\"\nalgorithm = \"ES384\"\npublic_key_file = \"edwards.pub\"\n";
    folder.write("gateway.toml", keys);
    for command in [&["config", "check"][..], &["serve"]] {
        folder.run(command).ends(
            2,
            &[
                "gateway.toml:4:",
                "auth.keys[0].public_key_file",
                "RSA",
                "gateway keys generate --algorithm RS256",
                "gateway.toml:9:",
                "auth.keys[1].public_key_file",
                "gateway keys generate --algorithm ES384",
            ],
        );
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_found_too() {
    let folder = Folder::configured();
    folder.write("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    folder.write("tls.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    folder.write("gateway.toml", format!("{CONFIG}\n[server.tls]\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"\n"));
    folder.run(&["config", "check"]).ends(2, &["server.tls"]);
}

#[test]
fn a_check_writes_nothing_and_minds_no_gateway_that_runs() {
    let folder = Folder::configured();
    folder.run(&["config", "check"]).fine();
    assert!(!folder.path("audit.jsonl").exists() && !folder.path("state.jsonl").exists());
    let _serving = folder.serve();
    assert_eq!(folder.run(&["config", "check"]).fine(), "ok\n");
}

#[test]
fn without_any_configuration_a_check_says_what_to_do() {
    Folder::empty().run(&["config", "check"]).ends(2, &["gateway.toml", "--config", "gateway config reference"]);
}

#[test]
fn the_policy_in_force_is_shown_without_secrets() {
    let folder = Folder::configured();
    let shown = folder.run(&["config", "show", "--set", "server.log=debug"]).fine();
    assert!(shown.contains("/ws/agent: agent") && shown.contains("log = \"debug\""), "{shown}");
    assert!(!shown.contains("a secret of") && !shown.contains("an API key of"), "{shown}");
    Folder::empty().run(&["config", "show"]).ends(0, &["dev mode", "GATEWAY_DEV_SECRET", "/ws/simulate"]);
}

#[test]
fn the_reference_is_printed_and_a_reader_may_stop_early() {
    let folder = Folder::empty();
    let page = folder.run(&["config", "reference"]).fine();
    assert!(page.starts_with("# Configuration") && page.contains("[[auth.keys]]"));
    let mut command = folder.command(&["config", "reference"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success(), "whoever stops reading is no fault");
}
