//! The dashboards of the page on Socket.IO, each run as it stands there, over every way to be carried: an expired token
//! makes it ask for a new one and come back, and an administrator's word makes it stop.

use std::{fs, process::Command};

use gateway_tests::{TestGateway, python, tokens::token};
use serde_json::json;

use super::clients::{driven, expired, folder_with};

const PAGE: &str = "docs/socketio.md";

#[tokio::test]
async fn the_dashboard_refreshes_and_stops_as_it_is_told() {
    let drive = r#"
import { openDashboard } from "./dashboard.mjs";
const [url, expired, good, ...transports] = process.argv.slice(2);
const asked = [];
const token = async (usedUp) => {
  asked.push(usedUp);
  return asked.length === 1 ? expired : good;
};
const ended = (end) => {
  console.log(JSON.stringify({ asked, end }));
  process.exit(0);
};
const socket = openDashboard(url, token, {}, ended, { transports });
socket.on("connect", async () => {
  await socket.emitWithAck("ping");
  console.log("pong");
});
"#;
    for transports in [&["polling"][..], &["websocket"], &["polling", "websocket"]] {
        let gateway = TestGateway::start();
        let folder = folder_with(PAGE, "dashboard.mjs", drive);
        let mut program = Command::new("node");
        program.arg("drive.mjs").args([gateway.http(""), expired(), token("ann", "dashboard")]).args(transports);
        program.current_dir(folder.path());
        let said = driven(&gateway, program).await;
        assert_eq!(said["asked"], json!([false, true]), "{transports:?}");
        assert_eq!(said["end"], json!({"code": "DISCONNECTED", "then": "stop"}), "{transports:?}");
    }
}

#[tokio::test]
async fn the_python_dashboard_refreshes_and_stops_as_it_is_told() {
    let drive = r#"
import asyncio, json, sys
from dashboard import stay_connected
url, expired, good = sys.argv[1:]
asked = []
async def token(used_up):
    asked.append(used_up)
    return expired if len(asked) == 1 else good
async def on_event(kind, event, client):
    if kind == "story:begin":
        answer = await client.call("ping", 1, namespace="/dashboard")
        print("pong" if answer == {"ok": True, "payload": 1} else answer, flush=True)
code = asyncio.run(stay_connected(url, token, on_event))
print(json.dumps({"asked": asked, "end": {"code": code}}))
"#;
    let gateway = TestGateway::start();
    let folder = folder_with(PAGE, "dashboard.py", "");
    fs::write(folder.path().join("drive.py"), drive).unwrap();
    let mut program = Command::new(python::program("python"));
    program.arg("drive.py").args([gateway.http(""), expired(), token("ann", "dashboard")]).current_dir(folder.path());
    let (said, ()) = tokio::join!(driven(&gateway, program), begun(&gateway));
    assert_eq!(said["asked"], json!([false, true]));
    assert_eq!(said["end"]["code"], "DISCONNECTED");
}

/// Tells the user's dashboard once, as soon as it is there.
async fn begun(gateway: &TestGateway) {
    let body = json!({"to": ["user:ann"], "type": "story:begin", "payload": null});
    gateway_tests::eventually(20, "the dashboard hears", async || {
        let backend = token("backend", "service");
        let (_, answer) = gateway.api_as(&backend, "POST", "/api/v1/events", Some(body.clone())).await;
        (answer["delivered"] == 1).then_some(())
    })
    .await;
}
