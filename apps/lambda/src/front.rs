//! The front: the rooms of a gateway, with the table in the place of a house, and what becomes of each call.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use gateway::{
    compose,
    config::{self, Loaded, Mode, Sources},
    fetch,
};
use gateway_domain::{Code, Refusal, RequestId};
use gateway_server::{
    House, clock,
    gate::Gate,
    webhook::{Carry, NoAnswer},
};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use crate::{
    answer, connections::Connections, doors::Doors, invocation::Invocation, management::Management, seats::TableSeats,
    settings::Settings, table::Table, unserved,
};

/// The front.
#[derive(Debug)]
pub struct Front {
    /// The rooms: those that decide, and none that would hold a connection.
    pub(crate) house: House,
    /// The gate of the house, with seats in the table.
    pub(crate) gate: Gate<TableSeats>,
    /// Who is here.
    pub(crate) connections: Connections,
    /// What is to be done once the answer is out.
    later: Mutex<Vec<Later>>,
}

/// What is done once the answer is out: before, nobody could hear it.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) member: crate::kept::Member,
    pub(crate) text: String,
}

impl Front {
    /// Builds the rooms, from the file that the gateway itself would read and the environment that is handed in.
    pub fn open(settings: &Settings, env: Vec<(String, String)>) -> Result<Self> {
        let loaded = config::load(Sources {
            file: Some(settings.config.clone()),
            env: env.clone(),
            overrides: Vec::new(),
            mode: Mode::Serve,
        })?;
        let secrets = loaded.resolve(&env)?;
        compose::usable(&loaded, &secrets)?;
        gateway::logging::begin(&loaded.config.server);
        let loaded = without_a_disk(loaded);
        for warning in &loaded.warnings {
            tracing::warn!(%warning, "the configuration");
        }
        let carry: Carry = Arc::new(|_| Box::pin(async { Err(NoAnswer("no webhook is told from here".into())) }));
        let house = compose::house(&loaded, &secrets, Mode::Serve, u64::MAX, fetch::fetch()?, &carry)?;
        for remark in unserved::of(&house) {
            tracing::warn!(%remark, "the configuration has what this front does not serve");
        }
        let doors = Arc::new(Doors::new(&house.endpoints, settings.doors.clone()));
        if let Some((stage, path)) = doors.astray().next() {
            anyhow::bail!(
                "GATEWAY_LAMBDA_DOORS: the stage {stage} leads to {path}, which is no endpoint. \
                 Write the path of one of [[endpoints]]"
            );
        }
        let connections = Connections {
            table: Table::new(settings),
            management: Management::new(settings),
            doors,
            audit: Arc::clone(&house.audit),
        };
        let seats = TableSeats { connections: connections.clone(), grace: settings.seat_grace };
        let gate = with_seats(&house.gate, seats);
        Ok(Self { house, gate, connections, later: Mutex::default() })
    }

    /// Brings the key sets, where there are any: once before the first call, and whenever they are due.
    pub async fn look_after_keys(&self) {
        self.house.gate.authenticator.keys().refresh(clock::now()).await;
    }

    /// Answers a call. Whatever comes, the function goes on.
    pub async fn answer(&self, event: Box<RawValue>) -> Value {
        match Invocation::read(event) {
            Ok(Invocation::Connect(visit)) => self.connect(&visit).await,
            Ok(Invocation::Message(visit)) => self.hear(&visit).await,
            Ok(Invocation::Disconnect(visit)) => self.disconnect(&visit).await,
            Ok(Invocation::Minute) => self.look_around().await,
            Ok(Invocation::Call(call)) => self.called(&call).await,
            Ok(Invocation::Publish(body)) => self.published(&body).await,
            Ok(Invocation::Queue(records)) => self.queued(&records).await,
            Err(unknown) => {
                tracing::error!(%unknown, "an event was not understood");
                let refusal = Refusal::new(Code::InvalidRequest, unknown.to_string());
                answer::refused(&refusal, RequestId::new(Uuid::new_v4()), &[])
            }
        }
    }

    /// Has that said once the answer is out.
    pub(crate) fn say_later(&self, later: Later) {
        self.later.lock().unwrap_or_else(PoisonError::into_inner).push(later);
    }

    /// Does what had to wait for the answer.
    pub async fn after(&self) {
        let later = std::mem::take(&mut *self.later.lock().unwrap_or_else(PoisonError::into_inner));
        for Later { member, text } in later {
            self.greet(&member, &text).await;
        }
        self.look_after_keys().await;
    }

    /// How many lines the audit has taken so far.
    pub fn recorded(&self) -> u64 {
        self.house.audit.counts().0
    }
}

/// A function has no disk that outlives it: the audit goes to its log, and the state stays in memory.
fn without_a_disk(mut loaded: Loaded) -> Loaded {
    if loaded.config.audit.file.take().is_some() {
        tracing::warn!("audit.file is not used here: the audit goes to the log of the function");
    }
    if loaded.config.state.file.take().is_some() {
        tracing::warn!("state.file is not used here: bans and revocations are those of the configuration");
    }
    loaded
}

/// The gate of a house, with other seats.
fn with_seats(gate: &Gate, seats: TableSeats) -> Gate<TableSeats> {
    Gate {
        authenticator: Arc::clone(&gate.authenticator),
        agent_source: gate.agent_source.clone(),
        token_sources: gate.token_sources.clone(),
        ledger: Arc::clone(&gate.ledger),
        handshakes: Arc::clone(&gate.handshakes),
        accounts: Arc::clone(&gate.accounts),
        plans: gate.plans.clone(),
        seats,
    }
}
