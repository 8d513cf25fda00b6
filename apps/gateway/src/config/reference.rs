//! The reference: every key with its type, its default and its meaning, as the types say it.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{
    layer::SHIPPED,
    shape::{Form, SCHEMA, can_be_off, choices, plain},
};

const HEAD: &str = "\
# Configuration

<!-- Made by `gateway config reference` from the types of the program: change those, not this page. -->

The gateway reads one file, `gateway.toml` in the folder where it is started, or the one that `--config FILE` names. Four
layers lie over one another: what ships, the file, the environment, the flags. A later layer wins, value by value; a list
replaces a list as a whole.

`gateway config check` names everything that is wrong with a configuration at once, each with its file, line, key and
remedy. The same happens at start: a configuration that is not sound is refused with exit code 2. `gateway config show`
prints the policy in force.

**The environment** sets single values of fixed sections: `GATEWAY__` and the key, in capitals, with `__` for each dot.
Lists and maps belong into the file.

```sh
# not-run: sets variables for a gateway that is started later
export GATEWAY__SERVER__LISTEN=127.0.0.1:9000
export GATEWAY__LIMITS__HANDSHAKE_TIMEOUT=5s
```

**Files** that the file names count from its own folder; files that a variable names count from the folder where the gateway
is started. **Secrets** are never values: a key names the file or the variable that holds one.

**Durations** are a number and a unit: `250ms`, `30s`, `15m`, `24h`, `7d`. **Rates** are so many in a second, minute, hour or
day: `20/s`, `100/m`. **Sizes** are bytes: `4096`, `64KiB`, `1MiB`. Where a key may be `\"off\"`, its type says so.
";

/// The page `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for (name, schema) in SCHEMA.get("properties").and_then(Json::as_object).into_iter().flatten() {
        section(&mut page, name, schema, 2);
    }
    page.push_str("\n## What ships\n\nPlans, endpoints and pairs of limits, where the file says nothing else:\n\n");
    fenced(&mut page, SHIPPED);
    page.push_str("\n## An example\n\n");
    fenced(&mut page, include_str!("example.toml"));
    page
}

fn fenced(page: &mut String, toml: &str) {
    let _ = write!(page, "```toml\n{toml}```\n");
}

/// A table of keys under its own heading, then those of the tables inside.
fn section(page: &mut String, name: &str, schema: &Json, depth: usize) {
    let meaning = text(schema, "description");
    let schema = plain(schema);
    let (path, heading, off, inner) = match (Form::of(schema), schema.get("items"), schema.get("additionalProperties"))
    {
        (Form::List, Some(items), _) => (name.to_owned(), format!("[[{name}]]"), can_be_off(schema), plain(items)),
        (_, _, Some(inner)) if inner.is_object() => {
            (format!("{name}.NAME"), format!("[{name}.NAME]"), can_be_off(schema), plain(inner))
        }
        _ => (name.to_owned(), format!("[{name}]"), can_be_off(schema), schema),
    };
    let own = text(inner, "description");
    let _ = write!(page, "\n{} `{heading}`\n\n{meaning}", "#".repeat(depth.min(4)));
    if !own.is_empty() && own != meaning {
        let _ = write!(page, " {own}");
    }
    if off {
        page.push_str(" Or `\"off\"`.");
    }
    let default = schema.get("default").filter(|default| (default.is_object() || default.is_string()) && depth > 2);
    if let Some(default) = default.filter(|_| !inner_defaults(inner)) {
        let _ = write!(page, " Default: `{}`.", toml(default));
    }
    page.push_str("\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
    let required: Vec<_> =
        inner.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    let keys = || inner.get("properties").and_then(Json::as_object).into_iter().flatten();
    let nested = |schema: &Json| {
        let schema = plain(schema);
        let items = schema.get("items").map(plain);
        // A map from names to single values is one row.
        let single = schema.get("additionalProperties").is_some_and(|inner| inner.get("x-kind").is_some());
        Form::of(schema) == Form::Table && !single || items.is_some_and(|items| Form::of(items) == Form::Table)
    };
    for (key, schema) in keys().filter(|(_, schema)| !nested(schema)) {
        let default = match schema.get("default") {
            _ if required.contains(&key.as_str()) => "*required*".to_owned(),
            None | Some(Json::Null) => String::new(),
            Some(default) => format!("`{}`", toml(default)),
        };
        let _ = writeln!(page, "| `{key}` | {} | {} | {} |", kind(schema), cell(&default), cell(&meaning_of(schema)));
    }
    for (key, schema) in keys().filter(|(_, schema)| nested(schema)) {
        section(page, &format!("{path}.{key}"), schema, depth + 1);
    }
}

/// Whether the keys of a table show their own defaults.
fn inner_defaults(schema: &Json) -> bool {
    let keys = schema.get("properties").and_then(Json::as_object);
    keys.into_iter().flatten().any(|(_, schema)| schema.get("default").is_some())
}

fn kind(schema: &Json) -> String {
    let schema = plain(schema);
    let kind = match Form::of(schema) {
        Form::Boolean => "true or false".to_owned(),
        Form::Choice => choices(schema).map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Form::List => format!("list: {}", schema.get("items").map(kind).unwrap_or_default()),
        Form::Table => format!("table: {}", schema.get("additionalProperties").map(kind).unwrap_or_default()),
        Form::Scalar => text(schema, "x-kind"),
    };
    if can_be_off(schema) { format!("{kind}, or `\"off\"`") } else { kind }
}

fn meaning_of(schema: &Json) -> String {
    let mut meaning = text(schema, "description");
    for (word, what) in choices(plain(schema)) {
        let _ = write!(meaning, " `\"{word}\"`: {what}");
    }
    meaning
}

/// A text of the schema on one line.
fn text(schema: &Json, name: &str) -> String {
    let text = schema.get(name).and_then(Json::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A default as it would stand in a file.
fn toml(value: &Json) -> String {
    match value {
        Json::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Json::Object(map) if map.is_empty() => "{}".to_owned(),
        Json::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.to_string(),
    }
}
