//! The OpenAPI document (3.1): made of what the calls declare and of the schemas of the types that they read and write, so
//! that it cannot say anything else than what is done.

mod refused;

use std::sync::LazyLock;

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, json},
    api,
    caller::Need,
    operation::{Access, Content, Declared, Parameter, Place, Topic, shape},
};
use refused::Refused;

pub(super) const SHOW: Declared = Declared {
    id: "getDocument",
    path: "/openapi.json",
    summary: "This document",
    answers: &[Content::json(shape::<Map<String, Value>>, r#"{"openapi": "3.1.0"}"#)],
    ..super::health::ALIVE
};

const ABOUT: &str = "\
What backends and operators ask of a gateway. Credentials are in a header, never in a query or a cookie. `admin` includes \
`service`.

Every refusal has the same body: a stable `code`, a sentence, and where it helps `then` (what to do), `retryAfter` and \
`details`. What is got by GET can be asked for by HEAD. A request whose headers are too large for HTTP itself is answered \
with 431 and no body. Pages of the configured origins may call from a browser (CORS).";

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Answers with it.
pub(super) fn show() -> Answer {
    json(&*DOCUMENT)
}

/// The document of this version: the calls of every gateway, whatever its configuration leaves out.
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut refused = Refused::default();
    let mut paths = Map::new();
    for declared in api::declared() {
        let path = paths.entry(declared.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(declared.verb.key().into(), operation(declared, &mut schemas, &mut refused));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "contact": { "name": "Whoever runs this gateway" },
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "`admin.listen`, or `server.listen` where there is none" }],
        "tags": Topic::ALL.map(|topic| json!({ "name": topic.name(), "description": topic.about() })),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of one of the configured keys, with the role that the call needs.",
                },
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "One of the configured API keys, with the role that the call needs.",
                },
            },
            "headers": refused::headers(),
            "responses": refused.into_components(&mut schemas),
            "schemas": schemas.into_components(),
        },
    })
}

fn operation(declared: &Declared, schemas: &mut Schemas, refused: &mut Refused) -> Value {
    let mut operation = json!({
        "operationId": declared.id,
        "summary": declared.summary,
        "description": description(declared),
        "tags": [declared.topic.name()],
        "security": security(declared.access),
        "responses": responses(declared, schemas, refused),
    });
    // Only OAuth has scopes: elsewhere a role has no place of its own.
    if let Access::Caller(need) | Access::HereOr(need) = declared.access {
        operation["x-role"] = need.role().into();
    }
    if !declared.parameters.is_empty() {
        let parameters = declared.parameters.iter().map(|parameter| described(parameter, schemas));
        operation["parameters"] = parameters.collect();
    }
    if let Some(body) = &declared.body {
        let examples = body.examples.iter().map(|(name, text)| ((*name).to_owned(), json!({ "value": read(text) })));
        operation["requestBody"] = json!({
            "required": body.required,
            "description": format!("At most {} KiB.", body.most_bytes >> 10),
            "content": { "application/json": {
                "schema": (body.shape)(&mut schemas.of_bodies),
                "examples": examples.collect::<Map<_, _>>(),
            } },
        });
    }
    operation
}

fn description(declared: &Declared) -> String {
    let who = match declared.access {
        Access::Caller(Need::Service) => "Needs the role `service`.",
        Access::Caller(Need::Admin) => "Needs the role `admin`.",
        Access::HereOr(_) => "Needs the role `service`, but from this machine.",
        Access::ApiKey => "Needs an API key.",
        Access::Everybody => "Needs no credential.",
    };
    [declared.more, who].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

fn security(access: Access) -> Value {
    match access {
        Access::Caller(_) => json!([{ "bearer": [] }, { "apiKey": [] }]),
        Access::HereOr(_) => json!([{}, { "bearer": [] }, { "apiKey": [] }]),
        Access::ApiKey => json!([{ "apiKey": [] }]),
        Access::Everybody => json!([]),
    }
}

fn responses(declared: &Declared, schemas: &mut Schemas, refused: &mut Refused) -> Map<String, Value> {
    let content = |contents: &[Content], schemas: &mut Schemas| -> Map<String, Value> {
        let media = |content: &Content, schemas: &mut Schemas| json!({ "schema": (content.shape)(&mut schemas.of_answers), "example": read(content.example) });
        contents.iter().map(|content| (content.kind.to_owned(), media(content, schemas))).collect()
    };
    let about = |contents: &[Content]| {
        let about: Vec<_> = contents.iter().map(|content| content.about).filter(|about| !about.is_empty()).collect();
        if about.is_empty() { declared.summary.to_owned() } else { about.join(" ") }
    };
    let mut responses = Map::new();
    let well = json!({ "description": about(declared.answers), "content": content(declared.answers, schemas) });
    responses.insert("200".into(), well);
    for (status, codes) in refused::by_status(declared) {
        responses.insert(status.to_string(), refused.reference(status, codes));
    }
    if let Some((status, other)) = declared.also {
        let mut other = json!({ "description": "It leaves.", "content": content(&[other], schemas) });
        other["headers"] = refused::headers_of(status);
        responses.insert(status.to_string(), other);
    }
    responses
}

fn described(parameter: &Parameter, schemas: &mut Schemas) -> Value {
    let (place, required) = match parameter.place {
        Place::Path => ("path", true),
        Place::Query => ("query", false),
        Place::Header => ("header", false),
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": required,
        "description": parameter.about,
        "schema": (parameter.shape)(&mut schemas.of_bodies),
        "example": read(parameter.example),
    })
}

/// An example, written as JSON in the source; a test reads them all.
fn read(example: &str) -> Value {
    serde_json::from_str(example).unwrap_or_default()
}

/// The schemas that are referred to: a type that is read may leave out what one that is written never does.
struct Schemas {
    of_bodies: SchemaGenerator,
    of_answers: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            let settings = SchemaSettings::draft2020_12().with_transform(without_widths);
            settings.with(|settings| settings.definitions_path = "/components/schemas".into())
        };
        Self {
            of_bodies: settings().for_deserialize().into_generator(),
            of_answers: settings().for_serialize().into_generator(),
        }
    }
}

impl Schemas {
    fn into_components(mut self) -> Map<String, Value> {
        let mut all = self.of_bodies.take_definitions(true);
        all.extend(self.of_answers.take_definitions(true));
        all
    }
}

/// `uint32` and the like are no formats of JSON Schema's: the numbers of this API are what JSON has.
fn without_widths(schema: &mut Schema) {
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        schema.remove("format");
    }
    transform_subschemas(&mut without_widths, schema);
}

impl Need {
    const fn role(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Admin => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_json() {
        for declared in api::declared() {
            let parameters = declared.parameters.iter().map(|parameter| parameter.example);
            let bodies = declared.body.iter().flat_map(|body| body.examples).map(|(_, text)| *text);
            let answers = declared.answers.iter().chain(declared.also.as_ref().map(|(_, also)| also));
            for example in parameters.chain(bodies).chain(answers.map(|content| content.example)) {
                serde_json::from_str::<Value>(example)
                    .unwrap_or_else(|fault| panic!("{}: {fault}: {example}", declared.id));
            }
        }
    }

    #[test]
    fn a_name_means_one_schema() {
        let mut schemas = Schemas::default();
        for declared in api::declared() {
            operation(declared, &mut schemas, &mut Refused::default());
        }
        let bodies = schemas.of_bodies.take_definitions(true);
        for (name, schema) in schemas.of_answers.take_definitions(true) {
            assert!(
                bodies.get(&name).is_none_or(|other| *other == schema),
                "{name} is read otherwise than it is written"
            );
        }
    }

    #[test]
    fn the_parameters_of_a_path_are_declared() {
        for declared in api::declared() {
            let in_path = declared.path.split('/').filter_map(|name| name.strip_prefix('{')?.strip_suffix('}'));
            let told = declared.parameters.iter().filter(|parameter| parameter.place == Place::Path);
            assert!(in_path.eq(told.map(|parameter| parameter.name)), "{}", declared.id);
        }
    }

    #[test]
    fn codes_without_a_status_are_in_no_call() {
        for declared in api::declared() {
            assert!(declared.refusals.iter().all(|code| code.http_status().is_some()), "{}", declared.id);
        }
    }
}
