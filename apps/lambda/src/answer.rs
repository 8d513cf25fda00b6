//! Answers, in the form in which the services of AWS take them.

use gateway_domain::{Refusal, RequestId};
use gateway_server::refusal;
use http::Response;
use serde::Serialize;
use serde_json::{Value, json};

/// An HTTP answer.
pub fn http(response: &Response<Vec<u8>>) -> Value {
    let headers: serde_json::Map<String, Value> = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.into())))
        .collect();
    json!({
        "statusCode": response.status().as_u16(),
        "headers": headers,
        "body": String::from_utf8_lossy(response.body()),
        "isBase64Encoded": false,
    })
}

/// The answer to a visit that has nothing more to be said: what a client reads comes by another way.
pub fn done() -> Value {
    json!({"statusCode": 200})
}

/// A JSON answer.
pub fn json_of(value: &impl Serialize) -> Value {
    json!({
        "statusCode": 200,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": serde_json::to_string(value).unwrap_or_default(),
        "isBase64Encoded": false,
    })
}

/// The answer to a refused handshake or call.
pub fn refused(refusal: &Refusal, request_id: RequestId, details: &[refusal::Fault]) -> Value {
    http(&refusal::response_with(refusal, request_id, details))
}
