//! The configuration: what ships, the file, the environment and the flags, laid over one another in this order.
//!
//! A configuration that loads is sound: every key is known, every value fits, and nothing in it contradicts itself or
//! is unsafe. Every fault is found in one go, and named with its place and its remedy. Nothing here reads the
//! environment or the clock, and nothing here holds a secret: [`Loaded::resolve`] fetches those apart.
//!
//! A new section is a new field of [`Config`]; the check of its keys, the environment's names and the reference follow
//! from its type.

mod auth;
mod check;
mod cluster;
pub mod difference;
mod document;
mod endpoint;
mod events;
mod fault;
mod in_force;
mod layer;
mod limits;
mod reference;
mod rooms;
mod routes;
mod routing;
mod schemas;
mod secret;
mod server;
mod shape;
mod show;
mod socketio;
pub mod value;
mod webhooks;

use std::{collections::BTreeMap, path::PathBuf};

use gateway_domain::PlanName;
use gateway_server::publish::Schemas;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    auth::{ApiKey, Auth, Claims, Issuer, Key, KeySource},
    cluster::{Cluster, Sentinel, WhenAway},
    endpoint::{Endpoint, Envelope, Handler, MessagesScope, OnExpiry, RejectWith},
    events::Events,
    fault::{Fault, Faults, Place},
    layer::load,
    limits::{AutoBan, Ban, Handshakes, Limits, Messages, OnConnectionLimit, Outbox, Plan, WhenFull},
    reference::reference,
    rooms::{Join, RoomDefaults, RoomHistory, RoomRule, Rooms, RuleHistory},
    routes::Route,
    routing::{Unsound, surroundings},
    secret::{ApiKeyMaterial, ClusterSecrets, HookSecrets, KeyMaterial, Secret, Secrets, TlsMaterial},
    server::{Admin, Audit, AuditAddress, ClientAddress, Console, Http, LogFormat, Server, State, Tls},
    socketio::{Namespace, Socketio},
    webhooks::{HookBreaker, HookEvent, HookQueue, Webhook},
};
#[cfg(feature = "net")]
pub(crate) use self::{
    document::{Document, Node},
    fault::below,
    layer::read,
    shape::nearest,
};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "gateway.toml";

/// The variable that holds the secret of dev mode. The caller draws one for the run and hands it to
/// [`Loaded::resolve`] under this name; nobody has to set it.
pub const DEV_SECRET: &str = "GATEWAY_DEV_SECRET";

/// The variable that holds the API key of dev mode, drawn and handed over in the same way.
pub const DEV_API_KEY: &str = "GATEWAY_DEV_API_KEY";

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The listener for clients, and the process.
    pub server: Server,
    /// The listener for operators.
    pub admin: Admin,
    /// The HTTP API.
    pub http: Http,
    /// The page for operators.
    pub console: Console,
    /// What survives a restart.
    pub state: State,
    /// The record of refusals and of security events.
    pub audit: Audit,
    /// Which tokens are taken.
    pub auth: Auth,
    /// The keys of backends.
    pub api_keys: Vec<ApiKey>,
    /// The doors, each with its own law.
    pub endpoints: Vec<Endpoint>,
    /// The door of Socket.IO.
    pub socketio: Socketio,
    /// Which message goes where.
    pub routes: Vec<Route>,
    /// The rooms, and who may subscribe.
    pub rooms: Rooms,
    /// The events that backends publish.
    pub events: Events,
    /// The backends that are told what happens.
    pub webhooks: Vec<Webhook>,
    /// What a user may use, by the name of the plan. Shipped: `default`, `free`, `professional`, `enterprise`, `agent`.
    #[schemars(with = "BTreeMap<String, Plan>", extend("x-names" = "plan"))]
    pub plans: BTreeMap<PlanName, Plan>,
    /// The limits of this node.
    pub limits: Limits,
    /// Bans from the start.
    pub bans: Vec<Ban>,
    /// The other gateways.
    pub cluster: Cluster,
}

impl Config {
    /// What holds in dev mode where nothing else is said: a secret of this run, this machine only.
    ///
    /// # Errors
    /// Never, as a test holds; the type is what [`load`] has.
    pub fn dev() -> Result<Loaded, Faults> {
        load(Sources { mode: Mode::Dev, ..Sources::default() })
    }
}

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that was asked for. `None`: [`DEFAULT_FILE`] where it exists, but none in dev mode.
    pub file: Option<PathBuf>,
    /// The environment: all of it, as it is.
    pub env: Vec<(String, String)>,
    /// What the flags say: keys such as `server.listen`, with their values.
    pub overrides: Vec<(String, String)>,
    /// Whether this is dev mode.
    pub mode: Mode,
}

/// What a configuration is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// For serving: it must bring its keys.
    #[default]
    Serve,
    /// For looking at what it says: its secrets may be elsewhere.
    Look,
    /// For trying things out on this machine: the key is drawn for the run, and only this machine gets in.
    Dev,
}

/// A configuration that is sound.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is worth a second look, though it holds.
    pub warnings: Vec<Fault>,
    /// The file that was read; `None`: none.
    pub origin: Option<PathBuf>,
    places: fault::Places,
}

impl Loaded {
    /// Where a key such as `endpoints[1].roles` was given: the nearest place that has it or something around it.
    pub fn place_of(&self, key: &str) -> Place {
        self.places.of(key)
    }

    /// The file and the line behind a key such as `endpoints[1].roles`; `None` where no file has the last word on it.
    pub fn line_of(&self, key: &str) -> Option<(PathBuf, usize)> {
        self.places.line_of(key)
    }

    /// Fetches the secrets: from the files that the configuration names, and from the environment given here.
    ///
    /// # Errors
    /// Every secret that is missing, too short or of the wrong kind.
    pub fn resolve(&self, env: &[(String, String)]) -> Result<Secrets, Faults> {
        secret::resolve(&self.config, env).map_err(|complaints| complaints.placed(&self.places))
    }

    /// Reads and compiles the schemas of events, from the files that the configuration names.
    ///
    /// # Errors
    /// What is wrong with them: nothing, unless a file changed since this was loaded.
    pub fn schemas(&self) -> Result<Schemas, Faults> {
        schemas::compile(&self.config.events).map_err(|complaints| complaints.placed(&self.places))
    }

    /// Reads the schemas of events as they are written, each with its type.
    ///
    /// # Errors
    /// The same.
    pub fn written_schemas(&self) -> Result<Vec<(String, serde_json::Value)>, Faults> {
        schemas::read(&self.config.events).map_err(|complaints| complaints.placed(&self.places))
    }

    /// The policy in force, as TOML: every value that holds, secrets masked, with what follows from the values as
    /// comments. `open_files` is how many files the process may open, where that is known.
    pub fn show(&self, open_files: Option<u64>) -> String {
        show::policy(self, open_files)
    }
}
