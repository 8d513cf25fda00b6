//! The lists of the HTTP API, over all nodes.

use gateway_tests::{eventually, joined::Joined};
use serde_json::{Value, json};

use crate::CONFIG;

fn names<'a>(list: &'a Value, of: &str, name: &str) -> Vec<&'a str> {
    list[of].as_array().unwrap().iter().map(|entry| entry[name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_and_ends_are_of_all_nodes_and_name_those_that_do_not_answer() {
    let all = Joined::of(3, CONFIG).await;
    let mut people = Vec::new();
    for (nth, node) in all.nodes.iter().enumerate() {
        people.push(node.dashboard(&format!("user-{nth}")).await);
        people.push(node.agent(&format!("agent-{nth}")).await);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let (_, page) = all.nodes[0].api("GET", &format!("/api/v1/connections?limit=2{cursor}"), None).await;
        assert_eq!(page["total"], 6, "{page}");
        seen.extend(names(&page, "connections", "connectionId").into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(seen.is_sorted() && seen.len() == 6, "{seen:?}");
    let (_, agents) = all.nodes[1].api("GET", "/api/v1/agents", None).await;
    assert_eq!(names(&agents, "agents", "agentId"), ["agent-0", "agent-1", "agent-2"]);
    assert_eq!(names(&agents, "agents", "node"), ["node-1", "node-2", "node-3"]);
    let (_, of_one) = all.nodes[1].api("GET", "/api/v1/agents?node=node-3", None).await;
    assert_eq!(names(&of_one, "agents", "agentId"), ["agent-2"]);
    let (_, one) = all.nodes[0].api("GET", &format!("/api/v1/connections/{}", people[5].id()), None).await;
    assert_eq!((&one["node"], &one["userId"]), (&json!("node-3"), &json!("agent-2")), "{one}");
    let (_, user) = all.nodes[0].api("GET", "/api/v1/users/user-2", None).await;
    assert_eq!((&user["connected"], user["connections"].as_array().unwrap().len()), (&json!(true), 1));

    let id = people[2].id().to_owned();
    let (status, gone) = all.nodes[0].api("DELETE", &format!("/api/v1/connections/{id}"), None).await;
    assert_eq!((status, &gone["disconnected"]), (200, &json!(1)), "{gone}");
    assert_eq!(people[2].client.closed().await.0, 4011);
    eventually(5, "it is gone", async || {
        (all.nodes[0].api("GET", &format!("/api/v1/connections/{id}"), None).await.0 == 404).then_some(())
    })
    .await;
    let (_, gone) = all.nodes[0].api("POST", "/api/v1/users/user-2/disconnect", None).await;
    assert_eq!(gone["disconnected"], 1, "{gone}");
    assert_eq!(people[4].client.closed().await.0, 4011);

    all.cut(2).await;
    let (_, page) = all.nodes[0].api("GET", "/api/v1/connections", None).await;
    assert_eq!(page["missing"], json!(["node-3"]), "{page}");
    let (status, page) = all.nodes[2].api("GET", "/api/v1/connections", None).await;
    assert_eq!((status, page["connections"].as_array().unwrap().len()), (200, 1), "its own: {page}");
}
