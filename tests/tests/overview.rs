//! What a backend sees of agents and rooms by HTTP: who is online, which rooms there are, what they remember, who is
//! present.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    TestGateway, eventually,
    rooms::{UNLIMITED, agent, dashboard, unlimited},
    tokens::token,
};
use serde_json::{Value, json};

async fn get(gateway: &TestGateway, path: &str) -> (u16, Value) {
    gateway.api_as(&token("backend", "service"), "GET", path, None).await
}

/// The texts of that member, of every page of a list.
async fn leafed(gateway: &TestGateway, path: &str, list: &str, member: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = get(gateway, &format!("{path}&limit=2{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let entries = page[list].as_array().unwrap();
        assert!(entries.len() <= 2);
        all.extend(entries.iter().map(|entry| entry[member].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={}", next.replace(':', "%3A")),
            None => return all,
        }
    }
}

#[tokio::test]
async fn agents_are_listed_while_they_are_online() {
    let gateway = unlimited("");
    let mut agents = Vec::new();
    for name in ["press-1", "press-2", "press-3", "press-4", "press-5"] {
        agents.push(agent(&gateway, name).await);
    }
    let names = leafed(&gateway, "/api/v1/agents?endpoint=/ws/agent", "agents", "agentId").await;
    assert_eq!(names, ["press-1", "press-2", "press-3", "press-4", "press-5"]);
    let (_, page) = get(&gateway, "/api/v1/agents?user=press-3").await;
    let one = &page["agents"][0];
    assert_eq!((page["agents"].as_array().unwrap().len(), &page["total"]), (1, &json!(5)));
    assert_eq!(
        (&one["agentId"], &one["userId"], &one["role"], &one["openRequests"], &one["endpoint"]),
        (&json!("press-3"), &json!("press-3"), &json!("agent"), &json!(0), &json!("/ws/agent"))
    );
    let mut ann = dashboard(&gateway, "ann").await;
    ann.send(json!({"type": "command", "id": "1", "payload": {"agentId": "press-3"}})).await;
    assert_eq!(agents[2].json().await["type"], "command");
    assert_eq!(get(&gateway, "/api/v1/agents?user=press-3").await.1["agents"][0]["openRequests"], 1);
    agents.remove(2).leave().await;
    assert_eq!(ann.json().await["payload"]["code"], "TARGET_LOST");
    assert!(!leafed(&gateway, "/api/v1/agents?", "agents", "agentId").await.contains(&"press-3".to_owned()));
}

#[tokio::test]
async fn an_agent_that_went_is_remembered_and_one_that_comes_and_goes_is_told_apart() {
    // What it has seen of agents is each node's own.
    let gateway = TestGateway::alone(&format!(
        "{UNLIMITED}[[endpoints]]\npath = \"/ws/agent\"\nroles = [\"agent\"]\nagents = true\nheartbeat = \"100ms\"\n\
         [[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"dashboard\"]\n",
    ));
    let seen = async |name: &str| {
        let (status, page) = get(&gateway, "/api/v1/sightings").await;
        assert_eq!(status, 200, "{page}");
        page["sightings"].as_array().unwrap().iter().find(|seen| seen["agentId"] == name).cloned().unwrap_or_default()
    };
    let mut steady = agent(&gateway, "steady").await;
    for _ in 0..4 {
        agent(&gateway, "restless").await.leave().await;
    }
    let restless =
        eventually(10, "it is gone", async || Some(seen("restless").await).filter(|one| one["online"] == false)).await;
    assert_eq!(
        (&restless["flapping"], &restless["arrivals"], &restless["lastReason"], &restless["connectionId"]),
        (&json!(true), &json!(4), &json!("closed"), &Value::Null),
        "{restless}"
    );
    assert!(restless["lastSeen"].is_string() && restless["roundTripMillis"].is_null(), "{restless}");
    let one = seen("steady").await;
    assert_eq!(
        (&one["online"], &one["flapping"], &one["lastReason"]),
        (&json!(true), &json!(false), &Value::Null),
        "{one}"
    );
    // Its client answers pings whenever it is read.
    let measured = tokio::select! {
        _ = steady.next() => panic!("nobody says anything to it"),
        one = eventually(9, "a ping was answered", async || Some(seen("steady").await).filter(|one| one["roundTripMillis"].is_number())) => one,
    };
    let millis = measured["roundTripMillis"].as_f64().unwrap();
    assert!(millis > 0.0 && millis < 10_000.0, "{measured}");
    let names =
        async |query: &str| leafed(&gateway, &format!("/api/v1/sightings?{query}"), "sightings", "agentId").await;
    assert_eq!(names("").await, ["restless", "steady"]);
    assert_eq!(names("online=true").await, ["steady"]);
    assert_eq!(names("online=false").await, ["restless"]);
    assert_eq!(get(&gateway, "/api/v1/sightings?online=perhaps").await.0, 400);
}

#[tokio::test]
async fn the_overview_counts_who_is_here_and_what_went_by() {
    // The page tells of the node that is asked.
    let gateway = TestGateway::alone(UNLIMITED);
    let look = async || {
        let (status, overview) = get(&gateway, "/api/v1/overview").await;
        assert_eq!(status, 200, "{overview}");
        overview
    };
    let empty = look().await;
    assert_eq!((&empty["here"]["connections"], &empty["totals"]["connections"]), (&json!(0), &json!(0)), "{empty}");
    assert_eq!(empty["caller"], json!({"userId": "backend", "role": "service"}));
    let (mut ann, bob) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    let _press = agent(&gateway, "press-1").await;
    for n in 0..3 {
        ann.ask(json!({"type": "ping", "id": n.to_string()})).await;
    }
    ann.leave().await;
    gateway_tests::TestClient::connect(&gateway, "/ws/agent", &token("bob", "dashboard")).await.unwrap_err();
    let full =
        eventually(10, "ann is gone", async || Some(look().await).filter(|look| look["here"]["connections"] == 2))
            .await;
    assert_eq!((&full["here"]["agents"], &full["here"]["users"]), (&json!(1), &json!(2)), "{full}");
    let (totals, refusals) = (&full["totals"], &full["refusals"]);
    assert_eq!((&totals["connections"], &totals["messagesIn"]), (&json!(3), &json!(3)), "who left is counted: {full}");
    assert!(
        totals["messagesOut"].as_u64() >= Some(6) && totals["bytesOut"].as_u64() > totals["bytesIn"].as_u64(),
        "{full}"
    );
    assert_eq!((&totals["refusals"], refusals), (&json!(1), &json!({"ROLE_MISMATCH": 1})), "{full}");
    let door =
        |path: &str| full["endpoints"].as_array().unwrap().iter().find(|door| door["path"] == path).cloned().unwrap();
    assert_eq!((&door("/ws/dashboard")["connections"], &door("/ws/agent")["agents"]), (&json!(1), &json!(true)));
    assert!(full["roles"].as_array().unwrap().contains(&json!({"role": "agent", "connections": 1})), "{full}");
    bob.leave().await;
}

#[tokio::test]
async fn rooms_are_listed_with_what_they_remember_and_who_is_present() {
    let gateway = unlimited(
        "[[rooms.rules]]\nmatch = \"news:{of}\"\njoin = [{ role = \"dashboard\" }]\n\
         [[rooms.rules]]\nmatch = \"quiet\"\njoin = [{ role = \"dashboard\" }]\nhistory = \"off\"\n",
    );
    let (mut ann, mut bob) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    for room in ["news:a", "news:b", "news:c", "quiet"] {
        ann.join(room).await;
    }
    bob.join("news:b").await;
    for n in 0..3 {
        let body = json!({"to": ["room:news:b"], "type": "x", "payload": n});
        gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await;
    }
    assert_eq!(leafed(&gateway, "/api/v1/rooms?prefix=news:", "rooms", "room").await, ["news:a", "news:b", "news:c"]);
    assert_eq!(leafed(&gateway, "/api/v1/rooms?prefix=news:b", "rooms", "room").await, ["news:b"]);
    assert!(leafed(&gateway, "/api/v1/rooms?prefix=nothing", "rooms", "room").await.is_empty());
    let (_, all) = get(&gateway, "/api/v1/rooms").await;
    assert_eq!(all["total"].as_u64().unwrap() as usize, all["rooms"].as_array().unwrap().len());

    let (status, room) = get(&gateway, "/api/v1/rooms/news%3Ab").await;
    assert_eq!((status, &room["connections"], &room["offset"]), (200, &json!(2), &json!(3)), "{room}");
    assert!(room["epoch"].is_string() && room["historyBytes"].as_u64().unwrap() > 0);
    let (_, quiet) = get(&gateway, "/api/v1/rooms/quiet").await;
    assert_eq!((quiet.get("epoch"), &quiet["connections"]), (None, &json!(1)));

    let (_, history) = get(&gateway, "/api/v1/rooms/news:b/history?limit=2").await;
    let told: Vec<_> = history["messages"].as_array().unwrap().iter().map(|m| (&m["offset"], &m["payload"])).collect();
    assert_eq!(told, [(&json!(2), &json!(1)), (&json!(3), &json!(2))], "the latest, the oldest first");
    let (_, presence) = get(&gateway, "/api/v1/rooms/news:b/presence").await;
    let member = |user: &str| json!({"userId": user, "role": "dashboard", "connections": 1});
    assert_eq!(presence, json!({"room": "news:b", "members": [member("ann"), member("bob")]}));
    assert_eq!(get(&gateway, "/api/v1/rooms/nowhere/presence").await.1["members"], json!([]));

    for (path, status) in [
        ("/api/v1/rooms/nowhere", 404),
        ("/api/v1/rooms/nowhere/history", 404),
        ("/api/v1/rooms/news:b/more", 404),
        ("/api/v1/rooms/news:b/history/more", 404),
        ("/api/v1/rooms/%00", 400),
        ("/api/v1/rooms?limit=0", 400),
        ("/api/v1/rooms?cursor=%00", 400),
        ("/api/v1/agents?limit=1001", 400),
    ] {
        assert_eq!(get(&gateway, path).await.0, status, "{path}");
    }
}
