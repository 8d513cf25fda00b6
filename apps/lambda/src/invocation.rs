//! What the function was called for. One program serves all of it; the template decides which function gets what.

use aws_lambda_events::{
    apigw::ApiGatewayWebsocketProxyRequest, eventbridge::EventBridgeEvent,
    lambda_function_urls::LambdaFunctionUrlRequest, sqs::SqsEvent,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the function was called for.
#[derive(Debug)]
pub enum Invocation {
    /// Somebody wants in.
    Connect(Box<Visit>),
    /// Somebody said something.
    Message(Box<Visit>),
    /// Somebody left.
    Disconnect(Box<Visit>),
    /// A minute has gone by.
    Minute,
    /// A backend calls over HTTP.
    Call(Box<LambdaFunctionUrlRequest>),
    /// A backend that AWS has let in hands over an event, or many.
    Publish(Box<RawValue>),
    /// Events wait in a queue, each with the name under which it may be put back.
    Queue(Vec<(String, String)>),
}

/// An event of the API for WebSockets, and what it must have.
#[derive(Debug)]
pub struct Visit {
    /// The stage that the client connected to.
    pub stage: String,
    /// What the service calls the connection.
    pub wire: String,
    /// All of it.
    pub request: ApiGatewayWebsocketProxyRequest,
}

/// What a call is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no event that is known here: {0}")]
pub struct Unknown(String);

/// What tells one shape from another.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow, rename = "requestContext")]
    context: Option<&'a RawValue>,
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    to: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    #[serde(borrow)]
    http: Option<&'a RawValue>,
}

impl Invocation {
    /// Tells what a call is by its shape. What it says stays unread here, and out of the fault: it may hold a token.
    pub fn read(text: Box<RawValue>) -> Result<Self, Unknown> {
        let unread = |what: &str, fault: serde_json::Error| {
            // Where, and not what: the text of a fault may quote the event.
            Unknown(format!("{what} of another form, at line {} column {}", fault.line(), fault.column()))
        };
        let shape: Shape<'_> = serde_json::from_str(text.get()).map_err(|fault| unread("something", fault))?;
        if let Some(context) = shape.context {
            let context: Context<'_> =
                serde_json::from_str(context.get()).map_err(|fault| unread("a request", fault))?;
            if context.http.is_some() {
                let call = serde_json::from_str(text.get()).map_err(|fault| unread("a call", fault))?;
                return Ok(Self::Call(Box::new(call)));
            }
            return visit(serde_json::from_str(text.get()).map_err(|fault| unread("a visit", fault))?);
        }
        if shape.records.is_some() {
            let event: SqsEvent = serde_json::from_str(text.get()).map_err(|fault| unread("a queue", fault))?;
            let records = event.records.into_iter();
            return Ok(Self::Queue(
                records.map(|one| (one.message_id.unwrap_or_default(), one.body.unwrap_or_default())).collect(),
            ));
        }
        if shape.detail_type.is_some() {
            let event: EventBridgeEvent<Box<RawValue>> =
                serde_json::from_str(text.get()).map_err(|fault| unread("a message of a bus", fault))?;
            let is_clock = event.source == "aws.events" || event.source == "aws.scheduler";
            return Ok(if is_clock { Self::Minute } else { Self::Publish(event.detail) });
        }
        if shape.to.is_some() || shape.events.is_some() {
            return Ok(Self::Publish(text));
        }
        Err(Unknown("it has none of `requestContext`, `Records`, `detail-type`, `to` and `events`".into()))
    }
}

fn visit(request: ApiGatewayWebsocketProxyRequest) -> Result<Invocation, Unknown> {
    let context = &request.request_context;
    let (Some(stage), Some(wire)) = (context.stage.clone(), context.connection_id.clone()) else {
        return Err(Unknown("a visit without a stage or a connection id".into()));
    };
    let kind = context.event_type.clone().or_else(|| context.route_key.clone()).unwrap_or_default();
    let visit = Box::new(Visit { stage, wire, request });
    match kind.as_str() {
        "CONNECT" | "$connect" => Ok(Invocation::Connect(visit)),
        "MESSAGE" | "$default" => Ok(Invocation::Message(visit)),
        "DISCONNECT" | "$disconnect" => Ok(Invocation::Disconnect(visit)),
        _ => Err(Unknown("a visit that is none of CONNECT, MESSAGE and DISCONNECT".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(event: serde_json::Value) -> Result<Invocation, Unknown> {
        Invocation::read(serde_json::value::to_raw_value(&event).unwrap())
    }

    fn visited(kind: &str) -> serde_json::Value {
        json!({"requestContext": {
            "eventType": kind, "stage": "prod", "connectionId": "abc=", "connectedAt": 1, "requestTimeEpoch": 1,
        }})
    }

    #[test]
    fn every_source_is_told_by_its_shape() {
        assert!(matches!(read(visited("CONNECT")), Ok(Invocation::Connect(visit)) if visit.wire == "abc="));
        assert!(matches!(read(visited("MESSAGE")), Ok(Invocation::Message(_))));
        assert!(matches!(read(visited("DISCONNECT")), Ok(Invocation::Disconnect(_))));
        let clock = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
        assert!(matches!(read(clock), Ok(Invocation::Minute)));
        let bus = json!({"detail-type": "summary", "source": "shop", "detail": {"to": ["user:ann"]}});
        assert!(matches!(read(bus), Ok(Invocation::Publish(body)) if body.get().contains("user:ann")));
        let queue = json!({"Records": [{"messageId": "m-1", "body": "{}", "eventSource": "aws:sqs"}]});
        assert!(matches!(read(queue), Ok(Invocation::Queue(records)) if records[0].0 == "m-1"));
        assert!(matches!(read(json!({"to": ["user:ann"], "type": "x", "payload": 1})), Ok(Invocation::Publish(_))));
    }

    #[test]
    fn what_is_unknown_is_said_without_a_word_of_it() {
        for event in [
            json!(7),
            json!({}),
            json!({"requestContext": "s3cret"}),
            json!({"requestContext": {"stage": "s3cret", "connectedAt": 1, "requestTimeEpoch": 1}}),
            visited("s3cret"),
            json!({"Records": "s3cret"}),
            json!({"Records": [{"body": {"s3cret": 1}}]}),
            json!({"detail-type": {"s3cret": 1}}),
        ] {
            let fault = read(event.clone()).unwrap_err().to_string();
            assert!(!fault.contains("s3cret"), "{event}: {fault}");
        }
    }
}
