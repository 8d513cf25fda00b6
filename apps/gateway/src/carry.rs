//! Carries events to webhooks: to the address of the configuration only, https but for this machine, no redirects, no
//! proxies, and of the answer nothing counts but its status.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use gateway_server::webhook::{Carry, NoAnswer, Parcel};
use reqwest::{Client, redirect::Policy};

use crate::fetch::reason;

/// Whatever holds for a webhook, it is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of an answer is read, so that the connection can be used again; of a longer one it is closed.
const MOST_BYTES: usize = 16 << 10;
/// How long that may take.
const READING: Duration = Duration::from_millis(500);

/// The function that webhooks are told with.
pub fn carry() -> anyhow::Result<Carry> {
    let client = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .connect_timeout(Duration::from_secs(5))
        .user_agent(concat!("gateway/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(Arc::new(move |parcel| {
        let client = client.clone();
        Box::pin(async move { post(&client, parcel).await })
    }))
}

async fn post(client: &Client, parcel: Parcel) -> Result<u16, NoAnswer> {
    let mut request = client.post(parcel.to.expose()).body(parcel.body);
    for (name, value) in parcel.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await;
    let answer = answer.map_err(|error| NoAnswer(reason(&error.without_url()).into()))?;
    let status = answer.status().as_u16();
    // The receiver has said what it says; the rest is read for good manners.
    let mut body = answer.bytes_stream();
    let reading = async {
        let mut read = 0;
        while let Some(Ok(chunk)) = body.next().await {
            read += chunk.len();
            if read > MOST_BYTES {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(READING, reading).await;
    Ok(status)
}
