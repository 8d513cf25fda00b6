//! Where audit lines come from: the API of a running gateway, or a file of them. Both are bounded.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use gateway_domain::RequestId;
use reqwest::{Method, StatusCode};

use super::record::Record;
use crate::cli::{
    Environment,
    api::{Api, At, Call, told},
};

/// A longer line is none of the audit's.
const MOST_LINE: u64 = 64 << 10;
/// The most lines about one request that are told.
const MOST_RECORDS: usize = 100;

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

/// What the running gateway remembers of that request.
pub(super) async fn from_gateway(at: &At, request: RequestId, environment: &Environment) -> Result<Vec<Record>> {
    let or_file = |fault: anyhow::Error| anyhow!("{fault:#}, or name the audit file with --file");
    let api = Api::at(at, environment).map_err(or_file)?;
    let call = Call::new(Method::GET, &["api", "v1", "audit", &request.to_string()]);
    let (status, mut body) = api.ask(call).await.map_err(or_file)?;
    match status {
        StatusCode::OK => serde_json::from_value(body["records"].take()).context("the answer is none of a gateway's"),
        StatusCode::NOT_FOUND => bail!(
            "the gateway at {} has nothing about {request} among its latest: look into its audit file with --file",
            api.url()
        ),
        status => bail!("the gateway at {} answered {status}: {}", api.url(), told(&body)),
    }
}
