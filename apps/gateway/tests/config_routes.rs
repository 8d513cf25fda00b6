//! Routes and the words of an endpoint: what holds, and what an operator reads about the rest.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

#[path = "config/support.rs"]
mod support;

use gateway::config::{Config, Loaded, Route, surroundings};
use gateway_domain::vocabulary::Vocabulary;

use support::{KEY, each_beside_a_key_has_one, load_in, warnings};

/// Two doors, on lines 5 to 11.
const DOORS: &str = "[[endpoints]]\npath = \"/agent\"\nroles = [\"agent\"]\nagents = true\n[[endpoints]]\npath = \"/dash\"\nroles = [\"dashboard\"]\n";

fn loaded(text: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    load_in(folder.path(), &format!("{KEY}{text}")).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

fn senders(config: &Config) -> Vec<String> {
    config.routes.iter().map(|route| route.from.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")).collect()
}

#[test]
fn what_ships_is_compiled_and_holds() {
    let config = loaded("").config;
    assert_eq!(senders(&config), ["dashboard", "agent"]);
    let routes = config.routes().unwrap();
    let told: Vec<_> = routes
        .iter()
        .map(|route| (route.types().map(str::to_owned).collect::<Vec<_>>(), route.reply_timeout()))
        .collect();
    assert_eq!(told[0].0, ["command"]);
    assert_eq!((told[0].1.unwrap().as_secs(), told[1].1), (30, None));
    assert_eq!(surroundings(&config).roles, None, "/ws admits everybody");
}

#[test]
fn a_file_with_routes_has_exactly_those() {
    let config = loaded(&format!(
        "{DOORS}[[routes]]\nfrom = \"agent\"\ntypes = [\"*\"]\nto = [\"sender\", \"role:dashboard\"]\n"
    ))
    .config;
    assert_eq!((senders(&config), config.routes().unwrap().len()), (vec!["agent".to_owned()], 1));
    let none = loaded(&format!("routes = []\n{DOORS}").replace("routes", "# ")).config;
    assert_eq!(none.routes.len(), 2, "a comment gives nothing");
    let folder = tempfile::tempdir().unwrap();
    let none = load_in(folder.path(), &format!("routes = []\n{KEY}")).unwrap().config;
    assert!(none.routes.is_empty() && none.routes().unwrap().is_empty());
}

#[test]
fn a_route_without_a_sender_is_for_anybody_and_every_key_reaches_the_table() {
    let text = "[[routes]]\ntypes = [\"COMMAND_REQUEST\"]\nto = \"agent:{payload.agentId}\"\nreply_timeout = \"1m\"\n\
                correlate = \"payload.commandId\"\nprogress = [\"COMMAND_ACK\"]\nanswers = [\"COMMAND_COMPLETE\"]\n\
                as = \"AGENT_COMMAND\"\npriority = true\npermission = \"command.execute\"\n";
    let config = loaded(text).config;
    assert_eq!(senders(&config), ["*"]);
    let spec = Route::spec(&config.routes[0]);
    assert_eq!(
        (spec.correlate.as_deref(), spec.renamed.as_deref()),
        (Some("payload.commandId"), Some("AGENT_COMMAND"))
    );
    assert_eq!((spec.progress, spec.answers), (vec!["COMMAND_ACK".to_owned()], vec!["COMMAND_COMPLETE".to_owned()]));
    let routes = config.routes().unwrap();
    let route = routes.iter().next().unwrap();
    assert_eq!((route.is_priority(), route.permission().unwrap().as_str()), (true, "command.execute"));
    assert_eq!((route.reply_timeout().unwrap().as_secs(), route.renamed()), (60, Some("AGENT_COMMAND")));
}

#[test]
fn what_ships_is_left_out_where_the_doors_of_the_file_have_no_use_for_it() {
    let only = |roles: &str, agents: bool| {
        loaded(&format!("[[endpoints]]\npath = \"/only\"\nroles = [\"{roles}\"]\nagents = {agents}\n")).config
    };
    assert!(only("kiosk", false).routes.is_empty());
    assert_eq!(senders(&only("agent", true)), ["agent"]);
    assert!(senders(&only("dashboard", false)).is_empty(), "there is no agent to command");
    let kiosk = only("kiosk", false);
    let rooms: Vec<_> = kiosk.rooms.rules.iter().map(|rule| rule.pattern.as_str()).collect();
    assert_eq!(rooms, ["user:{id}"]);
    let echo = loaded("[[endpoints]]\npath = \"/only\"\nhandler = \"echo\"\nagents = true\n").config;
    assert!(echo.routes.is_empty(), "nothing is routed there");
}

#[test]
fn routes_that_cannot_work_are_told_with_their_place() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("[[routes]]\ntypes = [\"a\"]", "12:1  routes[0].to", &["this key is missing", "or a list of such texts"]),
        ("[[routes]]\nto = \"sender\"", "12:1  routes[0].types", &["this key is missing"]),
        ("[[routes]]\ntypes = [\"a\"]\nto = []", "14:1  routes[0].to", &["the list is empty"]),
        ("[[routes]]\ntypes = [\"a\"]\nto = 7", "14:1  routes[0].to", &["`7` is not a valid text, or a list of texts"]),
        ("[[routes]]\ntypes = \"a\"\nto = \"sender\"", "13:1  routes[0].types", &["Write a list in brackets"]),
        (
            "[[routes]]\ntype = [\"a\"]\ntypes = [\"a\"]\nto = \"sender\"",
            "13:1  routes[0].type",
            &["Did you mean `types`?"],
        ),
        (
            "[[routes]]\ntypes = [\"a\"]\nto = \"sender\"\nreplytimeout = \"1s\"",
            "15:1  routes[0].replytimeout",
            &["`reply_timeout`"],
        ),
        ("[[routes]]\ntypes = []\nto = \"sender\"", "13:1  routes[0].types", &["is empty"]),
        (
            "[[routes]]\nfrom = \"dashbord\"\ntypes = [\"a\"]\nto = \"sender\"",
            "13:1  routes[0].from",
            &["no role `dashbord`", "Did you mean `dashboard`?"],
        ),
        (
            "[[routes]]\nfrom = [\"agent\", \"endpoint:/das\"]\ntypes = [\"a\"]\nto = \"sender\"",
            "13:18  routes[0].from[1]",
            &["no endpoint `/das`", "Did you mean `/dash`?"],
        ),
        ("[[routes]]\ntypes = [\"a\", \"b*c\"]\nto = \"sender\"", "13:15  routes[0].types[1]", &["*"]),
        ("[[routes]]\ntypes = [\"ping\"]\nto = \"sender\"", "13:10  routes[0].types[0]", &["ping"]),
        ("[[routes]]\ntypes = [\"a\"]\nto = \"agnt:x\"", "14:1  routes[0].to", &["`agnt:x` is no target"]),
        (
            "[[routes]]\ntypes = [\"a\"]\nto = [\"sender\", \"agent:{payload}\"]",
            "14:17  routes[0].to[1]",
            &["`payload`"],
        ),
        ("[[routes]]\ntypes = [\"a\"]\nto = \"webhook:backend\"", "14:1  routes[0].to", &["no webhook `backend`"]),
        (
            "[[routes]]\ntypes = [\"a\"]\nto = \"agent:x\"\nreply_timeout = \"2h\"",
            "15:1  routes[0].reply_timeout",
            &["30s"],
        ),
        ("[[routes]]\ntypes = [\"a\"]\nto = \"agent:x\"\nas = \"pong\"", "15:1  routes[0].as", &["pong"]),
        (
            "[[routes]]\ntypes = [\"*\"]\nto = \"sender\"\n[[routes]]\nfrom = \"agent\"\ntypes = [\"a\"]\nto = \"agent:x\"",
            "17:1  routes[1].types",
            &["route 1"],
        ),
    ];
    let texts: Vec<_> = cases.iter().map(|(text, ..)| format!("{DOORS}{text}")).collect();
    let cases: Vec<_> =
        cases.iter().zip(&texts).map(|((_, place, words), text)| (text.as_str(), *place, *words)).collect();
    each_beside_a_key_has_one(&cases);
}

#[test]
fn a_door_has_the_words_of_its_clients() {
    let text = "[[endpoints]]\npath = \"/a\"\nheartbeat_message = true\njoin = [\"nodes\", \"user:{sender.userId}\"]\n\
                names = { ping = \"PING\", \"auth.refresh\" = \"TOKEN_REFRESH\" }\n\
                envelope = { id = \"request_id\", payload = \"data\", reply_to = \"request_id\" }\n";
    let config = loaded(text).config;
    let door = &config.endpoints[0];
    assert!(door.heartbeat_message);
    assert_eq!(
        door.joined().unwrap().iter().map(|room| room.as_str()).collect::<Vec<_>>(),
        ["nodes", "user:{sender.userId}"]
    );
    let words = door.vocabulary().unwrap();
    let message = words.read(r#"{"type":"PING","request_id":"1","data":{"a":1}}"#).unwrap();
    assert_eq!((&*message.kind, message.id.as_deref()), ("ping", Some("1")));
    let shown = loaded(text).show(None);
    assert!(shown.contains("TOKEN_REFRESH") && shown.contains("reply_to = \"request_id\""), "{shown}");
    let native = loaded("").config;
    assert_eq!(native.endpoints[0].vocabulary().unwrap(), Vocabulary::native());
    assert!(native.endpoints[0].joined().unwrap().is_empty());
}

#[test]
fn words_that_cannot_be_told_apart_are_refused() {
    each_beside_a_key_has_one(&[
        (
            "[[endpoints]]\npath = \"/a\"\nnames = { pign = \"PING\" }",
            "7:11  endpoints[0].names.pign",
            &["Did you mean `ping`?"],
        ),
        (
            "[[endpoints]]\npath = \"/a\"\nnames = { ping = \"X\", \"auth.refresh\" = \"X\" }",
            "7:11  endpoints[0].names.ping",
            &["this name is `X`", "Give each type a name of its own"],
        ),
        (
            "[[endpoints]]\npath = \"/a\"\n[endpoints.names]\n\"auth.refresh\" = \"error\"",
            "8:1  endpoints[0].names.\"auth.refresh\"",
            &["is `error`"],
        ),
        ("[[endpoints]]\npath = \"/a\"\nnames = { ping = 1 }", "7:11  endpoints[0].names.ping", &["not a valid text"]),
        (
            "[[endpoints]]\npath = \"/a\"\nnames = [\"ping\"]",
            "7:1  endpoints[0].names",
            &["a list stands", "names of your own"],
        ),
        ("[[endpoints]]\npath = \"/a\"\nenvelope = { id = \"type\" }", "7:14  endpoints[0].envelope.id", &["`type`"]),
        (
            "[[endpoints]]\npath = \"/a\"\nenvelope = { ids = \"x\" }",
            "7:14  endpoints[0].envelope.ids",
            &["Did you mean `id`?"],
        ),
        (
            "[[endpoints]]\npath = \"/a\"\njoin = [\"a\", \"b:{payload.id}\"]",
            "7:14  endpoints[0].join[1]",
            &["no message yet", "Take one of"],
        ),
    ]);
}

#[test]
fn paths_with_parameters_are_told_apart() {
    let fine = loaded(
        "[[endpoints]]\npath = \"/x/{agentId}\"\n[[endpoints]]\npath = \"/x/y\"\n[[endpoints]]\npath = \"/x/{userId}/z\"\n",
    );
    assert!(fine.config.endpoints[0].path.is_pattern() && !fine.config.endpoints[1].path.is_pattern());
    each_beside_a_key_has_one(&[
        (
            "[[endpoints]]\npath = \"/x/{agentId}\"\n[[endpoints]]\npath = \"/x/{userId}\"",
            "8:1  endpoints[1].path",
            &["could mean this path and `/x/{agentId}` of endpoints[0]", "Tell them apart"],
        ),
        (
            "[[endpoints]]\npath = \"/x/{agentId}\"\n[[endpoints]]\npath = \"/x/{agentId}\"",
            "8:1  endpoints[1].path",
            &["has this path, too"],
        ),
        (
            "[[endpoints]]\npath = \"/x/{agent}\"",
            "6:1  endpoints[0].path",
            &["`{agent}` is no parameter", "{agentId} and {userId}"],
        ),
    ]);
}

#[test]
fn what_is_lawful_but_odd_is_warned_of() {
    for (text, begins, words) in [
        ("[[endpoints]]\npath = \"/a\"\nhandler = \"echo\"\njoin = [\"x\"]", "8:1  endpoints[0].join", "does nothing"),
        (
            "[[endpoints]]\npath = \"/a\"\nhandler = \"echo\"\nnames = { ping = \"P\" }",
            "8:1  endpoints[0].names",
            "does nothing",
        ),
        (
            "[[endpoints]]\npath = \"/a\"\nhandler = \"echo\"\nenvelope = { id = \"i\" }",
            "8:1  endpoints[0].envelope",
            "does nothing",
        ),
        (
            "[[endpoints]]\npath = \"/a\"\nhandler = \"echo\"\nheartbeat_message = true",
            "8:1  endpoints[0].heartbeat_message",
            "does nothing",
        ),
        ("[[endpoints]]\npath = \"/a\"\njoin = [\"x\", \"x\"]", "7:14  endpoints[0].join[1]", "listed twice"),
        (
            "[[endpoints]]\npath = \"/a\"\nmax_message = \"8MiB\"",
            "7:1  endpoints[0].max_message",
            "no outbox holds more than 4MiB",
        ),
    ] {
        let found = warnings(&format!("{KEY}{text}\n"));
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].starts_with(&format!("gateway.toml:{begins}: ")) && found[0].contains(words), "{found:#?}");
    }
}

#[test]
fn the_policy_tells_every_route() {
    let text = format!(
        "{DOORS}[[routes]]\nfrom = [\"dashboard\", \"agent\"]\ntypes = [\"command\"]\nto = \"agent:x\"\nreply_timeout = \"5s\"\npermission = \"p\"\nas = \"do\"\npriority = true\n"
    );
    let shown = loaded(&text).show(None);
    let line = "# routes[0]: command from dashboard, agent to agent:x; needs p; answered within 5s; sent on as do; goes through over the limit.";
    assert!(shown.contains(line), "{shown}");
    let folder = tempfile::tempdir().unwrap();
    let none = load_in(folder.path(), &format!("routes = []\n{KEY}")).unwrap().show(None);
    assert!(none.contains("# No routes: whatever clients send goes nowhere."), "{none}");
}

#[test]
fn what_was_never_loaded_is_told_to_be_unsound() {
    let mut config = loaded("").config;
    config.endpoints.retain(|door| !door.agents);
    assert!(config.routes().unwrap_err().to_string().contains("no endpoint has agents"));
    let text = "[[endpoints]]\npath = \"/a\"\njoin = [\"x\"]\nnames = { ping = \"PING\" }\n";
    let (one, other) =
        (loaded(text).config, loaded("[[endpoints]]\npath = \"/a\"\nnames = { pong = \"PING\" }\n").config);
    let mut door = one.endpoints[0].clone();
    door.names.extend(other.endpoints[0].names.clone());
    assert!(door.vocabulary().unwrap_err().to_string().contains("PING"));
}
