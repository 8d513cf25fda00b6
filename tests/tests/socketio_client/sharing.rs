//! A user that is here by native connections, by polling and by WebSockets of the library is one user: one number of seats,
//! and one quota of messages.

use gateway_tests::{TestGateway, tokens::token};
use serde_json::json;

use crate::told::{by_name, empty, run};

/// Ten seats, as shipped, and as many messages; neither comes back while a story is told.
const TEN: &str = "[plans.default]\nmessages = { rate = \"10/h\", burst = \"off\" }\n\
                   [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

#[tokio::test]
async fn ten_seats_and_one_quota_are_for_all_ways_together() {
    // A quota is counted at each node, and compared with the others once a second.
    let gateway = TestGateway::alone(TEN);
    let tokens = json!({"admin": token("operator", "admin"), "ann": token("ann", "dashboard")});
    let told = by_name(run("socketio_sharing.mjs", &gateway, "", &tokens, &[]).await);
    let eleventh = &told["eleventh native"];
    assert_eq!((&eleventh["status"], &eleventh["code"]), (&json!(429), &json!("CONNECTION_LIMIT")), "{eleventh}");
    for way in ["polling", "websocket"] {
        let eleventh = &told[&format!("eleventh {way}")];
        assert_eq!((&eleventh["in"], &eleventh["code"]), (&json!(false), &json!("CONNECTION_LIMIT")), "{eleventh}");
    }
    for exchange in ["from native to polling", "from polling to websocket", "from websocket to native"] {
        assert!(told.contains_key(exchange), "{told:?}");
    }
    // Ten may say ten things, whoever of them says them.
    let said = told["said"]["answers"].as_array().unwrap();
    assert_eq!(said.len(), 10);
    assert!(said.iter().all(|one| one["answer"] == "ok"), "{said:?}");
    for (way, answer) in told["used up"]["after"].as_object().unwrap() {
        assert_eq!(answer, "RATE_LIMITED", "{way}");
    }
    empty(&gateway).await;
}
