//! A real page in a browser, of another origin than the gateway: what the lists of origins allow works, to the last
//! header, and nothing else does: no other page, no other method, no cookie.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::collections::BTreeMap;

use gateway_tests::{
    Claims, TestGateway,
    browser::{self, Site},
    rooms::dashboard,
    tokens::token,
};
use serde_json::{Value, json};

const PAGE: &str = "<!doctype html><title>a page</title>";

#[tokio::test]
async fn a_page_may_call_what_its_origin_allows_and_nothing_else() {
    let (listed, foreign) = (Site::with(PAGE).await, Site::with(PAGE).await);
    let origins = format!("origins = [\"{}\"]\n", listed.origin);
    let gateway = TestGateway::with(&format!(
        "[auth]\ntoken_sources = [\"query\", \"header\", \"cookie:token\"]\n[http]\n{origins}[[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"dashboard\"]\n{origins}\
         [limits]\nhandshakes_per_ip = {{ rate = \"1/m\", burst = 40 }}\n"
    ));
    let mut ann = dashboard(&gateway, "ann").await;
    let said = browser::run(
        "cors.mjs",
        &[
            ("GATEWAY", &gateway.somewhere().to_string()),
            ("LISTED", &listed.origin),
            ("FOREIGN", &foreign.origin),
            ("ADMIN", &token("root", "admin")),
            ("BACKEND", &token("backend", "service")),
            ("ANN", &token("ann", "dashboard")),
            ("BOTH", &Claims::of("bob", "dashboard").with("roles", json!(["dashboard", "service"])).sign()),
            ("WRONG", &format!("{}x", token("ann", "admin"))),
        ],
    )
    .await;
    let said: BTreeMap<&str, &Value> = said.iter().map(|said| (said["name"].as_str().unwrap(), said)).collect();
    let code = |name: &str| (said[name]["status"].clone(), said[name]["body"]["error"]["code"].clone());

    // The listed page: its preflight with Authorization is answered, and so are its calls, refusals included.
    assert_eq!(said["listedReads"]["status"], 200, "{}", said["listedReads"]);
    assert_eq!(said["listedReads"]["type"], "cors", "it is another origin");
    assert_eq!(said["listedReads"]["kept"], Value::Null, "what is not exposed is not read");
    assert_eq!(said["listedPublishes"]["body"]["delivered"], 1, "{}", said["listedPublishes"]);
    assert_eq!(said["listedPuts"]["status"], 200, "{}", said["listedPuts"]);
    assert_eq!(code("listedByKey"), (json!(401), json!("TOKEN_INVALID")));
    assert_eq!(code("listedWithoutToken"), (json!(401), json!("AUTH_REQUIRED")));
    let guess = said["guess"];
    assert_eq!(code("guess"), (json!(429), json!("RATE_LIMITED")), "{guess}");
    for (name, value) in [("x-ratelimit-limit", "1"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-period", "60")] {
        assert_eq!(guess["headers"][name], value, "{guess}");
    }
    let seconds: u64 = guess["headers"]["retry-after"].as_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{guess}");

    // What the preflight did not offer never leaves the browser; nor can any other page call or read.
    for name in [
        "listedPatches",
        "listedOtherHeader",
        "foreignReads",
        "foreignPublishes",
        "foreignHealth",
        "renamedReads",
        // The cookie went along, and there is no leave to read an answer to it.
        "listedCookie",
        "foreignCookie",
    ] {
        assert_eq!(said[name]["failed"], "TypeError", "{name}: {}", said[name]);
    }
    // A form could send this; it comes to the gateway, and does nothing there.
    for name in ["listedBlind", "foreignBlind"] {
        assert_eq!(said[name]["type"], "opaque", "{name}: {}", said[name]);
    }
    let heard: Vec<_> = ann.heard().await.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(heard, ["listed"], "nothing else was published");

    // The door has its own list.
    assert_eq!(said["listedSocket"]["first"], "connection_ready", "{}", said["listedSocket"]);
    // There the cookie is taken, so that it did come along with all the calls that it was no help to.
    assert_eq!(said["listedSocket by cookie"]["first"], "connection_ready", "{}", said["listedSocket by cookie"]);
    for name in ["foreignSocket", "renamedSocket", "foreignSocket by cookie"] {
        assert_eq!(said[name]["opened"], false, "{name}: {}", said[name]);
    }
    let refused = |code: &str, at: &str| {
        let audit = gateway.audit();
        assert!(audit.iter().any(|line| line["code"] == code && line["endpoint"] == at), "{code} {at}: {audit:?}");
    };
    refused("ORIGIN_NOT_ALLOWED", "/ws/dashboard");
    refused("ORIGIN_NOT_ALLOWED", "/api/v1/events");
    refused("AUTH_REQUIRED", "/api/v1/events");
}
