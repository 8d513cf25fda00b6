//! `gateway policy`.

use crate::support::{Folder, Said};

const POLICY: &str = include_str!("policy/gateway.toml");

fn folder() -> Folder {
    let folder = Folder::with(POLICY);
    folder.write("secret.txt", "a secret of 32 bytes at the least, made up\n");
    folder
}

fn tested(cases: &str) -> Said {
    let folder = folder();
    folder.write("cases.toml", cases);
    folder.run(&["policy", "test", "cases.toml"])
}

const SOUND: &str = include_str!("policy/cases.toml");

#[test]
fn cases_that_hold_are_counted_on_one_line() {
    assert_eq!(tested(SOUND).fine(), "ok: 19 cases\n");
    let (first, _) = SOUND.split_once("\n\n").unwrap();
    assert_eq!(tested(first).fine(), "ok: 1 case\n");
}

#[test]
fn what_is_judged_is_the_configuration_that_is_named() {
    let folder = folder();
    folder.write("cases.toml", SOUND);
    let open = folder.read("gateway.toml").replace("permission = \"command.execute\"\n", "");
    folder.write("open.toml", open);
    let said = folder.run(&["policy", "test", "cases.toml", "--config", "open.toml"]);
    said.ends(
        1,
        &[
            "cases.toml:9:1  nobody commands without the permission: expected: FORBIDDEN; happens: it goes to agent:a1 as `AGENT_COMMAND`, as a request (routes[0], open.toml:",
            "1 of 19 cases failed",
        ],
    );
}

/// The one case, and what is said where it does not hold.
fn fails(case: &str, words: &[&str]) {
    let said = tested(&format!("# the first line\n[[cases]]\nname = \"it\"\n{case}\n"));
    assert!(said.out.starts_with("cases.toml:2:1  it: expected: "), "{said:#?}");
    said.ends(1, &[words, &["1 of 1 case failed"]].concat());
}

#[test]
fn a_case_that_does_not_hold_is_told_with_its_line_and_with_what_happens() {
    let dashboard = "from = { role = \"dashboard\", permissions = [\"command.execute\"] }";
    let command = "send = { type = \"command\", payload = { agentId = \"a1\" } }";
    fails(
        &format!("{dashboard}\n{command}\ngoes_to = [\"agent:a2\"]"),
        &[
            "expected: it goes to agent:a2; happens: it goes to agent:a1 as `AGENT_COMMAND`, as a request (routes[0], gateway.toml:26)",
        ],
    );
    fails(&format!("{dashboard}\n{command}\ngoes_to = [\"agent:a1\", \"sender\"]"), &["agent:a1, sender; happens: "]);
    fails(&format!("{dashboard}\n{command}\ngoes_to = \"agent:a1\"\nas = \"command\""), &["as `command`; happens"]);
    fails(
        &format!("{dashboard}\n{command}\ngoes_to = \"agent:a1\"\nis_request = false"),
        &[", not as a request; happens"],
    );
    fails(
        &format!("{dashboard}\n{command}\nis_answer = true"),
        &["expected: it answers a request; happens: it goes to"],
    );
    fails(
        &format!("{dashboard}\n{command}\nrefused = \"FORBIDDEN\""),
        &["expected: FORBIDDEN; happens: it goes to agent:a1"],
    );
    fails(
        &format!("from = {{ role = \"dashboard\" }}\n{command}\ngoes_to = [\"agent:a1\"]"),
        &["happens: FORBIDDEN (it needs the permission `command.execute`, routes[0], gateway.toml:"],
    );
    fails(
        &format!("{dashboard}\nsend = {{ type = \"command\" }}\ngoes_to = [\"agent:a1\"]"),
        &["happens: INVALID_MESSAGE (something is missing that says where it goes)"],
    );
    fails(
        &format!("{dashboard}\nsend = {{ type = \"comand\" }}\ngoes_to = [\"agent:a1\"]"),
        &["happens: INVALID_MESSAGE (no route takes it from here)"],
    );
    fails(
        &format!("{dashboard}\nsend = {{ payload = {{}} }}\ngoes_to = [\"agent:a1\"]"),
        &["happens: INVALID_MESSAGE (", "type"],
    );
    fails(
        &format!(
            "{dashboard}\nsend = {{ type = \"COMMAND_COMPLETE\", payload = {{ commandId = 1 }} }}\nrefused = \"FORBIDDEN\""
        ),
        &["happens: it answers a request"],
    );
    fails(
        &format!(
            "{dashboard}\nsend = {{ type = \"follow\", payload = {{ id = \"a1\" }} }}\ngoes_to = [\"subscribe:agent:a1\"]"
        ),
        &["happens: FORBIDDEN (it may not subscribe to `agent:a1`, routes[1], gateway.toml:"],
    );
}

#[test]
fn what_the_gateway_understands_itself_goes_by_no_route() {
    let from = "from = { role = \"dashboard\", endpoint = \"/v1/ws\" }";
    fails(
        &format!("{from}\nsend = {{ type = \"PING\" }}\ngoes_to = [\"sender\"]"),
        &["happens: the gateway understands `ping` itself"],
    );
    fails(
        &format!("{from}\nsend = {{ type = \"subscribe\" }}\nrefused = \"FORBIDDEN\""),
        &["write subscribe = \"ROOM\""],
    );
}

#[test]
fn a_subscription_that_comes_out_otherwise_names_the_rule() {
    let from = "from = { role = \"dashboard\", permissions = [\"agents.read\"] }";
    fails(
        &format!("{from}\nsubscribe = \"agent:a1\"\nrefused = \"FORBIDDEN\""),
        &["expected: FORBIDDEN; happens: it may subscribe (rooms.rules[0], gateway.toml:"],
    );
    fails(
        &format!("{from}\nsubscribe = \"elsewhere\"\nallowed = true"),
        &["expected: it may subscribe; happens: FORBIDDEN (no rule is for this room)"],
    );
}

#[test]
fn a_file_of_cases_that_is_wrong_is_told_in_full_with_exit_code_2() {
    let case = |text: &str| format!("[[cases]]\nname = \"it\"\n{text}\n");
    let from = "from = { role = \"dashboard\" }";
    for (text, words) in [
        ("x = ".to_owned(), &["cases.toml:1:", "no TOML"][..]),
        (String::new(), &["cases: there is no case", "[[cases]]"]),
        ("cases = 1".into(), &["there is no case"]),
        ("cases = [1]".into(), &["cases.toml:1:", "a number stands here", "{ name = ..., from"]),
        ("case = 1".into(), &["cases.toml:1:1  case: there is no such key", "Did you mean `cases`?"]),
        (format!("[[cases]]\n{from}\nsubscribe = \"a\"\nallowed = true"), &["cases[0].name: this key is missing"]),
        (case("subscribe = \"a\"\nallowed = true"), &["cases[0].from: this key is missing", "role = \"dashboard\""]),
        (case(from), &["cases.toml:1:1  cases[0]: nothing is tried", "subscribe = "]),
        (case(&format!("{from}\nsend = {{}}\nsubscribe = \"a\"\nallowed = true")), &["Make two cases of it"]),
        (case(&format!("{from}\nsend = {{ type = \"a\" }}")), &["nothing is expected of this message"]),
        (case(&format!("{from}\nsend = \"a\"\ngoes_to = \"sender\"")), &["cases[0].send: a text stands here"]),
        (
            case(&format!("{from}\nsend = {{ a = nan }}\ngoes_to = \"sender\"")),
            &["cases[0].send.a: JSON has no such number"],
        ),
        (case(&format!("{from}\nsend = {{}}\ngoes_to = []")), &["cases.toml:5:1  cases[0].goes_to: the list is empty"]),
        (
            case(&format!("{from}\nsend = {{}}\ngoes_to = [\"sender\", \"agnt:1\"]")),
            &["cases.toml:5:22  cases[0].goes_to[1]: `agnt:1`"],
        ),
        (
            case(&format!("{from}\nsend = {{}}\ngoes_to = \"sender\"\nrefused = \"FORBIDDEN\"")),
            &["only one thing can come"],
        ),
        (
            case(&format!("{from}\nsend = {{}}\nrefused = \"FORBIDEN\"")),
            &["cases[0].refused", "\"FORBIDDEN\" or \"INVALID_MESSAGE\""],
        ),
        (case(&format!("{from}\nsend = {{}}\nis_answer = false")), &["cases[0].is_answer"]),
        (case(&format!("{from}\nsend = {{}}\ngoes_to = \"sender\"\nis_request = 1")), &["neither true nor false"]),
        (case(&format!("{from}\nsend = {{}}\nrefused = \"FORBIDDEN\"\nas = \"x\"")), &["`as` goes with `goes_to`"]),
        (
            case(&format!("{from}\nsend = {{}}\nrefused = \"FORBIDDEN\"\nallowed = true")),
            &["`allowed` goes with `subscribe`"],
        ),
        (
            case(&format!("{from}\nsubscribe = \"a\"\nallowed = true\ngoes_to = \"sender\"")),
            &["`goes_to` goes with `send`"],
        ),
        (case(&format!("{from}\nsubscribe = \"a\"")), &["nothing is expected of this subscription"]),
        (case(&format!("{from}\nsubscribe = \"a\"\nallowed = true\nrefused = \"FORBIDDEN\"")), &["Keep one of them"]),
        (case(&format!("{from}\nsubscribe = \"a\"\nrefused = \"INVALID_MESSAGE\"")), &["this is no choice here"]),
        (case(&format!("{from}\nsubscribe = [\"a\"]\nallowed = true")), &["a list stands here"]),
        (
            case("from = \"ann\"\nsubscribe = \"a\"\nallowed = true"),
            &["cases[0].from: a text stands here", "user = ..., role"],
        ),
        (
            case("from = { rol = \"dashboard\" }\nsubscribe = \"a\"\nallowed = true"),
            &["cases[0].from.rol: there is no such key", "Did you mean `role`?"],
        ),
        (case("from = { rol = \"dashboard\" }\nsubscribe = \"a\"\nallowed = true"), &["cases.toml:3:10"]),
        (
            case("from = { colour = 1, role = \"agent\" }\nsubscribe = \"a\"\nallowed = true"),
            &["The keys here are: user, role"],
        ),
        (
            case("from = { role = \"agent\", roles = [\"agent\"] }\nsubscribe = \"a\"\nallowed = true"),
            &["`role` and `roles`"],
        ),
        (
            case("from = { user = 7, role = \"agent\" }\nsubscribe = \"a\"\nallowed = true"),
            &["cases[0].from.user", "not a valid user id"],
        ),
        (
            case("from = { role = \"agent\", plan = \"enterprize\" }\nsubscribe = \"a\"\nallowed = true"),
            &["Did you mean `enterprise`?"],
        ),
        (
            case("from = { role = \"agent\", plan = \"gold\" }\nsubscribe = \"a\"\nallowed = true"),
            &["no plan `gold`", "Name one of agent"],
        ),
        (
            case("from = { role = \"agent\", endpoint = \"/ws/agnt\" }\nsubscribe = \"a\"\nallowed = true"),
            &["Did you mean `/ws/agent`?"],
        ),
        (
            case("from = { role = \"agent\", endpoint = \"/ws/dashboard\" }\nsubscribe = \"a\"\nallowed = true"),
            &["which is for: dashboard, viewer"],
        ),
        (
            case("from = { role = \"agent\", endpoint = \"/ws/echo\" }\nsubscribe = \"a\"\nallowed = true"),
            &["nothing is routed there"],
        ),
        (
            case("from = { user = \"ann\" }\nsubscribe = \"a\"\nallowed = true"),
            &["with the roles: none", "name the endpoint"],
        ),
        (case("from = { role = \"boss\" }\nsubscribe = \"a\"\nallowed = true"), &["with the roles: boss"]),
    ] {
        let said = tested(&text);
        assert!(said.err.starts_with("cases.toml:") && said.out.is_empty(), "{text}\n{said:#?}");
        said.ends(2, words);
    }
    let several = tested(&format!("{}{}", case("send = {}"), case(from)));
    assert_eq!(several.err.lines().count(), 3, "{several:#?}");
    folder().run(&["policy", "test", "gone.toml"]).ends(2, &["gone.toml", "cannot be read"]);
    let broken = Folder::with("[sever]\n");
    broken.write("cases.toml", SOUND);
    broken.run(&["policy", "test", "cases.toml"]).ends(2, &["Did you mean `server`?"]);
}

#[test]
fn without_a_configuration_what_ships_is_tried() {
    let folder = Folder::empty();
    folder.write(
        "cases.toml",
        "[[cases]]\nname = \"a command\"\nfrom = { role = \"dashboard\" }\nsend = { type = \"command\", payload = { agentId = \"a1\" } }\n\
         goes_to = \"sender\"\n[[cases]]\nname = \"anybody\"\nfrom = { user = \"ann\" }\nsubscribe = \"user:ann\"\nallowed = true\n",
    );
    let said = folder.run(&["policy", "test", "cases.toml"]);
    said.ends(1, &["dev mode", "it goes to agent:a1, as a request (routes[0], as shipped)", "1 of 2 cases failed"]);
}

#[test]
fn what_each_role_may_do_is_shown() {
    let folder = folder();
    let shown = folder.run(&["policy", "show"]).fine();
    let roles: Vec<_> = shown.split("\n\n").collect();
    let [agent, dashboard, viewer] = roles.as_slice() else { panic!("{shown}") };
    for line in [
        "role        agent",
        "comes in at /ws/agent",
        "may send    alarm -> role:dashboard (only at /ws/agent; goes through over the limit; routes[2])",
        "            * -> room:agent:{sender.agentId}, user:{sender.claims.owner}?role=dashboard (routes[3])",
        "may follow  agent:{id} (as the agent {id})",
        "            premium (on the plan enterprise)",
    ] {
        assert!(agent.lines().any(|own| own == line), "{line}\n{agent}");
    }
    for line in [
        "comes in at /ws/dashboard",
        "            /v1/ws",
        "may send    command, COMMAND_* -> agent:{payload.agentId} (with the permission command.execute; answered within 30s; sent on as AGENT_COMMAND; routes[0])",
        "may follow  agent:{id} (with the permission agents.read)",
    ] {
        assert!(dashboard.lines().any(|own| own == line), "{line}\n{dashboard}");
    }
    assert!(viewer.contains("may send    follow -> subscribe:agent:{payload.id} (routes[1])"), "{viewer}");
}

#[test]
fn one_role_is_shown_alone_and_as_json() {
    let folder = folder();
    let json = folder.run(&["policy", "show", "--role", "dashboard", "--json"]).fine();
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    let dashboard = &shown["roles"][0];
    assert_eq!(shown["roles"].as_array().unwrap().len(), 1);
    assert_eq!(dashboard["endpoints"], serde_json::json!(["/ws/dashboard", "/v1/ws", "/ws/echo", "/dashboard"]));
    let command = &dashboard["sends"][0];
    assert_eq!((&command["replyTimeout"], &command["permission"]), (&"30s".into(), &"command.execute".into()));
    assert_eq!((&command["as"], &command["priority"]), (&"AGENT_COMMAND".into(), &false.into()));
    assert_eq!(dashboard["rooms"][0], serde_json::json!({ "match": "agent:{id}", "permission": "agents.read" }));
    folder.run(&["policy", "show", "--role", "dashbord"]).ends(1, &["did you mean `dashboard`?"]);
    folder.run(&["policy", "show", "--role", "kitchen"]).ends(1, &["there are: agent, dashboard, viewer"]);
}

#[test]
fn where_anybody_comes_in_any_role_may_be_asked_for() {
    let folder = Folder::empty();
    let shown = folder.run(&["policy", "show"]).fine();
    assert!(
        shown.contains(
            "role        any other, or none\ncomes in at /ws\n            /ws/simulate\nmay send    nothing\n"
        ),
        "{shown}"
    );
    let boss = folder.run(&["policy", "show", "--role", "boss"]).fine();
    assert!(
        boss.starts_with("role        boss\ncomes in at /ws\n") && boss.contains("may follow  user:{id}"),
        "{boss}"
    );
    let none =
        Folder::with("rooms.rules = []\nroutes = []\n[[auth.keys]]\nalgorithm = \"HS256\"\nsecret_file = \"s\"\n");
    none.write("s", "a secret of 32 bytes at the least, made up\n");
    assert!(none.run(&["policy", "show"]).fine().contains("may send    nothing\nmay follow  no room\n"));
}
