//! A running gateway from the command line: publish, ask, look, ban, revoke, kick, follow.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::support::{ADMIN_KEY, CONFIG, Folder, Said, Serving};

const KEY: [(&str, &str); 1] = [("GATEWAY_API_KEY", ADMIN_KEY)];

/// A client on a socket, driven by the test's own thread.
struct Client {
    runtime: tokio::runtime::Runtime,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    fn enter(folder: &Folder, serving: &Serving, path: &str, user: &str, role: &str) -> (Self, Value) {
        let token = folder.mint(&["--user", user, "--role", role]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let url = serving.ws(&format!("{path}?token={token}"));
        let (socket, _) = runtime.block_on(connect_async(url)).unwrap();
        let mut client = Self { runtime, socket };
        let greeting = client.hear();
        (client, greeting["payload"].clone())
    }

    fn hear(&mut self) -> Value {
        loop {
            let next = async { tokio::time::timeout(std::time::Duration::from_secs(10), self.socket.next()).await };
            match self.runtime.block_on(next).unwrap().unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => return json!({ "closed": frame.map(|frame| u16::from(frame.code)) }),
                _ => {}
            }
        }
    }

    fn say(&mut self, message: Value) {
        self.runtime.block_on(self.socket.send(Message::text(message.to_string()))).unwrap();
    }
}

fn ask(folder: &Folder, serving: &Serving, arguments: &[&str]) -> Said {
    let url = serving.url();
    folder.run_with(&[arguments, &["--url", &url]].concat(), "", &KEY)
}

fn quiet() -> Folder {
    let folder = Folder::with(&format!("{CONFIG}\n[plans.default]\nmessages = \"off\"\n"));
    folder.write("secret.txt", "a secret of 32 bytes at the least, made up\n");
    folder
}

#[test]
fn an_event_is_told_and_an_agent_is_asked() {
    let folder = quiet();
    let serving = folder.serve();
    let (mut ann, _) = Client::enter(&folder, &serving, "/ws/dashboard", "ann", "dashboard");
    let said = ask(&folder, &serving, &["publish", "--to", "user:ann", "--type", "news", "--payload", r#"{"n":1}"#]);
    assert!(said.fine().starts_with("put into 1 outboxes (event "));
    let event = ann.hear();
    assert_eq!((&event["type"], &event["payload"]), (&json!("news"), &json!({"n": 1})));
    let piped = ["publish", "--to", "user:ann", "--type", "news", "--payload", "-", "--json", "--url", &serving.url()];
    let said = folder.run_with(&piped, "[1, 2]", &KEY).fine();
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["delivered"], 1);
    assert_eq!(ann.hear()["payload"], json!([1, 2]));

    let (mut press, _) = Client::enter(&folder, &serving, "/ws/agent", "press-7", "agent");
    let url = serving.url();
    let mut asking =
        folder.command(&["request", "press-7", "--payload", r#"{"do":"stop"}"#, "--progress", "--url", &url]);
    let asking = asking.env("GATEWAY_API_KEY", ADMIN_KEY).stdout(Stdio::piped()).spawn().unwrap();
    let asked = press.hear();
    assert_eq!((&asked["type"], &asked["payload"]), (&json!("command"), &json!({"do": "stop"})));
    press.say(json!({"type": "reply", "replyTo": asked["requestId"], "more": true, "payload": "braking"}));
    press.say(json!({"type": "reply", "replyTo": asked["requestId"], "payload": "stopped"}));
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "\"braking\"\n\"stopped\"\n");

    ask(&folder, &serving, &["request", "nobody"]).ends(1, &["404", "TARGET_OFFLINE"]);
    ask(&folder, &serving, &["request", "nobody", "--progress"]).ends(1, &["404", "TARGET_OFFLINE"]);
    ask(&folder, &serving, &["request", "press-7", "--timeout", "1", "--progress"]).ends(1, &["REPLY_TIMEOUT"]);
    ask(&folder, &serving, &["request", "press-7", "--timeout", "1"]).ends(1, &["504", "REPLY_TIMEOUT"]);
    ask(&folder, &serving, &["publish", "--to", "ann", "--type", "x"]).ends(1, &["400", "/to/0", "user:ID"]);
    ask(&folder, &serving, &["publish", "--to", "user:ann", "--type", "x", "--payload", "hot"])
        .ends(1, &["no JSON", "quotes"]);
}

#[test]
fn who_is_here_is_listed_for_people_and_for_programs() {
    let folder = quiet();
    let serving = folder.serve();
    let (mut ann, greeting) = Client::enter(&folder, &serving, "/ws/dashboard", "ann", "dashboard");
    let (_press, _) = Client::enter(&folder, &serving, "/ws/agent", "press-7", "agent");
    ann.say(json!({"type": "subscribe", "payload": {"room": "agents"}}));
    assert_eq!(ann.hear()["type"], "subscribed");

    let table = ask(&folder, &serving, &["connections", "--role", "dashboard"]).fine();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("connection") && lines[1].contains("ann"), "{table}");
    let id = greeting["connectionId"].as_str().unwrap();
    assert!(lines[1].starts_with(id), "{table}");
    let all = ask(&folder, &serving, &["connections", "--json"]).fine();
    let entries: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(ask(&folder, &serving, &["connections", "--user", "nobody"]).fine(), "no connections\n");
    let agents = ask(&folder, &serving, &["agents"]).fine();
    assert!(agents.lines().nth(1).is_some_and(|line| line.starts_with("press-7")), "{agents}");
    let rooms = ask(&folder, &serving, &["rooms", "--prefix", "agents"]).fine();
    assert!(rooms.lines().nth(1).is_some_and(|line| line.starts_with("agents")), "{rooms}");
    let user = ask(&folder, &serving, &["users", "ann"]).fine();
    assert_eq!(user, "ann: 1 connections, 0 violations\n");
    let by_variable = folder.run_with(&["users", "ann"], "", &[KEY[0], ("GATEWAY_URL", &serving.url())]).fine();
    assert_eq!(by_variable, user);
    // Without a credential, and with one that may not.
    folder.run(&["agents", "--url", &serving.url()]).ends(1, &["GATEWAY_TOKEN", "GATEWAY_API_KEY"]);
    let token = folder.mint(&["--user", "eve", "--role", "dashboard"]);
    folder
        .run_with(&["agents", "--url", &serving.url()], "", &[("GATEWAY_TOKEN", &token)])
        .ends(1, &["403", "FORBIDDEN"]);
}

#[test]
fn connections_are_ended_by_kick_ban_and_revocation_and_the_audit_is_followed() {
    let folder = quiet();
    let serving = folder.serve();
    let mut tail = folder.command(&["tail", "--event", "disconnected", "--json", "--url", &serving.url()]);
    let mut tail =
        tail.env("GATEWAY_API_KEY", ADMIN_KEY).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut remark = String::new();
    BufReader::new(tail.stderr.take().unwrap()).read_line(&mut remark).unwrap();
    assert!(remark.starts_with("following the audit"));
    let (lines, followed) = std::sync::mpsc::sync_channel(100);
    let out = BufReader::new(tail.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = lines.send(serde_json::from_str::<Value>(&line).unwrap());
        }
    });
    let end = |user: &str, order: &[&str]| {
        let (mut client, greeting) = Client::enter(&folder, &serving, "/ws/dashboard", user, "dashboard");
        let id = greeting["connectionId"].as_str().unwrap().to_owned();
        let order: Vec<&str> = order.iter().map(|word| if *word == "ID" { id.as_str() } else { *word }).collect();
        let said = ask(&folder, &serving, &order).fine();
        (said, client.hear()["closed"].clone())
    };
    // The remark comes before the call: it is under way once an end is followed.
    let moment = std::time::Duration::from_millis(300);
    while end("probe", &["kick", "--user", "probe"]).1 != json!(4011) || followed.recv_timeout(moment).is_err() {}
    while followed.recv_timeout(moment).is_ok() {}
    assert_eq!(end("ann", &["kick", "--connection", "ID"]), ("1 connections ended\n".into(), json!(4011)));
    assert_eq!(end("bob", &["kick", "--user", "bob"]), ("1 connections ended\n".into(), json!(4011)));
    let laid = end("carl", &["ban", "--user", "carl", "--reason", "spam"]);
    assert_eq!(laid, ("laid; 1 connections ended\n".into(), json!(4007)));
    assert_eq!(end("dan", &["revoke", "--user", "dan"]), ("revoked; 1 connections ended\n".into(), json!(4009)));
    for user in ["ann", "bob", "carl", "dan"] {
        let record = followed.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert_eq!((&record["event"], &record["userId"]), (&json!("disconnected"), &json!(user)));
    }
    tail.kill().unwrap();
    tail.wait().unwrap();

    let bans = ask(&folder, &serving, &["ban"]).fine();
    assert!(bans.lines().any(|line| line.starts_with("carl") && line.ends_with("spam")), "{bans}");
    assert_eq!(ask(&folder, &serving, &["ban", "--user", "carl", "--lift"]).fine(), "lifted\n");
    assert!(!ask(&folder, &serving, &["ban"]).fine().contains("carl"));
    let dry = ask(&folder, &serving, &["ban", "--address", "203.0.113.7", "--dry-run"]).fine();
    assert_eq!(dry, "it would end 0 connections\n");
    ask(&folder, &serving, &["ban", "--address", "127.0.0.1"]).ends(1, &["400", "force"]);
    ask(&folder, &serving, &["kick", "--connection", "00000000-0000-0000-0000-000000000000"]).ends(1, &["404"]);
}
