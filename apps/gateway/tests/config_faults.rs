//! Bad configurations, each with the place, the key and the words that an operator reads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

#[path = "config/support.rs"]
mod support;

use std::{fs, path::Path};

use gateway::config::{Mode, Sources, load};

use support::{KEY, each_beside_a_key_has_one, faults, load_in, warnings};

#[test]
fn keys_that_do_not_exist_are_told_with_the_one_that_was_meant() {
    each_beside_a_key_has_one(&[
        ("[server]\nlissten = \"127.0.0.1:1\"", "6:1  server.lissten", &["no such key", "Did you mean `listen`?"]),
        ("[sever]\nlisten = \"127.0.0.1:1\"", "5:2  sever", &["Did you mean `server`?"]),
        ("[limits]\nreject_with = \"http\"", "6:1  limits.reject_with", &["Did you mean `endpoints.reject_with`?"]),
        ("[state]\ncolour = 1", "6:1  state.colour", &["The keys here are: file"]),
        ("[mesh]\nredis = \"redis://127.0.0.1\"", "5:2  mesh", &["no such key", "server"]),
        ("[plans.mine]\nmessages = { rat = \"1/s\" }", "6:14  plans.mine.messages.rat", &["Did you mean `rate`?"]),
        ("[[endpoints]]\npath = \"/a\"\non-expiry = \"keep\"", "7:1  endpoints[0].on-expiry", &["`on_expiry`"]),
    ]);
}

#[test]
fn values_of_the_wrong_form_are_told_with_what_to_write() {
    each_beside_a_key_has_one(&[
        ("[server]\nlisten = 8080", "6:1  server.listen", &["`8080` is not a valid listen address", "127.0.0.1:8080"]),
        ("[server]\ndrain_timeout = 30", "6:1  server.drain_timeout", &["`30` is not a valid duration", "\"30s\""]),
        ("[server]\ndrain_timeout = \"half an hour\"", "6:1  server.drain_timeout", &["ms, s, m, h or d"]),
        ("[server]\nlog = \"info,=,\"", "6:1  server.log", &["log filter"]),
        (
            "[server]\nlog_format = \"jsn\"",
            "6:1  server.log_format",
            &["Did you mean \"json\"?", "\"human\", \"json\""],
        ),
        ("[server]\nlog_format = 1", "6:1  server.log_format", &["`1` is no choice here"]),
        ("[server]\ntls = \"on\"", "6:1  server.tls", &["a text stands", "{ cert_file = ..., key_file = ... }"]),
        ("[server]\ntrusted_proxies = \"10.0.0.0/8\"", "6:1  server.trusted_proxies", &["Write a list in brackets"]),
        (
            "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"10.0.0.1/8\"]",
            "6:34  server.trusted_proxies[1]",
            &["write 10.0.0.0/8"],
        ),
        ("[server]\ntrusted_proxies = [\"0.0.0.0/0\"]", "6:20  server.trusted_proxies[0]", &["trusts everybody"]),
        ("[admin]\nlisten = [\"127.0.0.1:1\"]", "6:1  admin.listen", &["a list stands"]),
        ("[limits]\nconnections = 0", "6:1  limits.connections", &["\"auto\" or \"off\""]),
        ("[limits]\nheader_timeout = \"off\"", "6:1  limits.header_timeout", &["`off` is not a valid duration"]),
        (
            "[limits]\nhandshakes_per_ip = \"20/s\"",
            "6:1  limits.handshakes_per_ip",
            &["burst = ..., rate = ...", "or \"off\""],
        ),
        (
            "[limits]\nhandshakes_per_ip = { rate = \"20/s\", burst = \"20/s\" }",
            "6:38  limits.handshakes_per_ip.burst",
            &["whole number"],
        ),
        (
            "[limits.auto_ban]\nviolations = 3\nwithin = \"1m\"",
            "5:9  limits.auto_ban.duration",
            &["this key is missing", "a duration"],
        ),
        (
            "[plans.free]\nconnections = \"many\"",
            "6:1  plans.free.connections",
            &["`many` is not a valid number", "or \"off\""],
        ),
        ("[plans.free]\nmessages = { rate = \"60\" }", "6:14  plans.free.messages.rate", &["`60` is not a valid rate"]),
        ("[plans.free]\non_connection_limit = \"evict\"", "6:1  plans.free.on_connection_limit", &["\"evict_stale\""]),
        ("[plans.\"\"]\nconnections = 1", "5:8  plans.\"\"", &["the plan is empty"]),
        ("[auth.claims]\nroles = []", "6:1  auth.claims.roles", &["the list is empty"]),
        ("[auth.claims]\nroles = [\"a\", \"b..c\"]", "6:15  auth.claims.roles[1]", &["not a valid claim"]),
        ("[auth.claims]\nroles = [[]]", "6:10  auth.claims.roles[0]", &["a list stands"]),
        ("[auth.claims]\nagent = \"query:token\"", "6:1  auth.claims.agent", &["Choose another parameter"]),
        ("[auth]\nmax_token = \"8KB\"", "6:1  auth.max_token", &["64KiB"]),
        ("[auth]\ntoken_sources = [\"body\"]", "6:18  auth.token_sources[0]", &["\"cookie:NAME\""]),
        ("[[endpoints]]\npath = \"/a\"\nagents = \"yes\"", "7:1  endpoints[0].agents", &["Write true or false"]),
        ("[[endpoints]]\nroles = [\"a\"]", "5:1  endpoints[0].path", &["this key is missing"]),
        ("[[endpoints]]\npath = \"ws\"", "6:1  endpoints[0].path", &["starts with a slash"]),
        ("[[endpoints]]\npath = \"/auth/ws\"", "6:1  endpoints[0].path", &["collides with the gateway's own `/auth`"]),
        ("[[endpoints]]\npath = \"/a\"\norigins = [\"app.example\"]", "7:12  endpoints[0].origins[0]", &["no scheme"]),
        ("[[endpoints]]\npath = \"/a\"\non_expiry = \"stay\"", "7:1  endpoints[0].on_expiry", &["\"close\", \"keep\""]),
        (
            "[[endpoints]]\npath = \"/a\"\nreject_with = \"code\"",
            "7:1  endpoints[0].reject_with",
            &["\"http\", \"close_code\""],
        ),
        (
            "[[endpoints]]\npath = \"/a\"\nheartbeat_timeout = \"0s\"",
            "7:1  endpoints[0].heartbeat_timeout",
            &["longer than nothing"],
        ),
        ("[[endpoints]]\npath = \"/a\"\nmax_message = \"2GiB\"", "7:1  endpoints[0].max_message", &["1GiB"]),
        ("[[bans]]\naddress = \"203.0.113\"", "6:1  bans[0].address", &["not an IP address"]),
        ("[[bans]]\nuser = \"x\"\nuntil = \"tomorrow\"", "7:1  bans[0].until", &["RFC 3339"]),
        (
            "[[api_keys]]\nid = \"b\"\nuser = \"b\"\nsha256 = \"hunter2\"",
            "8:1  api_keys[0].sha256",
            &["gateway keys hash"],
        ),
    ]);
}

#[test]
fn a_missing_file_is_told_with_the_command_that_creates_it() {
    let found = faults("[[auth.keys]]\nalgorithm = \"HS512\"\n# the secret\nsecret_file = \"secret.txt\"\n");
    assert_eq!(
        found,
        [concat!(
            "gateway.toml:4:1  auth.keys[0].secret_file: the file `secret.txt` does not exist. ",
            "Create it with: gateway keys generate --algorithm HS512 > secret.txt"
        )]
    );
}

#[test]
fn files_are_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("pem.txt", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    write("private.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    write("short.txt", "only 31 bytes long, this one is\n");
    write("nonsense.txt", "nonsense");
    write("large.txt", &"x".repeat((256 << 10) + 1));
    write("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (text, words) in [
        ("algorithm = \"HS256\"\nsecret_file = \"pem.txt\"", "whoever knows the public key could sign"),
        ("algorithm = \"HS256\"\nsecret_file = \"short.txt\"", "has 31 bytes"),
        ("algorithm = \"HS256\"\nsecret_file = \"large.txt\"", "more than 262144 bytes"),
        ("algorithm = \"HS256\"\nsecret_file = \".\"", "cannot be read"),
        ("algorithm = \"ES256\"\npublic_key_file = \"private.pem\"", "holds a private key"),
        ("algorithm = \"ES256\"\npublic_key_file = \"nonsense.txt\"", "does not hold a public key"),
        (
            "algorithm = \"ES256\"\npublic_key_file = \"pem.txt\"\nprivate_key_file = \"pem.txt\"",
            "does not hold a private key",
        ),
        ("algorithm = \"ES256\"\npublic_key_file = \"pem.txt\"\nprivate_key_file = \"gone\"", "does not exist"),
        ("jwks_file = \"nonsense.txt\"", "is no key set"),
        ("jwks_file = \"gone.json\"", "does not exist"),
        (
            "algorithm = \"ES256\"\npublic_key_file = \"pem.txt\"\n[server.tls]\ncert_file = \"nonsense.txt\"\nkey_file = \"private.pem\"",
            "a certificate in PEM",
        ),
        (
            "algorithm = \"ES256\"\npublic_key_file = \"pem.txt\"\n[server.tls]\ncert_file = \"cert.pem\"\nkey_file = \"cert.pem\"",
            "a private key in PEM",
        ),
    ] {
        let faults = load_in(folder.path(), &format!("[[auth.keys]]\n{text}\n")).expect_err(text);
        assert_eq!(faults.iter().count(), 1, "{text}\n{faults}");
        assert!(faults.to_string().contains(words), "{text}\n{faults}");
    }
}

#[test]
fn contradictions_and_unsafe_combinations_are_refused() {
    each_beside_a_key_has_one(&[
        ("[admin]\nlisten = \"127.0.0.1:8080\"", "6:1  admin.listen", &["server.listen", "another port"]),
        (
            "[server]\nclient_address = \"forwarded\"",
            "6:1  server.client_address",
            &["nobody is trusted", "trusted_proxies = [\"10.0.0.0/8\"]"],
        ),
        ("[state]\nfile = \"gone/state.jsonl\"", "6:1  state.file", &["does not exist", "mkdir -p"]),
        ("[audit]\nfile = \".\"", "6:1  audit.file", &["is a folder"]),
        ("[state]\nfile = \"x\"\n[audit]\nfile = \"x\"", "8:1  audit.file", &["is the state file, too"]),
        ("[[endpoints]]\npath = \"/a\"\n[[endpoints]]\npath = \"/a\"", "8:1  endpoints[1].path", &["endpoints[0] has"]),
        ("[[endpoints]]\npath = \"/a\"\nplan = \"fre\"", "7:1  endpoints[0].plan", &["no plan `fre`", "`free`"]),
        (
            "[[api_keys]]\nid = \"b\"\nuser = \"b\"\nkey_env = \"SECRET\"\nplan = \"gold\"",
            "9:1  api_keys[0].plan",
            &["no plan `gold`", "[plans.gold]", "enterprise"],
        ),
        (
            "[[api_keys]]\nid = \"b\"\nuser = \"b\"\nkey_env = \"SECRET\"\n[[api_keys]]\nid = \"b\"\nuser = \"c\"\nkey_env = \"SECRET\"",
            "10:1  api_keys[1].id",
            &["api_keys[0] has this id"],
        ),
        ("[auth]\ntoken_sources = []", "6:1  auth.token_sources", &["looked for nowhere"]),
        ("[[bans]]\nreason = \"x\"", "5:1  bans[0]", &["of nobody"]),
        ("[[bans]]\nuser = \"x\"\naddress = \"10.0.0.1\"", "5:1  bans[0]", &["Make two of it"]),
        (
            "[[endpoints]]\npath = \"/a\"\norigins = [\"*\"]\n[auth]\ntoken_sources = [\"cookie:session\"]",
            "7:12  endpoints[0].origins[0]",
            &["any page could connect"],
        ),
        (
            "[[endpoints]]\npath = \"/a\"\n[auth]\ntoken_sources = [\"header\", \"cookie:session\"]",
            "8:28  auth.token_sources[1]",
            &["no endpoint lists the pages"],
        ),
    ]);
}

#[test]
fn a_cluster_leads_to_one_redis_and_to_nothing_by_halves() {
    let nowhere = &["no Redis is named", "cluster.redis or cluster.sentinel"];
    each_beside_a_key_has_one(&[
        ("[cluster]\nusername = \"gateway\"", "6:1  cluster.username", nowhere),
        ("[cluster]\npassword_file = \"redis.txt\"", "6:1  cluster.password_file", nowhere),
        ("[cluster]\nca_file = \"ca.pem\"", "6:1  cluster.ca_file", nowhere),
        (
            "[cluster]\nsentinel = { master = \"main\", nodes = [] }",
            "6:31  cluster.sentinel.nodes",
            &["no Sentinel that could be asked", "nodes = [\"sentinel-1:26379\"", "remove cluster.sentinel"],
        ),
    ]);
    // The file is not there either.
    let text = format!("{KEY}[cluster]\nredis = \"redis://redis.internal\"\nca_file = \"ca.pem\"");
    let found = faults(&text);
    let of_sense = |fault: &&String| fault.starts_with("gateway.toml:7:1  cluster.ca_file: nobody is asked");
    let fault = found.iter().find(of_sense).unwrap_or_else(|| panic!("{found:#?}"));
    assert!(fault.contains("without TLS") && fault.contains("rediss://"), "{fault}");
}

#[test]
fn every_fault_is_told_at_once_and_none_that_only_follows() {
    let found = faults(
        "[server]\nlisten = \"nowhere\"\nlog_fromat = \"json\"\n[admin]\nlisten = \"127.0.0.1:8080\"\n\
         [[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_fil = \"secret.txt\"\n\
         [[auth.keys]]\nkid = \"other\"\nalgorithm = \"HS256\"\n\
         [[endpoints]]\npath = \"/a\"\nroles = [\"\"]\n[[endpoints]]\npath = \"/b\"\nplan = \"gold\"\n",
    );
    let begins = [
        "gateway.toml:2:1  server.listen: ",
        "gateway.toml:3:1  server.log_fromat: ",
        "gateway.toml:5:1  admin.listen: ",
        "gateway.toml:9:1  auth.keys[0].secret_fil: ",
        "gateway.toml:10:1  auth.keys[1]: ",
        "gateway.toml:15:10  endpoints[0].roles[0]: ",
        "gateway.toml:18:1  endpoints[1].plan: ",
    ];
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    for (found, begin) in found.iter().zip(begins) {
        assert!(found.starts_with(begin), "{begin}\n{found}");
    }
}

#[test]
fn what_is_no_toml_and_what_is_no_file_is_told() {
    let found = faults("[server]\nlisten = \n");
    assert!(found[0].starts_with("gateway.toml:2:") && found[0].contains("no TOML"), "{found:#?}");
    let load_file = |file: &Path| load(Sources { file: Some(file.to_owned()), ..Sources::default() }).unwrap_err();
    let gone = load_file(Path::new("/nonexistent/gateway.toml")).to_string();
    assert!(gone.contains("cannot be read") && gone.contains("--config FILE"), "{gone}");
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.toml");
    fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(load_file(&large).to_string().contains("1048576 is the most"));
}

#[test]
fn what_is_odd_but_holds_is_a_warning() {
    for (text, begins, words) in [
        ("[server]\ntrusted_proxies = [\"unix\"]", "6:1  server.trusted_proxies", "`client_address` is \"peer\""),
        ("roles = [\"dashboard\"]", "1:1  endpoints[1].roles[0]", "no key grants the role `agent`"),
        ("[[endpoints]]\npath = \"/a\"\nroles = [\"a\", \"a\"]", "7:15  endpoints[0].roles[1]", "listed twice"),
        ("[[endpoints]]\npath = \"/a\"\nagents = true\norigins = [\"self\"]", "8:1  endpoints[0].origins", "as agents"),
        ("[auth]\ntoken_sources = [\"header\", \"header\"]", "6:28  auth.token_sources[1]", "listed twice"),
        ("[auth]\nexp_leeway = \"10m\"", "6:1  auth.exp_leeway", "10m longer"),
        ("[[bans]]\naddress = \"127.0.0.1\"\n[state]\nfile = \"x\"", "6:1  bans[0].address", "this machine itself"),
        ("[[bans]]\nuser = \"x\"", "1:1  state.file", "in memory"),
        ("[[auth.keys]]\nissuer = \"a\"\njwks_url = \"https://id.example/\"", "1:1  auth.keys[0]", "any issuer"),
        (
            "[auth.issuer]\nkey = \"main\"\naccess_ttl = \"30s\"\n[state]\nfile = \"x\"\n[[endpoints]]\npath = \"/a\"",
            "10:1  endpoints[0].expiry_warning",
            "warned at once",
        ),
        (
            "roles = []\n[auth.issuer]\nkey = \"main\"\n[state]\nfile = \"x\"\n[[endpoints]]\npath = \"/a\"\n[[api_keys]]\nid = \"b\"\nuser = \"b\"\nroles = [\"service\"]\nkey_env = \"SECRET\"",
            "15:1  api_keys[0].roles",
            "lose the role `service`",
        ),
        (
            "[audit]\naddress = \"hash\"\n[limits]\nauto_ban = { violations = 1, within = \"1s\", duration = \"1s\" }",
            "6:1  audit.address",
            "hashed lines",
        ),
        (
            "[server]\nclient_address = \"forwarded\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n[state]\nfile = \"x\"\n[[bans]]\naddress = \"10.1.0.0/16\"",
            "11:1  bans[0].address",
            "a trusted proxy",
        ),
    ] {
        let found = warnings(&format!("{KEY}{text}\n"));
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].starts_with(&format!("gateway.toml:{begins}: ")), "{begins}\n{found:#?}");
        assert!(found[0].contains(words), "{words}\n{found:#?}");
    }
    assert!(warnings(&format!("endpoints = []\n{KEY}"))[0].contains("nobody can connect"));
}

#[test]
fn dev_mode_stays_on_this_machine() {
    let dev = |listen: &str| {
        let overrides = vec![("server.listen".to_owned(), listen.to_owned())];
        load(Sources { mode: Mode::Dev, overrides, ..Sources::default() })
    };
    assert!(dev("127.0.0.1:0").is_ok() && dev("[::1]:0").is_ok());
    let faults = dev("0.0.0.0:8080").unwrap_err().to_string();
    assert!(faults.starts_with("command line  server.listen: dev mode"), "{faults}");
}
