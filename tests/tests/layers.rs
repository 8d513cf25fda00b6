//! The layers of the house, as a failing build: every crate stands only on what is below it, and its whole list
//! of outside crates is the one in `docs/architecture.md`. The laws here hold whatever that table says, so that
//! a table edited in a hurry opens nothing.
//!
//! The manifests are read without resolving, and the graphs from what is already on this machine: no network.

#[path = "layers/house.rs"]
mod house;

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand};
use house::{House, Law, Outside};

const DOMAIN: &str = "gateway-domain";
const AUTH: &str = "gateway-auth";
const TRANSPORT: &str = "gateway-transport";
const SERVER: &str = "gateway-server";
const CLUSTER: &str = "gateway-cluster";
const APP: &str = "gateway";
const LAMBDA: &str = "gateway-lambda";

const LAWS: &[Law] = &[
    // No runtime, no clock, no random, no metrics: whatever is true stays true under any front.
    Law { name: DOMAIN, inside: &[], outside: Outside::Only(&["serde", "serde_json", "thiserror", "uuid"]) },
    // Sees no HTTP: a fetch is a function that the app hands in.
    Law {
        name: AUTH,
        inside: &[DOMAIN],
        outside: Outside::Without(&[
            "anyhow",
            "clap",
            "config",
            "http",
            "hyper",
            "hyper-util",
            "reqwest",
            "tokio-tungstenite",
            "warp",
        ]),
    },
    // Sees no token from within.
    Law {
        name: TRANSPORT,
        inside: &[DOMAIN],
        outside: Outside::Without(&["anyhow", "aws-lc-rs", "clap", "config", "jsonwebtoken", "reqwest"]),
    },
    // Sees no store, and no key: it asks auth.
    Law {
        name: SERVER,
        inside: &[DOMAIN, AUTH, TRANSPORT],
        outside: Outside::Without(&[
            "anyhow",
            "aws-lc-rs",
            "clap",
            "config",
            "jsonwebtoken",
            "redis",
            "tokio-tungstenite",
        ]),
    },
    // Joins gateways, and knows nothing of their inside.
    Law {
        name: CLUSTER,
        inside: &[DOMAIN],
        outside: Outside::Without(&["anyhow", "clap", "config", "http", "hyper", "jsonwebtoken", "reqwest", "warp"]),
    },
    Law {
        name: APP,
        inside: &[DOMAIN, AUTH, TRANSPORT, SERVER, CLUSTER],
        outside: Outside::Without(&["jsonwebtoken"]),
    },
    // The same rooms behind API Gateway: of the app it has the configuration.
    Law {
        name: LAMBDA,
        inside: &[DOMAIN, AUTH, TRANSPORT, SERVER, APP],
        outside: Outside::Without(&["clap", "hyper", "jsonwebtoken", "tokio-tungstenite", "warp"]),
    },
    // Measures from outside: it makes tokens, and knows nothing else of the gateway.
    Law { name: "loadtest", inside: &[DOMAIN, AUTH], outside: Outside::Without(&["jsonwebtoken", "tokio"]) },
    Law {
        name: "gateway-tests",
        inside: &[DOMAIN, AUTH, TRANSPORT, SERVER, CLUSTER, APP],
        outside: Outside::Without(&[]),
    },
];

/// What opens sockets or speaks for them. None of it is in a graph without `net`.
const SOCKETS: &[&str] =
    &["warp", "hyper", "hyper-util", "mio", "rustls", "socket2", "tokio-rustls", "tokio-tungstenite"];

#[test]
fn every_crate_stands_where_the_table_says() -> Result<()> {
    let document = std::fs::read_to_string(root().join("docs/architecture.md"))?;
    let table = house::from_table(&document).context("docs/architecture.md")?;
    nothing_in(house::differences(&house::from_manifests(&manifests()?), &table))
}

#[test]
fn every_crate_keeps_its_law() -> Result<()> {
    nothing_in(house::breaches(&house::from_manifests(&manifests()?), LAWS))
}

#[test]
fn the_graphs_without_net_hold_no_sockets() -> Result<()> {
    let runtime = [SOCKETS, &["tokio"]].concat();
    for (name, forbidden) in [(TRANSPORT, &runtime[..]), (SERVER, SOCKETS)] {
        let packages = graph(name, &["--no-default-features"])?;
        nothing_in(house::intruders(&format!("{name} without `net`"), &packages, forbidden))?;
    }
    Ok(())
}

#[test]
fn the_function_behind_api_gateway_holds_no_warp_and_serves_nothing() -> Result<()> {
    nothing_in(house::intruders(LAMBDA, &graph(LAMBDA, &[])?, &["warp", "tokio-tungstenite", "clap"]))?;
    // Its clients stand on hyper; what must not be there is the half of it that answers.
    let tree = tree(LAMBDA, &["--edges", "normal,build,features"])?;
    ensure!(tree.contains("hyper feature \"client\""), "the features of hyper were not found");
    ensure!(!tree.contains("hyper feature \"server\""), "{LAMBDA} holds the server of hyper");
    Ok(())
}

#[test]
fn no_layer_reaches_through_another_to_what_it_may_not_see() -> Result<()> {
    let runtime = ["tokio", "warp", "hyper", "getrandom", "rand", "tracing", "metrics", "chrono", "time"];
    nothing_in(house::intruders("gateway-domain", &graph(DOMAIN, &[])?, &runtime))?;
    nothing_in(house::intruders("gateway-auth", &graph(AUTH, &[])?, &["warp", "hyper", "reqwest", "http"]))?;
    nothing_in(house::intruders("gateway-transport", &graph(TRANSPORT, &[])?, &["jsonwebtoken", "reqwest"]))
}

#[test]
fn the_sockets_are_in_the_graphs_with_net() -> Result<()> {
    // Otherwise the test of the graphs without would pass on an empty answer.
    let codec: &[&str] = &["hyper", "rustls", "tokio-tungstenite"];
    for (name, sockets) in [(TRANSPORT, codec), (SERVER, &["warp"]), (SERVER, codec)] {
        let packages = graph(name, &[])?;
        for socket in sockets {
            ensure!(packages.contains(*socket), "{name} with `net` should hold {socket}");
        }
    }
    Ok(())
}

#[test]
fn warp_comes_without_its_own_websocket() -> Result<()> {
    for package in manifests()?.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.name == "warp") {
            ensure!(
                !dependency.features.iter().any(|feature| feature == "websocket"),
                "{} switches on warp's `websocket`, which costs 128 KiB a connection (docs/adr/0005-codec.md)",
                package.name
            );
        }
    }
    Ok(())
}

#[test]
fn every_outside_crate_comes_from_one_place() -> Result<()> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    let place = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    for line in lock.lines().filter(|line| line.starts_with("source = ")) {
        ensure!(line == place, "Cargo.lock names another source than crates.io: {line}");
    }
    let lock = std::fs::read_to_string(root().join("tests/node/package-lock.json"))?;
    ensure!(!lock.contains("\"resolved\""), "tests/node/package-lock.json names a host: take its `resolved` lines out");
    Ok(())
}

/// Which of a room's lists an edge is put into.
type Place = fn(&mut house::Room) -> &mut house::Names;

#[test]
fn a_forbidden_edge_is_found_and_named() -> Result<()> {
    let honest = house::from_manifests(&manifests()?);
    ensure!(house::breaches(&honest, LAWS).is_empty(), "the house itself breaks a law");
    let cases: [(&str, &str, Place); 8] = [
        (DOMAIN, AUTH, |room| &mut room.inside),
        (DOMAIN, "tokio", |room| &mut room.always),
        (AUTH, TRANSPORT, |room| &mut room.inside),
        (AUTH, SERVER, |room| &mut room.inside_tests),
        (AUTH, "hyper", |room| &mut room.by_default),
        (TRANSPORT, "jsonwebtoken", |room| &mut room.always),
        (SERVER, "anyhow", |room| &mut room.on_demand),
        (SERVER, APP, |room| &mut room.inside),
    ];
    for (from, to, place) in cases {
        let mut altered: House = honest.clone();
        place(altered.get_mut(from).context(from)?).insert(to.to_owned());
        let edge = format!("{from} -> {to} ");
        let found = house::breaches(&altered, LAWS);
        ensure!(found.iter().any(|breach| breach.starts_with(&edge)), "{edge}was not found among {found:?}");
    }
    Ok(())
}

#[test]
fn an_edge_that_the_table_does_not_know_is_found_in_either_direction() -> Result<()> {
    let honest = house::from_manifests(&manifests()?);
    let mut altered = honest.clone();
    altered.get_mut(AUTH).context(AUTH)?.always.insert("left-pad".to_owned());
    for (manifests, table) in [(&altered, &honest), (&honest, &altered)] {
        let found = house::differences(manifests, table);
        ensure!(found.len() == 1 && found[0].starts_with("gateway-auth -> left-pad "), "{found:?}");
    }
    altered = honest.clone();
    altered.insert("gateway-attic".to_owned(), house::Room::default());
    ensure!(house::differences(&altered, &honest).len() == 1, "a crate without a row was not found");
    ensure!(house::differences(&honest, &altered).len() == 1, "a row without a crate was not found");
    let found = house::breaches(&altered, LAWS);
    ensure!(found.iter().any(|breach| breach.starts_with("gateway-attic ")), "a crate without a law was not found");
    Ok(())
}

#[test]
fn a_dependency_that_slips_into_the_pure_graph_is_found() -> Result<()> {
    let packages = house::packages_of("gateway-transport v0.1.0 (/somewhere)\nbytes v1.0.0\nhyper v1.0.0 (*)\n");
    let found = house::intruders("gateway-transport without `net`", &packages, SOCKETS);
    ensure!(found.len() == 1 && found[0].contains("holds hyper"), "{found:?}");
    Ok(())
}

#[test]
fn a_table_that_cannot_be_read_is_no_empty_table() {
    for text in ["", "| crate | inside |\n|---|---|\n", "| crate | a | b | c |\n|---|\n| `x` | y | - | - |\n"] {
        assert!(house::from_table(text).is_err(), "{text}");
    }
}

fn nothing_in(found: Vec<String>) -> Result<()> {
    ensure!(found.is_empty(), "the layers are broken:\n  {}\n", found.join("\n  "));
    Ok(())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn manifests() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.cargo_path(env!("CARGO")).current_dir(root()).no_deps();
    command.other_options(["--locked".to_owned(), "--offline".to_owned()]);
    command.exec().context("cargo metadata")
}

/// What a package is built from on this platform: normal and build dependencies, all the way down.
fn graph(package: &str, options: &[&str]) -> Result<house::Names> {
    Ok(house::packages_of(&tree(package, &[&["--edges", "normal,build"], options].concat())?))
}

fn tree(package: &str, options: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--package", package])
        .args(options)
        .output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
