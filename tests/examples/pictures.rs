//! Makes the pictures of the console that `docs/console.md` shows: a gateway in dev mode with some life in it, looked at
//! in a real browser. `make screenshots` runs it; nothing is compared with what was there before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool that cannot go on says so by panicking, and says what it made"
)]

use gateway_tests::{browser, dev::DevGateway};
use serde_json::{Map, Value, json};

/// Who is in the pictures, and as what.
const CAST: [(&str, &str); 8] = [
    ("ann", "dashboard"),
    ("bob", "dashboard"),
    ("cat", "dashboard"),
    ("dan", "dashboard"),
    ("press-1", "agent"),
    ("press-7", "agent"),
    ("oven-2", "agent"),
    ("belt-3", "agent"),
];

#[tokio::main]
async fn main() {
    let gateway = DevGateway::start();
    let admin = gateway.exported("ADMIN_TOKEN").to_owned();
    let mut tokens = Map::new();
    for (user, role) in CAST {
        tokens.insert(user.into(), minted(&gateway, &admin, user, role).await);
    }
    tokens.insert("admin".into(), admin.into());
    // Its end is long past, whoever signed it.
    tokens.insert("old".into(), gateway_tests::Claims::of("eve", "dashboard").expiring_in(-3600).sign().into());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console");
    let told = browser::run(
        "console_pictures.mjs",
        &[
            ("GATEWAY", &gateway.address),
            ("TOKENS", &Value::Object(tokens).to_string()),
            ("PICTURES", &folder.display().to_string()),
        ],
    )
    .await;
    for look in told {
        assert_eq!(look["faults"], json!([]), "{look}");
        println!("{} is there", look["look"]);
    }
}

async fn minted(gateway: &DevGateway, admin: &str, user: &str, role: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = client.post(format!("http://{}/api/v1/trial-tokens", gateway.address)).bearer_auth(admin);
    let answer = call.json(&json!({ "user": user, "roles": [role] })).send().await.expect("an answer");
    answer.json::<Value>().await.expect("JSON")["token"].clone()
}
