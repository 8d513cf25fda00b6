//! What the types of a publisher are, whatever the language: read from the schemas, bounded in depth and number. What a
//! type cannot say (a union, a pattern, a range) becomes any value or a remark; the gateway holds the schema itself
//! against every event.

mod remark;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::names;

/// How deep a schema is followed; below that stands any value.
const DEEPEST: usize = 32;
/// How many places of the schemas are looked at, references followed; behind that stands any value.
const MOST_PLACES: usize = 100_000;

/// The names that the frames around the types use, of their own or of their languages, so that no type takes them.
const RESERVED: &str = " AbortSignal Array AsRef Body Box Client Clone Copy Credential Debug Default Deserialize Detail \
                        Duration Eq Err Error Event Events From Hash Into Json Math None Number Object Ok Option Ord \
                        PartialEq PartialOrd Policy Promise PublishError Published Publisher Record Refusal Refused \
                        RequestBuilder Response Result Self Serialize Some StatusCode String SyntaxError Target \
                        ToString Uuid Vec ";

/// All types of a publisher.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The events, in the order of their types.
    pub(super) events: Vec<Event>,
    /// The types that they consist of, each behind those that it consists of.
    pub(super) types: Vec<Type>,
}

/// One type of events.
#[derive(Debug)]
pub(super) struct Event {
    /// Its type on the wire.
    pub(super) kind: String,
    /// Its name.
    pub(super) name: String,
    /// What is known of it.
    pub(super) about: Vec<String>,
    /// What it says.
    pub(super) payload: Shape,
}

/// A type that has a name.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: String,
    pub(super) about: Vec<String>,
    pub(super) form: Form,
}

/// What a named type consists of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// Members.
    Record(Vec<Member>),
    /// One of these texts.
    Words(Vec<String>),
}

/// A member of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    /// Its name on the wire.
    pub(super) name: String,
    pub(super) about: Vec<String>,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

/// What stands in one place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Whatever JSON has.
    Any,
    Null,
    Boolean,
    /// A whole number; `true`: none below zero.
    Integer(bool),
    Number,
    Text,
    List(Box<Shape>),
    /// Members of any name.
    Map(Box<Shape>),
    Nullable(Box<Shape>),
    /// A type that has a name.
    Named(String),
}

impl Model {
    /// Reads the schemas, each with the type of its events.
    pub(super) fn of(schemas: &[(String, Value)]) -> Self {
        let mut taken: BTreeSet<String> = RESERVED.split_whitespace().map(str::to_owned).collect();
        // The names of the events themselves come first, whatever is inside any of them.
        let named: Vec<_> = schemas.iter().map(|(kind, _)| names::free(names::pascal(kind), &mut taken)).collect();
        let mut reader = Reader { root: &Value::Null, types: Vec::new(), taken, places: 0 };
        let mut events = Vec::new();
        for ((kind, schema), name) in schemas.iter().zip(named) {
            reader.root = schema;
            let payload = reader.shape(schema, &Naming { own: &name, around: None, depth: 0 });
            events.push(Event { kind: kind.clone(), name, about: remark::of(schema), payload });
        }
        Self { events, types: reader.types }
    }
}

struct Reader<'a> {
    /// The schema that references are looked up in.
    root: &'a Value,
    types: Vec<Type>,
    taken: BTreeSet<String>,
    places: usize,
}

/// What a type at this place would be called.
struct Naming<'a> {
    own: &'a str,
    /// The name of the type around it; none around an event.
    around: Option<&'a str>,
    depth: usize,
}

impl Naming<'_> {
    fn inside<'a>(&'a self, own: &'a str) -> Naming<'a> {
        Naming { own, around: Some(self.own), depth: self.depth + 1 }
    }
}

impl<'a> Reader<'a> {
    fn shape(&mut self, schema: &'a Value, naming: &Naming<'_>) -> Shape {
        self.places += 1;
        let Some(schema) = schema.as_object() else { return Shape::Any };
        if naming.depth > DEEPEST || self.places > MOST_PLACES {
            return Shape::Any;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            // A schema that refers to itself ends at the depth.
            let meant = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let own = names::pascal(reference.rsplit('/').next().unwrap_or_default());
            return meant.map_or(Shape::Any, |meant| self.shape(meant, &naming.inside(&own)));
        }
        if let Some(listed) = listed(schema) {
            return self.one_of_values(&listed, schema, naming);
        }
        match kinds(schema).as_slice() {
            [] => {
                let mut several = ["anyOf", "oneOf", "allOf"].iter().filter_map(|word| schema.get(*word)?.as_array());
                several.next().map_or(Shape::Any, |several| self.combined(several, naming))
            }
            [kind] => self.of_kind(kind, schema, naming),
            [kind, "null"] | ["null", kind] => nullable(self.of_kind(kind, schema, naming)),
            _ => Shape::Any,
        }
    }

    fn of_kind(&mut self, kind: &str, schema: &'a Map<String, Value>, naming: &Naming<'_>) -> Shape {
        match kind {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "integer" => {
                Shape::Integer(schema.get("minimum").and_then(Value::as_f64).is_some_and(|least| least >= 0.0))
            }
            "number" => Shape::Number,
            "string" => Shape::Text,
            "array" => {
                let own = format!("{}Item", naming.own);
                let around =
                    Naming { own: &own, around: Some(naming.around.unwrap_or_default()), depth: naming.depth + 1 };
                let plain = schema.get("items").filter(|_| !schema.contains_key("prefixItems"));
                Shape::List(Box::new(plain.map_or(Shape::Any, |items| self.shape(items, &around))))
            }
            "object" => self.object(schema, naming),
            _ => Shape::Any,
        }
    }

    fn object(&mut self, schema: &'a Map<String, Value>, naming: &Naming<'_>) -> Shape {
        let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|some| !some.is_empty())
        else {
            let others = schema.get("additionalProperties");
            let own = format!("{}Value", naming.own);
            return Shape::Map(Box::new(others.map_or(Shape::Any, |others| self.shape(others, &naming.inside(&own)))));
        };
        // What is required comes first and in its order: a map has none of its own.
        let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let required: Vec<_> = required.iter().filter_map(Value::as_str).collect();
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for name in required.iter().copied().chain(properties.keys().map(String::as_str)) {
            if seen.insert(name) {
                order.extend(properties.get_key_value(name));
            }
        }
        let members = order.into_iter().map(|(name, inner)| {
            let own = names::pascal(name);
            Member {
                name: name.clone(),
                about: remark::of(inner),
                required: required.contains(&name.as_str()),
                shape: self.shape(inner, &naming.inside(&own)),
            }
        });
        let form = Form::Record(members.collect());
        self.named(form, remark::of_object(schema), naming)
    }

    /// One of the values that a schema lists: a type of its own where all are texts.
    fn one_of_values(&mut self, values: &[&Value], schema: &Map<String, Value>, naming: &Naming<'_>) -> Shape {
        let mut texts: Vec<_> = values.iter().filter_map(|value| value.as_str()).map(str::to_owned).collect();
        let nulls = values.iter().filter(|value| value.is_null()).count();
        if texts.is_empty() || texts.len() + nulls != values.len() {
            return Shape::Any;
        }
        let mut seen = BTreeSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        let shape = self.named(Form::Words(texts), remark::of_object(schema), naming);
        if nulls > 0 { nullable(shape) } else { shape }
    }

    /// A combination says nothing that every language could say, but for one of one, or one that may be null.
    fn combined(&mut self, several: &'a [Value], naming: &Naming<'_>) -> Shape {
        let is_null = |schema: &&Value| schema.get("type").is_some_and(|kind| kind == "null");
        match several {
            [one] => self.shape(one, naming),
            [null, one] | [one, null] if is_null(&null) => nullable(self.shape(one, naming)),
            _ => Shape::Any,
        }
    }

    /// Gives a form a name: its own, or that with the name around it before it, where its own is another form's.
    fn named(&mut self, form: Form, about: Vec<String>, naming: &Naming<'_>) -> Shape {
        let name = match naming.around {
            // An event's own name is kept for it.
            None => naming.own.to_owned(),
            Some(around) => {
                let longer = format!("{around}{}", naming.own);
                for name in [naming.own, &longer] {
                    if self.types.iter().any(|known| known.name == *name && known.form == form) {
                        return Shape::Named(name.to_owned());
                    }
                }
                let wanted = if self.taken.contains(naming.own) { longer } else { naming.own.to_owned() };
                names::free(wanted, &mut self.taken)
            }
        };
        self.types.push(Type { name: name.clone(), about, form });
        Shape::Named(name)
    }
}

fn nullable(shape: Shape) -> Shape {
    match shape {
        Shape::Any | Shape::Null | Shape::Nullable(_) => shape,
        other => Shape::Nullable(Box::new(other)),
    }
}

/// The values that a schema lists.
fn listed(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    let values = schema.get("enum").and_then(Value::as_array).map(|values| values.iter().collect());
    values.or_else(|| schema.get("const").map(|value| vec![value]))
}

/// What kinds of values a schema takes: what it says, or what follows from its other words.
fn kinds(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema.contains_key("properties") => vec!["object"],
        _ if schema.contains_key("items") => vec!["array"],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
