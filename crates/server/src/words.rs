//! The words of the domain as JSON Schema has them, for the types that carry them over HTTP: the domain knows no schemas.
//!
//! Each stands in a type's declaration in the place of the word itself: `#[schemars(with = "words::User")]`.

use std::borrow::Cow;

use gateway_domain::{Advice, Code, Detail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Text without control characters.
const PRINTABLE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$";

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $word:ident $name:literal $schema:expr;)*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $word;

        impl JsonSchema for $word {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema: Schema = $schema;
                schema.insert("description".into(), concat!($($doc),+).trim().into());
                schema
            }
        }
    )*};
}

words! {
    /// Whom a token speaks for: 1 to 256 bytes without control characters.
    User "UserId" name(256, "ann");
    /// The machine or process behind an agent's connection: 1 to 256 bytes without control characters.
    Agent "AgentId" name(256, "press-7");
    /// What a user is: a word of 1 to 64 bytes.
    Role "Role" name(64, "dashboard");
    /// What a user may do: a word of 1 to 128 bytes.
    Permission "Permission" name(128, "command.execute");
    /// Which limits hold: the name of a plan.
    Plan "PlanName" name(64, "professional");
    /// The name of a room: 1 to 640 bytes without control characters.
    Room "RoomName" name(640, "agent:press-7");
    /// The name of a gateway among several.
    Node "NodeName" name(64, "gateway-1");
    /// One connection, from its admission to its end.
    Connection "ConnectionId" uuid();
    /// One handshake or call: what a client quotes and an operator looks up.
    Request "RequestId" uuid();
    /// One event of a backend.
    Event "EventId" uuid();
    /// A moment (RFC 3339).
    Time "Time" json_schema!({ "type": "string", "format": "date-time", "examples": ["2030-01-01T00:00:00.000Z"] });
    /// An address, or a block of them (CIDR).
    Network "Network" json_schema!({ "type": "string", "maxLength": 43, "examples": ["203.0.113.7", "203.0.113.0/24"] });
    /// So many in a time.
    Rate "Rate" json_schema!({ "type": "string", "pattern": "^[0-9]+/[0-9.]*[a-z]+$", "examples": ["100/m"] });
    /// A trace, in 32 hexadecimal digits.
    TraceName "TraceId" json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$", "examples": ["0af7651916cd43dd8448eb211c80319c"] });
    /// The stable name of a refusal.
    CodeName "Code" one_of(Code::ALL.iter().map(|code| code.name()));
    /// In what way a token is invalid.
    DetailName "Detail" one_of(Detail::ALL.iter().map(|detail| detail.name()));
    /// What to do: get a new token and come back, come back later, or not come back by itself.
    AdviceName "Advice" one_of(Advice::ALL.iter().map(|advice| advice.name()));
}

fn name(most: usize, example: &str) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": most, "pattern": PRINTABLE, "examples": [example] })
}

fn uuid() -> Schema {
    json_schema!({ "type": "string", "format": "uuid", "examples": ["3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e"] })
}

fn one_of(names: impl Iterator<Item = &'static str>) -> Schema {
    json_schema!({ "type": "string", "enum": names.collect::<Vec<_>>() })
}
