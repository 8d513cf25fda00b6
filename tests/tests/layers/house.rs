//! The house as data: what the manifests say, what the table in `docs/architecture.md` says, and the functions
//! that judge. Nothing here runs a command: a judgement is a function over data, so that a test can add a
//! forbidden edge and watch it being found.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Dependency, DependencyKind, Metadata, Package};

/// Names of packages.
pub(crate) type Names = BTreeSet<String>;

/// What one crate stands on: normal and build dependencies, for every platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Crates of this workspace.
    pub(crate) inside: Names,
    /// Outside crates in every feature graph.
    pub(crate) always: Names,
    /// Outside crates that the default features add.
    pub(crate) by_default: Names,
    /// Outside crates behind a feature that is off by default. The table has no column for them: there are none.
    pub(crate) on_demand: Names,
    /// Crates of this workspace that only its tests use: not in the table, but under the same law.
    pub(crate) inside_tests: Names,
}

/// Every crate, by package name.
pub(crate) type House = BTreeMap<String, Room>;

/// The house as the manifests stand.
pub(crate) fn from_manifests(metadata: &Metadata) -> House {
    let packages = metadata.workspace_packages();
    let members: Names = packages.iter().map(|package| package.name.to_string()).collect();
    packages.into_iter().map(|package| (package.name.to_string(), room(package, &members))).collect()
}

fn room(package: &Package, members: &Names) -> Room {
    let switched_on = by_default_features(package);
    let mut room = Room::default();
    for dependency in &package.dependencies {
        let names = match (members.contains(&dependency.name), dependency.kind) {
            (true, DependencyKind::Development) => &mut room.inside_tests,
            (true, _) => &mut room.inside,
            (false, DependencyKind::Development) => continue,
            (false, _) if !dependency.optional => &mut room.always,
            (false, _) if switched_on.contains(name_in_features(dependency)) => &mut room.by_default,
            (false, _) => &mut room.on_demand,
        };
        names.insert(dependency.name.clone());
    }
    room
}

/// The optional dependencies that the feature `default` reaches, however indirectly.
fn by_default_features(package: &Package) -> Names {
    let mut reached = Names::new();
    let mut seen = Names::new();
    let mut open = vec!["default".to_owned()];
    while let Some(feature) = open.pop() {
        if !seen.insert(feature.clone()) {
            continue;
        }
        for entry in package.features.get(&feature).into_iter().flatten() {
            if let Some(dependency) = entry.strip_prefix("dep:") {
                reached.insert(dependency.to_owned());
            } else if let Some((dependency, _)) = entry.split_once('/') {
                if !dependency.ends_with('?') {
                    reached.insert(dependency.to_owned());
                }
            } else {
                open.push(entry.clone());
            }
        }
    }
    reached
}

fn name_in_features(dependency: &Dependency) -> &str {
    dependency.rename.as_deref().unwrap_or(&dependency.name)
}

/// The house as the table says: the first table whose head begins with `| crate |`, four columns, names in
/// backticks, a dash for none.
pub(crate) fn from_table(document: &str) -> Result<House> {
    let lines = document.lines().skip_while(|line| !line.starts_with("| crate |"));
    let rows: Vec<&str> = lines.skip(2).take_while(|line| line.starts_with('|')).collect();
    ensure!(!rows.is_empty(), "there is no table that begins with `| crate |`");
    let mut house = House::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, inside, always, by_default] = cells[..] else {
            anyhow::bail!("this row has {} cells and not four: {row}", cells.len());
        };
        let name = names(name)?.pop_first().context("a row without the name of its crate")?;
        let (inside, always, by_default) = (names(inside)?, names(always)?, names(by_default)?);
        let twice = house.insert(name.clone(), Room { inside, always, by_default, ..Room::default() });
        ensure!(twice.is_none(), "{name} has two rows");
    }
    Ok(house)
}

fn names(cell: &str) -> Result<Names> {
    if cell == "-" {
        return Ok(Names::new());
    }
    cell.split(',')
        .map(|word| {
            let name = word.trim().strip_prefix('`').and_then(|word| word.strip_suffix('`'));
            Ok(name.with_context(|| format!("`{word}` is not a name in backticks"))?.to_owned())
        })
        .collect()
}

/// Where the manifests and the table differ, each with what to do.
pub(crate) fn differences(manifests: &House, table: &House) -> Vec<String> {
    let mut found = Vec::new();
    for name in manifests.keys().chain(table.keys()).collect::<BTreeSet<_>>() {
        match (manifests.get(name), table.get(name)) {
            (Some(room), Some(row)) => {
                compare(name, "another crate of the house", &room.inside, &row.inside, &mut found);
                compare(name, "an outside crate in every graph", &room.always, &row.always, &mut found);
                compare(name, "an outside crate by default", &room.by_default, &row.by_default, &mut found);
            }
            (Some(_), None) => found.push(format!("{name} has no row in the table: add one")),
            (None, _) => found.push(format!("{name} has a row in the table and is no crate: remove the row")),
        }
    }
    found
}

fn compare(name: &str, what: &str, manifest: &Names, row: &Names, found: &mut Vec<String>) {
    for extra in manifest.difference(row) {
        found.push(format!(
            "{name} -> {extra} ({what}) is in its Cargo.toml and not in the table: remove it, or give the reason in \
             docs/dependencies.md and add it to the table"
        ));
    }
    for absent in row.difference(manifest) {
        found.push(format!("{name} -> {absent} ({what}) is in the table and not in its Cargo.toml: remove it there"));
    }
}

/// What the house forbids whatever the table says.
pub(crate) struct Law {
    /// The crate.
    pub(crate) name: &'static str,
    /// The crates of this workspace that it may stand on.
    pub(crate) inside: &'static [&'static str],
    /// Its outside crates.
    pub(crate) outside: Outside,
}

/// The outside crates of a [`Law`].
pub(crate) enum Outside {
    /// These and no others.
    Only(&'static [&'static str]),
    /// Any but these, which another crate is for.
    Without(&'static [&'static str]),
}

/// Where the house breaks its laws, each with what to do.
pub(crate) fn breaches(house: &House, laws: &[Law]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, room) in house {
        let Some(law) = laws.iter().find(|law| law.name == name) else {
            found.push(format!("{name} is a crate without a law: add it to LAWS in tests/tests/layers.rs"));
            continue;
        };
        for edge in room.inside.union(&room.inside_tests) {
            if !law.inside.contains(&edge.as_str()) {
                found.push(format!(
                    "{name} -> {edge} goes against the layers ({name} may stand on: {}): move what is needed down, or \
                     hand it in from above",
                    if law.inside.is_empty() { "no other crate".to_owned() } else { law.inside.join(", ") }
                ));
            }
        }
        for outside in room.always.iter().chain(&room.by_default).chain(&room.on_demand) {
            let allowed = match law.outside {
                Outside::Only(these) => these.contains(&outside.as_str()),
                Outside::Without(those) => !those.contains(&outside.as_str()),
            };
            if !allowed {
                found.push(format!(
                    "{name} -> {outside} is forbidden there: it belongs to another layer (docs/architecture.md, Laws)"
                ));
            }
        }
        for optional in &room.on_demand {
            found.push(format!(
                "{name} -> {optional} is behind a feature that is off by default: nothing here builds that graph; \
                 make it part of `net`, or a plain dependency"
            ));
        }
    }
    for law in laws.iter().filter(|law| !house.contains_key(law.name)) {
        found.push(format!("{} has a law and is no crate: remove it from LAWS", law.name));
    }
    found
}

/// The packages in the output of `cargo tree --prefix none`.
pub(crate) fn packages_of(tree: &str) -> Names {
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Which of the forbidden packages a graph holds, each with what to do.
pub(crate) fn intruders(graph: &str, packages: &Names, forbidden: &[&str]) -> Vec<String> {
    forbidden
        .iter()
        .filter(|name| packages.contains(**name))
        .map(|name| {
            format!(
                "{graph} holds {name}, directly or through another: find the way with `cargo tree -i {name}` in that \
                 graph, and put it behind the feature `net` or take it out"
            )
        })
        .collect()
}
