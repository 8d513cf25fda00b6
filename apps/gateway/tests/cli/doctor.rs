//! `gateway doctor`: what is well is said to be, what is not is named with what to do, and the exit code tells them
//! apart. Nothing is changed by looking, and no secret is told.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    thread,
};

use serde_json::Value;

use crate::support::{ADMIN_KEY, Folder};

const SECRET: &str = "pV8m3Zq0rTn5Yw2LxKb7Hd9Jc4GfSe6A";

fn config(port: u16, more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n[state]\nfile = \"state.jsonl\"\n[audit]\nfile = \"audit.jsonl\"\n\
         [limits]\nconnections = 100\n[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n{more}"
    )
}

/// A folder where all is well.
fn well(more: &str) -> Folder {
    let folder = Folder::with(&config(free_port(), more));
    secret(&folder, "secret.txt", SECRET);
    folder
}

fn secret(folder: &Folder, name: &str, text: &str) {
    folder.write(name, text);
    fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a finding says that, with that verdict.
#[track_caller]
fn finds(folder: &Folder, verdict: &str, words: &[&str]) {
    let said = folder.run(&["doctor", "--json"]);
    let lines: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fits = |line: &&Value| {
        let text = format!("{} {} {}", line["about"], line["what"], line["remedy"]);
        line["verdict"] == verdict && words.iter().all(|word| text.contains(word))
    };
    assert!(lines.iter().any(|line| fits(&line)), "no `{verdict}` with {words:?}: {said:#?}");
    let changes = lines.iter().any(|line| line["verdict"] == "change");
    assert_eq!(said.code, Some(i32::from(changes)), "{said:#?}");
    for line in lines {
        assert!(line["verdict"] != "ok" || line["remedy"] == "", "{line}");
        assert!(!line.to_string().contains(SECRET) && !line.to_string().contains(ADMIN_KEY), "{line}");
    }
}

#[test]
fn where_all_is_well_it_says_so_and_leaves_nothing_behind() {
    let folder = well("");
    let before: Vec<_> = fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let said = folder.run(&["doctor"]).ends(0, &["0 to change", "is sound", "is free", "can be written"]);
    assert!(!said.out.contains("change  "), "{said:?}");
    let after: Vec<_> = fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(before.len(), after.len(), "{after:?}");
}

#[test]
fn without_a_configuration_it_looks_at_dev_mode() {
    let folder = Folder::empty();
    let said = folder.run(&["doctor", "--set", &format!("server.listen=127.0.0.1:{}", free_port())]);
    said.ends(0, &["dev mode", "is free"]);
}

#[test]
fn a_wrong_configuration_is_told_in_full_and_the_machine_all_the_same() {
    let folder = Folder::with("[server]\nlisten = \"nowhere\"\n[limits]\nconections = 1\n");
    folder.run(&["doctor"]).ends(1, &["gateway.toml:2", "conections", "open files"]);
}

#[test]
fn a_secret_that_is_missing_is_told_with_its_line() {
    let folder = Folder::with(&config(free_port(), ""));
    finds(&folder, "change", &["configuration", "gateway.toml", "secret.txt", "gateway keys generate"]);
}

#[test]
fn a_secret_that_others_may_read_or_write_is_to_be_changed() {
    let folder = well("");
    for (mode, word) in [(0o644, "read by everybody"), (0o660, "written by others"), (0o602, "written by others")] {
        fs::set_permissions(folder.path("secret.txt"), fs::Permissions::from_mode(mode)).unwrap();
        finds(&folder, "change", &["secrets", word, "chmod 600"]);
    }
    // As an orchestrator mounts it, for a group.
    fs::set_permissions(folder.path("secret.txt"), fs::Permissions::from_mode(0o440)).unwrap();
    finds(&folder, "ok", &["secrets", "not for everybody"]);
}

#[test]
fn a_folder_that_everybody_may_write_to_gives_its_secrets_away() {
    let folder = well("");
    fs::create_dir(folder.path("open")).unwrap();
    fs::set_permissions(folder.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    secret(&folder, "open/secret.txt", SECRET);
    folder.write("gateway.toml", config(free_port(), "").replace("secret.txt", "open/secret.txt"));
    finds(&folder, "change", &["secrets", "everybody may write to", "chmod o-w"]);
}

#[test]
fn a_secret_that_can_be_guessed_that_does_two_jobs_or_is_old_is_told() {
    let folder = well("[[webhooks]]\nname = \"h\"\nurl = \"http://127.0.0.1:9/\"\nsecret_file = \"secret.txt\"\n");
    finds(&folder, "change", &["keys", "the same secret"]);
    secret(&folder, "secret.txt", &"abc".repeat(20));
    finds(&folder, "change", &["keys", "can be guessed"]);
    let folder = well("");
    folder.write("gateway.toml", config(free_port(), "").replace("HS256", "HS512"));
    finds(&folder, "look", &["keys", "shorter than the hash"]);
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    fs::File::options().write(true).open(folder.path("secret.txt")).unwrap().set_modified(long_ago).unwrap();
    finds(&folder, "look", &["secrets", "days old", "Rotating keys"]);
}

#[test]
fn a_port_that_is_taken_is_told_and_a_gateway_on_it_is_recognised() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::with(&config(taken.local_addr().unwrap().port(), ""));
    secret(&folder, "secret.txt", SECRET);
    finds(&folder, "change", &["ports", "another process listens", "ss -ltnp"]);
    let folder = well("");
    let serving = folder.serve();
    finds(&folder, "ok", &["ports", "a gateway answers", "`ok`"]);
    drop(serving);
}

#[test]
fn more_connections_than_open_files_are_to_be_changed() {
    let folder = well("");
    folder.write("gateway.toml", config(free_port(), "").replace("= 100", "= 4000000000"));
    finds(&folder, "change", &["open files", "LimitNOFILE"]);
}

#[test]
fn what_can_be_reached_from_elsewhere_without_tls_is_worth_a_look() {
    let folder = well("");
    folder.write("gateway.toml", config(free_port(), "").replace("127.0.0.1", "0.0.0.0"));
    finds(&folder, "look", &["ports", "in the open", "server.tls"]);
}

#[test]
fn a_certificate_that_ends_soon_or_has_ended_is_told() {
    let folder = well("");
    let tls = "\"\ntls = { cert_file = \"c.pem\", key_file = \"k.pem\" }\n[state]";
    folder.write("gateway.toml", config(free_port(), "").replacen("\"\n[state]", tls, 1));
    for (year, verdict) in [(2020, "change"), (2100, "ok")] {
        let mut wanted = rcgen::CertificateParams::new(["gateway.example".to_owned()]).unwrap();
        wanted.not_after = rcgen::date_time_ymd(year, 6, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        folder.write("c.pem", wanted.self_signed(&key).unwrap().pem());
        secret(&folder, "k.pem", &key.serialize_pem());
        finds(&folder, verdict, &["certificate", &year.to_string()]);
    }
}

/// Somebody on this machine who answers every request with the same head and body.
fn answering(date: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mut stream, mut asked) = (stream, [0; 2048]);
            let _ = stream.read(&mut asked);
            let date = if date.is_empty() { String::new() } else { format!("date: {date}\r\n") };
            let head = format!("HTTP/1.1 200 OK\r\n{date}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

#[test]
fn key_sets_are_fetched_and_clocks_compared() {
    let keys = |url: &str| format!("[[auth.keys]]\nkid = \"id\"\njwks_url = \"{url}\"\n");
    let folder = well(&keys(&answering("Sun, 06 Nov 1994 08:49:37 GMT", "{\"keys\": []}")));
    finds(&folder, "change", &["clock", "ahead of the one behind auth.keys[1].jwks_url", "time service"]);
    let folder = well(&keys(&answering("", "no key set at all")));
    finds(&folder, "change", &["keys", "id: "]);
    let gone = format!("http://127.0.0.1:{}/keys", free_port());
    let folder = well(&keys(&gone));
    finds(&folder, "change", &["keys", "could not be fetched", "firewall"]);
    let said = folder.run(&["doctor", "--offline"]).ends(0, &["--offline"]);
    assert!(!said.out.contains("could not be fetched"), "{said:?}");
}

#[test]
fn a_webhook_that_nobody_answers_for_is_told_and_one_that_answers_is_not_told_anything() {
    let hook = |url: &str| format!("[[webhooks]]\nname = \"h\"\nurl = \"{url}\"\nsecret_file = \"hook.txt\"\n");
    let hooked = |url: &str| {
        let folder = well(&hook(url));
        secret(&folder, "hook.txt", &SECRET.chars().rev().collect::<String>());
        folder
    };
    finds(&hooked(&answering("", "")), "ok", &["webhooks", "somebody answers"]);
    finds(&hooked(&format!("http://127.0.0.1:{}/", free_port())), "change", &["webhooks", "no answer"]);
}

#[test]
fn a_crowd_behind_one_private_address_is_a_proxy_that_nobody_named() {
    let folder = well("");
    let line = |at: usize| format!("{{\"event\":\"connected\",\"ip\":\"10.0.0.7\",\"userId\":\"u{}\"}}\n", at % 9);
    folder.write("audit.jsonl", (0..40).map(line).collect::<String>());
    finds(&folder, "change", &["proxies", "10.0.0.7", "server.client_address"]);
    let trusted = "client_address = \"x-forwarded-for\"\ntrusted_proxies = [\"10.0.0.7/32\"]\n[state]";
    folder.write("gateway.toml", config(free_port(), "").replacen("[state]", trusted, 1));
    finds(&folder, "look", &["proxies", "tokens may be in the query"]);
}

#[test]
fn the_redis_of_a_cluster_is_called_on() {
    let clustered = |port: &str| well(&format!("[cluster]\nredis = \"redis://127.0.0.1:{port}\"\n"));
    let folder = clustered(&free_port().to_string());
    finds(&folder, "change", &["redis", "cannot be reached", "cluster.when_away"]);
    folder.run(&["doctor", "--offline"]).ends(0, &["--offline"]);
    let other = answering("", "no Redis at all");
    let port = other.trim_end_matches("/keys").rsplit(':').next().unwrap();
    finds(&clustered(port), "change", &["redis", "broke", "cluster.when_away"]);
}

#[test]
fn the_password_of_a_redis_is_a_secret_like_the_others() {
    let redis = format!("[cluster]\nredis = \"redis://127.0.0.1:{}\"\npassword_file = \"redis.txt\"\n", free_port());
    let folder = well(&redis);
    folder.write("redis.txt", "of the store");
    fs::set_permissions(folder.path("redis.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    finds(&folder, "change", &["secrets", "cluster.password_file", "read by everybody", "chmod 600"]);
}
