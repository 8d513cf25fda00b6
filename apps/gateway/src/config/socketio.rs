//! Socket.IO: where it is, how its sessions are kept, and its namespaces, which are doors like the endpoints.

use gateway_domain::{PlanName, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Config, Endpoint, Envelope, Handler, MessagesScope, OnExpiry, RejectWith,
    fault::Places,
    value::{Described, DoorPath, EndpointPath, Label, Limit, Origin, Period, Size},
};

/// Pages that use the ordinary client of Socket.IO (version 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Socketio {
    /// Where it is. A slash at the end of a request's path makes no difference.
    pub path: DoorPath,
    /// How often a client is asked whether it is there.
    pub ping_interval: Period,
    /// How long its answer may take; anything it sends is one.
    pub ping_timeout: Period,
    /// How long a client may be in no namespace.
    pub connect_timeout: Period,
    /// The namespaces. None: Socket.IO is not spoken.
    pub namespaces: Vec<Namespace>,
}

impl Default for Socketio {
    fn default() -> Self {
        Self {
            path: DoorPath::socketio(),
            ping_interval: Period::seconds(25),
            ping_timeout: Period::seconds(20),
            connect_timeout: Period::seconds(10),
            namespaces: Vec::new(),
        }
    }
}

/// Where the file has any, exactly those exist; where it has none, those that ship do. Routes call a namespace
/// `"endpoint:PATH"`, as they call an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// Its name, such as `"/dashboard"`; `"/"` is the one of clients that name none.
    pub path: EndpointPath,
    /// Who may come in: somebody with one of these roles; the first that fits is the one they are admitted as. None:
    /// any authenticated user.
    #[serde(default)]
    #[schemars(with = "Vec<Described<Role>>")]
    pub roles: Vec<Role>,
    /// The pages that may connect from a browser: exact, or `"self"`, or `"*"`. None: no page may. A request without an
    /// Origin passes, `null` never does.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// What happens to a connection whose token expires.
    #[serde(default)]
    pub on_expiry: OnExpiry,
    /// How long before its expiry a connection is warned.
    #[serde(default = "Endpoint::expiry_warning")]
    pub expiry_warning: Limit<Period>,
    /// Rooms that a connection is put into by itself; may hold `{sender.userId}` and the like, as routes do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<Label>,
    /// How long a client may send no message.
    #[serde(default = "Endpoint::idle_timeout")]
    pub idle_timeout: Limit<Period>,
    /// The largest message that is taken.
    #[serde(default = "Endpoint::max_message")]
    pub max_message: Size,
    /// Which plan limits a user whose token names none; absent: `default`.
    #[schemars(with = "Option<Described<PlanName>>")]
    pub plan: Option<PlanName>,
    /// What the plan's messages are counted by.
    #[serde(default)]
    pub messages_scope: MessagesScope,
}

impl Namespace {
    /// The endpoint that it is like: everything but what carries it.
    pub fn as_endpoint(&self) -> Endpoint {
        let Self {
            path,
            roles,
            origins,
            on_expiry,
            expiry_warning,
            join,
            idle_timeout,
            max_message,
            plan,
            messages_scope,
        } = self.clone();
        Endpoint {
            path,
            roles,
            origins,
            agents: false,
            reject_with: RejectWith::Http,
            on_expiry,
            expiry_warning,
            join,
            heartbeat: Endpoint::heartbeat(),
            heartbeat_timeout: Endpoint::heartbeat_timeout(),
            heartbeat_message: false,
            idle_timeout,
            handler: Handler::Routes,
            max_message,
            plan,
            messages_scope,
            names: Default::default(),
            envelope: Envelope::default(),
        }
    }
}

impl Config {
    /// Every door with its key: the endpoints, and the namespaces as the endpoints that they are like.
    pub fn doors(&self) -> Vec<(String, Endpoint)> {
        let endpoints = self.endpoints.iter().enumerate();
        let endpoints = endpoints.map(|(at, endpoint)| (format!("endpoints[{at}]"), endpoint.clone()));
        let namespaces = self.socketio.namespaces.iter().enumerate();
        let namespaces =
            namespaces.map(|(at, namespace)| (format!("socketio.namespaces[{at}]"), namespace.as_endpoint()));
        endpoints.chain(namespaces).collect()
    }
}

/// Takes out the namespaces that ship and are for roles that the endpoints of the file let in nowhere: whoever lists
/// the doors, and none for a role, wants none for it.
pub(super) fn fit(config: &mut Config, places: &Places) {
    if places.gave("socketio.namespaces") || !places.gave("endpoints") {
        return;
    }
    let endpoints = &config.endpoints;
    config.socketio.namespaces.retain(|namespace| {
        let mut roles = endpoints.iter().flat_map(|endpoint| &endpoint.roles);
        roles.any(|role| namespace.roles.contains(role))
    });
}
