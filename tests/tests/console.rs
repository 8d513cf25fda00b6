//! The console in a real browser: what an administrator does there happens to real sockets, nobody else gets in, and the
//! page keeps its own laws: nothing from elsewhere, no markup out of strangers' words, no token left anywhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::collections::BTreeMap;

use gateway_tests::{Claims, Options, TestGateway, browser, calls::call, dev::DevGateway, tokens::token};
use serde_json::{Value, json};

const ADMIN_KEY: &str = "key-of-an-administrator-0123456789abcdef";
const PLAIN_KEY: &str = "key-of-a-backend-0123456789abcdefghijkl";

/// What a script told, by its names.
async fn played(script: &str, gateway: &str, tokens: &Value, more: &[(&str, &str)]) -> BTreeMap<String, Value> {
    let tokens = tokens.to_string();
    let mut env = vec![("GATEWAY", gateway), ("TOKENS", &tokens)];
    env.extend(more);
    let told = browser::run(script, &env).await;
    told.into_iter().map(|told| (told["name"].as_str().unwrap_or_default().to_owned(), told)).collect()
}

fn closed(end: &Value) -> (u64, &str) {
    (end["close"].as_u64().unwrap_or_default(), end["reason"]["code"].as_str().unwrap_or_default())
}

fn nothing_amiss(told: &Value) {
    assert_eq!(told["faults"], json!([]), "the page broke a law of its own, or threw");
}

#[tokio::test]
async fn what_an_administrator_does_in_the_console_happens_to_real_sockets() {
    let gateway = TestGateway::start();
    let tokens = json!({
        "admin": token("root", "admin"), "ann": token("ann", "dashboard"), "bob": token("bob", "dashboard"),
        "cat": token("cat", "dashboard"), "agent": token("press-7", "agent"),
        "strange": token("<img src=x onerror=\"alert(1)\">", "dashboard"),
    });
    let told = played("console.mjs", &gateway.address.to_string(), &tokens, &[]).await;

    let overview = &told["overview"];
    assert_eq!((&overview["agents"], &overview["charts"]), (&json!("1"), &json!(8)), "{overview}");
    assert!(overview["label"].as_str().unwrap().contains("connections 5"), "a chart is read out, too: {overview}");

    let kick = &told["kick"];
    assert_eq!(closed(&kick["kicked"]), (4011, "DISCONNECTED"), "{kick}");
    assert_eq!(kick["client"], "<img src=x onerror=\"alert(1)\">", "what a client calls itself is text");
    assert_eq!((&kick["named"], &kick["images"]), (&json!(1), &json!(0)), "and so is what a user is called");

    let revoke = &told["revoke"];
    assert_eq!(closed(&revoke["revoked"]), (4009, "TOKEN_REVOKED"), "{revoke}");
    assert_eq!(revoke["again"]["body"]["error"]["code"], "TOKEN_REVOKED");

    let ban = &told["ban"];
    assert_eq!(closed(&ban["banned"]), (4007, "BANNED"), "{ban}");
    assert_eq!(ban["out"]["body"]["error"]["code"], "BANNED", "{ban}");
    assert_eq!(ban["again"]["user"], "cat", "once the ban is lifted it comes in: {ban}");
    let fault = told["block"]["fault"].as_str().unwrap();
    assert!(fault.contains("this machine") && fault.contains("force"), "{fault}");

    let refusal = &told["refusal"];
    let said = refusal["said"].as_str().unwrap();
    for part in
        ["cat", "/ws/agent", "does one of its roles open the endpoint", "compare the endpoint's roles", "HTTP 403"]
    {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(refusal["own"], true, "it is the very one that was provoked");

    let look = &told["look"];
    assert!(look["remembered"].as_str().unwrap().contains("<b>hot</b>"), "{look}");
    assert!(look["went"].as_str().unwrap().contains("closed"), "{look}");

    let end = &told["end"];
    nothing_amiss(end);
    let kept = end["kept"].as_str().unwrap();
    assert!(!kept.contains("eyJ"), "the token is kept somewhere");
    for event in ["kicked", "revoked", "ban.laid", "ban.lifted"] {
        gateway
            .audited(event, |line| line["event"] == event && line["reason"].as_str().unwrap().contains("root"))
            .await;
    }
}

#[tokio::test]
async fn nobody_but_an_administrator_gets_into_the_console() {
    let key = |id: &str, key: &str, role: &str| {
        let hash = gateway_auth::api_key::hash_text(&gateway_auth::api_key::hash(key));
        format!("[[api_keys]]\nid = \"{id}\"\nsha256 = \"{hash}\"\nuser = \"{id}\"\nroles = [\"{role}\"]\n")
    };
    // What is issued lives for so short a time that it is renewed while one looks on.
    let config = format!(
        "[auth.issuer]\nkey = \"main\"\naccess_ttl = \"61s\"\n{}{}",
        key("chief", ADMIN_KEY, "admin"),
        key("backend", PLAIN_KEY, "service")
    );
    let gateway = TestGateway::open(Options { config, ..Options::default() });
    let tokens = json!({
        "admin": token("root", "admin"), "ann": token("ann", "dashboard"), "backend": token("backend", "service"),
        "old": Claims::of("root", "admin").expiring_in(-60).sign(),
    });
    let keys = [("ADMIN_KEY", ADMIN_KEY), ("PLAIN_KEY", PLAIN_KEY)];
    let told = played("console_login.mjs", &gateway.address.to_string(), &tokens, &keys).await;

    let refused = &told["refused"];
    for (attempt, words) in [
        ("nothing", "Paste a token first"),
        ("junk", "three parts"),
        ("dashboard", "needs the role"),
        ("service", "has the role service: the console needs admin"),
        ("expired", "expired"),
        ("wrongKey", "nobody's"),
        ("plainKey", "has the role service: the console needs admin"),
    ] {
        let said = refused[attempt].as_str().unwrap();
        assert!(said.contains(words), "{attempt}: {said}");
    }
    let by_key = &told["by key"];
    assert!(by_key["who"].as_str().unwrap().contains("chief"), "{by_key}");
    assert_eq!((&by_key["renewed"], &by_key["live"]), (&json!(200), &json!(1)), "{by_key}");
    let revoked = &told["revoked"];
    assert_eq!(revoked["revocation"], 200);
    assert!(revoked["why"].as_str().unwrap().contains("revoked"), "{revoked}");
    nothing_amiss(revoked);
}

#[tokio::test]
async fn the_console_is_worked_by_keys_alone_in_light_and_dark_and_on_a_phone() {
    let gateway = TestGateway::start();
    let long = format!("l{}ng", "o".repeat(120));
    let tokens = json!({
        "admin": token("root", "admin"), "ann": token("ann", "dashboard"), "long": token(&long, "dashboard"),
    });
    let told = played("console_keys.mjs", &gateway.address.to_string(), &tokens, &[]).await;

    let keys = &told["keys"];
    let views = json!(["Overview", "Connections", "Users", "Agents", "Rooms", "Refusals", "Bans", "Try it"]);
    assert_eq!((&keys["first"], &keys["walked"]), (&json!("Overview"), &views), "a view that opens has the focus");
    assert_eq!(keys["back"], "Kick ann", "a dialog gives the focus back");
    assert_eq!(closed(&keys["kicked"]), (4011, "DISCONNECTED"));

    let themes = &told["themes"];
    assert_ne!(themes["light"], themes["dark"]);
    assert_eq!((&themes["chosen"], &themes["later"]), (&themes["light"], &themes["light"]), "{themes}");
    assert_eq!(themes["asked"], 1, "a load of the page asks for the token again");

    let phone = &told["phone"];
    for (view, width) in phone["wide"].as_object().unwrap() {
        assert!(width.as_u64() <= Some(360), "{view} is wider than a phone: {width}");
    }
    assert_eq!(phone["small"], json!([]));
    nothing_amiss(phone);
}

#[tokio::test]
async fn in_dev_mode_the_console_makes_a_token_and_talks_with_it() {
    let gateway = DevGateway::start();
    assert!(gateway.banner.contains(&format!("http://{}/console", gateway.address)), "{}", gateway.banner);
    let tokens = json!({ "admin": gateway.exported("ADMIN_TOKEN"), "agent": gateway.exported("AGENT_TOKEN") });
    let told = played("console_trial.mjs", &gateway.address, &tokens, &[]).await;
    let told = &told[""];
    assert_eq!(
        (&told["user"], &told["pong"], &told["room"]),
        (&json!("ann"), &json!("pong"), &json!("agents")),
        "{told}"
    );
    assert_eq!((&told["reply"], &told["news"]), (&json!({"did": "status"}), &json!({"text": "hello"})), "{told}");
    assert_eq!(told["whom"], "agent-1", "the agent that was chosen is asked");
    nothing_amiss(told);
}

#[tokio::test]
async fn the_page_comes_with_its_laws_and_is_asked_about_before_it_is_sent_again() {
    let gateway = TestGateway::start();
    let page = call(&gateway, "GET", "/console", &[], None).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for path in ["/console", "/console/main.js", "/console/style.css", "/console/codes.json", "/console/views/bans.js"]
    {
        let answer = call(&gateway, "GET", path, &[], None).await;
        assert_eq!(answer.status, 200, "{path}");
        let law = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(law.contains(part), "{path}: {law}");
        }
        assert!(!law.contains("unsafe") && !law.contains("http"), "{path}: {law}");
        assert_eq!(
            (answer.header("x-content-type-options"), answer.header("referrer-policy")),
            ("nosniff", "no-referrer"),
            "{path}"
        );
        let tag = answer.header("etag").to_owned();
        let again = call(&gateway, "GET", path, &[("if-none-match", &tag)], None).await;
        assert_eq!((again.status, &again.body), (304, &Value::Null), "{path}");
        let other = call(&gateway, "GET", path, &[("if-none-match", "\"another\"")], None).await;
        assert_eq!(other.status, 200, "{path}");
    }
    let head = call(&gateway, "HEAD", "/console", &[], None).await;
    assert_eq!((head.status, head.header("content-length")), (200, page.header("content-length")));
    let refused = call(&gateway, "POST", "/console", &[], None).await;
    assert_eq!((refused.told(), refused.header("allow")), ((405, "METHOD_NOT_ALLOWED"), "GET, HEAD"));
    let slash = call(&gateway, "GET", "/console/", &[], None).await;
    assert_eq!((slash.status, slash.header("location")), (308, "../console"), "as a proxy's own path would have it");
    for path in ["/console/nothing.js", "/console/views", "/console/views/", "/console//main.js", "/consoles"] {
        assert_eq!(call(&gateway, "GET", path, &[], None).await.told(), (404, "NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn the_console_is_where_the_api_is_and_can_be_switched_off() {
    let without = TestGateway::with("[console]\nenabled = false\n");
    let apart = TestGateway::with("[admin]\nlisten = \"127.0.0.1:0\"\n");
    for gateway in [&without, &apart] {
        for path in ["/console", "/console/", "/console/main.js", "/console/site.json"] {
            assert_eq!(call(gateway, "GET", path, &[], None).await.told(), (404, "NOT_FOUND"), "{path}");
        }
    }
}
