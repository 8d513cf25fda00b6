//! What a gateway is called among several: said with everything that it holds, and lists can be asked for one node's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::collections::BTreeSet;

use gateway_tests::{
    TestGateway,
    rooms::{agent, dashboard, unlimited},
};
use serde_json::{Value, json};

async fn get(gateway: &TestGateway, path: &str) -> Value {
    let (status, body) = gateway.api("GET", path, None).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

#[tokio::test]
async fn lists_name_the_node_and_are_narrowed_by_it() {
    let gateway = unlimited("[server]\nnode = \"east-1\"\n");
    let _press = agent(&gateway, "press-7").await;
    let mut ann = dashboard(&gateway, "ann").await;
    ann.join("agents").await;
    for (list, entries) in [("connections", 2), ("agents", 1), ("rooms", 0)] {
        let all = get(&gateway, &format!("/api/v1/{list}")).await;
        let all = all[list].as_array().unwrap();
        assert!(all.len() >= entries.max(1), "{list}: {all:?}");
        assert!(all.iter().all(|entry| entry["node"] == "east-1"), "{list}: {all:?}");
        let here = get(&gateway, &format!("/api/v1/{list}?node=east-1")).await;
        assert_eq!(here[list].as_array().unwrap().len(), all.len(), "{list}");
        for other in ["west-1", "", "EAST-1"] {
            let elsewhere = get(&gateway, &format!("/api/v1/{list}?node={other}")).await;
            assert_eq!((&elsewhere[list], &elsewhere["next"]), (&json!([]), &Value::Null), "{list} of {other:?}");
        }
    }
    assert_eq!(get(&gateway, "/api/v1/users/ann").await["connections"][0]["node"], "east-1");
    assert_eq!(get(&gateway, "/api/v1/rooms/agents").await["node"], "east-1");
}

#[tokio::test]
async fn a_node_without_a_name_is_called_as_its_machine() {
    let gateway = unlimited("");
    let _ann = dashboard(&gateway, "ann").await;
    let machine = std::process::Command::new("uname").arg("-n").output().unwrap();
    let machine = String::from_utf8(machine.stdout).unwrap();
    assert_eq!(get(&gateway, "/api/v1/connections").await["connections"][0]["node"], machine.trim());
}

#[tokio::test]
async fn who_stays_is_told_once_while_others_come_and_go_between_the_pages() {
    let gateway = unlimited("");
    let mut staying = Vec::new();
    for name in ["b", "d", "f", "h", "j"] {
        staying.push(agent(&gateway, name).await);
    }
    let mut passing = vec![agent(&gateway, "c").await, agent(&gateway, "e").await];
    for (list, id) in [("agents", "agentId"), ("connections", "connectionId")] {
        let mut told: Vec<String> = Vec::new();
        let mut cursor = String::new();
        for nth in 0.. {
            let page = get(&gateway, &format!("/api/v1/{list}?limit=2{cursor}")).await;
            let entries = page[list].as_array().unwrap();
            told.extend(entries.iter().map(|entry| entry[id].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
            // Whoever the cursor names may be the next to go, and others come before it and behind it.
            if let Some(gone) = passing.pop() {
                let here = gateway.connections().await;
                gone.leave().await;
                gateway_tests::eventually(5, "it is gone", async || (gateway.connections().await < here).then_some(()))
                    .await;
            }
            for name in [format!("a{nth}"), format!("i{nth}")] {
                if staying.len() < 20 {
                    staying.push(agent(&gateway, &format!("{name}-{list}")).await);
                }
            }
        }
        let once: BTreeSet<_> = told.iter().collect();
        assert_eq!(once.len(), told.len(), "nobody is told twice: {told:?}");
        let all = get(&gateway, &format!("/api/v1/{list}?limit=1000")).await;
        let all: Vec<_> = all[list].as_array().unwrap().iter().map(|entry| entry[id].as_str().unwrap()).collect();
        let stayed = ["b", "d", "f", "h", "j"];
        if list == "agents" {
            assert!(stayed.iter().all(|name| told.iter().any(|one| one == name) && all.contains(name)), "{told:?}");
        } else {
            assert!(told.len() >= stayed.len(), "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_cursor_is_good_though_its_entry_is_gone() {
    let gateway = unlimited("");
    let mut agents = Vec::new();
    for name in ["a", "b", "c"] {
        agents.push(agent(&gateway, name).await);
    }
    let first = get(&gateway, "/api/v1/agents?limit=2").await;
    assert_eq!(first["next"], "b");
    agents.remove(1).leave().await;
    gateway_tests::eventually(5, "it is gone", async || (gateway.connections().await == 2).then_some(())).await;
    let second = get(&gateway, "/api/v1/agents?limit=2&cursor=b").await;
    assert_eq!((second["agents"].as_array().unwrap().len(), &second["agents"][0]["agentId"]), (1, &json!("c")));
    assert_eq!(second["next"], Value::Null);
}
