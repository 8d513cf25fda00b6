//! The publisher as a module of TypeScript.

use super::{
    framed,
    model::{Form, Member, Model, Shape, Type},
};

const FRAME: &str = include_str!("typescript/publisher.txt");

pub(super) fn module(model: &Model) -> String {
    let mut types = "/** What an event of each type says. */\nexport interface Events {\n".to_owned();
    for event in &model.events {
        types += &remarks(&event.about, "  ");
        types += &format!("  {}: {};\n", quoted(&event.kind), shape(&event.payload));
    }
    types += "}\n";
    for one in &model.types {
        types.push('\n');
        types += &named(one);
    }
    framed(FRAME, &types)
}

fn named(one: &Type) -> String {
    let Type { name, about, form } = one;
    let told = remarks(about, "");
    match form {
        Form::Record(members) => {
            let members: String = members.iter().map(member).collect();
            format!("{told}export interface {name} {{\n{members}}}\n")
        }
        Form::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            format!("{told}export type {name} = {};\n", words.join(" | "))
        }
    }
}

fn member(member: &Member) -> String {
    let Member { name, about, required, shape: inner } = member;
    let optional = if *required { "" } else { "?" };
    format!("{}  {}{optional}: {};\n", remarks(about, "  "), key(name), shape(inner))
}

/// A name as it is where it may stand so, else quoted.
fn key(name: &str) -> String {
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || first == '$');
    if begins && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$') {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A text of JSON is one of TypeScript.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn shape(shape: &Shape) -> String {
    let inside = |inner: &Shape| self::shape(inner);
    match shape {
        Shape::Any => "unknown".into(),
        Shape::Null => "null".into(),
        Shape::Boolean => "boolean".into(),
        Shape::Integer(_) | Shape::Number => "number".into(),
        Shape::Text => "string".into(),
        Shape::List(of) if matches!(**of, Shape::Nullable(_)) => format!("({})[]", inside(of)),
        Shape::List(of) => format!("{}[]", inside(of)),
        Shape::Map(of) => format!("{{ [name: string]: {} }}", inside(of)),
        Shape::Nullable(of) => format!("{} | null", inside(of)),
        Shape::Named(name) => name.clone(),
    }
}

fn remarks(about: &[String], indent: &str) -> String {
    match about {
        [] => String::new(),
        [one] => format!("{indent}/** {one} */\n"),
        several => {
            let lines: String = several.iter().map(|line| format!("{indent} * {line}\n")).collect();
            format!("{indent}/**\n{lines}{indent} */\n")
        }
    }
}
