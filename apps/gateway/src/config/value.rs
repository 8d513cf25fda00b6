//! The words of the configuration: what one value may be, how it is read and how it is written back. A value of
//! these types is well-formed; each kind of value is known by its name, so that the file can be checked key by key
//! against the schema before anything is built from it.

mod address;
mod credential;
mod event;
mod hook;
mod limit;
mod path;
mod quantity;
mod redis;
mod texts;
mod web;

use std::{fmt, marker::PhantomData};

use gateway_auth::Algorithm;
use gateway_domain::{
    AgentId, PlanName, Role, Timestamp, UserId,
    name::{NameFault, NodeName, Permission},
    network::Network,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};

pub use self::{
    address::{ListenAddress, TrustedProxy},
    credential::{AgentSource, ClaimPath, ClaimPaths, Sha256, TokenSource},
    event::EventType,
    hook::HookName,
    limit::{Connections, Limit},
    path::{DoorPath, EndpointPath, PathParameter},
    quantity::{Count, Leeway, Period, Rate, Size},
    redis::{RedisHost, RedisUrl},
    texts::Texts,
    web::{HookUrl, JwksUrl, Origin},
};

/// One value before it means anything: what a line of the file or a variable says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// A text; every variable is one.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A broken number.
    Float(f64),
    /// Yes or no.
    Boolean(bool),
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if text.chars().count() > 80 => {
                write!(f, "{}...", text.chars().take(80).collect::<String>().escape_debug())
            }
            Self::Text(text) => write!(f, "{}", text.escape_debug()),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Boolean(yes) => write!(f, "{yes}"),
        }
    }
}

/// Why a value is none of its kind, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}. {remedy}")]
pub struct Unfit {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Unfit {
    /// With words of its own.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// The usual words: what stands there is nothing of this kind.
    pub fn not<T: Value>(scalar: Scalar<'_>) -> Self {
        Self::new(format!("`{scalar}` is not a valid {}", T::KIND), format!("Write {}", T::WANTED))
    }
}

/// A kind of value.
pub trait Value: Sized {
    /// Its name, in the schema and in the reference.
    const KIND: &'static str;
    /// What to write, with an example.
    const WANTED: &'static str;

    /// Reads one.
    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit>;
}

/// Reads a value and forgets it: enough to know whether it fits.
pub(super) type Check = fn(Scalar<'_>) -> Result<(), Unfit>;

macro_rules! kinds {
    ($($kind:ty),* $(,)?) => {
        /// Every kind of value, by its name: the schema names them, and the file is checked by these.
        pub(super) const KINDS: &[(&str, Check)] = &[$((<$kind>::KIND, |scalar| <$kind>::read(scalar).map(drop))),*];
    };
}

kinds![
    AgentId,
    AgentSource,
    Algorithm,
    ClaimPath,
    ClaimPaths,
    Connections,
    Count,
    DoorPath,
    EndpointPath,
    EventType,
    FilePath,
    HookName,
    HookUrl,
    JwksUrl,
    Label,
    Leeway,
    ListenAddress,
    LogFilter,
    Network,
    NodeName,
    Origin,
    Period,
    Permission,
    PlanName,
    Rate,
    RedisHost,
    RedisUrl,
    Role,
    Sha256,
    Size,
    Texts,
    Timestamp,
    TokenSource,
    TrustedProxy,
    UserId,
    Variable,
];

/// Stands in the schema for a type of the domain, which knows nothing of schemas.
pub(super) struct Described<T>(PhantomData<T>);

impl<T: Value> JsonSchema for Described<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::KIND.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kind": T::KIND, "x-wanted": T::WANTED })
    }
}

/// Reads any value through serde, whatever form it has.
pub(super) struct AnyScalar<T>(pub(super) PhantomData<T>);

impl<T: Value> Visitor<'_> for AnyScalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(Scalar::Text(text)).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::read(Scalar::Integer(number)).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::read(Scalar::Float(number)).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<T, E> {
        T::read(Scalar::Boolean(yes)).map_err(E::custom)
    }
}

/// Makes a kind of value readable and describable, and writable as its text.
macro_rules! through_serde {
    ($($kind:ty),* $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::config::value::AnyScalar(std::marker::PhantomData))
            }
        }

        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$kind as $crate::config::value::Value>::KIND.into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::config::value::Described::<$kind>::json_schema(generator)
            }
        }
    )*};
}
use through_serde;

macro_rules! domain_names {
    ($($kind:ty, $name:literal, $wanted:literal;)*) => {$(
        impl Value for $kind {
            const KIND: &'static str = $name;
            const WANTED: &'static str = $wanted;

            fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
                let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
                text.parse().map_err(|fault: NameFault| name_unfit::<Self>(fault))
            }
        }
    )*};
}

fn name_unfit<T: Value>(fault: NameFault) -> Unfit {
    Unfit::new(format!("the {} {fault}", T::KIND), format!("Write {}", T::WANTED))
}

domain_names! {
    AgentId, "agent id", "the id of the agent as a text, such as \"press-7\"";
    NodeName, "node", "a name such as \"gateway-1\", of 1 to 64 bytes";
    Permission, "permission", "a word of your own, such as \"command.execute\"";
    PlanName, "plan", "the name of a plan, such as \"free\"";
    Role, "role", "a word such as \"agent\" or \"dashboard\"";
    UserId, "user id", "the id of the user as a text, such as \"backend\"";
}

impl Value for Network {
    const KIND: &'static str = "network";
    const WANTED: &'static str = "an address or a block of addresses, such as \"203.0.113.7\" or \"203.0.113.0/24\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        text.parse().map_err(|fault| Unfit::new(format!("{fault}"), format!("Write {}", Self::WANTED)))
    }
}

impl Value for Timestamp {
    const KIND: &'static str = "time";
    const WANTED: &'static str = "an RFC 3339 time, such as \"2030-01-01T00:00:00Z\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        text.parse().map_err(|_| Unfit::not::<Self>(scalar))
    }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $wanted:literal, $fits:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Value for $name {
            const KIND: &'static str = $kind;
            const WANTED: &'static str = $wanted;

            fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
                let fits: fn(&str) -> bool = $fits;
                match scalar {
                    Scalar::Text(text) if fits(text) => Ok(Self(text.into())),
                    _ => Err(Unfit::not::<Self>(scalar)),
                }
            }
        }

        through_serde!($name);
    )*};
}

texts! {
    /// A text that names something: of 1 to 256 bytes, without control characters.
    Label, "text", "a text of 1 to 256 bytes without control characters", is_label;
    /// The path of a file; one that is not absolute counts from the folder of the configuration file.
    FilePath, "file", "the path of a file", |text| !text.is_empty() && !text.contains('\0');
    /// The name of an environment variable.
    Variable, "variable", "the name of an environment variable, such as \"GATEWAY_SECRET\"", is_variable;
    /// What is written to the debug log.
    LogFilter, "log filter", "a level such as \"info\", or a filter such as \"info,gateway_auth=debug\"", is_filter;
}

impl FilePath {
    /// The path.
    pub fn as_path(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }
}

impl Label {
    /// What keys and channels of a cluster begin with.
    pub(super) fn gateway() -> Self {
        Self("gateway".into())
    }
}

impl LogFilter {
    /// The level that ships.
    pub(super) fn info() -> Self {
        Self("info".into())
    }
}

fn is_label(text: &str) -> bool {
    (1..=256).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_variable(text: &str) -> bool {
    is_label(text) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_filter(text: &str) -> bool {
    !text.trim().is_empty() && tracing_subscriber::EnvFilter::builder().parse(text).is_ok()
}

#[cfg(test)]
mod tests;
