//! What a page says, and what its callbacks are given; several namespaces on one connection.

use gateway_tests::{Actor, Claims, rooms::unlimited, tokens::token};
use serde_json::{Value, json};

use crate::told::{Told, WAYS, by_name, empty, run, start};

#[tokio::test]
async fn callbacks_are_answered_over_every_way() {
    for (way, _) in WAYS {
        let gateway = unlimited("");
        let mut agent = Actor::enter(&gateway, "/ws/agent", "a-1", "agent").await;
        let tokens = json!({
            "ann": Claims::of("ann", "dashboard").expiring_in(600).sign(),
            "fresh": Claims::of("ann", "dashboard").expiring_in(1200).sign(),
            "bob": token("bob", "dashboard"),
        });
        let script = start("socketio_session.mjs", &gateway, way, &tokens, &[]);
        let (told, ()) = tokio::join!(script.end(), async {
            let request = agent.hear().await;
            assert_eq!(
                (&request["type"], &request["payload"]),
                (&json!("command"), &json!({"agentId": "a-1", "do": "it"}))
            );
            assert_eq!((&request["from"]["userId"], &request["from"]["role"]), (&json!("ann"), &json!("dashboard")));
            agent.say(json!({"type": "reply", "replyTo": request["requestId"], "payload": {"done": [1]}})).await;
        });
        let heard: Vec<_> = told.iter().filter(|line| line["name"] == "heard").cloned().collect();
        let told = by_name(told);
        let ok = |name: &str| {
            let answer = &told[name]["answer"];
            assert_eq!(answer["ok"], true, "{way} {name}: {answer}");
            answer["payload"].clone()
        };
        assert_eq!(ok("ping"), json!({"deep": [1, "é", null]}));
        assert_eq!(ok("command"), json!({"done": [1]}));
        assert_eq!(ok("subscribe")["room"], "agents");
        assert!(ok("refresh")["expiresAt"].is_string());
        for (name, code) in [
            ("offline", "TARGET_OFFLINE"),
            ("unknown", "INVALID_MESSAGE"),
            ("twoArguments", "INVALID_MESSAGE"),
            ("forbidden", "FORBIDDEN"),
            ("otherUser", "IDENTITY_CHANGED"),
        ] {
            let answer = &told[name]["answer"];
            assert_eq!((&answer["ok"], &answer["error"]["code"]), (&json!(false), &json!(code)), "{way}: {answer}");
            assert!(answer["error"]["message"].is_string() && answer.get("payload").is_none(), "{answer}");
        }
        // Without a callback, what is wrong comes as an event.
        let errors: Vec<_> = heard.iter().filter(|line| line["type"] == "error").collect();
        assert!(matches!(&errors[..], [error] if error["words"][0]["code"] == "INVALID_MESSAGE"), "{errors:?}");
        agent.leave().await;
        empty(&gateway).await;
    }
}

#[tokio::test]
async fn each_namespace_of_a_connection_is_a_seat_of_its_own() {
    let names = ["/dashboard", "/two", "/three", "/four", "/five", "/six"];
    let namespaces: String = names
        .iter()
        .map(|path| format!("[[socketio.namespaces]]\npath = \"{path}\"\nroles = [\"dashboard\"]\n"))
        .collect();
    for (way, _) in WAYS {
        let gateway = unlimited(&format!("[plans.one]\nconnections = 1\n{namespaces}"));
        let tokens = json!({
            "admin": token("operator", "admin"),
            "ann": Claims::of("ann", "dashboard").with("plan", "one").sign(),
            "bob": token("bob", "dashboard"),
            "carol": token("carol", "dashboard"),
        });
        let told: Told = by_name(run("socketio_namespaces.mjs", &gateway, way, &tokens, &[]).await);
        for name in ["one", "two", "third", "fourth"] {
            assert_eq!(told[name]["in"], true, "{way}: {}", told[name]);
        }
        assert_eq!(told["refused"]["data"]["code"], "CONNECTION_LIMIT", "{}", told["refused"]);
        assert_eq!(told["unknown"]["message"], "Invalid namespace");
        for (name, answer) in [("one is still in", 1), ("two is still in", 2)] {
            assert_eq!(
                (&told[name]["connected"], &told[name]["answer"]["payload"]),
                (&json!(true), &json!(answer)),
                "{way}"
            );
        }
        assert_eq!(told["seats"]["users"], json!(["ann /dashboard", "bob /two"]));
        assert_eq!(told["fifth"]["data"]["code"], "LIMIT_EXCEEDED", "four at most: {}", told["fifth"]);
        assert_eq!(
            (&told["two is out"]["reason"], &told["two is out"]["one"]),
            (&json!("io server disconnect"), &json!(true))
        );
        assert_eq!(told["one has left"]["third"], Value::Bool(true));
        empty(&gateway).await;
    }
}
