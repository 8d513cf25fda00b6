//! The shape of the configuration: which keys there are and what each may be, as the schema of the types says. One
//! walk over a file finds every key that does not exist and every value that does not fit, and keeps the rest.

use std::sync::LazyLock;

use config::{Map, Value as Layered, ValueKind};
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::{
    Config,
    document::Node,
    fault::below,
    value::{KINDS, Scalar, Unfit},
};

/// The schema of the whole configuration, without references.
pub(super) static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
});

/// A fault of a key, before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// The key.
    pub(super) key: String,
    /// What is wrong.
    pub(super) what: String,
    /// What to do about it.
    pub(super) remedy: String,
}

/// The kind of file paths, which count from the folder of the file that names them.
const FILE: &str = "file";

/// A walk over one source of values.
pub(super) struct Walk<'a> {
    /// The folder that file paths count from.
    pub(super) folder: &'a std::path::Path,
    /// Whether keys that are demanded must be there: so of the whole, not of one layer.
    pub(super) demanding: bool,
    /// What does not fit.
    pub(super) misfits: Vec<Misfit>,
}

impl<'a> Walk<'a> {
    /// A walk that has found nothing yet.
    pub(super) const fn new(folder: &'a std::path::Path) -> Self {
        Self { folder, demanding: false, misfits: Vec::new() }
    }

    /// Walks a whole tree: what fits comes back.
    pub(super) fn tree(&mut self, root: &Node) -> Map<String, Layered> {
        match self.node(&SCHEMA, root, "").map(|value| value.kind) {
            Some(ValueKind::Table(map)) => map,
            _ => Map::new(),
        }
    }

    fn node(&mut self, schema: &Json, node: &Node, key: &str) -> Option<Layered> {
        let schema = plain(schema);
        match (Form::of(schema), node) {
            (Form::Scalar, Node::List(nodes)) if schema.get("x-many").is_some() => {
                let kind = schema.get("x-many").and_then(Json::as_str).unwrap_or_default();
                if nodes.is_empty() {
                    self.misfit(key, "the list is empty", wanted(schema));
                    return None;
                }
                let each = nodes.iter().enumerate().map(|(number, node)| {
                    let key = format!("{key}[{number}]");
                    match node.scalar() {
                        Some(scalar) => self.checked(kind, scalar, &key),
                        None => self.mismatch(schema, node, &key),
                    }
                });
                all(each)
            }
            (Form::Scalar | Form::Choice | Form::Boolean, _) => match node.scalar() {
                Some(scalar) => self.scalar(schema, scalar, key),
                None => self.mismatch(schema, node, key),
            },
            (Form::List, Node::List(nodes)) => {
                let items = schema.get("items").unwrap_or(&Json::Null);
                let each = nodes.iter().enumerate().map(|(at, node)| self.node(items, node, &format!("{key}[{at}]")));
                all(each)
            }
            (Form::Table, Node::Table(entries)) => Some(self.table(schema, entries, key)),
            (Form::Table, Node::Text(text)) if text == "off" && can_be_off(schema) => Some(text.as_str().into()),
            (Form::List | Form::Table, _) => self.mismatch(schema, node, key),
        }
    }

    fn table(&mut self, schema: &Json, entries: &[(String, Node)], key: &str) -> Layered {
        let mut kept = Map::new();
        for (name, node) in entries {
            let key = below(key, name);
            if let Some(inner) = property(schema, name) {
                if let Some(kind) = schema.get("x-names").and_then(Json::as_str)
                    && self.checked(kind, Scalar::Text(name), &key).is_none()
                {
                    continue;
                }
                if let Some(value) = self.node(inner, node, &key) {
                    kept.insert(name.clone(), value);
                }
            } else {
                self.misfits.push(unknown(schema, name, key));
            }
        }
        let required = schema.get("required").and_then(Json::as_array).filter(|_| self.demanding);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            if entries.iter().all(|(given, _)| given != name) {
                let wanted = property(schema, name).map(|inner| wanted(plain(inner))).unwrap_or_default();
                self.misfit(&below(key, name), "this key is missing", wanted);
            }
        }
        kept.into()
    }

    /// Checks a single value against the schema of its key.
    pub(super) fn scalar(&mut self, schema: &Json, scalar: Scalar<'_>, key: &str) -> Option<Layered> {
        if scalar == Scalar::Text("off") && can_be_off(schema) {
            return Some("off".into());
        }
        match Form::of(schema) {
            Form::Boolean => match scalar {
                Scalar::Boolean(yes) => Some(yes.into()),
                Scalar::Text(_) | Scalar::Integer(_) | Scalar::Float(_) => {
                    self.misfit(key, format!("`{scalar}` is neither true nor false"), "Write true or false".into());
                    None
                }
            },
            Form::Choice => match scalar {
                Scalar::Text(text) if choices(schema).any(|(choice, _)| choice == text) => Some(text.into()),
                _ => {
                    let names: Vec<_> = choices(schema).map(|(choice, _)| choice).collect();
                    let guess = scalar_text(scalar).and_then(|text| nearest(text, names.iter().copied()));
                    let guess = guess.map(|guess| format!("Did you mean \"{guess}\"? ")).unwrap_or_default();
                    self.misfit(key, format!("`{scalar}` is no choice here"), format!("{guess}{}", wanted(schema)));
                    None
                }
            },
            Form::Scalar => {
                let kind = schema.get("x-kind").and_then(Json::as_str).unwrap_or_default();
                let off = if can_be_off(schema) { ", or \"off\"" } else { "" };
                self.checked(kind, scalar, key).or_else(|| {
                    if let Some(last) = self.misfits.last_mut() {
                        last.remedy.push_str(off);
                    }
                    None
                })
            }
            Form::List | Form::Table => {
                self.misfit(key, format!("`{scalar}` stands where several values belong"), wanted(schema));
                None
            }
        }
    }

    fn checked(&mut self, kind: &str, scalar: Scalar<'_>, key: &str) -> Option<Layered> {
        let check = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, check)| check);
        match check.map_or(Ok(()), |check| check(scalar)) {
            Ok(()) => Some(self.kept(kind, scalar)),
            Err(Unfit { what, remedy }) => {
                self.misfit(key, what, remedy);
                None
            }
        }
    }

    fn kept(&self, kind: &str, scalar: Scalar<'_>) -> Layered {
        match scalar {
            Scalar::Text(text) if kind == FILE => self.folder.join(text).to_string_lossy().into_owned().into(),
            Scalar::Text(text) => text.into(),
            Scalar::Integer(number) => number.into(),
            Scalar::Float(number) => number.into(),
            Scalar::Boolean(yes) => yes.into(),
        }
    }

    fn mismatch(&mut self, schema: &Json, node: &Node, key: &str) -> Option<Layered> {
        self.misfit(key, format!("{} stands where something else belongs", node.form()), wanted(schema));
        None
    }

    fn misfit(&mut self, key: &str, what: impl Into<String>, remedy: String) {
        self.misfits.push(Misfit { key: key.to_owned(), what: what.into(), remedy });
    }
}

/// A list whose every value fits; the walk has gone over all of them either way.
fn all(values: impl Iterator<Item = Option<Layered>>) -> Option<Layered> {
    let values: Vec<_> = values.collect();
    values.into_iter().collect::<Option<Vec<_>>>().map(Layered::from)
}

/// What a key holds, in the schema's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One value of a kind.
    Scalar,
    /// One of a few words.
    Choice,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// A table, with keys that are fixed or names of the operator's own.
    Table,
}

impl Form {
    /// What this schema describes.
    pub(super) fn of(schema: &Json) -> Self {
        let is = |name: &str| match schema.get("type") {
            Some(Json::Array(types)) => types.iter().any(|kind| kind == name),
            Some(kind) => kind == name,
            None => false,
        };
        if is("object") {
            Self::Table
        } else if is("array") {
            Self::List
        } else if is("boolean") {
            Self::Boolean
        } else if schema.get("x-kind").is_some() {
            Self::Scalar
        } else {
            Self::Choice
        }
    }
}

/// A schema without the `null` that an optional value may be.
pub(super) fn plain(schema: &Json) -> &Json {
    let alternatives = schema.get("anyOf").and_then(Json::as_array);
    let real = alternatives.and_then(|all| all.iter().find(|one| one.get("type").is_none_or(|kind| kind != "null")));
    real.map_or(schema, plain)
}

/// The schema of a name in a table.
pub(super) fn property<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    let fixed = schema.get("properties").and_then(|all| all.get(name));
    fixed.or_else(|| schema.get("additionalProperties").filter(|inner| inner.is_object()))
}

/// The words that may be chosen from, with what each means.
pub(super) fn choices(schema: &Json) -> impl Iterator<Item = (&str, &str)> {
    let said = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten().filter_map(|one| {
        let meaning = one.get("description").and_then(Json::as_str).unwrap_or_default();
        Some((one.get("const")?.as_str()?, meaning))
    });
    let bare = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    said.chain(bare.filter_map(|one| Some((one.as_str()?, ""))))
}

/// Whether the key can be `"off"`.
pub(super) fn can_be_off(schema: &Json) -> bool {
    schema.get("x-off").is_some()
}

/// What to write, as a remedy.
fn wanted(schema: &Json) -> String {
    let off = if can_be_off(schema) { ", or \"off\"" } else { "" };
    match Form::of(schema) {
        Form::Scalar => format!("Write {}{off}", schema.get("x-wanted").and_then(Json::as_str).unwrap_or("a value")),
        Form::Boolean => "Write true or false".to_owned(),
        Form::Choice => {
            let words: Vec<_> = choices(schema).map(|(word, _)| format!("\"{word}\"")).collect();
            format!("Write one of {}", words.join(", "))
        }
        Form::List => {
            let inner = plain(schema.get("items").unwrap_or(&Json::Null));
            match inner.get("x-wanted").and_then(Json::as_str) {
                Some(wanted) => format!("Write a list in brackets, each: {wanted}"),
                None => "Write a list in brackets".to_owned(),
            }
        }
        Form::Table => match schema.get("properties").and_then(Json::as_object) {
            Some(keys) => {
                let keys: Vec<_> = keys.keys().map(|key| format!("{key} = ...")).collect();
                format!("Write a table with these keys: {{ {} }}{off}", keys.join(", "))
            }
            None => "Write a table, with names of your own".to_owned(),
        },
    }
}

/// A key that does not exist, and the one that was meant.
pub(super) fn unknown(schema: &Json, name: &str, key: String) -> Misfit {
    let known: Vec<_> =
        schema.get("properties").and_then(Json::as_object).into_iter().flat_map(|all| all.keys()).collect();
    let elsewhere = || {
        let sections = SCHEMA.get("properties").and_then(Json::as_object).into_iter().flatten();
        sections.filter_map(|(section, inner)| {
            let inner = plain(inner);
            let inner = inner.get("items").map_or(inner, plain);
            inner.get("properties")?.get(name).map(|_| format!("{section}.{name}"))
        })
    };
    let remedy = match nearest(name, known.iter().map(|known| known.as_str())) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => match elsewhere().collect::<Vec<_>>().as_slice() {
            [] => format!("The keys here are: {}", known.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ")),
            places => format!("Did you mean `{}`?", places.join("` or `")),
        },
    };
    Misfit { key, what: "there is no such key".to_owned(), remedy }
}

/// The known word that a mistyped one is nearest to, where one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed: String = word.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    let near = known.map(|known| (strsim::damerau_levenshtein(&typed, &known.replace('-', "_")), known));
    near.filter(|(distance, known)| *distance <= (known.len() / 3).clamp(1, 3)).min().map(|(_, known)| known)
}

const fn scalar_text<'a>(scalar: Scalar<'a>) -> Option<&'a str> {
    match scalar {
        Scalar::Text(text) => Some(text),
        Scalar::Integer(_) | Scalar::Float(_) | Scalar::Boolean(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every schema below one, with its key.
    fn every(schema: &Json, key: &str, found: &mut Vec<(String, Json)>) {
        let schema = plain(schema);
        found.push((key.to_owned(), schema.clone()));
        for (name, inner) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            every(inner, &below(key, name), found);
        }
        for inner in
            ["items", "additionalProperties"].iter().filter_map(|name| schema.get(name)).filter(|s| s.is_object())
        {
            every(inner, &format!("{key}[]"), found);
        }
    }

    #[test]
    fn every_key_has_a_meaning_and_a_kind_that_can_be_checked() {
        let mut found = Vec::new();
        every(&SCHEMA, "", &mut found);
        assert!(found.len() > 80, "{}", found.len());
        for (key, schema) in found {
            if let Some(kind) = schema.get("x-kind") {
                assert!(KINDS.iter().any(|(name, _)| kind == name), "{key}: {kind}");
            } else if Form::of(&schema) == Form::Choice {
                assert!(choices(&schema).count() > 1, "{key}: {schema}");
                assert!(choices(&schema).all(|(_, meaning)| !meaning.is_empty()), "{key}: {schema}");
            }
            assert!(schema.get("$ref").is_none(), "{key}");
            for (name, inner) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
                assert!(inner.get("description").is_some(), "{key}.{name} has no meaning");
            }
        }
    }

    #[test]
    fn the_word_that_was_meant_is_near() {
        let known = ["secret_file", "secret_env", "issuer"];
        assert_eq!(nearest("secret_fil", known.into_iter()), Some("secret_file"));
        assert_eq!(nearest("secret-file", known.into_iter()), Some("secret_file"));
        assert_eq!(nearest("Issuer", known.into_iter()), Some("issuer"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
