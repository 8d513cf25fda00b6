//! The client programs of the page on authentication, each run as it stands there: an expired token makes it ask for
//! a new one and come back, and an administrator's word makes it stop.

use std::{cell::Cell, collections::HashSet, fs, path::Path, process::Command};

use gateway_domain::{Advice, Code};
use gateway_tests::{Claims, Options, TestGateway, eventually, node::packages, python, tokens::token};
use serde_json::{Value, json};

use super::{
    backend::{self, Gateway},
    page::Page,
    rust_client::{Then, stay_connected},
};

const PAGE: &str = "docs/authentication.md";

/// Drives a client that is a module with `stayConnected`: the first token has expired, the next is good.
const DRIVE: &str = r#"
const [url, expired, good] = process.argv.slice(2);
const asked = [];
const token = async (usedUp) => {
  asked.push(usedUp);
  return asked.length === 1 ? expired : good;
};
const end = await stayConnected(url, token, (message, socket) => {
  if (message.type === "connection_ready") socket.send(JSON.stringify({ type: "ping", id: "1" }));
  if (message.type === "pong") console.log("pong");
});
console.log(JSON.stringify({ asked, end }));
process.exit(0);
"#;

/// What the program said at its end, after an administrator sent its user away.
pub(super) async fn driven(gateway: &TestGateway, mut program: Command) -> Value {
    let program = program.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let running = program.env("no_proxy", "*").spawn().unwrap();
    eventually(20, "the client came in and spoke", async || {
        let (_, user) = gateway.api("GET", "/api/v1/users/ann", None).await;
        (user["connections"][0]["messagesIn"].as_u64() >= Some(1)).then_some(())
    })
    .await;
    gateway.api("POST", "/api/v1/users/ann/disconnect", None).await;
    let ended = tokio::task::spawn_blocking(|| running.wait_with_output()).await.unwrap().unwrap();
    let (output, faults) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{output}{faults}");
    assert!(output.contains("pong"), "{output}{faults}");
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

pub(super) fn expired() -> String {
    Claims::of("ann", "dashboard").expiring_in(-60).sign()
}

/// A folder with a file of that page, and with the packages of the Node clients beside it.
pub(super) fn folder_with(page: &str, name: &str, drive: &str) -> tempfile::TempDir {
    let page = Page::read(page);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), page.file(name)).unwrap();
    fs::write(folder.path().join("drive.mjs"), drive).unwrap();
    std::os::unix::fs::symlink(packages(), folder.path().join("node_modules")).unwrap();
    folder
}

fn node(folder: &Path, url: &str) -> Command {
    let mut program = Command::new("node");
    program.arg("drive.mjs").args([url, &expired(), &token("ann", "dashboard")]).current_dir(folder);
    program
}

#[tokio::test]
async fn the_node_client_refreshes_and_stops_as_it_is_told() {
    let gateway = TestGateway::start();
    let drive = format!("import {{ stayConnected }} from \"./client.mjs\";\n{DRIVE}");
    let folder = folder_with(PAGE, "client.mjs", &drive);
    let said = driven(&gateway, node(folder.path(), &gateway.ws("/ws/dashboard"))).await;
    assert_eq!(said["asked"], json!([false, true]));
    assert_eq!((&said["end"]["code"], &said["end"]["then"]), (&json!("DISCONNECTED"), &json!("stop")));
}

/// Not in a browser: in Node, with the WebSocket of `ws` in the place of the browser's.
#[tokio::test]
async fn the_browser_client_refreshes_and_stops_as_it_is_told() {
    let gateway = TestGateway::start();
    let drive = format!(
        "import {{ WebSocket }} from \"ws\";\nglobalThis.WebSocket = WebSocket;\n\
         const {{ stayConnected }} = await import(\"./browser.mjs\");\n{DRIVE}"
    );
    let folder = folder_with(PAGE, "browser.mjs", &drive);
    let said = driven(&gateway, node(folder.path(), &gateway.ws("/ws/simulate"))).await;
    assert_eq!(said["asked"], json!([false, true]));
    assert_eq!((&said["end"]["code"], &said["end"]["then"]), (&json!("DISCONNECTED"), &json!("stop")));
}

#[tokio::test]
async fn the_python_client_refreshes_and_stops_as_it_is_told() {
    let gateway = TestGateway::start();
    let drive = r#"
import asyncio, json, sys
from client import stay_connected
url, expired, good = sys.argv[1:]
asked = []
async def token(used_up):
    asked.append(used_up)
    return expired if len(asked) == 1 else good
async def on_message(message, socket):
    if message["type"] == "connection_ready":
        await socket.send(json.dumps({"type": "ping", "id": "1"}))
    if message["type"] == "pong":
        print("pong", flush=True)
code, then = asyncio.run(stay_connected(url, token, on_message))
print(json.dumps({"asked": asked, "end": {"code": code, "then": then}}))
"#;
    let folder = folder_with(PAGE, "client.py", "");
    fs::write(folder.path().join("drive.py"), drive).unwrap();
    let mut program = Command::new(python::program("python"));
    let arguments = [&gateway.ws("/ws/dashboard"), &expired(), &token("ann", "dashboard")];
    program.arg("drive.py").args(arguments).current_dir(folder.path());
    let said = driven(&gateway, program).await;
    assert_eq!(said["asked"], json!([false, true]));
    assert_eq!((&said["end"]["code"], &said["end"]["then"]), (&json!("DISCONNECTED"), &json!("stop")));
}

#[tokio::test]
async fn the_rust_client_refreshes_and_stops_as_it_is_told() {
    let gateway = TestGateway::start();
    let (asked, spoke) = (Cell::new(0), Cell::new(false));
    let url = gateway.ws("/ws/dashboard");
    let client = stay_connected(
        &url,
        async |used_up| {
            assert_eq!(used_up, asked.get() == 1);
            asked.set(asked.get() + 1);
            if asked.get() == 1 { expired() } else { token("ann", "dashboard") }
        },
        |message| {
            spoke.set(spoke.get() || message["type"] == "pong");
            Some(if message["type"] == "connection_ready" { json!({"type": "ping"}) } else { Value::Null })
        },
    );
    let kick = async {
        eventually(20, "it spoke", async || spoke.get().then_some(())).await;
        gateway.api("POST", "/api/v1/users/ann/disconnect", None).await;
    };
    let (end, ()) = tokio::join!(client, kick);
    assert_eq!((end.code.as_str(), end.then, asked.get()), ("DISCONNECTED", Then::Stop, 2));
}

#[tokio::test]
async fn each_part_of_the_rust_backend_does_what_the_page_says() {
    let page = Page::read("docs/http-api.md");
    let key = "gateway-test-key-of-forty-characters-000";
    let options = Options {
        own_keys: true,
        config: page.file("gateway.toml").into(),
        env: vec![("GATEWAY_API_KEY".into(), key.into())],
        ..Options::default()
    };
    let gateway = TestGateway::open(options);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("peers.mjs"), page.file("peers.mjs")).unwrap();
    std::os::unix::fs::symlink(packages(), folder.path().join("node_modules")).unwrap();
    let mut peers = tokio::process::Command::new("node")
        .arg("peers.mjs")
        .current_dir(folder.path())
        .env("GATEWAY_URL", gateway.http(""))
        .env("PRESS_TOKEN", token("press-7", "agent"))
        .env("ANN_TOKEN", token("ann", "dashboard"))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let at = Gateway::at(&gateway.http(""), key).unwrap();
    eventually(20, "all are here", async || {
        let page = at.json("GET", "/api/v1/rooms/agents/presence", None).await.ok()?;
        let agents = at.json("GET", "/api/v1/agents", None).await.ok()?;
        (page["members"][0]["connections"] == 5 && agents["total"] == 1).then_some(())
    })
    .await;
    backend::tell(&at).await.unwrap();
    backend::ask(&at).await.unwrap();
    backend::look_at_connections(&at).await.unwrap();
    backend::look_at_rooms(&at).await.unwrap();
    backend::keep_out(&at).await.unwrap();
    backend::look_into_the_audit(&at).await.unwrap();
    backend::get_tokens(&at).await.unwrap();
    backend::look_at_the_gateway(&at).await.unwrap();
    peers.kill().await.unwrap();
}

/// The clients carry the advice of the close codes with them: it must be the table's.
#[test]
fn the_clients_know_the_advice_of_every_close_code() {
    let page = Page::read(PAGE);
    let of = |advice| -> HashSet<String> {
        let fitting = Code::ALL.iter().filter(|code| code.advice() == Some(advice));
        fitting.filter_map(|code| code.close_code()).map(|code| code.to_string()).collect()
    };
    let (refresh, mut stop) = (of(Advice::Refresh), of(Advice::Stop));
    // Closed as wished, or for a fault of the client's that has no close code of its own.
    stop.extend(["1000".to_owned(), "1008".to_owned()]);
    for name in ["client.mjs", "browser.mjs", "client.py"] {
        let listed = |what: &str| -> HashSet<String> {
            let (_, rest) = page.file(name).split_once(what).unwrap_or_else(|| panic!("{name} has no {what}"));
            let (_, rest) = rest.split_once(['[', '{']).unwrap();
            let list = rest.split([']', '}']).next().unwrap();
            list.split(',').map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()).collect()
        };
        assert_eq!(listed("REFRESH = "), refresh, "{name}");
        assert_eq!(listed("STOP = "), stop, "{name}");
    }
}
