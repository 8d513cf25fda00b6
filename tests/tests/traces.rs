//! A trace that a caller names goes through the gateway: into the answer, to the agent that is asked, to webhooks, into the
//! audit and the log. What is no trace is ignored, and is never a fault.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Options, TestClient, TestGateway, eventually,
    receiver::{Receiver, Request},
    redis::Redis,
    rooms::{UNLIMITED, agent, dashboard},
    tokens::token,
};
use reqwest::Response;
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// Nearly traces: capital letters, no trace at all, too long, a version that will never be.
const WRONG: [&str; 4] = [
    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
];

/// What one sees of the debug log, in the form for machines; messages of dashboards go to the hook, too.
fn gateway(receiver: &Receiver) -> TestGateway {
    TestGateway::open(Options {
        config: format!(
            "[server]\nlog = \"info,gateway_server=debug\"\nlog_format = \"json\"\n{UNLIMITED}\
             [[webhooks]]\nname = \"backend\"\nurl = \"{}\"\nsecret_file = \"hook.txt\"\n\
             [[routes]]\nfrom = \"dashboard\"\ntypes = [\"note\"]\nto = \"webhook:backend\"\n\
             [[routes]]\nfrom = \"dashboard\"\ntypes = [\"forbidden\"]\npermission = \"none.has.it\"\nto = \"webhook:backend\"\n\
             [[routes]]\nfrom = \"dashboard\"\ntypes = [\"command\"]\nto = \"agent:{{payload.agentId}}\"\nreply_timeout = \"30s\"\n",
            receiver.url()
        ),
        files: vec![("hook.txt".into(), b"a-secret-of-thirty-two-bytes-or-more".to_vec())],
        ..Options::default()
    })
}

async fn call(gateway: &TestGateway, path: &str, role: &str, parents: &[&str], body: &Value) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(gateway.http(path)).bearer_auth(token("backend", role)).json(body);
    for parent in parents {
        request = request.header("traceparent", *parent);
    }
    request.send().await.expect("an answer")
}

/// It belongs to the trace, and its span is another than the caller's.
fn is_drawn_on(told: &str) {
    let parts: Vec<_> = told.split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[1], parts[3]), (4, "00", TRACE, "01"), "{told}");
    assert!(parts[2].len() == 16 && parts[2] != "b7ad6b7169203331", "{told}");
}

fn header(answer: &Response) -> &str {
    answer.headers().get("traceparent").map_or("", |value| value.to_str().unwrap())
}

/// The request that told the hook of something.
async fn told(receiver: &Receiver, fits: impl Fn(&Request) -> bool) -> Request {
    eventually(10, "the hook is told", async || receiver.taken().into_iter().find(|request| fits(request))).await
}

/// The lines of the log, each with the fields of its spans.
fn logged(gateway: &TestGateway) -> Vec<Value> {
    gateway.written().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_a_trace_is_followed_into_its_answer_the_hook_the_agent_the_audit_and_the_log() {
    let receiver = Receiver::start().await;
    let gateway = gateway(&receiver);
    let event = json!({"to": ["webhook:backend"], "type": "note", "payload": 1});
    let answer = call(&gateway, "/api/v1/events", "service", &[PARENT], &event).await;
    assert_eq!(answer.status(), 200);
    is_drawn_on(header(&answer));
    let of_the_answer = header(&answer).to_owned();
    let hook = told(&receiver, |request| request.event() == "message").await;
    is_drawn_on(hook.header("traceparent"));
    assert_ne!(hook.header("traceparent"), of_the_answer, "the request to the hook is a span of its own");
    let line = eventually(5, "it is logged", async || {
        logged(&gateway).into_iter().find(|line| line["message"] == "published")
    })
    .await;
    assert_eq!((&line["span"]["traceId"], &line["span"]["name"]), (&json!(TRACE), &json!("call")), "{line}");
    assert!(line["span"]["requestId"].is_string() && line["eventId"].is_string(), "{line}");

    let mut drone = agent(&gateway, "a1").await;
    let asked = json!({"type": "command", "payload": {"do": "stop"}});
    let asking = call(&gateway, "/api/v1/agents/a1/requests", "service", &[PARENT], &asked);
    let answering = async {
        let request = drone.json().await;
        is_drawn_on(request["traceparent"].as_str().unwrap_or_default());
        drone.send(json!({"type": "reply", "replyTo": request["requestId"], "payload": "stopped"})).await;
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.status(), 200);
    is_drawn_on(header(&answer));

    let answer = call(&gateway, "/api/v1/events", "dashboard", &[PARENT], &event).await;
    is_drawn_on(header(&answer));
    let refused: Value = answer.json().await.unwrap();
    let line = gateway.audited("the refusal", |line| line["requestId"] == refused["error"]["requestId"]).await;
    assert_eq!((&line["code"], &line["traceId"]), (&json!("FORBIDDEN"), &json!(TRACE)), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_and_a_message_with_a_trace_are_followed_too() {
    let receiver = Receiver::start().await;
    let gateway = gateway(&receiver);
    let bearer = format!("Bearer {}", token("ann", "dashboard"));
    let headers = [("authorization", bearer.as_str()), ("traceparent", PARENT)];
    let mut ann = TestClient::open(&gateway.ws("/ws/dashboard"), &headers).await.unwrap();
    is_drawn_on(ann.headers["traceparent"].to_str().unwrap());
    let greeting = ann.json().await;
    let connection = &greeting["payload"]["connectionId"];
    let line =
        gateway.audited("she came", |line| line["event"] == "connected" && line["connectionId"] == *connection).await;
    assert_eq!(line["traceId"], TRACE, "{line}");
    let hook = told(&receiver, |request| request.event() == "connect" && request.user() == "ann").await;
    is_drawn_on(hook.header("traceparent"));

    // What she says belongs to traces of its own.
    let other = PARENT.replace("0af7", "beef");
    let mut drone = agent(&gateway, "a1").await;
    ann.send(json!({"type": "command", "id": "1", "payload": {"agentId": "a1"}, "traceparent": other})).await;
    let request = drone.json().await;
    assert_eq!(request["traceparent"], other, "it is passed on as it is");
    let back = PARENT.replace("0af7", "cafe");
    drone.send(json!({"type": "reply", "replyTo": request["requestId"], "traceparent": back})).await;
    assert_eq!(ann.json().await["traceparent"], back);
    ann.tell(json!({"type": "note", "traceparent": other})).await;
    let hook = told(&receiver, |request| request.event() == "message").await;
    let of = |told: &str| told.split('-').nth(1).unwrap_or_default().to_owned();
    assert_eq!(of(hook.header("traceparent")), of(&other));
    assert_eq!(hook.json["message"]["traceparent"], other);
    ann.send(json!({"type": "forbidden", "id": "2", "traceparent": other})).await;
    assert_eq!(ann.json().await["payload"]["code"], "FORBIDDEN");
    let line = gateway.audited("the refusal", |line| line["event"] == "message.refused").await;
    assert_eq!((&line["traceId"], &line["connectionId"]), (&json!(of(&other)), connection), "{line}");
    ann.send(json!({"type": "forbidden", "id": "3"})).await;
    assert_eq!(ann.json().await["payload"]["code"], "FORBIDDEN");
    let line = gateway.audited("the next", |line| line["event"] == "message.refused" && line["traceId"] == TRACE).await;
    assert_eq!(&line["connectionId"], connection, "without one it is the connection's");
    ann.leave().await;
    let ended =
        gateway.audited("she went", |line| line["event"] == "disconnected" && line["connectionId"] == *connection);
    assert_eq!(ended.await["traceId"], TRACE);
    let lines = logged(&gateway);
    let message = lines.iter().find(|line| line["message"] == "a message of a trace").expect("it is logged");
    assert_eq!((&message["traceId"], &message["connectionId"]), (&json!(of(&other)), connection), "{message}");
    let begins = lines.iter().find(|line| line["message"] == "begins" && line["span"]["connectionId"] == *connection);
    let begins = &begins.expect("it is logged")["span"];
    assert!(begins["traceId"] == TRACE && begins["requestId"].is_string(), "{begins}");
}

/// The line of the log of a node that says this of that trace.
async fn line_of(node: &TestGateway, says: &str, trace: &str) -> Value {
    eventually(10, says, async || {
        let of_it =
            |line: &Value| line["message"] == says && (line["traceId"] == trace || line["span"]["traceId"] == trace);
        logged(node).into_iter().find(of_it)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_and_the_request_that_it_belongs_to_are_followed_to_other_nodes() {
    let redis = Redis::start();
    let config = format!(
        "[server]\nlog = \"info,gateway_server=debug\"\nlog_format = \"json\"\n{UNLIMITED}\
         [[rooms.rules]]\nmatch = \"news\"\njoin = [{{ role = \"dashboard\" }}]\n\
         [[routes]]\nfrom = \"dashboard\"\ntypes = [\"command\"]\nto = \"agent:{{payload.agentId}}\"\nreply_timeout = \"30s\"\n\
         [[routes]]\nfrom = \"dashboard\"\ntypes = [\"note\"]\nto = \"agent:{{payload.agentId}}\"\n"
    );
    let nodes = TestGateway::joined(2, &redis, &config);
    for node in &nodes {
        eventually(20, "the node reaches the other", async || {
            (node.api("GET", "/readyz", None).await.1["status"] == "ok").then_some(())
        })
        .await;
    }
    let (mut ann, mut press) = (dashboard(&nodes[0], "ann").await, agent(&nodes[1], "press").await);

    // A command: both nodes name its trace, and the request that the agent reads.
    ann.send(json!({"type": "command", "id": "1", "payload": {"agentId": "press"}, "traceparent": PARENT})).await;
    let request = press.json().await;
    assert_eq!(request["traceparent"], PARENT, "it is passed on as it is");
    press.send(json!({"type": "reply", "replyTo": request["requestId"], "payload": "stopped"})).await;
    assert_eq!(ann.json().await["payload"], "stopped");
    line_of(&nodes[0], "a message of a trace", TRACE).await;
    for (node, says) in nodes.iter().zip(["asks at another node", "asked at another node"]) {
        let line = line_of(node, says, TRACE).await;
        assert_eq!(line["requestId"], request["requestId"], "{line}");
        assert!(line["node"].is_string(), "{line}");
    }

    // A message that nobody has to answer.
    let other = PARENT.replace("0af7", "beef");
    ann.tell(json!({"type": "note", "payload": {"agentId": "press"}, "traceparent": other})).await;
    assert_eq!(press.json().await["traceparent"], other);
    line_of(&nodes[1], "said at another node", &TRACE.replace("0af7", "beef")).await;

    // What a backend publishes, and what it asks: the call is named at both nodes, with a trace and without.
    let event = json!({"to": ["agent:press"], "type": "note", "payload": 1});
    let answer = call(&nodes[0], "/api/v1/events", "service", &[&PARENT.replace("0af7", "cafe")], &event).await;
    assert_eq!(answer.status(), 200);
    let trace = TRACE.replace("0af7", "cafe");
    let (said, heard) =
        (line_of(&nodes[0], "published", &trace).await, line_of(&nodes[1], "said at another node", &trace).await);
    assert_eq!(
        (&said["span"]["requestId"], said["span"]["requestId"].is_string()),
        (&heard["requestId"], true),
        "{heard}"
    );
    press.json().await;
    let asked = json!({"type": "command", "payload": {"do": "stop"}});
    let parent = PARENT.replace("0af7", "f00d");
    let parents = [parent.as_str()];
    let asking = call(&nodes[0], "/api/v1/agents/press/requests", "service", &parents, &asked);
    let answering = async {
        let request = press.json().await;
        press.send(json!({"type": "reply", "replyTo": request["requestId"], "payload": "stopped"})).await;
        request
    };
    let (answer, request) = tokio::join!(asking, answering);
    assert_eq!(answer.status(), 200);
    let line = line_of(&nodes[1], "asked at another node", &TRACE.replace("0af7", "f00d")).await;
    assert_eq!(line["requestId"], request["requestId"], "{line}");

    assert_eq!(call(&nodes[0], "/api/v1/events", "service", &[], &event).await.status(), 200);
    press.json().await;
    let published = eventually(10, "it is logged", async || {
        let of_none = |line: &Value| line["message"] == "published" && line["span"].get("traceId").is_none();
        logged(&nodes[0]).into_iter().find(of_none)
    });
    let id = &published.await["span"]["requestId"];
    let line = eventually(10, "it is logged at the other node", async || {
        logged(&nodes[1]).into_iter().find(|line| line["message"] == "said at another node" && line["requestId"] == *id)
    })
    .await;
    assert!(line.get("traceId").is_none(), "nobody named one: {line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_trace_is_ignored() {
    let receiver = Receiver::start().await;
    let gateway = gateway(&receiver);
    let event = json!({"to": ["webhook:backend"], "type": "note", "payload": 1});
    let two = [PARENT, PARENT];
    for parents in WRONG.iter().map(std::slice::from_ref).chain([two.as_slice(), &[]]) {
        let answer = call(&gateway, "/api/v1/events", "service", parents, &event).await;
        assert_eq!((answer.status().as_u16(), header(&answer)), (200, ""), "{parents:?}");
    }
    let (mut ann, mut drone) = (dashboard(&gateway, "ann").await, agent(&gateway, "a1").await);
    for wrong in WRONG.map(Value::from).into_iter().chain([json!(7), json!({"a": 1}), Value::Null]) {
        ann.send(json!({"type": "command", "payload": {"agentId": "a1"}, "traceparent": wrong})).await;
        assert_eq!(drone.json().await["traceparent"], wrong, "a member of the client's own stays as it is");
        ann.tell(json!({"type": "note", "traceparent": wrong})).await;
    }
    let messages = receiver.has_taken(15).await;
    assert!(messages.iter().all(|request| request.header("traceparent").is_empty()));
    assert!(gateway.audit().iter().all(|line| line.get("traceId").is_none()));
    assert!(logged(&gateway).iter().all(|line| line.get("traceId").is_none() && line["span"].get("traceId").is_none()));
}

#[tokio::test]
async fn the_finest_log_of_all_holds_no_token() {
    let gateway = TestGateway::with("[server]\nlog = \"trace\"\n");
    // By the query, by a header, in the band, in a call; good ones and bad ones. Its end searches for them.
    let mut ann = dashboard(&gateway, "ann").await;
    ann.send(json!({"type": "auth.refresh", "id": "1", "payload": {"token": token("ann", "dashboard")}})).await;
    assert_eq!(ann.json().await["type"], "auth.refreshed");
    ann.send(
        json!({"type": "auth.refresh", "id": "2", "payload": {"token": format!("{}x", token("ann", "dashboard"))}}),
    )
    .await;
    assert_eq!(ann.json().await["type"], "error");
    let bearer = format!("Bearer {}", token("bob", "dashboard"));
    TestClient::open(&gateway.ws("/ws/dashboard"), &[("authorization", &bearer)]).await.unwrap().leave().await;
    TestClient::connect(&gateway, "/ws/agent", &token("bob", "dashboard")).await.unwrap_err();
    assert_eq!(gateway.api("GET", "/api/v1/rooms", None).await.0, 200);
    assert!(gateway.written().contains("TRACE") || gateway.written().contains("DEBUG"), "{}", gateway.written());
}
