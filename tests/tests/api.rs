//! The API for backends and operators: who may call what, what is told of the connections, how they are ended, and how a
//! bad call is answered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, Options, TestClient, TestGateway,
    calls::call,
    eventually,
    plain::{UPGRADE, ask},
    tokens::{now, token},
};
use serde_json::{Value, json};

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

#[tokio::test]
async fn each_role_may_what_it_may_on_each_call() {
    let gateway = TestGateway::with(FREE);
    let service = [
        ("GET", "/api/v1/connections", 200),
        ("GET", "/api/v1/connections/00000000-0000-0000-0000-000000000000", 404),
        ("DELETE", "/api/v1/connections/00000000-0000-0000-0000-000000000000", 404),
        ("GET", "/api/v1/users/ann", 200),
        ("POST", "/api/v1/users/ann/disconnect", 200),
        ("GET", "/api/v1/agents", 200),
        ("GET", "/api/v1/rooms", 200),
        ("GET", "/api/v1/rooms/nowhere", 404),
        ("GET", "/api/v1/rooms/nowhere/history", 404),
        ("GET", "/api/v1/rooms/nowhere/presence", 200),
        ("POST", "/api/v1/events", 400),
        ("POST", "/api/v1/events/batch", 400),
        ("GET", "/api/v1/nothing", 404),
    ];
    let admin = [
        ("GET", "/api/v1/bans", 200),
        ("PUT", "/api/v1/bans", 400),
        ("DELETE", "/api/v1/bans", 400),
        ("POST", "/api/v1/revocations", 400),
        ("GET", "/api/v1/audit", 200),
        ("GET", "/api/v1/audit/00000000-0000-0000-0000-000000000000", 404),
    ];
    let expired = Claims::of("root", "admin").expiring_in(-5).sign();
    let both = Claims::of("root", "dashboard").with("roles", json!(["dashboard", "service"])).sign();
    for (method, path, status) in service.iter().chain(&admin) {
        let for_service = service.contains(&(method, path, *status));
        let got = async |token: &str| gateway.api_as(token, method, path, None).await;
        assert_eq!(got(&token("root", "admin")).await.0, *status, "{method} {path}");
        let (as_service, body) = got(&both).await;
        assert_eq!(as_service, if for_service { *status } else { 403 }, "{method} {path}");
        if !for_service {
            assert_eq!(body["error"]["code"], "FORBIDDEN");
        }
        for role in ["dashboard", "agent", "Admin", "administrator"] {
            assert_eq!(got(&token("eve", role)).await.0, 403, "{method} {path} as {role}");
        }
        assert_eq!(got(&expired).await.1["error"]["code"], "TOKEN_EXPIRED");
        let stranger = call(&gateway, method, path, &[], None).await;
        assert_eq!(stranger.told(), (401, "AUTH_REQUIRED"), "{method} {path}");
        assert!(stranger.header("www-authenticate").starts_with("Bearer"));
        // Credentials are in headers only.
        let admin = token("root", "admin");
        let in_query = call(&gateway, method, &format!("{path}?token={admin}"), &[], None).await;
        assert_eq!(in_query.status, 401, "{method} {path}");
        let cookie = format!("token={admin}");
        assert_eq!(call(&gateway, method, path, &[("cookie", &cookie)], None).await.status, 401);
    }
}

/// Method, path, headers and body of a call, and the status and code of its answer.
type Row<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, Option<&'a str>, (u16, &'a str));

#[tokio::test]
async fn bad_calls_are_answered_with_the_table() {
    let gateway = TestGateway::with(FREE);
    let bearer = format!("Bearer {}", token("root", "admin"));
    let auth = ("authorization", bearer.as_str());
    let json_kind = ("content-type", "application/json");
    let big = format!("{{\"user\":\"{}\"}}", "x".repeat(300 << 10));
    let table: Vec<Row<'_>> = vec![
        ("GET", "/", vec![], None, (404, "NOT_FOUND")),
        ("GET", "/api", vec![auth], None, (404, "NOT_FOUND")),
        ("GET", "/api/v2/connections", vec![auth], None, (404, "NOT_FOUND")),
        ("GET", "/api/v1/", vec![auth], None, (404, "NOT_FOUND")),
        ("GET", "/api/v1/connections/", vec![auth], None, (404, "NOT_FOUND")),
        ("GET", "/api/v1/connections/nonsense", vec![auth], None, (404, "NOT_FOUND")),
        ("POST", "/api/v1/connections", vec![auth], None, (405, "METHOD_NOT_ALLOWED")),
        ("PATCH", "/api/v1/bans", vec![auth], None, (405, "METHOD_NOT_ALLOWED")),
        ("GET", "/api/v1/users/ann/disconnect", vec![auth], None, (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/healthz", vec![], None, (405, "METHOD_NOT_ALLOWED")),
        ("PUT", "/api/v1/bans", vec![auth, json_kind], Some(&big), (413, "MESSAGE_TOO_BIG")),
        ("PUT", "/api/v1/bans", vec![auth, ("content-type", "text/plain")], Some("{}"), (415, "UNSUPPORTED_DATA")),
        ("PUT", "/api/v1/bans", vec![auth, json_kind], Some("{\"user\":"), (400, "INVALID_REQUEST")),
        ("PUT", "/api/v1/bans", vec![auth, json_kind], Some(""), (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/connections?limit=0", vec![auth], None, (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/connections?limit=ten", vec![auth], None, (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/connections?cursor=x", vec![auth], None, (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/connections?user=a&user=b", vec![auth], None, (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/audit/nonsense", vec![auth], None, (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/audit?limit=100000", vec![auth], None, (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/users/%ff", vec![auth], None, (400, "INVALID_REQUEST")),
        ("GET", "/api/v1/connections", vec![auth, ("x-api-key", "wrong")], None, (401, "TOKEN_INVALID")),
    ];
    for (method, path, headers, body, told) in table {
        let answer = call(&gateway, method, path, &headers, body.map(str::to_owned)).await;
        assert_eq!(answer.told(), told, "{method} {path}");
        let error = &answer.body["error"];
        assert!(error["message"].is_string() && error["requestId"].is_string(), "{method} {path}: {error}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("allow").is_empty(), told.0 != 405, "{method} {path}");
    }
    assert_eq!(call(&gateway, "GET", "/healthz", &[], None).await.status, 200);
    assert_eq!(call(&gateway, "GET", "/health", &[], None).await.status, 200);
    assert_eq!(call(&gateway, "GET", "/readyz", &[], None).await.body["status"], "ok");
}

#[tokio::test]
async fn the_head_of_what_is_got_is_its_answer_without_the_body() {
    let gateway = TestGateway::with(FREE);
    let admin = format!("authorization: Bearer {}\r\n", token("root", "admin"));
    for path in ["/healthz", "/readyz", "/openapi.json", "/api/v1/rooms", "/api/v1/bans", "/api/v1/rooms/nowhere"] {
        let got = ask(gateway.somewhere(), &format!("GET {path} HTTP/1.1"), &admin).await;
        let head = ask(gateway.somewhere(), &format!("HEAD {path} HTTP/1.1"), &admin).await;
        assert_eq!((head.status, head.body.len()), (got.status, 0), "{path}");
        assert_eq!(head.header("content-length"), got.header("content-length"), "{path}");
    }
    let bearer = format!("Bearer {}", token("root", "admin"));
    let refused = call(&gateway, "HEAD", "/api/v1/events", &[("authorization", &bearer)], None).await;
    assert_eq!((refused.status, refused.header("allow")), (405, "POST"));
    let refused = call(&gateway, "PATCH", "/api/v1/bans", &[("authorization", &bearer)], None).await;
    assert_eq!(refused.header("allow"), "GET, HEAD, PUT, DELETE");
    assert_eq!(call(&gateway, "HEAD", "/api/v1/rooms", &[], None).await.status, 401);
}

#[tokio::test]
async fn credentials_that_could_be_read_in_two_ways_are_refused() {
    let gateway = TestGateway::with(FREE);
    let bearer = format!("Bearer {}", token("root", "admin"));
    let with = async |headers: &[(&str, &str)]| call(&gateway, "GET", "/api/v1/rooms", headers, None).await;
    assert_eq!(with(&[("x-api-key", "a"), ("x-api-key", "b")]).await.told(), (400, "INVALID_REQUEST"));
    let twice = with(&[("authorization", &bearer), ("authorization", &bearer)]).await;
    assert_eq!(twice.told(), (401, "TOKEN_INVALID"));
    // Where both come, the key is judged; an empty one is none.
    assert_eq!(with(&[("authorization", &bearer), ("x-api-key", "wrong")]).await.told(), (401, "TOKEN_INVALID"));
    assert_eq!(with(&[("authorization", &bearer), ("x-api-key", "")]).await.status, 200);
}

async fn list(gateway: &TestGateway, query: &str) -> Value {
    let (status, page) = gateway.api("GET", &format!("/api/v1/connections{query}"), None).await;
    assert_eq!(status, 200, "{page}");
    page
}

fn users(page: &Value) -> Vec<String> {
    let all = page["connections"].as_array().expect("a list").iter();
    let mut users: Vec<_> = all.map(|one| one["userId"].as_str().unwrap().to_owned()).collect();
    users.sort();
    users
}

#[tokio::test]
async fn connections_are_listed_filtered_and_paged() {
    let gateway = TestGateway::with(FREE);
    let mut clients = Vec::new();
    for (user, role, path) in [
        ("ann", "dashboard", "/ws"),
        ("ann", "dashboard", "/ws/dashboard"),
        ("bob", "dashboard", "/ws"),
        ("r2", "agent", "/ws/agent"),
        ("r2", "agent", "/ws"),
    ] {
        clients.push(TestClient::greeted(&gateway, path, &token(user, role)).await);
    }
    assert_eq!(users(&list(&gateway, "").await), ["ann", "ann", "bob", "r2", "r2"]);
    assert_eq!(users(&list(&gateway, "?user=ann").await), ["ann", "ann"]);
    assert_eq!(users(&list(&gateway, "?role=agent").await), ["r2", "r2"]);
    assert_eq!(users(&list(&gateway, "?endpoint=/ws").await), ["ann", "bob", "r2"]);
    assert_eq!(users(&list(&gateway, "?endpoint=%2Fws&role=dashboard").await), ["ann", "bob"]);
    assert_eq!(users(&list(&gateway, "?user=nobody").await), Vec::<String>::new());

    let (mut cursor, mut seen, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let page = list(&gateway, &format!("?limit=2{cursor}")).await;
        assert_eq!(page["total"], 5);
        assert!(page["connections"].as_array().unwrap().len() <= 2);
        seen.extend(page["connections"].as_array().unwrap().iter().map(|one| one["connectionId"].clone()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut whole: Vec<_> = clients.iter().map(|(_, ready)| ready["connectionId"].clone()).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    seen.sort_by_key(text);
    whole.sort_by_key(text);
    assert_eq!((seen, pages), (whole, 3), "each once, on three pages");
}

#[tokio::test]
async fn the_context_of_a_connection_is_what_its_token_says() {
    let claims = "[auth.claims]\nuser = [\"user.id\", \"sub\"]\nroles = \"realm_access.roles\"\nplan = \"account.plan\"\n\
                  permissions = \"scope\"\nagent = \"agent_id\"\n";
    let gateway = TestGateway::with(claims);
    let expires = now() + 1234;
    let claims = Claims::of("ignored", "ignored")
        .with("user", json!({"id": "ann"}))
        .with("realm_access", json!({"roles": ["dashboard", "viewer"]}))
        .with("account", json!({"plan": "professional"}))
        .with("scope", "agents.read command.execute")
        .with("agent_id", "robot-7")
        .with("jti", "t-1")
        .with("exp", expires);
    let mut client =
        TestClient::open(&gateway.ws(&format!("/ws?token={}", claims.sign())), &[("user-agent", "tester/1")])
            .await
            .unwrap();
    let ready = client.json().await["payload"].clone();
    let path = format!("/api/v1/connections/{}", ready["connectionId"].as_str().unwrap());
    let admin = Claims::of("root", "").with("realm_access", json!({"roles": "service"})).sign();
    let (_, page) = gateway.api_as(&admin, "GET", &path, None).await;
    for told in [&ready, &page] {
        assert_eq!((&told["userId"], &told["agentId"]), (&json!("ann"), &json!("robot-7")));
        assert_eq!((&told["roles"], &told["role"]), (&json!(["dashboard", "viewer"]), &json!("dashboard")));
        assert_eq!(told["permissions"], json!(["agents.read", "command.execute"]));
        assert_eq!((&told["plan"], &told["limits"]["connections"]), (&json!("professional"), &json!(25)));
        assert_eq!(told["limits"]["messageBytes"], 1 << 20);
        let moment = gateway_domain::Timestamp::from_seconds(expires).to_string();
        assert_eq!(told["expiresAt"], moment);
    }
    assert_eq!((&ready["protocol"], &ready["heartbeatSeconds"]), (&json!(1), &json!(25)));
    assert_eq!(
        (&page["endpoint"], &page["ip"], &page["userAgent"]),
        (&json!("/ws"), &json!("127.0.0.1"), &json!("tester/1"))
    );
    assert_eq!((&page["transport"], &page["keptPastExpiry"]), (&json!("websocket"), &json!(true)));
    for time in ["connectedAt", "authenticatedAt", "lastActivityAt"] {
        assert!(page[time].as_str().is_some_and(|time| time.ends_with('Z')), "{time}: {page}");
    }
}

#[tokio::test]
async fn a_prefix_keeps_the_users_of_a_key_apart_and_an_agent_may_be_named_in_the_query() {
    let gateway = TestGateway::open(Options {
        own_keys: true,
        config: "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\nuser_prefix = \"own:\"\n\
                 [auth.claims]\nagent = \"query:agentId\"\n"
            .into(),
        ..Options::default()
    });
    let target = |query: &str| gateway.ws(&format!("/ws/agent?token={}{query}", token("fleet", "agent")));
    let mut client = TestClient::open(&target("&agentId=r2"), &[]).await.unwrap();
    let ready = client.json().await["payload"].clone();
    assert_eq!((&ready["userId"], &ready["agentId"]), (&json!("own:fleet"), &json!("own:fleet/r2")), "never a bare id");
    let mut other = TestClient::open(&target(""), &[]).await.unwrap();
    assert_eq!(other.json().await["payload"].get("agentId"), None);
    let refused = TestClient::open(&target("&agentId=a&agentId=b"), &[]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (400, "INVALID_REQUEST"));
    let (_, user) = gateway.api("GET", "/api/v1/users/own%3Afleet", None).await;
    assert_eq!((&user["connected"], user["connections"].as_array().unwrap().len()), (&json!(true), 2));
}

#[tokio::test]
async fn an_operator_ends_one_connection_or_all_of_a_users() {
    let gateway = TestGateway::with(FREE);
    let (mut one, ready) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let (mut two, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let (mut three, _) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let (mut other, _) = TestClient::greeted(&gateway, "/ws", &token("bob", "dashboard")).await;
    let path = format!("/api/v1/connections/{}", ready["connectionId"].as_str().unwrap());
    assert_eq!(gateway.api("GET", &path, None).await.1["userId"], "ann");
    let service = token("backend", "service");
    assert_eq!(gateway.api_as(&service, "DELETE", &path, None).await, (200, json!({"disconnected": 1})));
    let (code, reason) = one.closed().await;
    assert_eq!((code, reason["code"].as_str()), (4011, Some("DISCONNECTED")));
    let gone = async || (gateway.api("GET", &path, None).await.0 == 404).then_some(());
    eventually(5, "it is gone from the list", gone).await;
    assert_eq!(gateway.api("DELETE", &path, None).await.0, 404);

    let (status, answer) = gateway.api_as(&service, "POST", "/api/v1/users/ann/disconnect", None).await;
    assert_eq!((status, answer), (200, json!({"disconnected": 2})));
    for client in [&mut two, &mut three] {
        assert_eq!(client.closed().await.0, 4011);
    }
    assert_eq!(other.ask(json!({"type": "ping"})).await["type"], "pong");
    let (_, user) = gateway.api("GET", "/api/v1/users/bob", None).await;
    assert_eq!((&user["connected"], &user["banned"], &user["violations"]), (&json!(true), &json!(false), &json!(0)));
    assert_eq!(gateway.api("POST", "/api/v1/users/ann/disconnect", None).await.1["disconnected"], 0);
    let kicked =
        gateway.audited("the deed", |line| line["event"] == "kicked" && line["connectionId"].is_string()).await;
    assert!(kicked["reason"].as_str().unwrap().contains("backend"));
}

#[tokio::test]
async fn the_api_may_have_a_listener_of_its_own() {
    // Its address for operators is each node's own.
    let gateway = TestGateway::alone("[admin]\nlisten = \"127.0.0.1:0\"\n");
    let (status, answer) = gateway.api("GET", "/api/v1/connections", None).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("NOT_FOUND")), "not on the doors' listener");
    assert_eq!(call(&gateway, "GET", "/metrics", &[], None).await.status, 404);
    assert_eq!(call(&gateway, "GET", "/healthz", &[], None).await.status, 200);
    let (_client, ready) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;

    let said = async || {
        let written = gateway.written();
        let rest = written.split_once("listening for operators address=\"")?.1;
        rest.split_once('"').map(|(address, _)| address.to_owned())
    };
    let operators = eventually(5, "the address for operators is said", said).await.parse().unwrap();
    let admin = format!("authorization: Bearer {}\r\n", token("root", "admin"));
    let page = ask(operators, "GET /api/v1/connections HTTP/1.1", &admin).await;
    assert_eq!((page.status, &page.json()["connections"][0]["connectionId"]), (200, &ready["connectionId"]));
    assert_eq!(ask(operators, "GET /api/v1/connections HTTP/1.1", "").await.status, 401);
    assert_eq!(ask(operators, "GET /readyz HTTP/1.1", "").await.status, 200);
    let metrics = ask(operators, "GET /metrics HTTP/1.1", "").await;
    assert_eq!(metrics.status, 200, "this machine may read them");
    assert!(metrics.header("content-type").is_some_and(|kind| kind.contains("openmetrics")));
    // And no door is there.
    let door = format!("GET /ws?token={} HTTP/1.1", token("ann", "dashboard"));
    assert_eq!(ask(operators, &door, UPGRADE).await.status, 404);
    gateway.audited("the one who came in", |line| line["event"] == "connected").await;
    assert_eq!(gateway.audit().iter().filter(|line| line["event"] == "connected").count(), 1);
}
