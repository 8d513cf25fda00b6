//! The HTTP API of a running gateway, as the commands call it: one credential from the environment, answers that have
//! an end, and refusals told in the gateway's own words.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use futures_util::StreamExt;
use http::HeaderValue;
use reqwest::{Client, Method, Response, StatusCode, redirect::Policy};
use serde_json::Value;

use super::Environment;

const USUAL_URL: &str = "http://127.0.0.1:8080";
/// No answer is longer.
const MOST_ANSWER: usize = 16 << 20;
/// A longer line is none of the gateway's.
const MOST_LINE: usize = 2 << 20;
/// How long an answer may take beyond what it is to wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the API is.
#[derive(Clone, Debug, Args)]
pub(super) struct At {
    /// Where the gateway's API is: admin.listen, or server.listen where there is none [default: what GATEWAY_URL says,
    /// else http://127.0.0.1:8080].
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
}

/// The API of one gateway, and who calls it.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    url: String,
    credential: (&'static str, HeaderValue),
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    patience: Option<Duration>,
}

impl Call {
    /// A call of a path whose segments are escaped.
    pub(super) fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments.iter().map(|segment| format!("/{}", escaped(segment))).collect();
        let (query, headers) = (Vec::new(), Vec::new());
        Self { method, path, query, body: None, headers, patience: Some(PATIENCE) }
    }

    /// With a parameter, where it has a value.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// With a body.
    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// With a header, where it has a value.
    pub(super) fn header(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.headers.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// That may take so much longer; without a time for ever.
    pub(super) fn taking(mut self, time: Option<Duration>) -> Self {
        self.patience = time.map(|time| time + PATIENCE);
        self
    }
}

impl Api {
    /// The API at that place, called with what the environment has to show.
    pub(super) fn at(at: &At, environment: &Environment) -> Result<Self> {
        let agent = concat!("gateway/", env!("CARGO_PKG_VERSION"));
        let client = Client::builder().redirect(Policy::none()).no_proxy().user_agent(agent).build()?;
        let named = environment.iter().find(|(name, value)| name == "GATEWAY_URL" && !value.is_empty());
        let url = at.url.as_deref().or(named.map(|(_, url)| url.as_str())).unwrap_or(USUAL_URL);
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, credential: credential(environment)? })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The status of an answer, and the answer.
    pub(super) async fn ask(&self, call: Call) -> Result<(StatusCode, Value)> {
        let answer = self.send(call).await?;
        let status = answer.status();
        let mut body = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(|fault| anyhow!("the answer ended early: {}", innermost(&fault)))?);
            ensure!(body.len() <= MOST_ANSWER, "the answer is longer than any of a gateway's");
        }
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// An answer that is none of a refusal's.
    pub(super) async fn answer(&self, call: Call) -> Result<Value> {
        let (status, body) = self.ask(call).await?;
        if !status.is_success() {
            bail!("the gateway at {} answered {status}: {}", self.url, told(&body));
        }
        Ok(body)
    }

    /// An answer that comes line by line; `take` says whether to go on.
    pub(super) async fn lines(&self, call: Call, mut take: impl FnMut(Value) -> Result<bool>) -> Result<()> {
        let answer = self.send(call).await?;
        let status = answer.status();
        if !status.is_success() {
            let body = answer.bytes().await.unwrap_or_default();
            bail!("the gateway at {} answered {status}: {}", self.url, told(&serde_json::from_slice(&body)?));
        }
        let mut waiting = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            waiting
                .extend_from_slice(&chunk.map_err(|fault| anyhow!("the answer ended early: {}", innermost(&fault)))?);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let rest = waiting.split_off(end + 1);
                let line = std::mem::replace(&mut waiting, rest);
                if !take(serde_json::from_slice(&line).context("a line that is none of a gateway's")?)? {
                    return Ok(());
                }
            }
            ensure!(waiting.len() <= MOST_LINE, "a line is longer than any of a gateway's");
        }
        Ok(())
    }

    async fn send(&self, call: Call) -> Result<Response> {
        let Call { method, path, query, body, headers, patience } = call;
        let (name, value) = &self.credential;
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let address = format!("{}{path}{mark}{}", self.url, query.join("&"));
        let mut request = self.client.request(method, address).header(*name, value);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(patience) = patience {
            request = request.timeout(patience);
        }
        request.send().await.map_err(|fault| {
            let (url, innermost) = (&self.url, innermost(&fault));
            anyhow!("{url} does not answer ({innermost}): name the address of its API with --url")
        })
    }
}

/// What the environment has to show to the gateway.
fn credential(environment: &Environment) -> Result<(&'static str, HeaderValue)> {
    let of = |wanted: &str| environment.iter().find(|(name, value)| name == wanted && !value.is_empty());
    let (name, header, text) = match (of("GATEWAY_TOKEN"), of("GATEWAY_API_KEY")) {
        (Some((name, token)), _) => (name, "authorization", format!("Bearer {}", token.trim())),
        (None, Some((name, key))) => (name, "x-api-key", key.trim().to_owned()),
        (None, None) => bail!(
            "set GATEWAY_TOKEN to a token, or GATEWAY_API_KEY to an API key, with the role `admin`, or `service` where that is enough"
        ),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| anyhow!("{name} holds what no header can carry"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// What a refusal says for itself, with what is wrong where.
pub(super) fn told(body: &Value) -> String {
    let text = |name: &str| body.pointer(name).and_then(Value::as_str);
    let (Some(code), Some(message)) = (text("/error/code"), text("/error/message")) else {
        return "and said nothing that a gateway says".to_owned();
    };
    let mut told = format!("{code}: {message}");
    for fault in body.pointer("/error/details").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
        told.push_str(&format!("; {}: {}", text("path"), text("message")));
    }
    super::page::printable(&told).into_owned()
}

/// The innermost cause, which says the most; addresses are left to whoever named them.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// A segment of a path or a value of a query, percent-encoded.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
