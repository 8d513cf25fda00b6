//! What is counted of the link to other gateways.

use gateway_tests::{
    Actor, TestGateway,
    redis::Redis,
    rooms::{UNLIMITED, open_to_dashboards},
};
use serde_json::json;

use super::{Scrape, Seen, shows};

/// Two gateways meet, say something, lose each other, and find each other again.
pub(super) async fn other_gateways(seen: &mut Seen) {
    let redis = Redis::start();
    let rooms = open_to_dashboards("{name}");
    let config = format!("[server]\ndrain_timeout = \"2s\"\n{UNLIMITED}{rooms}");
    let mut nodes = TestGateway::joined(2, &redis, &config);
    let is_up = |scrape: &Scrape| scrape.sum("gateway_cluster_up", &[]) == 1.0;
    let met =
        shows(&nodes[0], "both are there", |scrape| is_up(scrape) && scrape.sum("gateway_cluster_nodes", &[]) == 2.0)
            .await;
    let mut ann = Actor::enter(&nodes[0], "/ws/dashboard", "ann", "dashboard").await;
    ann.subscribe("lobby").await;
    let event = || Some(json!({"to": ["room:lobby"], "type": "news", "payload": {}}));
    nodes[0].api("POST", "/api/v1/events", event()).await;
    nodes[1].api("GET", "/api/v1/connections", None).await;
    let said = shows(&nodes[0], "it was carried", |scrape| {
        scrape.sum("gateway_cluster_posts_total", &[("way", "in")])
            > met.sum("gateway_cluster_posts_total", &[("way", "in")])
            && scrape.sum("gateway_cluster_letters_total", &[("way", "in")]) > 0.0
    })
    .await;
    seen.changed(&met, &said);
    redis.pause();
    nodes[0].api("POST", "/api/v1/events", event()).await;
    let alone = shows(&nodes[0], "it goes on alone", |scrape| {
        !is_up(scrape) && scrape.sum("gateway_cluster_fallbacks_total", &[]) > 0.0
    })
    .await;
    seen.changed(&said, &alone);
    redis.resume();
    let repaired = shows(&nodes[0], "it looks up what it missed", |scrape| {
        is_up(scrape) && scrape.sum("gateway_cluster_room_repairs_total", &[]) > 0.0
    })
    .await;
    seen.changed(&alone, &repaired);
    drop(nodes.pop());
    let left =
        shows(&nodes[0], "the other one is gone", |scrape| scrape.sum("gateway_cluster_nodes", &[]) == 1.0).await;
    seen.changed(&repaired, &left);
}
