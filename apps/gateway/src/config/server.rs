//! The sections about the process itself: where it listens, whom it believes, what it writes and keeps.

use gateway_domain::name::NodeName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    limits::Handshakes,
    value::{Count, Described, FilePath, Leeway, Limit, ListenAddress, LogFilter, Origin, Period, Rate, TrustedProxy},
};

/// The listener for clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where clients connect.
    pub listen: ListenAddress,
    /// What this gateway is called among several, in lists of the HTTP API; absent: the name of the machine.
    #[schemars(with = "Option<Described<NodeName>>")]
    pub node: Option<NodeName>,
    /// Where a client's address is read: the only source that is read, and only from a trusted proxy.
    pub client_address: ClientAddress,
    /// The proxies that are believed; their headers are read from right to left.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What is written to the debug log.
    pub log: LogFilter,
    /// Whether a change of the configuration file, or of a file of keys, secrets or schemas that it names, is taken up by
    /// itself, within seconds.
    pub watch: bool,
    /// The form of the debug log.
    pub log_format: LogFormat,
    /// Certificate and key for TLS; absent: plain connections.
    pub tls: Option<Tls>,
    /// Over how long a time the connections of a leaving node are told to go, one after the other; `0s`: all at once.
    pub drain_window: Leeway,
    /// When a leaving node ends at the latest, whoever is still connected. Less than 5 s of it are left to say goodbye, the
    /// window is that much shorter.
    pub drain_timeout: Period,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: ListenAddress::loopback(8080),
            node: None,
            client_address: ClientAddress::Peer,
            trusted_proxies: Vec::new(),
            log: LogFilter::info(),
            watch: true,
            log_format: LogFormat::Human,
            tls: None,
            drain_window: Leeway::seconds(30),
            drain_timeout: Period::seconds(45),
        }
    }
}

/// Where a client's address is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddress {
    /// The address that connected.
    Peer,
    /// The header `X-Forwarded-For`.
    XForwardedFor,
    /// The header `Forwarded` (RFC 7239).
    Forwarded,
    /// The PROXY protocol, version 1 or 2, in front of the connection.
    ProxyProtocol,
}

/// The form of the debug log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Certificate and key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those above it, in PEM.
    pub cert_file: FilePath,
    /// Its private key, in PEM.
    pub key_file: FilePath,
}

/// The listener for operators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Where the API and the metrics are; absent: on `server.listen`, beside the endpoints. It expects no PROXY header,
    /// even where `server.client_address` is `proxy-protocol`.
    pub listen: Option<ListenAddress>,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The pages that may call the HTTP API from a browser (CORS); none: no page may.
    pub origins: Vec<Origin>,
    /// How often each caller may call the HTTP API: a user across all of its tokens, or an API key.
    pub rate: Limit<Handshakes>,
}

impl Default for Http {
    fn default() -> Self {
        let rate = Handshakes { rate: Rate::new(2_000, 1), burst: Count::new(4_000) };
        Self { origins: Vec::new(), rate: Limit::At(rate) }
    }
}

/// The page for operators, at `/console`, there where the HTTP API is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Whether the page is there. It shows nothing without a credential of role `admin`, and can do no more than the API.
    pub enabled: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Bans, revocations and refresh families are kept here; absent: in memory, and gone with the process.
    pub file: Option<FilePath>,
}

/// The record of refusals and of security events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Where its lines go; absent: to standard error.
    pub file: Option<FilePath>,
    /// How much of a client's address a line tells.
    pub address: AuditAddress,
    /// How many of the latest lines are kept in memory for the API.
    pub kept: Count,
}

impl Default for Audit {
    fn default() -> Self {
        Self { file: None, address: AuditAddress::Full, kept: Count::new(1_000) }
    }
}

/// How much of a client's address is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditAddress {
    /// All of it.
    Full,
    /// The network: the first 24 bits of a v4 address, 48 of a v6 one.
    Prefix,
    /// A keyed hash: the same client can be followed, and not found.
    Hash,
}
