//! Brings a key set from its address: from the configuration only, https but for this machine, no redirects, no
//! proxies, bounded in time and size.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use gateway_auth::{Fetch, FetchFault};
use reqwest::{Client, redirect::Policy};

const PATIENCE: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 256 << 10;

/// The function that the keyring fetches with.
pub fn fetch() -> anyhow::Result<Fetch> {
    let client = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .connect_timeout(Duration::from_secs(2))
        .user_agent(concat!("gateway/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(Arc::new(move |url| {
        let client = client.clone();
        Box::pin(async move { bring(&client, &url).await })
    }))
}

async fn bring(client: &Client, url: &str) -> Result<Vec<u8>, FetchFault> {
    let fault = |what: String| FetchFault(what.into());
    let answer = client.get(url).header("accept", "application/json").send().await;
    // The address of a request error is the configuration's own, and is left out all the same.
    let answer = answer.map_err(|error| fault(format!("no answer: {}", reason(&error.without_url()))))?;
    if !answer.status().is_success() {
        return Err(fault(format!("the answer was {}", answer.status())));
    }
    let mut bytes = Vec::new();
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| fault(format!("the answer ended early: {}", reason(&error.without_url()))))?;
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(fault(format!("the answer has more than {MOST_BYTES} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The innermost cause, which says the most.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), reason)
}
