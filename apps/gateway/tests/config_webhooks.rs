//! Webhooks: what an operator may write about them, and what is said of what cannot be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

#[path = "config/support.rs"]
mod support;

use std::fs;

use gateway::config::HookEvent;
use support::{KEY, each_beside_a_key_has_one, faults, load_in, warnings};

/// A webhook that is sound, on five lines; its name is on the second.
fn hook(more: &str) -> String {
    format!("[[webhooks]]\nname = \"backend\"\nurl = \"https://backend.example/hook\"\nsecret_env = \"SECRET\"\n{more}")
}

#[test]
fn what_is_not_written_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load_in(folder.path(), &format!("{KEY}{}", hook(""))).unwrap();
    let [hook] = &*loaded.config.webhooks else { panic!("one") };
    assert_eq!(hook.events, [HookEvent::Connect, HookEvent::Disconnect, HookEvent::Message]);
    let told = (hook.timeout.to_string(), hook.at_once.get(), hook.queue.events.get(), hook.queue.bytes.bytes());
    assert_eq!(told, ("8s".into(), 8, 10_000, 16 << 20));
    assert_eq!((hook.breaker.failures.get(), hook.breaker.pause.to_string()), (5, "10s".into()));
    assert!(loaded.show(None).contains("# webhook:backend is told: who comes, who goes, messages."));
    assert!(load_in(folder.path(), KEY).unwrap().config.webhooks.is_empty());
}

#[test]
fn a_secret_comes_from_a_file_or_a_variable_and_the_one_before_may_stand_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hook.txt"), format!("{}\n", "h".repeat(32))).unwrap();
    let text = format!(
        "{KEY}[[webhooks]]\nname = \"a\"\nurl = \"http://127.0.0.1:9000/hook\"\nsecret_file = \"hook.txt\"\nprevious_secret_env = \"SECRET\"\nevents = [\"message\"]\nendpoints = [\"/ws\"]\n"
    );
    let loaded = load_in(folder.path(), &text).unwrap();
    let env = [("SECRET".to_owned(), "s".repeat(32))];
    let secrets = loaded.resolve(&env).unwrap();
    assert_eq!(secrets.webhooks[0].current.expose(), "h".repeat(32).as_bytes(), "without the line end");
    assert_eq!(secrets.webhooks[0].previous.as_ref().unwrap().expose(), "s".repeat(32).as_bytes());
    assert!(!format!("{secrets:?}").contains("hhh") && !loaded.show(None).contains("hhh"));
}

#[test]
fn what_cannot_be_used_is_told_with_its_line_and_what_to_do() {
    let with = |line: &str| hook(&format!("{line}\n"));
    let of_url = |url: &str| hook("").replace("https://backend.example/hook", url);
    let texts = [
        (hook("") + &hook(""), "10:1  webhooks[1].name", ["webhooks[0] has this name", "a name of its own"]),
        (of_url("http://backend.example/hook"), "7:1  webhooks[0].url", ["plain http reads along", "https://backend"]),
        (of_url("https://ann:pw@backend.example/hook"), "7:1  webhooks[0].url", ["credentials", "https://backend"]),
        (of_url("https://backend.example/hook#x"), "7:1  webhooks[0].url", ["fragment", "https://backend"]),
        (of_url("/hook"), "7:1  webhooks[0].url", ["not an absolute", "https://backend"]),
        (hook("").replace("\"backend\"", "\"a b\""), "6:1  webhooks[0].name", ["`a b` is not", "letters, digits"]),
        (
            hook("").replace("secret_env = \"SECRET\"\n", ""),
            "5:1  webhooks[0]",
            ["has no secret", "gateway keys generate"],
        ),
        (with("secret_file = \"hook.txt\""), "8:1  webhooks[0].secret_env", ["secret_file and secret_env", "Keep one"]),
        (
            hook("").replace("SECRET", "SHORT"),
            "8:1  webhooks[0].secret_env",
            ["has 5 bytes, and 32 are the least", "gateway keys generate"],
        ),
        (hook("").replace("SECRET", "NONE"), "8:1  webhooks[0].secret_env", ["`NONE` is not set", "name another"]),
        (
            with("previous_secret_file = \"old.txt\""),
            "9:1  webhooks[0].previous_secret_file",
            ["old.txt` does not exist", "gateway keys generate"],
        ),
        (
            with("previous_secret_env = \"SHORT\""),
            "9:1  webhooks[0].previous_secret_env",
            ["has 5 bytes", "gateway keys generate"],
        ),
        (with("events = []"), "9:1  webhooks[0].events", ["is told nothing", "at least one"]),
        (
            with("events = [\"conect\"]"),
            "9:11  webhooks[0].events[0]",
            ["`conect` is no choice", "Did you mean \"connect\"?"],
        ),
        (with("timeout = \"9s\""), "9:1  webhooks[0].timeout", ["do not fit into half a minute", "\"8s\""]),
        (with("at_once = 257"), "9:1  webhooks[0].at_once", ["run the receiver over", "256"]),
        (
            with("endpoints = [\"/ws\", \"/ws/agnt\"]"),
            "9:21  webhooks[0].endpoints[1]",
            ["no endpoint `/ws/agnt`", "Did you mean `/ws/agent`?"],
        ),
        (with("queue = { events = 0 }"), "9:11  webhooks[0].queue.events", ["`0` is not", "Write"]),
        (with("secret = \"x\""), "9:1  webhooks[0].secret", ["secret", "secret_"]),
        (
            hook("") + "[[routes]]\ntypes = [\"a\"]\nto = \"webhook:backnd\"\n",
            "11:1  routes[0].to",
            ["no webhook `backnd`", "id you mean `backend`?"],
        ),
        (
            with("events = [\"connect\"]") + "[[routes]]\ntypes = [\"a\"]\nto = \"webhook:backend\"\n",
            "12:1  routes[0].to",
            ["takes no messages", "Add \"message\" to its `events`"],
        ),
    ];
    let cases: Vec<_> = texts.iter().map(|(text, begins, words)| (text.as_str(), *begins, &words[..])).collect();
    each_beside_a_key_has_one(&cases);
}

#[test]
fn every_fault_is_told_at_once_and_no_secret_with_it() {
    let text = format!(
        "{KEY}{}",
        hook("previous_secret_env = \"SHORT\"\nevents = []\ntimeout = \"1m\"\n")
            .replace("backend.example", "u:hunter2@h")
    );
    let found = faults(&text);
    assert!(found.iter().any(|fault| fault.contains("credentials")), "{found:#?}");
    let text = format!("{KEY}{}", hook("previous_secret_env = \"SHORT\"\nevents = []\ntimeout = \"1m\"\n"));
    assert_eq!(faults(&text).len(), 3, "{found:#?}");
    assert!(!found.join(" ").contains("hunter2"));
}

#[test]
fn what_stands_twice_is_worth_a_warning() {
    let text = format!("{KEY}{}", hook("events = [\"connect\", \"connect\"]\nendpoints = [\"/ws\", \"/ws\"]\n"));
    let found = warnings(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|line| line.contains("listed twice")));
}
