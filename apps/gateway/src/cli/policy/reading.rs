//! Reads tables of a file of cases, key by key. What does not fit is told with its place, and the rest is read on.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
};

use serde_json::{Map, Number, Value as Json};

use crate::config::{
    Fault, Faults, Node, Place, below, nearest,
    value::{Scalar, Unfit, Value},
};

/// A file while it is read, and what was wrong with it so far.
pub(super) struct Reading {
    file: PathBuf,
    lines: BTreeMap<String, (usize, usize)>,
    faults: Vec<Fault>,
}

/// A table, and the key that it stands at.
#[derive(Clone, Copy)]
pub(super) struct Table<'n> {
    pub(super) key: &'n str,
    entries: &'n [(String, Node)],
}

impl<'n> Table<'n> {
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(own, _)| own == name).map(|(_, node)| node)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Reading {
    pub(super) fn new(file: &Path, lines: BTreeMap<String, (usize, usize)>) -> Self {
        Self { file: file.to_owned(), lines, faults: Vec::new() }
    }

    /// What was read, unless something was wrong.
    pub(super) fn end<T>(self, read: T) -> Result<T, Faults> {
        Faults::gather(self.faults).map(|()| read)
    }

    /// Where a key stands; a key that is nowhere stands where the table does that it is missing from.
    pub(super) fn place(&self, key: &str) -> Place {
        let around = std::iter::successors(Some(key), |key| key.rfind(['.', '[']).and_then(|end| key.get(..end)));
        let (line, column) = around.filter_map(|key| self.lines.get(key)).next().copied().unwrap_or((1, 1));
        Place::File { file: self.file.clone(), line, column }
    }

    pub(super) fn fault(&mut self, key: &str, what: impl Display, remedy: impl Display) {
        let (what, remedy) = (what.to_string(), remedy.to_string());
        self.faults.push(Fault { place: self.place(key), key: key.to_owned(), what, remedy });
    }

    /// A table with no other keys than these.
    pub(super) fn table<'n>(&mut self, node: &'n Node, key: &'n str, known: &[&str]) -> Option<Table<'n>> {
        let Node::Table(entries) = node else {
            let keys = known.join(" = ..., ");
            self.fault(
                key,
                format_args!("{} stands here", node.form()),
                format_args!("Write a table: {{ {keys} = ... }}"),
            );
            return None;
        };
        for (name, _) in entries.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let remedy = match nearest(name, known.iter().copied()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("The keys here are: {}", known.join(", ")),
            };
            self.fault(&below(key, name), "there is no such key", remedy);
        }
        Some(Table { key, entries })
    }

    /// A value of a kind, where the key is there.
    pub(super) fn value<T: Value>(&mut self, table: Table<'_>, name: &str) -> Option<T> {
        let node = table.get(name)?;
        self.one(node, &below(table.key, name))
    }

    /// A list of values of a kind; one alone needs no brackets.
    pub(super) fn values<T: Value>(&mut self, table: Table<'_>, name: &str) -> Option<Vec<T>> {
        let node = table.get(name)?;
        let key = below(table.key, name);
        let Node::List(nodes) = node else { return self.one(node, &key).map(|one| vec![one]) };
        Some(nodes.iter().enumerate().filter_map(|(at, node)| self.one(node, &format!("{key}[{at}]"))).collect())
    }

    fn one<T: Value>(&mut self, node: &Node, key: &str) -> Option<T> {
        let read = match node.scalar() {
            Some(scalar) => T::read(scalar),
            None => Err(Unfit::new(format!("{} stands here", node.form()), format!("Write {}", T::WANTED))),
        };
        read.map_err(|Unfit { what, remedy }| self.fault(key, what, remedy)).ok()
    }

    pub(super) fn boolean(&mut self, table: Table<'_>, name: &str) -> Option<bool> {
        match table.get(name)?.scalar() {
            Some(Scalar::Boolean(yes)) => Some(yes),
            _ => {
                self.fault(&below(table.key, name), "this is neither true nor false", "Write true or false");
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, table: Table<'_>, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let scalar = table.get(name)?.scalar();
        let found = choices.iter().find(|(word, _)| scalar == Some(Scalar::Text(word)));
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let remedy = format_args!("Write {}", words.join(" or ")).to_string();
            self.fault(&below(table.key, name), "this is no choice here", remedy);
        }
        found.map(|(_, choice)| *choice)
    }

    /// A table of whatever keys, as JSON.
    pub(super) fn json(&mut self, table: Table<'_>, name: &str) -> Option<Map<String, Json>> {
        let key = below(table.key, name);
        match table.get(name)? {
            Node::Table(entries) => Some(self.members(entries, &key)),
            other => {
                self.fault(&key, format_args!("{} stands here", other.form()), "Write a table: { type = \"command\" }");
                None
            }
        }
    }

    fn members(&mut self, entries: &[(String, Node)], key: &str) -> Map<String, Json> {
        entries.iter().map(|(name, node)| (name.clone(), self.any(node, &below(key, name)))).collect()
    }

    fn any(&mut self, node: &Node, key: &str) -> Json {
        match node {
            Node::Text(text) => text.as_str().into(),
            Node::Integer(number) => (*number).into(),
            Node::Boolean(yes) => (*yes).into(),
            Node::List(nodes) => nodes.iter().map(|node| self.any(node, key)).collect(),
            Node::Table(entries) => self.members(entries, key).into(),
            Node::Float(number) => Number::from_f64(*number).map(Json::Number).unwrap_or_else(|| {
                self.fault(key, "JSON has no such number", "Write a number that is one");
                Json::Null
            }),
        }
    }
}
