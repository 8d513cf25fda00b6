//! Where audit lines come from: the API of a running gateway, or a file of them. Both are bounded.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures_util::StreamExt;
use gateway_domain::RequestId;
use http::HeaderValue;
use reqwest::{Client, StatusCode, redirect::Policy};
use serde::Deserialize;

use super::record::Record;
use crate::cli::Environment;

/// A longer line is none of the audit's.
const MOST_LINE: u64 = 64 << 10;
/// More than the answer about one request has.
const MOST_ANSWER: usize = 1 << 20;
/// The most lines about one request that are told.
const MOST_RECORDS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// The lines of a file about that request.
pub(super) fn from_file(file: &Path, request: RequestId) -> Result<Vec<Record>> {
    let name = file.display();
    let mut reader = BufReader::new(File::open(file).with_context(|| format!("the audit file {name}"))?);
    let wanted = request.to_string();
    let (mut records, mut line) = (Vec::new(), Vec::new());
    while records.len() < MOST_RECORDS {
        line.clear();
        let read = reader.by_ref().take(MOST_LINE).read_until(b'\n', &mut line);
        if read.with_context(|| format!("the audit file {name}"))? == 0 {
            break;
        }
        let record = serde_json::from_slice::<Record>(&line).ok();
        records.extend(record.filter(|record| record.request_id == wanted));
    }
    ensure!(
        !records.is_empty(),
        "no line of {name} is about {request}; older lines may be in a file that was set aside"
    );
    Ok(records)
}

#[derive(Deserialize)]
struct Answer {
    records: Vec<Record>,
}

/// What the running gateway remembers of that request.
pub(super) async fn from_gateway(url: &str, request: RequestId, environment: &Environment) -> Result<Vec<Record>> {
    let url = url.trim_end_matches('/');
    let (name, value) = credential(environment)?;
    let client = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .user_agent(concat!("gateway/", env!("CARGO_PKG_VERSION")))
        .build()?;
    let answer = client.get(format!("{url}/api/v1/audit/{request}")).header(name, value).send().await;
    let answer = answer.map_err(|fault| {
        let innermost = innermost(&fault);
        anyhow!(
            "{url} does not answer ({innermost}): name the address of its API with --url, or its audit file with --file"
        )
    })?;
    let status = answer.status();
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|fault| anyhow!("the answer ended early: {}", innermost(&fault)))?);
        ensure!(body.len() <= MOST_ANSWER, "the answer is longer than any about one request");
    }
    match status {
        StatusCode::OK => {
            let answer: Answer = serde_json::from_slice(&body).context("the answer is none of a gateway's")?;
            Ok(answer.records)
        }
        StatusCode::NOT_FOUND => bail!(
            "the gateway at {url} has nothing about {request} among its latest: look into its audit file with --file"
        ),
        status => bail!("the gateway at {url} answered {status}: {}", told(&body)),
    }
}

/// What the environment has to show to the gateway.
fn credential(environment: &Environment) -> Result<(&'static str, HeaderValue)> {
    let of = |wanted: &str| environment.iter().find(|(name, value)| name == wanted && !value.is_empty());
    let (name, header, text) = match (of("GATEWAY_TOKEN"), of("GATEWAY_API_KEY")) {
        (Some((name, token)), _) => (name, "authorization", format!("Bearer {}", token.trim())),
        (None, Some((name, key))) => (name, "x-api-key", key.trim().to_owned()),
        (None, None) => bail!(
            "set GATEWAY_TOKEN to a token with the role `admin`, or GATEWAY_API_KEY to such an API key; or name the audit file with --file"
        ),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| anyhow!("{name} holds what no header can carry"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// What a refusal says for itself.
fn told(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.pointer(name).and_then(serde_json::Value::as_str);
    match (text("/error/code"), text("/error/message")) {
        (Some(code), Some(message)) => crate::cli::page::printable(&format!("{code}: {message}")).into_owned(),
        _ => "and said nothing that a gateway says".to_owned(),
    }
}

/// The innermost cause, which says the most; addresses are left to whoever named them.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
