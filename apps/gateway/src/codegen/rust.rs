//! The publisher as a module of Rust.

use std::collections::BTreeSet;

use super::{
    framed,
    model::{Event, Form, Member, Model, Shape, Type},
    names,
};

const FRAME: &str = include_str!("rust/publisher.txt");

/// What no member can be called.
const KEYWORDS: &str = " abstract as async await become box break const continue crate do dyn else enum extern false \
                        final fn for gen if impl in let loop macro match mod move mut override priv pub ref return self \
                        static struct super trait true try type typeof unsafe unsized use virtual where while yield ";

pub(super) fn module(model: &Model) -> String {
    let mut types = events(&model.events);
    for one in &model.types {
        types.push('\n');
        types += &named(one);
    }
    framed(FRAME, &types)
}

fn events(events: &[Event]) -> String {
    let mut text =
        "/// An event: its type, and what it says.\n#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]\n\
                    #[serde(tag = \"type\", content = \"payload\")]\npub enum Event {\n"
            .to_owned();
    for event in events {
        let Event { kind, name, about, payload } = event;
        text += &format!("    /// `{}`\n", kind.replace('`', "'"));
        text += &remarks(about, "    ");
        text += &format!("    #[serde(rename = {kind:?})]\n    {name}({}),\n", shape(payload));
    }
    text + "}\n"
}

fn named(one: &Type) -> String {
    let Type { name, about, form } = one;
    let about = if about.is_empty() { vec![format!("`{name}`")] } else { about.clone() };
    let mut text = remarks(&about, "");
    let mut taken = BTreeSet::new();
    match form {
        Form::Record(members) => {
            text += "#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]\n";
            text += &format!("pub struct {name} {{\n");
            members.iter().for_each(|member| text += &field(member, &mut taken));
        }
        Form::Words(words) => {
            text += "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]\n";
            text += &format!("pub enum {name} {{\n");
            for word in words {
                let variant = names::free(names::pascal(word), &mut taken);
                let own = if variant == "Self" { "Self_".to_owned() } else { variant };
                text += &format!("    /// `{}`\n", one_line(word).replace('`', "'"));
                text += &format!("    #[serde(rename = {word:?})]\n    {own},\n");
            }
        }
    }
    text + "}\n"
}

fn field(member: &Member, taken: &mut BTreeSet<String>) -> String {
    let Member { name, about, required, shape: inner } = member;
    let mut own = names::snake(name);
    if KEYWORDS.contains(&format!(" {own} ")) {
        own.push('_');
    }
    let own = names::free(own, taken);
    let about = if about.is_empty() { vec![format!("`{}`", one_line(name).replace('`', "'"))] } else { about.clone() };
    let mut text = remarks(&about, "    ");
    let mut told: Vec<String> = Vec::new();
    if own != *name {
        told.push(format!("rename = {name:?}"));
    }
    let mut kind = shape(inner);
    if !required {
        told.push("default, skip_serializing_if = \"Option::is_none\"".into());
        // What need not be there and may be null is left out.
        kind = if matches!(inner, Shape::Nullable(_)) { kind } else { format!("Option<{kind}>") };
    }
    if !told.is_empty() {
        text += &format!("    #[serde({})]\n", told.join(", "));
    }
    text + &format!("    pub {own}: {kind},\n")
}

fn shape(shape: &Shape) -> String {
    let inside = |inner: &Shape| self::shape(inner);
    match shape {
        Shape::Any => "serde_json::Value".into(),
        Shape::Null => "()".into(),
        Shape::Boolean => "bool".into(),
        Shape::Integer(true) => "u64".into(),
        Shape::Integer(false) => "i64".into(),
        Shape::Number => "f64".into(),
        Shape::Text => "String".into(),
        Shape::List(of) => format!("Vec<{}>", inside(of)),
        Shape::Map(of) => format!("std::collections::BTreeMap<String, {}>", inside(of)),
        Shape::Nullable(of) => format!("Option<{}>", inside(of)),
        Shape::Named(name) => name.clone(),
    }
}

fn remarks(about: &[String], indent: &str) -> String {
    about.iter().map(|line| format!("{indent}/// {line}\n")).collect()
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
