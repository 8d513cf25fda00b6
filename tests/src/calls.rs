//! Calls of the HTTP API in full: any header, any body, and every header of the answer.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::gateway::TestGateway;

/// An answer.
#[derive(Clone, Debug)]
pub struct Called {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, where it is JSON.
    pub body: Value,
}

impl Called {
    /// The code of the table.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// Status and code.
    pub fn told(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Makes a call.
pub async fn call(
    gateway: &TestGateway,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Option<String>>,
) -> Called {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut request = client.request(method.parse().unwrap(), gateway.http(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body.into() {
        request = request.body(body);
    }
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Called { status, headers, body: response.json().await.unwrap_or(Value::Null) }
}

/// Makes a call with a JSON body.
pub async fn post(gateway: &TestGateway, path: &str, headers: &[(&str, &str)], body: &Value) -> Called {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    call(gateway, "POST", path, &all, body.to_string()).await
}
