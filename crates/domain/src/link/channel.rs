//! Where something is heard, and who hears it.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::{AgentId, NodeName, Role, Room};

/// One life of one node: a node that starts again is another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A life of that node.
    pub fn new(name: &NodeName, life: Uuid) -> Self {
        Self(format!("{name}#{}", life.simple()).into())
    }

    /// Reads what [`NodeId::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, life) = text.rsplit_once('#')?;
        NodeName::parse(name).ok()?;
        Uuid::parse_str(life).ok()?;
        Some(Self(text.into()))
    }

    /// The text, the same at every node.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the operator calls the node.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('#').map_or(&self.0, |(name, _)| name)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where something is heard: a node follows a channel while somebody here is meant by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// A room; `user:ID` are rooms, too.
    Room(Room),
    /// The live connection of an agent.
    Agent(AgentId),
    /// Everybody who was admitted as that role.
    Role(Role),
    /// Everybody at that endpoint.
    Endpoint(Box<str>),
    /// Every node: what means one connection by its id is heard here.
    Every,
}
