//! What the scripts tell, and what all stories need.

use std::collections::BTreeMap;

use gateway_tests::{TestGateway, eventually, node};
use serde_json::Value;

/// Every way to be carried, and what the lists then call it.
pub(crate) const WAYS: [(&str, &str); 3] =
    [("polling", "socketio-polling"), ("websocket", "socketio-websocket"), ("upgraded", "socketio-websocket")];

/// The types of events that are shipped.
pub(crate) const TYPES: [&str; 5] = [
    "dashboard:summaryUpdated",
    "dashboard:recentMocAdded",
    "dashboard:partialPartsUpdated",
    "dashboard:themeBreakdownUpdated",
    "dashboard:error",
];

/// What a script told, by name.
pub(crate) type Told = BTreeMap<String, Value>;

pub(crate) fn by_name(lines: Vec<Value>) -> Told {
    lines.into_iter().map(|line| (line["name"].as_str().expect("a name").to_owned(), line)).collect()
}

/// Runs a script over one way, to its end.
pub(crate) async fn run(
    script: &str,
    gateway: &TestGateway,
    way: &str,
    tokens: &Value,
    more: &[(&str, &str)],
) -> Vec<Value> {
    let (address, tokens) = (gateway.somewhere().to_string(), tokens.to_string());
    let mut env = vec![("GATEWAY", &*address), ("TOKENS", &*tokens), ("WAY", way)];
    env.extend(more);
    node::run(script, &env).await
}

/// Starts a script over one way.
pub(crate) fn start(
    script: &str,
    gateway: &TestGateway,
    way: &str,
    tokens: &Value,
    more: &[(&str, &str)],
) -> node::Script {
    let (address, tokens) = (gateway.somewhere().to_string(), tokens.to_string());
    let mut env = vec![("GATEWAY", &*address), ("TOKENS", &*tokens), ("WAY", way)];
    env.extend(more);
    node::Script::start(script, &env)
}

/// Nobody is left: no connection holds a seat.
pub(crate) async fn empty(gateway: &TestGateway) {
    eventually(10, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}
