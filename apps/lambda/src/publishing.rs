//! Telling for backends: the bodies, schemas and answers of `POST /api/v1/events`, by a function URL, by a direct call, from
//! a queue or a bus. Whoever comes by the open network shows a key or a token; whoever AWS has let in does not.

use aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest;
use gateway_domain::{Code, EventId, Now, Refusal, RequestId, event::Event};
use gateway_server::{
    audit::Subject,
    caller::known,
    clock,
    ledger::banned,
    publish::{
        Draft,
        written::{Batch, MOST_BATCH_BYTES, Unfit, Written},
    },
    refusal::{ErrorPayload, Fault, response_with},
};
use gateway_transport::ClientAddress;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use crate::{
    answer,
    connections::Told,
    front::Front,
    management::MOST_BYTES,
    table::{Begun, StoreFault},
    unserved,
};

/// What a backend reads of an event that was told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    event_id: EventId,
    /// Into how many connections it was put: not how many people read it.
    delivered: usize,
    /// How many of those it was for were gone, and are forgotten now.
    #[serde(skip_serializing_if = "is_zero")]
    removed: usize,
    /// How many could not be reached, though they may be there.
    #[serde(skip_serializing_if = "is_zero")]
    failed: usize,
    /// Every connection of the API is meant, wherever it is.
    scope: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why something is not told.
struct Untold {
    refusal: Box<Refusal>,
    details: Vec<Fault>,
}

impl From<Refusal> for Untold {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Box::new(refusal), details: Vec::new() }
    }
}

impl From<StoreFault> for Untold {
    fn from(fault: StoreFault) -> Self {
        fault.refusal().into()
    }
}

impl From<Unfit> for Untold {
    fn from(unfit: Unfit) -> Self {
        let (refusal, details) = unfit.into_refusal();
        Self { refusal: Box::new(refusal), details }
    }
}

impl Front {
    /// A backend calls by the function's own address.
    pub(crate) async fn called(&self, call: &LambdaFunctionUrlRequest) -> Value {
        let request_id = RequestId::new(Uuid::new_v4());
        let context = &call.request_context;
        let address = context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok()).map(ClientAddress::ip);
        let subject =
            Subject { address: address.as_ref(), endpoint: Some("/api/v1/events"), ..Subject::new(request_id) };
        match self.tell_call(call, address.as_ref()).await {
            Ok(told) => answer::json_of(&told),
            Err(Untold { refusal, details }) => {
                let id = self.house.audit.refused(&refusal, &subject, clock::now());
                answer::refused(&refusal, id, &details)
            }
        }
    }

    async fn tell_call(
        &self,
        call: &LambdaFunctionUrlRequest,
        address: Option<&ClientAddress>,
    ) -> Result<Value, Untold> {
        let context = &call.request_context;
        if context.http.method.as_deref() != Some("POST") {
            return Err(Refusal::new(Code::MethodNotAllowed, "this address takes POST").into());
        }
        // A signature of IAM was checked by the service before this was called.
        if context.authorizer.as_ref().is_none_or(|authorizer| authorizer.iam.is_none()) {
            self.ask_who_calls(call, address, clock::now()).await?;
        }
        if call.is_base64_encoded {
            return Err(Refusal::new(Code::UnsupportedData, "send the body as application/json").into());
        }
        self.tell_body(call.body.as_deref().unwrap_or_default()).await
    }

    async fn ask_who_calls(
        &self,
        call: &LambdaFunctionUrlRequest,
        address: Option<&ClientAddress>,
        now: Now,
    ) -> Result<(), Untold> {
        if let Some(ban) = address.and_then(|address| self.house.ledger.ban_on(address, now)) {
            return Err(banned(&ban).into());
        }
        let known = match known(&self.house, &call.headers, now).await {
            Ok(known) => known,
            Err(refusal) => {
                // Guessing costs, as a handshake does.
                use gateway_server::gate::Seats as _;
                if let Some(ip) = address.and_then(ClientAddress::as_ip) {
                    self.gate.seats.knock_from(&self.house.handshakes, ip, now).await?;
                }
                return Err(refusal.into());
            }
        };
        self.house.calls.call_of(&known.user, known.key).map_err(|refusal| refusal.of_user(&known.user))?;
        if known.role.is_none() {
            let why = "this call needs the role `service` or `admin`";
            return Err(Refusal::new(Code::Forbidden, why).of_user(&known.user).into());
        }
        Ok(())
    }

    /// A backend that AWS has let in hands over an event, or many.
    pub(crate) async fn published(&self, body: &RawValue) -> Value {
        match self.tell_body(body.get()).await {
            Ok(told) => told,
            Err(untold) => self.refused_to_tell(&untold),
        }
    }

    /// Events wait in a queue. What could not be told stays there, for another time or for whoever looks into what is dead.
    pub(crate) async fn queued(&self, records: &[(String, String)]) -> Value {
        let mut failures = Vec::new();
        for (name, body) in records {
            if let Err(untold) = self.tell_body(body).await {
                self.refused_to_tell(&untold);
                failures.push(json!({ "itemIdentifier": name }));
            }
        }
        json!({ "batchItemFailures": failures })
    }

    /// What whoever called directly reads: the same body as by HTTP.
    fn refused_to_tell(&self, untold: &Untold) -> Value {
        let subject = Subject { endpoint: Some("/api/v1/events"), ..Subject::new(RequestId::new(Uuid::new_v4())) };
        let id = self.house.audit.refused(&untold.refusal, &subject, clock::now());
        serde_json::from_slice(response_with(&untold.refusal, id, &untold.details).body()).unwrap_or_default()
    }

    /// One event, or many of which all are checked before any is told.
    async fn tell_body(&self, body: &str) -> Result<Value, Untold> {
        if body.len() > MOST_BATCH_BYTES {
            let why = format!("a body has at most {MOST_BATCH_BYTES} bytes");
            return Err(Refusal::new(Code::MessageTooBig, why).into());
        }
        let publisher = &self.house.publisher;
        // A batch is known by its one member; whatever else comes is read as an event, and told what an event lacks.
        if serde_json::from_str::<serde_json::Map<String, Value>>(body).is_ok_and(|map| map.contains_key("events")) {
            let batch: Batch = read(body)?;
            let drafts = batch.drafts(publisher, None)?;
            for (at, draft) in drafts.iter().enumerate() {
                carried(draft, &format!("/events/{at}"))?;
            }
            let mut results = Vec::with_capacity(drafts.len());
            for draft in &drafts {
                results.push(match self.tell(draft, clock::now()).await {
                    Ok(published) => serde_json::to_value(published).unwrap_or_default(),
                    Err(untold) => json!({ "error": ErrorPayload::of(&untold.refusal) }),
                });
            }
            return Ok(json!({ "results": results }));
        }
        let draft = read::<Written>(body)?.draft(publisher, None)?;
        carried(&draft, "")?;
        let published = self.tell(&draft, clock::now()).await?;
        Ok(serde_json::to_value(published).unwrap_or_default())
    }

    /// Tells a draft that has no faults, once for each id.
    async fn tell(&self, draft: &Draft, now: Now) -> Result<Published, Untold> {
        let event_id = draft.event_id.unwrap_or_else(|| EventId::new(Uuid::new_v4()));
        let event = Event { event_id, kind: &draft.kind, timestamp: now.wall, payload: &draft.payload };
        let text = event
            .to_text()
            .map_err(|fault| Refusal::plain(Code::Internal).because(format!("an event has no JSON form: {fault}")))?;
        if text.len() > MOST_BYTES {
            let why = format!("API Gateway carries {MOST_BYTES} bytes at most, and this event is {} long", text.len());
            return Err(Refusal::new(Code::MessageTooBig, why).into());
        }
        let table = &self.connections.table;
        let known = draft.event_id.is_some();
        if known {
            match table.begin(event_id, &digest(draft), now.wall).await? {
                Begun::Now => {}
                Begun::Told(delivered) => return Ok(published(event_id, Told { delivered, ..Told::default() }, true)),
                Begun::Underway => {
                    let wait = std::time::Duration::from_secs(1);
                    let why = format!("the event {event_id} is being told: ask again");
                    return Err(Refusal::new(Code::Conflict, why).retry_after(wait).into());
                }
                Begun::Other => {
                    let why = format!("the event {event_id} was published within the last minutes with another body");
                    return Err(Refusal::new(Code::Conflict, why).into());
                }
            }
        }
        let told = match self.post(&draft.to, text, None).await {
            Ok(Ok(told)) => told,
            outcome => {
                if known {
                    table.untold(event_id).await?;
                }
                outcome??
            }
        };
        if known {
            table.told(event_id, told.delivered).await?;
        }
        Ok(published(event_id, told, false))
    }
}

fn published(event_id: EventId, told: Told, duplicate: bool) -> Published {
    let Told { delivered, removed, failed } = told;
    Published { event_id, delivered, removed, failed, scope: "cluster", duplicate }
}

/// Whether its targets can be reached from here, each that cannot with its place.
fn carried(draft: &Draft, place: &str) -> Result<(), Untold> {
    let details: Vec<Fault> = draft
        .to
        .iter()
        .enumerate()
        .filter_map(|(at, target)| {
            let message = unserved::why_not(target)?.into();
            Some(Fault { path: format!("{place}/to/{at}"), message })
        })
        .collect();
    if details.is_empty() {
        return Ok(());
    }
    let refusal = Refusal::new(Code::InvalidRequest, "the event cannot be told like this");
    Err(Untold { refusal: Box::new(refusal), details })
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a str) -> Result<T, Untold> {
    serde_json::from_str(body).map_err(|fault| Untold {
        refusal: Box::new(Refusal::new(Code::InvalidRequest, "the body has not the form")),
        details: vec![Fault {
            path: format!("line {} column {}", fault.line(), fault.column()),
            message: fault.to_string(),
        }],
    })
}

/// What makes an event another.
fn digest(draft: &Draft) -> String {
    let to: Vec<String> = draft.to.iter().map(ToString::to_string).collect();
    let body = json!([to, draft.kind, draft.payload.get()]).to_string();
    gateway_auth::api_key::hash(&body).iter().map(|byte| format!("{byte:02x}")).collect()
}
