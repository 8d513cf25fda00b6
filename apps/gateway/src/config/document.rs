//! The file as it stands: a tree of values, each with the place of its key. It knows nothing of what keys mean.

use std::{collections::BTreeMap, ops::Range};

use toml_edit::{Document as Parsed, Item, Key, Table, Value};

use super::{fault::below, value::Scalar};

/// One value of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// A text; a time is one, too.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A broken number.
    Float(f64),
    /// Yes or no.
    Boolean(bool),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order of the file.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// The value, where it is a single one.
    pub(crate) fn scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Self::Text(text) => Some(Scalar::Text(text)),
            Self::Integer(number) => Some(Scalar::Integer(*number)),
            Self::Float(number) => Some(Scalar::Float(*number)),
            Self::Boolean(yes) => Some(Scalar::Boolean(*yes)),
            Self::List(_) | Self::Table(_) => None,
        }
    }

    /// What it is, in a sentence.
    pub(crate) const fn form(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a broken number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its values.
    pub(crate) root: Node,
    /// The line and column of every key.
    pub(crate) lines: BTreeMap<String, (usize, usize)>,
}

/// Why a file is no TOML.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Where.
    pub(crate) at: (usize, usize),
    /// Why.
    pub(crate) why: String,
}

impl Document {
    /// Reads a file's text.
    pub(crate) fn read(text: &str) -> Result<Self, Malformed> {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        let mut reader = Reader { text, ends, lines: BTreeMap::new() };
        let parsed = Parsed::parse(text).map_err(|fault| Malformed {
            at: reader.position(fault.span().map_or(0, |span| span.start)),
            why: fault.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        let root = reader.table(parsed.as_table(), "");
        Ok(Self { root, lines: reader.lines })
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Where lines end.
    ends: Vec<usize>,
    lines: BTreeMap<String, (usize, usize)>,
}

impl Reader<'_> {
    fn table(&mut self, table: &Table, key: &str) -> Node {
        self.entries(key, table.iter().filter_map(|(name, _)| table.get_key_value(name)))
    }

    fn entries<'a>(&mut self, key: &str, entries: impl Iterator<Item = (&'a Key, &'a Item)>) -> Node {
        let mut nodes = Vec::new();
        for (name, item) in entries {
            let key = below(key, name.get());
            // A table that only its own tables name has no place of its own.
            if !item.as_table().is_some_and(Table::is_implicit) {
                self.mark(&key, name.span());
            }
            nodes.push((name.get().to_owned(), self.item(item, &key)));
        }
        Node::Table(nodes)
    }

    fn item(&mut self, item: &Item, key: &str) -> Node {
        match item {
            Item::None => Node::Table(Vec::new()),
            Item::Value(value) => self.value(value, key),
            Item::Table(table) => self.table(table, key),
            Item::ArrayOfTables(tables) => {
                let nodes = tables.iter().enumerate().map(|(number, table)| {
                    let key = format!("{key}[{number}]");
                    self.mark(&key, table.span());
                    self.table(table, &key)
                });
                Node::List(nodes.collect())
            }
        }
    }

    fn value(&mut self, value: &Value, key: &str) -> Node {
        match value {
            Value::String(text) => Node::Text(text.value().clone()),
            Value::Integer(number) => Node::Integer(*number.value()),
            Value::Float(number) => Node::Float(*number.value()),
            Value::Boolean(yes) => Node::Boolean(*yes.value()),
            Value::Datetime(time) => Node::Text(time.value().to_string()),
            Value::Array(array) => {
                let nodes = array.iter().enumerate().map(|(number, value)| {
                    let key = format!("{key}[{number}]");
                    self.mark(&key, value.span());
                    self.value(value, &key)
                });
                Node::List(nodes.collect())
            }
            Value::InlineTable(table) => {
                self.entries(key, table.iter().filter_map(|(name, _)| table.get_key_value(name)))
            }
        }
    }

    fn mark(&mut self, key: &str, span: Option<Range<usize>>) {
        if let Some(span) = span {
            self.lines.insert(key.to_owned(), self.position(span.start));
        }
    }

    /// The line and the column of a byte, from 1.
    fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.ends.partition_point(|end| *end < byte);
        let start = line.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |end| end + 1);
        (line + 1, self.text.get(start..byte).map_or(0, |before| before.chars().count()) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_place() {
        let text = "[server]\nlisten = \"é\"\ntls = { cert_file = \"c\" }\n\n[auth.claims]\nuser = [\"a\", \"b\"]\n\n[[bans]]\nuntil = 2030-01-01T00:00:00Z\n  [[bans]]\nuser = 'x'\n";
        let document = Document::read(text).unwrap();
        for (key, at) in [
            ("server", (1, 2)),
            ("server.listen", (2, 1)),
            ("server.tls.cert_file", (3, 9)),
            ("auth.claims", (5, 7)),
            ("auth.claims.user[1]", (6, 14)),
            ("bans[0]", (8, 1)),
            ("bans[0].until", (9, 1)),
            ("bans[1]", (10, 3)),
        ] {
            assert_eq!(document.lines.get(key), Some(&at), "{key} in {:?}", document.lines);
        }
        assert!(!document.lines.contains_key("auth"), "a table that nobody wrote has no place");
        let Node::Table(root) = document.root else { panic!("no table") };
        assert_eq!(root.len(), 3);
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_place() {
        let fault = Document::read("[server]\nlisten = \n").unwrap_err();
        assert_eq!(fault.at.0, 2, "{fault:?}");
        assert!(!fault.why.is_empty());
        assert_eq!(Document::read("a = 1\na = 2").unwrap_err().at, (2, 1));
    }
}
