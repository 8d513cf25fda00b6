//! The door of Socket.IO: what ships, what a file makes of it, and what contradicts itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

#[path = "config/support.rs"]
mod support;

use gateway::config::{Config, Loaded};

use support::{KEY, each_beside_a_key_has_one, load_in, warnings};

fn loaded(text: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    load_in(folder.path(), &format!("{KEY}{text}")).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

fn namespaces(config: &Config) -> Vec<&str> {
    config.socketio.namespaces.iter().map(|namespace| namespace.path.as_str()).collect()
}

#[test]
fn dashboards_have_a_namespace_where_nothing_else_is_said_in_dev_mode_too() {
    for loaded in [loaded(""), Config::dev().unwrap()] {
        assert_eq!(namespaces(&loaded.config), ["/dashboard"]);
        assert_eq!(loaded.config.socketio.path.as_str(), "/socket.io/");
        let shown = loaded.show(None);
        assert!(shown.contains("# Socket.IO at /socket.io/, /dashboard: dashboard; pages: self;"), "{shown}");
    }
}

#[test]
fn a_file_with_namespaces_has_exactly_those_and_one_without_a_door_for_dashboards_has_none() {
    let own =
        "[[socketio.namespaces]]\npath = \"/\"\n[[socketio.namespaces]]\npath = \"/live\"\nroles = [\"viewer\"]\n";
    assert_eq!(namespaces(&loaded(own).config), ["/", "/live"]);
    assert_eq!(namespaces(&loaded("[socketio]\nnamespaces = []\n").config), [""; 0]);
    assert_eq!(namespaces(&loaded("[[endpoints]]\npath = \"/ws\"\nroles = [\"agent\"]\n").config), [""; 0]);
    assert_eq!(namespaces(&loaded("[[endpoints]]\npath = \"/ws\"\nroles = [\"dashboard\"]\n").config), ["/dashboard"]);
}

#[test]
fn a_namespace_is_a_door_that_routes_and_roles_know() {
    let text = "[[endpoints]]\npath = \"/ws\"\nroles = [\"agent\"]\nagents = true\n\
        [[socketio.namespaces]]\npath = \"/live\"\nroles = [\"viewer\"]\n\
        [[routes]]\nfrom = \"viewer\"\ntypes = [\"a\"]\nto = \"endpoint:/live\"\n\
        [[routes]]\nfrom = \"endpoint:/live\"\ntypes = [\"b\"]\nto = \"sender\"\n";
    assert_eq!(
        loaded(text).config.doors().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["endpoints[0]", "socketio.namespaces[0]"]
    );
    let shown = warnings(&format!("{KEY}roles = [\"agent\"]\n{text}"));
    assert!(shown.iter().any(|warning| warning.contains("socketio.namespaces[0].roles[0]")), "{shown:?}");
}

#[test]
fn what_makes_no_sense_is_told_with_its_line_and_what_to_do() {
    each_beside_a_key_has_one(&[
        ("[socketio]\npath = \"socket.io\"\n", "6:1  socketio.path", &["path of a door", "slash"]),
        ("[socketio]\npath = \"/api/\"\n", "6:1  socketio.path", &["`/api`"]),
        (
            "[socketio]\npath = \"/live/\"\n[[endpoints]]\npath = \"/live\"\nroles = [\"dashboard\"]\n",
            "8:1  endpoints[0].path",
            &["goes before `/live`"],
        ),
        ("[socketio]\nping_interval = \"0s\"\n", "6:1  socketio.ping_interval", &["duration"]),
        (
            "[[socketio.namespaces]]\npath = \"/a\"\n[[socketio.namespaces]]\npath = \"/a\"\n",
            "8:1  socketio.namespaces[1].path",
            &["socketio.namespaces[0] has this path"],
        ),
        (
            "[[socketio.namespaces]]\npath = \"/ws\"\n",
            "6:1  socketio.namespaces[0].path",
            &["endpoints[0] has this path"],
        ),
        ("[[socketio.namespaces]]\npath = \"/a,b\"\n", "6:1  socketio.namespaces[0].path", &["cannot be the name"]),
        ("[[socketio.namespaces]]\npath = \"/a/{userId}\"\n", "6:1  socketio.namespaces[0].path", &["parameters"]),
        ("[[socketio.namespaces]]\nroles = []\n", "5:1  socketio.namespaces[0].path", &["missing"]),
        (
            "[[socketio.namespaces]]\npath = \"/a\"\nplan = \"frree\"\n",
            "7:1  socketio.namespaces[0].plan",
            &["Did you mean `free`?"],
        ),
        (
            "[[socketio.namespaces]]\npath = \"/a\"\norigins = [\"*\"]\n[auth]\ntoken_sources = [\"cookie:s\"]\n",
            "7:12  socketio.namespaces[0].origins[0]",
            &["any page could connect"],
        ),
    ]);
}
