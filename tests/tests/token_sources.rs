//! Where a token is looked for: in the query, else in the Authorization header, and where an operator switched it on in
//! a subprotocol or a cookie. The first place that has one is judged, and no other is ever looked at.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{Options, TestClient, TestGateway, client::Refused, tokens::token};

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

async fn open(gateway: &TestGateway, target: &str, headers: &[(&str, &str)]) -> Result<String, Refused> {
    let mut client = TestClient::open(&gateway.ws(target), headers).await?;
    let ready = client.json().await;
    assert_eq!(ready["type"], "connection_ready");
    client.leave().await;
    Ok(ready["payload"]["userId"].as_str().expect("a user").to_owned())
}

#[tokio::test]
async fn the_query_comes_first_and_the_header_beside_it_is_never_parsed() {
    let gateway = TestGateway::with(FREE);
    let (ann, bob) = (token("ann", "dashboard"), token("bob", "dashboard"));
    let bearer = format!("Bearer {bob}");
    let query = format!("/ws?token={ann}");
    for header in [bearer.as_str(), "Basic nonsense", "Bearer", "Bearer a b c", "Bearer ....", ""] {
        assert_eq!(open(&gateway, &query, &[("authorization", header)]).await.unwrap(), "ann", "{header}");
    }
    let two = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
    assert_eq!(open(&gateway, &query, &two).await.unwrap(), "ann");
    // The other way round nothing is forgiven: a bad token of the query is judged, however good the header.
    let refused = open(&gateway, "/ws?token=nonsense", &[("authorization", &bearer)]).await.unwrap_err();
    assert_eq!((refused.status, refused.detail()), (401, "malformed"));
}

#[tokio::test]
async fn an_empty_query_is_no_token_and_the_header_counts() {
    let gateway = TestGateway::with(FREE);
    let bearer = format!("Bearer {}", token("bob", "dashboard"));
    for target in ["/ws", "/ws?", "/ws?token=", "/ws?token", "/ws?token=&autojoin=false", "/ws?other=1&token="] {
        assert_eq!(open(&gateway, target, &[("authorization", &bearer)]).await.unwrap(), "bob", "{target}");
        let refused = open(&gateway, target, &[]).await.unwrap_err();
        assert_eq!((refused.status, refused.code()), (401, "AUTH_REQUIRED"), "{target}");
    }
    // Names are exact.
    for target in ["/ws?Token=x", "/ws?TOKEN=x", "/ws?access_token=x", "/ws?token[]=x"] {
        assert_eq!(open(&gateway, target, &[("authorization", &bearer)]).await.unwrap(), "bob", "{target}");
    }
}

#[tokio::test]
async fn a_repeated_query_parameter_is_a_bad_request() {
    let gateway = TestGateway::with(FREE);
    let ann = token("ann", "dashboard");
    let bearer = format!("Bearer {ann}");
    for query in [
        format!("token={ann}&token={ann}"),
        format!("token={ann}&token="),
        format!("token=&token={ann}"),
        "token=&token=".to_owned(),
        format!("token={ann}&%74oken={ann}"),
    ] {
        let refused = open(&gateway, &format!("/ws?{query}"), &[("authorization", &bearer)]).await.unwrap_err();
        assert_eq!((refused.status, refused.code()), (400, "INVALID_REQUEST"), "{query}");
        assert!(!refused.body.to_string().contains(&ann));
    }
    let refused = open(&gateway, "/ws?token=%zz", &[]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn the_bearer_prefix_is_read_as_the_rfc_says() {
    let gateway = TestGateway::with(FREE);
    let ann = token("ann", "dashboard");
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   ", "  Bearer "] {
        let header = format!("{scheme}{ann}");
        assert_eq!(open(&gateway, "/ws", &[("authorization", &header)]).await.unwrap(), "ann", "{scheme:?}");
    }
    let refused = async |headers: &[(&str, &str)]| {
        let refused = open(&gateway, "/ws", headers).await.unwrap_err();
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.header("www-authenticate").starts_with("Bearer error="), "{refused:?}");
        (refused.code().to_owned(), refused.detail().to_owned())
    };
    let malformed = ("TOKEN_INVALID".to_owned(), "malformed".to_owned());
    for header in [
        ann.clone(),
        format!("Bearer{ann}"),
        format!("Basic {ann}"),
        format!("Token {ann}"),
        format!("Bearer: {ann}"),
        format!("Bearer {ann} {ann}"),
        format!("Bearer {ann},{ann}"),
        format!("Bearer\t{ann}"),
        format!("Bearer Bearer {ann}"),
        format!("Bearer token={ann}"),
    ] {
        let told = refused(&[("authorization", &header)]).await;
        assert_eq!(told, malformed, "{}", header.replace(&ann, "<token>"));
    }
    let whole = format!("Bearer {ann}");
    assert_eq!(refused(&[("authorization", &whole), ("authorization", &whole)]).await, malformed);
    for empty in ["", "Bearer", "Bearer   "] {
        let (code, _) = refused(&[("authorization", empty)]).await;
        assert_eq!(code, "AUTH_REQUIRED", "{empty:?}");
    }
}

#[tokio::test]
async fn subprotocols_and_cookies_are_looked_at_only_where_they_are_switched_on() {
    let gateway = TestGateway::with(FREE);
    let ann = token("ann", "dashboard");
    let offered = format!("gateway.v1, bearer.{ann}");
    let cookie = format!("session={ann}; token={ann}");
    for header in [("sec-websocket-protocol", offered.as_str()), ("cookie", cookie.as_str())] {
        let refused = open(&gateway, "/ws", &[header]).await.unwrap_err();
        assert_eq!((refused.status, refused.code()), (401, "AUTH_REQUIRED"), "{}", header.0);
    }
}

#[tokio::test]
async fn a_subprotocol_may_carry_the_token_and_is_never_the_one_selected() {
    let gateway =
        TestGateway::with(&format!("[auth]\ntoken_sources = [\"query\", \"header\", \"subprotocol\"]\n{FREE}"));
    let (ann, bob) = (token("ann", "dashboard"), token("bob", "dashboard"));
    for offered in [format!("gateway.v1, bearer.{ann}"), format!("bearer.{ann}, gateway.v1")] {
        let mut client =
            TestClient::open(&gateway.ws("/ws"), &[("sec-websocket-protocol", &offered)]).await.expect("admitted");
        assert_eq!(client.headers["sec-websocket-protocol"], "gateway.v1");
        assert_eq!(client.json().await["payload"]["userId"], "ann");
        client.leave().await;
    }
    // Without the real one nothing is selected: the token is never said back. (The client library refuses such an
    // answer, so this is asked by hand.)
    let head = format!("{}sec-websocket-protocol: bearer.{ann}\r\n", gateway_tests::plain::UPGRADE);
    let answer = gateway_tests::plain::ask(gateway.address, "GET /ws HTTP/1.1", &head).await;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None));
    // The earlier sources come first, here too.
    let offered = format!("gateway.v1, bearer.{ann}");
    let both = [("sec-websocket-protocol", offered.as_str()), ("authorization", &format!("Bearer {bob}"))];
    assert_eq!(open(&gateway, "/ws", &both).await.unwrap(), "bob");
    let refused = open(&gateway, "/ws", &[("sec-websocket-protocol", "gateway.v1, bearer.nonsense")]).await;
    assert_eq!(refused.unwrap_err().detail(), "malformed");
    let several = format!("gateway.v1, bearer.{ann}, bearer.{bob}");
    let refused = open(&gateway, "/ws", &[("sec-websocket-protocol", &several)]).await.unwrap_err();
    assert_eq!((refused.status, refused.detail()), (401, "malformed"));
}

#[tokio::test]
async fn the_plain_subprotocol_is_selected_and_a_foreign_one_is_not() {
    let gateway = TestGateway::with(FREE);
    let target = format!("/ws?token={}", token("ann", "dashboard"));
    let client = TestClient::open(&gateway.ws(&target), &[("sec-websocket-protocol", "chat, gateway.v1")]).await;
    assert_eq!(client.unwrap().headers["sec-websocket-protocol"], "gateway.v1");
    let line = format!("GET {target} HTTP/1.1");
    let head = format!("{}sec-websocket-protocol: chat, gateway.v2\r\n", gateway_tests::plain::UPGRADE);
    let answer = gateway_tests::plain::ask(gateway.address, &line, &head).await;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None));
}

#[tokio::test]
async fn a_cookie_may_carry_the_token_where_the_pages_are_listed() {
    let endpoint = "[[endpoints]]\npath = \"/ws\"\norigins = [\"https://app.example\"]\n";
    let sources = "[auth]\ntoken_sources = [\"header\", \"cookie:session\"]\n";
    let gateway = TestGateway::with(&format!("{sources}{endpoint}{FREE}"));
    let ann = token("ann", "dashboard");
    let cookie = format!("theme=dark; session={ann}; lang=en");
    let page = ("origin", "https://app.example");
    assert_eq!(open(&gateway, "/ws", &[("cookie", &cookie), page]).await.unwrap(), "ann");
    assert_eq!(open(&gateway, "/ws", &[("cookie", &format!("session=\"{ann}\"")), page]).await.unwrap(), "ann");
    let refused = open(&gateway, "/ws", &[("cookie", &cookie), ("origin", "https://evil.example")]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (403, "ORIGIN_NOT_ALLOWED"));
    let planted = format!("session={ann}; session={ann}");
    let refused = open(&gateway, "/ws", &[("cookie", &planted), page]).await.unwrap_err();
    assert_eq!((refused.status, refused.detail()), (401, "malformed"));
    for other in [format!("Session={ann}"), "session=".to_owned(), format!("xsession={ann}")] {
        assert_eq!(open(&gateway, "/ws", &[("cookie", &other), page]).await.unwrap_err().code(), "AUTH_REQUIRED");
    }
    // The query is not among the sources here: what it holds is nobody's token.
    assert_eq!(open(&gateway, &format!("/ws?token={ann}"), &[]).await.unwrap_err().code(), "AUTH_REQUIRED");

    // Cookies go along with any page: without a list of pages the gateway does not start.
    let careless = |origins: &str| Options {
        config: format!("{sources}[[endpoints]]\npath = \"/ws\"\n{origins}\n"),
        ..Options::default()
    };
    for origins in ["", "origins = [\"*\"]"] {
        let written = TestGateway::try_open(careless(origins)).expect_err("an unsafe configuration");
        assert!(written.contains("exit code Some(2)") && written.contains("gateway.toml:"), "{written}");
    }
}
