//! Seats and agents, counted over all nodes; bans and revocations.

use gateway_auth::api_key::{hash, hash_text};
use gateway_tests::{Claims, eventually, joined::Joined, tokens::token};
use serde_json::{Value, json};

use crate::CONFIG;

#[tokio::test]
async fn a_race_of_thirty_for_ten_seats_at_three_nodes_has_ten_winners() {
    let all = Joined::of(3, CONFIG).await;
    let ann = token("ann", "dashboard");
    let race = (0..30).map(|nth| all.nodes[nth % 3].connect("/ws/dashboard", &ann));
    let (won, lost): (Vec<_>, Vec<_>) = futures_util::future::join_all(race).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 10);
    assert!(lost.iter().all(|refused| refused.as_ref().is_err_and(|refused| refused.code() == "CONNECTION_LIMIT")));
    // A seat that is given back is free at every node.
    drop(won);
    eventually(10, "the seats are free", async || all.nodes[1].connect("/ws/dashboard", &ann).await.ok()).await;
    let (_, list) = all.nodes[0].api("GET", "/api/v1/connections", None).await;
    assert!(list["total"].as_u64().unwrap() <= 10, "{list}");
}

#[tokio::test]
async fn the_seats_of_a_node_that_is_lost_are_free() {
    let all = Joined::of(2, CONFIG).await;
    let ann = token("ann", "dashboard");
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(all.nodes[0].connect("/ws/dashboard", &ann).await.unwrap());
    }
    assert_eq!(all.nodes[1].connect("/ws/dashboard", &ann).await.unwrap_err().code(), "CONNECTION_LIMIT");
    all.switchboard.kill(&all.nodes[0].id);
    all.nodes[1].connect("/ws/dashboard", &ann).await.unwrap();
}

#[tokio::test]
async fn the_oldest_makes_room_at_another_node_where_the_plan_says_so() {
    let config = CONFIG.replace("connections = 10", "connections = 2\non_connection_limit = \"evict_oldest\"");
    let all = Joined::of(2, &config).await;
    let mut first = all.nodes[0].dashboard("ann").await;
    let mut second = all.nodes[1].dashboard("ann").await;
    let _third = all.nodes[1].dashboard("ann").await;
    assert_eq!(first.client.closed().await.0, 4015);
    second.hears_nothing().await;
}

#[tokio::test]
async fn an_agent_is_one_connection_over_all_nodes() {
    let all = Joined::of(2, CONFIG).await;
    let mut follower = all.nodes[0].dashboard("ann").await;
    follower.subscribe("agents").await;
    let mut first = all.nodes[0].agent("press").await;
    assert_eq!(follower.hear().await["type"], "agent.online");
    let mut second = all.nodes[1].agent("press").await;
    assert_eq!(first.client.closed().await.0, 4013);
    let told = follower.hear().await;
    assert_eq!((&told["type"], &told["payload"]["reason"]), (&json!("agent.offline"), &json!("replaced")), "{told}");
    assert_eq!(follower.hear().await["type"], "agent.online");
    follower.hears_nothing().await;
    // Another user's cannot be it.
    let other = all.nodes[0].connect("/ws/agent", &Claims::of("mallory", "agent").with("agent", "press").sign()).await;
    drop(other);
    follower.say(json!({"type": "command", "id": "c", "payload": {"agentId": "press"}})).await;
    assert_eq!(second.hear().await["type"], "command");
}

#[tokio::test]
async fn a_ban_and_a_revocation_meet_whom_they_mean_at_every_node_and_keep_them_out() {
    let all = Joined::of(3, CONFIG).await;
    let mut mallory = all.nodes[2].dashboard("mallory").await;
    let mut other = all.nodes[1].dashboard("mallory").await;
    let body = json!({"user": "mallory", "reason": "spam"});
    let (status, looked) =
        all.nodes[0].api("PUT", "/api/v1/bans", Some(json!({"user": "mallory", "dryRun": true}))).await;
    assert_eq!((status, &looked["matches"]), (200, &json!(2)), "{looked}");
    let (status, laid) = all.nodes[0].api("PUT", "/api/v1/bans", Some(body)).await;
    assert_eq!((status, &laid["matches"]), (200, &json!(2)), "{laid}");
    assert_eq!((mallory.client.closed().await.0, other.client.closed().await.0), (4007, 4007));
    for node in &all.nodes {
        let refused = node.connect("/ws/dashboard", &token("mallory", "dashboard")).await.unwrap_err();
        assert_eq!(refused.code(), "BANNED");
    }
    all.nodes[1].api("DELETE", "/api/v1/bans", Some(json!({"user": "mallory"}))).await;
    eventually(5, "the ban is lifted everywhere", async || {
        all.nodes[2].connect("/ws/dashboard", &token("mallory", "dashboard")).await.ok()
    })
    .await;
    let mut ann = all.nodes[2].dashboard("ann").await;
    let (_, laid) = all.nodes[0].api("POST", "/api/v1/revocations", Some(json!({"user": "ann"}))).await;
    assert_eq!(laid["matches"], 1, "{laid}");
    assert_eq!(ann.client.closed().await.0, 4009);
}

/// Calls a door of tokens: status and body.
async fn tokens(node: &gateway_tests::joined::Node, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("http://{}{path}", node.address)).json(&body);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_refresh_token_is_spent_once_at_whichever_node_and_a_second_time_ends_its_family() {
    const KEY: &str = "key-of-the-backend-0123456789abcdef";
    let hash = hash_text(&hash(KEY));
    let config = format!(
        "{CONFIG}\n[auth.issuer]\nkey = \"main\"\n[[api_keys]]\nid = \"backend\"\nsha256 = \"{hash}\"\nuser = \"ann\"\n\
         roles = [\"dashboard\"]\n"
    );
    let all = Joined::of(2, &config).await;
    let (status, first) = tokens(&all.nodes[0], "/auth/token", Some(KEY), json!({})).await;
    assert_eq!(status, 200, "{first}");
    let refresh = |node: usize, pair: &Value| {
        tokens(&all.nodes[node], "/auth/refresh", None, json!({"refresh_token": pair["refresh_token"]}))
    };
    let (status, second) = refresh(1, &first).await;
    assert_eq!(status, 200, "another node knows it: {second}");
    let (status, third) = refresh(0, &second).await;
    assert_eq!(status, 200, "{third}");
    let (status, again) = refresh(1, &first).await;
    assert_eq!((status, &again["error"]["code"]), (401, &json!("TOKEN_REVOKED")), "{again}");
    let (status, ended) = refresh(0, &third).await;
    assert_eq!((status, &ended["error"]["code"]), (401, &json!("TOKEN_REVOKED")), "at the other, too: {ended}");
    // Of two that use one at once, one is spent, and the family ends.
    let (_, pair) = tokens(&all.nodes[0], "/auth/token", Some(KEY), json!({})).await;
    let (one, other) = tokio::join!(refresh(0, &pair), refresh(1, &pair));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "{one:?} {other:?}");
}
