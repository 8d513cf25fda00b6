//! `gateway token check`: every check that can decide, with the line behind it.

use crate::support::{CONFIG, Folder, Said};

fn check(folder: &Folder, token: &str, more: &[&str]) -> Said {
    folder.run_with(&[&["token", "check", "-"], more].concat(), token, &[])
}

/// The check that decided, by its question.
#[track_caller]
fn decided(said: &Said) -> &str {
    let line = said.out.lines().find_map(|line| line.split_once("DECIDED"));
    line.unwrap_or_else(|| panic!("nothing decided: {said:#?}")).1.trim()
}

const AGENT: [&str; 2] = ["--endpoint", "/ws/agent"];
const DASHBOARD: [&str; 2] = ["--endpoint", "/ws/dashboard"];

#[test]
fn who_is_admitted_is_told_with_all_checks_in_their_order() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard", "--permission", "see"]);
    folder.write("token", &token);
    let asked = [&["token", "check", "token", "--address", "198.51.100.7"], &DASHBOARD[..]].concat();
    let said = folder.run(&asked).ends(0, &[]);
    for (row, value) in
        [("admitted", "ann"), ("as", "dashboard"), ("permissions", "see"), ("plan", "default"), ("key", "main")]
    {
        assert_eq!(said.row(row), value);
    }
    let numbers: Vec<_> =
        said.out.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u8>().ok()).collect();
    assert_eq!(numbers, (1..=14).collect::<Vec<_>>());
    assert_eq!(said.out.matches("not asked here").count(), 6, "{}", said.out);
    assert!(!said.out.contains("DECIDED") && !said.out.contains(&token));
    assert!(!folder.path("audit.jsonl").exists() && !folder.path("state.jsonl").exists(), "nothing is written");
}

#[test]
fn the_wrong_role_names_the_line_of_the_endpoint() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    let said = check(&folder, &token, &AGENT).ends(1, &["the client", "the endpoint of your role"]);
    assert_eq!(decided(&said), "does one of its roles open the endpoint");
    assert_eq!(said.row("refused"), "ROLE_MISMATCH (HTTP 403, close 4006)");
    assert_eq!(said.row("line"), "gateway.toml:23  roles = [\"agent\"]  (endpoints[0].roles)");
    assert!(said.row("reason").contains("the token has: dashboard"));
}

#[test]
fn each_check_before_the_role_decides_in_its_turn() {
    let folder = Folder::configured();
    let good = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    let mallory = folder.mint(&["--user", "mallory", "--role", "dashboard"]);
    let brief = folder.mint(&["--user", "ann", "--role", "dashboard", "--ttl", "1ms"]);
    std::thread::sleep(std::time::Duration::from_millis(5));
    let (front, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{front}.{first}{}", &signature[1..]);
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.";
    for (token, more, code, question, line) in [
        (&*good, &["--endpoint", "/nowhere"][..], "NOT_FOUND", "endpoint at that path", "gateway.toml"),
        (&good, &["--endpoint", "/ws/dashboard", "--address", "203.0.113.9"], "BANNED", "address", "(bans[1])"),
        (
            &good,
            &["--endpoint", "/ws/dashboard", "--origin", "https://evil.example"],
            "ORIGIN",
            "origin",
            "endpoints[1].origins",
        ),
        ("", &DASHBOARD, "AUTH_REQUIRED", "is there a token", "as shipped  auth.token_sources"),
        ("nonsense", &DASHBOARD, "TOKEN_INVALID", "token valid", ""),
        (unsigned, &DASHBOARD, "TOKEN_INVALID", "token valid", "auth.keys[0].algorithm"),
        (&forged, &DASHBOARD, "TOKEN_INVALID", "token valid", "gateway.toml:1 "),
        (&brief, &DASHBOARD, "TOKEN_EXPIRED", "token valid", "as shipped  auth.exp_leeway"),
        (&mallory, &DASHBOARD, "BANNED", "is the user welcome", "(bans[0])"),
    ] {
        let said = check(&folder, token, more).ends(1, &[code, line]);
        assert!(decided(&said).contains(question), "{said:#?}");
        assert!(token.is_empty() || !said.out.contains(token), "no token is ever printed");
    }
}

#[test]
fn the_details_of_an_invalid_token_lead_to_their_lines() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    for (before, after, detail, line) in [
        ("[server]", "[auth]\naudience = [\"other\"]\n[server]", "audience", "audience = [\"other\"]  (auth.audience)"),
        ("[server]", "[auth]\nmax_token = \"64B\"\n[server]", "too_long", "(auth.max_token)"),
        ("kid = \"main\"", "kid = \"main\"\nissuer = \"https://id.example\"", "issuer", "(auth.keys[0].issuer)"),
        ("kid = \"main\"", "kid = \"other\"", "unknown_key", "(auth.keys)"),
        ("[server]", "[auth.claims]\nuser = \"uid\"\n[server]", "claim_missing", "(auth.claims)"),
        ("[server]", "[auth]\nleeway = \"0s\"\n[server]", "not_yet_valid", "(auth.leeway)"),
    ] {
        let token = if detail == "not_yet_valid" { early(&folder) } else { token.clone() };
        folder.write("gateway.toml", CONFIG.replacen(before, after, 1));
        let said = check(&folder, &token, &DASHBOARD).ends(1, &["TOKEN_INVALID", line]);
        assert_eq!(said.row("detail"), detail);
    }
}

#[test]
fn where_several_keys_could_be_meant_all_of_them_are() {
    let folder = Folder::configured();
    let second = "[[auth.keys]]\nkid = \"second\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n";
    folder.write("gateway.toml", format!("{second}{CONFIG}"));
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.";
    check(&folder, unsigned, &DASHBOARD).ends(1, &["gateway.toml:1  [[auth.keys]]  (auth.keys)"]);
}

/// A token whose time lies ahead, signed with the secret of the folder.
fn early(folder: &Folder) -> String {
    use gateway_auth::{Algorithm, Grant, Issuer, IssuerRules, SigningKey, SigningMaterial};
    let secret = SigningMaterial::Secret(folder.read("secret.txt").trim_end().into());
    let key = SigningKey::new(Some("main".into()), Algorithm::Hs256, secret).unwrap();
    let rules = IssuerRules {
        issuer: None,
        audience: Vec::new(),
        access_ttl: std::time::Duration::from_secs(60),
        claims: gateway_auth::ClaimNames::default(),
    };
    let grant = Grant { user: "ann".parse().unwrap(), roles: vec![], permissions: vec![], plan: None, agent: None };
    let now = gateway_server::clock::now();
    let ahead = gateway_domain::Now { wall: now.wall + std::time::Duration::from_secs(3600), ..now };
    Issuer::new(key, rules).unwrap().mint(&grant, ahead).unwrap().token.expose().to_owned()
}

#[test]
fn a_key_set_out_of_reach_admits_nobody() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    let set = "[[auth.keys]]\njwks_url = \"http://127.0.0.1:1/jwks\"\n";
    let front = CONFIG.find("[server]").unwrap();
    folder.write("gateway.toml", format!("{set}{}", &CONFIG[front..]));
    let es256 = "eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJzdWIiOiJhbm4ifQ.AAAA";
    check(&folder, es256, &DASHBOARD).ends(1, &["AUTH_ERROR", "auth.keys[0].jwks_url", "gateway.toml:2 "]);
    check(&folder, &token, &DASHBOARD).ends(1, &["TOKEN_INVALID"]);
}

#[test]
fn the_line_may_be_a_variable_or_a_flag() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    check(&folder, &token, &["--endpoint", "/ws/dashboard", "--set", "auth.max_token=64B"])
        .ends(1, &["command line  auth.max_token"]);
    let asked = ["token", "check", "--endpoint", "/ws/dashboard", "-"];
    folder
        .run_with(&asked, &token, &[("GATEWAY__AUTH__MAX_TOKEN", "64B")])
        .ends(1, &["environment GATEWAY__AUTH__MAX_TOKEN  auth.max_token"]);
}

#[test]
fn a_page_of_the_gateways_own_host_is_told_by_the_host_that_is_asked() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    let page =
        |origin, host| check(&folder, &token, &["--endpoint", "/ws/dashboard", "--origin", origin, "--host", host]);
    page("http://gw.example", "gw.example").ends(0, &["admitted"]);
    page("http://gw.example", "other.example").ends(1, &["ORIGIN_NOT_ALLOWED"]);
    page("https://app.example", "other.example").ends(0, &["admitted"]);
    page("https://app.example\n", "other.example").ends(1, &["INVALID_REQUEST"]);
}

#[test]
fn an_agents_id_may_come_from_the_query_and_a_token_may_not() {
    let folder = Folder::configured();
    folder.write("gateway.toml", CONFIG.replace("[server]", "[auth.claims]\nagent = \"query:agentId\"\n[server]"));
    let token = folder.mint(&["--user", "ann", "--role", "agent"]);
    let said = check(&folder, &token, &["--endpoint", "/ws/agent?agentId=press-7"]).ends(0, &[]);
    assert_eq!(said.row("agent"), "ann/press-7");
    let said = check(&folder, "", &["--endpoint", "/ws/agent?token=sesame"]).ends(1, &["command line"]);
    assert!(!said.err.contains("sesame") && said.out.is_empty());
}

#[test]
fn an_unknown_plan_is_told_with_the_one_that_holds() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "ann", "--role", "agent", "--plan", "gold"]);
    let said = check(&folder, &token, &AGENT).ends(0, &[]);
    assert_eq!(said.row("plan"), "default, since no plan is called gold");
}

#[test]
fn what_the_running_gateway_wrote_down_counts_and_is_left_alone() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "bob", "--role", "agent"]);
    check(&folder, &token, &AGENT).ends(0, &["state.jsonl is not there yet"]);
    let serving = folder.serve();
    serving.ban("bob", "by hand");
    let before = folder.read("state.jsonl");
    let said = check(&folder, &token, &AGENT).ends(1, &["BANNED", "by hand", "a copy of state.jsonl"]);
    assert_eq!(decided(&said), "is the user welcome");
    assert!(!said.out.contains("\nline "), "no line of the configuration is behind it");
    assert_eq!(folder.read("state.jsonl"), before);
}

#[test]
fn a_damaged_state_file_is_told_by_its_own_name_and_none_is_told_as_such() {
    let folder = Folder::configured();
    let token = folder.mint(&["--user", "bob", "--role", "agent"]);
    folder.write("state.jsonl", "damage\n{\"lift\":{\"user\":\"bob\"}}\n");
    let said = check(&folder, &token, &AGENT).ends(1, &["the state file state.jsonl, line 1, is damaged"]);
    assert!(said.out.is_empty());
    folder.write("gateway.toml", CONFIG.replace("file = \"state.jsonl\"", ""));
    check(&folder, &token, &AGENT).ends(0, &["no state.file"]);
}
