//! The stage of the stories about commands: two dashboards that ask, three agents that answer, and people who must see
//! none of it: a second window of a dashboard's own user, and a third user, who even follows an agent.

use serde_json::{Value, json};

use crate::{Actor, TestGateway};

/// Two dashboards and three agents, and those who look on.
#[derive(Debug)]
pub struct Stage {
    /// A dashboard.
    pub ann: Actor,
    /// Another user's dashboard.
    pub bob: Actor,
    /// The agents `a-1`, `a-2` and `a-3`.
    pub agents: [Actor; 3],
    /// Ann's other window.
    pub window: Actor,
    /// A third user's dashboard, which follows the agent `a-1`.
    pub eve: Actor,
    /// A third user's connection without a door of dashboards.
    pub eve_too: Actor,
    /// The gateway, which ends when all have gone: it would wait for them.
    pub gateway: TestGateway,
}

/// Nobody is held to a quota of messages.
pub const NO_QUOTAS: &str = "[plans.default]\nmessages = \"off\"\n[plans.agent]\nmessages = \"off\"\n";

impl Stage {
    /// Everybody comes in, where that configuration holds, and no quotas.
    pub async fn set(config: &str) -> Self {
        Self::with_quotas(&format!("{NO_QUOTAS}{config}")).await
    }

    /// Everybody comes in, where that configuration holds.
    pub async fn with_quotas(config: &str) -> Self {
        Self::on(TestGateway::with(config)).await
    }

    /// Everybody comes in there.
    pub async fn on(gateway: TestGateway) -> Self {
        let dashboard = async |user: &str| Actor::enter(&gateway, "/ws/dashboard", user, "dashboard").await;
        let agent = async |user: &str| Actor::enter(&gateway, "/ws/agent", user, "agent").await;
        let (ann, bob, window, mut eve) =
            (dashboard("ann").await, dashboard("bob").await, dashboard("ann").await, dashboard("eve").await);
        let agents = [agent("a-1").await, agent("a-2").await, agent("a-3").await];
        let eve_too = Actor::enter(&gateway, "/ws", "eve", "dashboard").await;
        eve.subscribe("agent:a-1").await;
        Self { gateway, ann, bob, agents, window, eve, eve_too }
    }

    /// Nobody hears anything that was not asked for yet, and all that anybody said was dealt with.
    pub async fn is_quiet(&mut self) {
        let Self { ann, bob, agents, window, eve, eve_too, .. } = self;
        let [one, two, three] = agents;
        // First everybody's words are dealt with, then everybody has heard what came of them.
        let mut heard = Vec::new();
        for actor in [ann, bob, one, two, three, window, eve, eve_too] {
            heard.extend(actor.heard().await);
            actor.hears_nothing().await;
        }
        assert!(heard.is_empty(), "somebody heard {heard:?}");
    }

    /// Ann commands an agent, which hears it: the request as the agent reads it.
    pub async fn commanded(&mut self, kind: &str, id: &str, agent: usize) -> Value {
        self.ann.say(command(kind, id, agent)).await;
        let request = self.agents[agent].hear().await;
        assert_eq!((&request["type"], &request["id"], &request["from"]), (&json!(kind), &json!(id), &self.ann.from));
        request
    }
}

/// A command to one of the agents, counted from 0.
pub fn command(kind: &str, id: &str, agent: usize) -> Value {
    json!({"type": kind, "id": id, "payload": {"agentId": format!("a-{}", agent + 1)}})
}

/// A reply that quotes.
pub fn reply(reply_to: &Value, payload: impl Into<Value>) -> Value {
    json!({"type": "reply", "replyTo": reply_to, "payload": payload.into()})
}

/// What an asker reads of a reply: its own id, the requestId, who answers, and what.
pub fn replied(id: &str, request: &Value, by: &Actor, payload: impl Into<Value>) -> Value {
    json!({"type": "reply", "replyTo": id, "requestId": request["requestId"], "from": by.from, "payload": payload.into()})
}
