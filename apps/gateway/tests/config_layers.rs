//! Layers, secrets, the policy in force and the reference.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

use std::{fs, path::Path};

use gateway::config::{
    ApiKeyMaterial, Config, DEV_API_KEY, DEV_SECRET, Endpoint, KeyMaterial, Limits, Loaded, Mode, OnExpiry, Plan,
    RejectWith, Sources, load, reference,
    value::{Origin, TokenSource},
};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn secret() -> Vec<(String, String)> {
    pairs(&[("SECRET", "0123456789abcdef0123456789abcdef")])
}

const KEY: &str = "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_env = \"SECRET\"\n";

fn written(folder: &Path, text: &str) -> Sources {
    let file = folder.join("gateway.toml");
    fs::write(&file, text).unwrap();
    Sources { file: Some(file), env: secret(), ..Sources::default() }
}

fn loaded(sources: Sources) -> Loaded {
    load(sources).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(sources: Sources) -> String {
    load(sources).unwrap_err().to_string()
}

#[test]
fn what_ships_holds_where_the_file_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = loaded(written(folder.path(), KEY));
    assert_eq!(loaded.warnings, []);
    let config = &loaded.config;
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.auth.token_sources, [TokenSource::Query, TokenSource::Header]);
    let doors: Vec<_> = config.endpoints.iter().map(|door| door.path.as_str()).collect();
    assert_eq!(doors, ["/ws", "/ws/agent", "/ws/dashboard", "/ws/simulate"]);
    let [all, agent, dashboard, simulate] = config.endpoints.as_slice() else { panic!("four doors") };
    assert!(all.roles.is_empty() && all.origins.is_empty() && all.on_expiry == OnExpiry::Keep);
    assert!(agent.agents && agent.origins.is_empty() && agent.roles[0].as_str() == "agent");
    assert_eq!((agent.on_expiry, agent.plan.as_ref().map(|plan| plan.as_str())), (OnExpiry::Close, Some("agent")));
    assert_eq!((dashboard.roles[0].as_str(), dashboard.origins.as_slice()), ("dashboard", &[Origin::Own][..]));
    assert_eq!(simulate.reject_with, RejectWith::CloseCode);
    assert_eq!(config.limits, Limits::default(), "what ships is what the types say");
    assert_eq!(config.plans["default"], Plan::default());
    for (name, connections, rate, burst) in [
        ("default", 10, "100/m", "20/s"),
        ("free", 5, "60/m", "10/s"),
        ("professional", 25, "600/m", "50/s"),
        ("enterprise", 100, "6000/m", "200/s"),
        ("agent", 5, "1200/m", "100/s"),
    ] {
        let name = name.parse().unwrap();
        let plan = config.plans[&name].named(&name);
        assert_eq!(plan.connections, Some(connections));
        assert_eq!(plan.messages.rate.unwrap().to_string(), rate);
        assert_eq!(plan.messages.burst.unwrap().to_string(), burst);
    }
}

#[test]
fn the_file_changes_one_value_of_a_shipped_plan_and_replaces_the_endpoints() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{KEY}[plans.free]\nmessages = {{ rate = \"off\" }}\n[plans.Mine]\nmessages = \"off\"\non_connection_limit = \"reject_new\"\nconnections = \"off\"\n[[endpoints]]\npath = \"/only\"\n"
    );
    let loaded = loaded(written(folder.path(), &text));
    let plan = |name: &str| loaded.config.plans[name].named(&name.parse().unwrap());
    assert_eq!((plan("free").connections, plan("free").messages.rate), (Some(5), None));
    assert_eq!(plan("free").messages.burst.unwrap().to_string(), "10/s");
    assert_eq!((plan("Mine").connections, plan("Mine").messages.burst), (None, None));
    assert_eq!(plan("Mine").on_connection_limit, gateway_domain::plan::OnConnectionLimit::RejectNew);
    let doors: Vec<&Endpoint> = loaded.config.endpoints.iter().collect();
    assert_eq!((doors.len(), doors[0].path.as_str(), doors[0].on_expiry), (1, "/only", OnExpiry::Close));
}

#[test]
fn a_later_layer_wins() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[server]\nlisten = \"127.0.0.1:1\"\nlog = \"warn\"\nlog_format = \"json\"\n{KEY}");
    let mut sources = written(folder.path(), &text);
    sources.env.extend(pairs(&[
        ("GATEWAY__SERVER__LISTEN", "127.0.0.1:2"),
        ("GATEWAY__SERVER__LOG", "debug"),
        ("GATEWAY__LIMITS__CONNECTIONS", "7"),
        ("GATEWAY__LIMITS__HANDSHAKES_PER_IP__BURST", "9"),
        ("GATEWAY__LIMITS__HANDSHAKES_PER_USER", "off"),
        ("GATEWAY__AUTH__MAX_TOKEN", "4096"),
        ("GATEWAY__AUTH__CLAIMS__USER", "uid"),
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
    ]));
    sources.overrides = pairs(&[("server.listen", "127.0.0.1:3")]);
    let loaded = loaded(sources);
    let server = &loaded.config.server;
    assert_eq!((server.listen.to_string(), server.log.as_str()), ("127.0.0.1:3".into(), "debug"));
    let limits = &loaded.config.limits;
    assert_eq!(limits.connections.to_string(), "7");
    let handshakes = limits.handshakes_per_ip.get().unwrap();
    assert_eq!((handshakes.burst.get(), handshakes.rate.to_string()), (9, "20/s".into()));
    assert_eq!(limits.handshakes_per_user.get(), None);
    assert_eq!(loaded.config.auth.max_token.bytes(), 4096);
    assert_eq!(loaded.config.auth.claims.user.iter().next().unwrap().as_str(), "uid");
    // The place of a value is that of the layer that gave it.
    assert_eq!(loaded.place_of("server.listen").to_string(), "command line");
    assert_eq!(loaded.place_of("server.log").to_string(), "environment GATEWAY__SERVER__LOG");
    assert_eq!(loaded.line_of("server.log_format").unwrap().1, 4);
    assert_eq!(loaded.line_of("server.log"), None);
}

#[test]
fn variables_set_single_values_of_fixed_sections_only() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, words) in [
        ("GATEWAY__ENDPOINTS", "[]", "endpoints: this is a list"),
        ("GATEWAY__ENDPOINTS__0__PATH", "/a", "endpoints: this is a list"),
        ("GATEWAY__PLANS__FREE__CONNECTIONS", "1", "plans: this is a map"),
        ("GATEWAY__PLANS", "1", "plans: this is a map"),
        ("GATEWAY__SERVER", "1", "server: this is a section"),
        ("GATEWAY__AUTH__TOKEN_SOURCES", "query", "auth.token_sources: this is a list"),
        ("GATEWAY__SERVER__LISTN", "127.0.0.1:1", "server.listn: there is no such key. Did you mean `listen`?"),
        ("GATEWAY__SERVER__LISTEN__PORT", "1", "`server.listen` has no keys below it"),
        ("GATEWAY__SERVER__LISTEN", "1", "server.listen: `1` is not a valid listen address"),
        ("GATEWAY__LIMITS__HANDSHAKES_PER_IP", "20/s", "this is a section"),
        ("GATEWAY__SERVER__LOG_FORMAT", "xml", "`xml` is no choice here"),
        ("GATEWAY__SERVER__TLS__CERT_FILE", "cert.pem", "server.tls.key_file: this key is missing"),
        ("GATEWAY__", "x", "there is no such key"),
    ] {
        let mut sources = written(folder.path(), KEY);
        sources.env.extend(pairs(&[(name, value)]));
        let faults = faults(sources);
        assert_eq!(faults.lines().count(), 1, "{name}\n{faults}");
        assert!(faults.contains(words), "{name}\n{faults}");
        assert!(faults.starts_with(&format!("environment {name}  ")), "{name}\n{faults}");
    }
    let mut sources = written(folder.path(), KEY);
    sources.overrides = pairs(&[("bans", "x"), ("admin.listn", "127.0.0.1:1")]);
    let faults = faults(sources);
    assert!(
        faults.contains("command line  bans: this is a list") && faults.contains("Did you mean `listen`?"),
        "{faults}"
    );
}

#[test]
fn a_file_and_a_variable_may_each_give_a_half() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("cert.pem", "-----BEGIN CERTIFICATE-----\n");
    write("key.pem", "-----BEGIN PRIVATE KEY-----\n");
    let mut sources = written(folder.path(), &format!("{KEY}[server.tls]\ncert_file = \"cert.pem\"\n"));
    let key = folder.path().join("key.pem");
    sources.env.extend(pairs(&[("GATEWAY__SERVER__TLS__KEY_FILE", key.to_str().unwrap())]));
    let loaded = loaded(sources);
    let tls = loaded.resolve(&secret()).unwrap().tls.unwrap();
    assert!(tls.certificates.starts_with(b"-----BEGIN CERT") && tls.key.expose().starts_with(b"-----BEGIN PRIV"));
}

#[test]
fn without_a_file_there_is_no_key() {
    let faults = faults(Sources::default());
    assert!(faults.starts_with("as shipped  auth.keys: there is no key"), "{faults}");
}

#[test]
fn dev_mode_needs_nothing() {
    let loaded = Config::dev().unwrap();
    assert_eq!((loaded.origin.clone(), loaded.config.auth.keys.len()), (None, 1));
    assert!(loaded.config.server.listen.is_local());
    assert_eq!(loaded.config.auth.issuer.as_ref().unwrap().key.as_str(), "dev");
    assert_eq!(loaded.line_of("endpoints[1].roles"), None);
    assert!(loaded.resolve(&[]).unwrap_err().to_string().contains(DEV_SECRET));
    let secrets = loaded
        .resolve(&pairs(&[
            (DEV_SECRET, "0123456789abcdef0123456789abcdef"),
            (DEV_API_KEY, "gwk_0123456789abcdef0123456789abcdef"),
        ]))
        .unwrap();
    assert!(matches!(&secrets.keys[0], KeyMaterial::Secret(secret) if secret.expose().len() == 32));
    // A flag holds in dev mode, too.
    let overrides = pairs(&[("server.listen", "127.0.0.1:0")]);
    let loaded = load(Sources { mode: Mode::Dev, overrides, ..Sources::default() }).unwrap();
    assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:0");
}

#[test]
fn secrets_come_from_files_and_variables_and_are_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("secret.txt", "hunter2-hunter2-hunter2-hunter2-hunter2\r\n");
    write("public.pem", "-----BEGIN PUBLIC KEY-----\n");
    write("private.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n");
    write("jwks.json", "{\"keys\": []}");
    let text = "[[auth.keys]]\nkid = \"a\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n\
                [[auth.keys]]\nkid = \"b\"\nalgorithm = \"ES256\"\npublic_key_file = \"public.pem\"\nprivate_key_file = \"private.pem\"\n\
                [[auth.keys]]\njwks_file = \"jwks.json\"\nalgorithm = \"RS256\"\n\
                [[auth.keys]]\njwks_url = \"https://id.example/jwks\"\n\
                [auth.issuer]\nkey = \"b\"\n\
                [[api_keys]]\nid = \"x\"\nuser = \"x\"\nsha256 = \"abababababababababababababababababababababababababababababababab\"\n\
                [[api_keys]]\nid = \"y\"\nuser = \"y\"\nkey_env = \"SECRET\"\n";
    let loaded = loaded(written(folder.path(), text));
    let secrets = loaded.resolve(&secret()).unwrap();
    let [
        KeyMaterial::Secret(own),
        KeyMaterial::KeyPair { private, .. },
        KeyMaterial::JwksFile(set),
        KeyMaterial::JwksUrl(url),
    ] = secrets.keys.as_slice()
    else {
        panic!("{secrets:?}")
    };
    assert_eq!(own.expose(), b"hunter2-hunter2-hunter2-hunter2-hunter2");
    assert!(private.is_some() && set.starts_with(b"{"));
    assert_eq!(url.as_str(), "https://id.example/jwks");
    assert_eq!(loaded.config.auth.keys[2].set_algorithms().len(), 1);
    assert_eq!(secrets.api_keys[0], ApiKeyMaterial::Sha256([0xab; 32]));
    assert!(matches!(&secrets.api_keys[1], ApiKeyMaterial::Key(key) if key.expose().starts_with(b"0123")));
    let printed = format!("{secrets:?}{loaded:?}{}", loaded.show(None));
    for hidden in ["hunter2", "abababab", "104, 117", "0123456789"] {
        assert!(!printed.contains(hidden), "{hidden} is in {printed}");
    }
    // A variable that is gone at the next start is a fault, and names its line.
    let faults = loaded.resolve(&[]).unwrap_err().to_string();
    assert!(faults.contains("gateway.toml:24:1  api_keys[1].key_env: the environment variable `SECRET`"), "{faults}");
}

#[test]
fn a_fetched_set_grants_no_admin_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{KEY}[[auth.keys]]\njwks_url = \"https://id.example/jwks\"\n[[auth.keys]]\njwks_url = \"https://id.example/2\"\nroles = [\"admin\"]\n"
    );
    let loaded = loaded(written(folder.path(), &text));
    let grants = |key: usize, role: &str| loaded.config.auth.keys[key].grants(&role.parse().unwrap());
    assert!(grants(0, "admin") && grants(0, "anything"));
    assert!(!grants(1, "admin") && !grants(1, "service") && grants(1, "agent"));
    assert!(grants(2, "admin") && !grants(2, "agent"));
}

#[test]
fn the_line_behind_a_decision_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{KEY}[[endpoints]]\npath = \"/a\"\n\n[[endpoints]]\npath = \"/b\"\nroles = [\"agent\"]\n");
    let loaded = loaded(written(folder.path(), &text));
    let line = |key: &str| loaded.line_of(key).map(|(_, line)| line);
    assert_eq!(line("endpoints[1].roles"), Some(10));
    assert_eq!(line("endpoints[1].roles[0]"), Some(10));
    assert_eq!(line("endpoints[1].on_expiry"), Some(8), "a default belongs to its endpoint");
    assert_eq!(line("limits.connections"), None);
    assert_eq!(loaded.line_of("auth.keys[0].kid").unwrap().0, folder.path().join("gateway.toml"));
}

#[test]
fn the_policy_in_force_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let first = loaded(written(folder.path(), KEY));
    let policy = first.show(Some(20_000));
    assert!(policy.contains("limits.connections: 18000 at once, where 20000 files may be open."), "{policy}");
    assert!(policy.contains("# /ws/agent: agent; pages: no browser; refuses by an HTTP status."), "{policy}");
    assert!(
        policy.contains("# /ws/simulate: any authenticated user; pages: self; refuses by a close code."),
        "{policy}"
    );
    let again = loaded(written(folder.path(), &policy));
    assert_eq!(again.config, first.config);
    let mut sources = written(folder.path(), KEY);
    sources.overrides = pairs(&[("limits.connections", "off"), ("admin.listen", "127.0.0.1:1"), ("state.file", "x")]);
    let policy = loaded(sources).show(Some(20_000));
    for words in ["as many as come", "a listener of their own", "survive a restart", "issues no tokens"] {
        assert!(policy.contains(words), "{words}\n{policy}");
    }
    let dev = Config::dev().unwrap().show(None);
    assert!(
        dev.contains("from: no file")
            && dev.contains("This gateway issues tokens")
            && dev.contains("limits.connections: auto")
    );
}

/// The last block of TOML in the reference.
fn example() -> String {
    let page = reference();
    let block = page.rsplit("```toml\n").next().unwrap_or_default();
    block.split("```").next().unwrap_or_default().to_owned()
}

#[test]
fn the_example_of_the_reference_loads() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["secret.txt", "hook.txt", "hook-before.txt"] {
        fs::write(folder.path().join(file), "s".repeat(43)).unwrap();
    }
    let loaded = loaded(written(folder.path(), &example()));
    assert_eq!(loaded.warnings, []);
    assert_eq!((loaded.config.endpoints.len(), loaded.config.routes.len()), (3, 5));
    assert_eq!(loaded.config.webhooks.len(), 1);
    assert_eq!(loaded.config.state.file.unwrap().as_path(), folder.path().join("state.jsonl"));
    assert_eq!(loaded.config.bans.len(), 2);
}

#[test]
fn the_committed_reference_is_what_the_types_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == reference(),
        "docs/configuration.md is not what the types say; make it anew: cargo run -p gateway -- config reference > docs/configuration.md"
    );
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    let page = reference();
    for row in [
        "| `listen` | listen address | `\"127.0.0.1:8080\"` | Where clients connect. |",
        "| `path` | path | *required* | Where it is. ",
        "| `heartbeat` | duration | `\"25s\"` |",
        "| `idle_timeout` | duration, or `\"off\"` | `\"off\"` |",
        "| `roles` | list: role |",
        "### `[auth.claims]`",
        "## `[[endpoints]]`",
        "## `[plans.NAME]`",
        "`\"x-forwarded-for\"`: The header `X-Forwarded-For`.",
        "### `[limits.handshakes_per_ip]`",
        "| `from` | text, or a list of texts | `\"*\"` | Who sends:",
        "| `names` | table: text |",
        "#### `[rooms.default.history]`",
        "#### `[[rooms.rules.join]]`",
    ] {
        assert!(page.contains(row), "{row}\n{page}");
    }
}
