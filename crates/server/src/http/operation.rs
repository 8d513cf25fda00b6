//! A call of the API as data, declared beside the function that answers it. Two tables hold them all (`api`): by them a
//! request finds who answers it, and from them the document is made. So what the document has is answered, and what is
//! answered the document has.

use gateway_domain::Code;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

use super::caller::Need;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    /// Its name, for programs that are made from the document.
    pub(super) id: &'static str,
    pub(super) verb: Verb,
    /// The path, with at most one parameter in braces.
    pub(super) path: &'static str,
    pub(super) topic: Topic,
    /// What it does, in one line.
    pub(super) summary: &'static str,
    /// What else there is to say.
    pub(super) more: &'static str,
    pub(super) access: Access,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Body>,
    /// What comes with 200.
    pub(super) answers: &'static [Content],
    /// What else is no refusal: a status, and what comes with it.
    pub(super) also: Option<(u16, Content)>,
    /// What it is refused with, besides what its access and its body bring along.
    pub(super) refusals: &'static [Code],
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Events,
    Agents,
    Connections,
    Rooms,
    Bans,
    Audit,
    Tokens,
    Gateway,
}

/// Who may make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody who reaches it.
    Everybody,
    /// A caller of that role, by a token or an API key.
    Caller(Need),
    /// This machine; any other a caller of that role.
    HereOr(Need),
    /// Who has an API key.
    ApiKey,
}

/// What is said in the path, the query or a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) about: &'static str,
    pub(super) shape: Shape,
    pub(super) example: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) most_bytes: usize,
    /// Names and texts of bodies.
    pub(super) examples: &'static [(&'static str, &'static str)],
}

/// A body of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) kind: &'static str,
    pub(super) about: &'static str,
    pub(super) shape: Shape,
    pub(super) example: &'static str,
}

/// The JSON Schema of a type.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The schema of that type, under its name.
pub(super) fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The schema of an object that has one of two members, and not the other with what goes with it.
pub(super) fn either(one: &[&str], other: &[&str]) -> serde_json::Value {
    let with = |these: &[&str], those: &[&str]| {
        let own = these.iter().take(1).map(|name| ((*name).to_owned(), json!({ "type": "string" })));
        let none = those.iter().map(|name| ((*name).to_owned(), json!({ "type": "null" })));
        let properties: serde_json::Map<_, _> = own.chain(none).collect();
        json!({ "required": these.get(..1), "properties": properties })
    };
    json!([with(one, other), with(other, one)])
}

impl Content {
    /// A JSON answer of that type.
    pub(super) const fn json(shape: Shape, example: &'static str) -> Self {
        Self { kind: "application/json", about: "", shape, example }
    }
}

impl Verb {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Its name in the document.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }

    /// Whether a request of that method means it. Who asks for the head of something is answered as if it asked for all,
    /// and the body is not sent.
    pub(super) fn is(self, method: &http::Method) -> bool {
        method.as_str() == self.name() || self == Self::Get && method == http::Method::HEAD
    }
}

impl Topic {
    pub(super) const ALL: [Self; 8] = [
        Self::Events,
        Self::Agents,
        Self::Connections,
        Self::Rooms,
        Self::Bans,
        Self::Audit,
        Self::Tokens,
        Self::Gateway,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Events => "Events",
            Self::Agents => "Agents",
            Self::Connections => "Connections",
            Self::Rooms => "Rooms",
            Self::Bans => "Bans",
            Self::Audit => "Audit",
            Self::Tokens => "Tokens",
            Self::Gateway => "Gateway",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Events => "Telling users, agents and rooms what happened.",
            Self::Agents => "Who is online, and asking them.",
            Self::Connections => "Live connections and their users.",
            Self::Rooms => "Rooms, what they remember, and who is in them.",
            Self::Bans => "Keeping users, addresses and tokens out.",
            Self::Audit => "Refusals and security events.",
            Self::Tokens => "Tokens for API keys, and new ones for spent ones.",
            Self::Gateway => "The gateway itself.",
        }
    }
}

impl Declared {
    /// The parameter of the path, where this is a path of that call; empty where it has none.
    pub(super) fn parameter_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        let is_same = |(own, there): &(u8, u8)| own == there && *own != b'{';
        let common = self.path.bytes().zip(path.bytes()).take_while(is_same).count();
        let (own, there) = (self.path.get(common..)?, path.get(common..)?);
        // All of them are looked at for each call, and most have nothing in common with it.
        if !own.starts_with('{') {
            return (own.is_empty() && there.is_empty()).then_some("");
        }
        let (_, behind) = own.split_once('}')?;
        let (parameter, rest) = there.split_at(there.find('/').unwrap_or(there.len()));
        (behind == rest).then_some(parameter)
    }
}

/// Calls by their names, and the table of what each declares.
macro_rules! operations {
    ($(#[$doc:meta])* $name:ident { $($call:ident = $declared:path,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name {
            $($call,)*
        }

        impl $name {
            pub(super) const TABLE: &[(Self, &'static $crate::http::operation::Declared)] =
                &[$((Self::$call, &$declared),)*];
        }
    };
}
pub(super) use operations;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_whole() {
        let call = |path| Declared { path, ..crate::http::health::ALIVE };
        let rooms = call("/api/v1/rooms/{room}/history");
        assert_eq!(rooms.parameter_in("/api/v1/rooms/a%2Fb/history"), Some("a%2Fb"));
        for other in
            ["/api/v1/rooms/a", "/api/v1/rooms/a/history/", "/api/v1/rooms//a/history", "api/v1/rooms/a/history"]
        {
            assert_eq!(rooms.parameter_in(other), None, "{other}");
        }
        assert_eq!(rooms.parameter_in("/api/v1/rooms/{room}/history"), Some("{room}"));
        assert_eq!(rooms.parameter_in("/api/v1/rooms//history"), Some(""));
        assert_eq!(call("/api/v1/events").parameter_in("/api/v1/events/batch"), None);
        assert_eq!(call("/api/v1/events/batch").parameter_in("/api/v1/events"), None);
        assert_eq!(call("/api/v1/rooms/{room}").parameter_in("/api/v1/rooms/\u{e9}"), Some("\u{e9}"));
        assert_eq!(call("/api/v1/rooms").parameter_in("/api/v1/room\u{e9}"), None);
        assert_eq!(call("/healthz").parameter_in("/healthz"), Some(""));
    }

    #[test]
    fn the_head_is_of_what_is_got() {
        assert!(Verb::Get.is(&http::Method::HEAD) && Verb::Get.is(&http::Method::GET));
        assert!(!Verb::Put.is(&http::Method::HEAD) && !Verb::Get.is(&http::Method::OPTIONS));
    }
}
