//! `gateway explain`: why a request was refused, by the id that its client was told. From the running gateway, which
//! remembers the latest, or from the audit file.

pub(super) mod record;
mod source;

use std::path::PathBuf;

use clap::Args;
use gateway_domain::RequestId;

use super::api::At;
use super::page::Page;
use super::{Environment, Failure};

/// Say why a request was refused, by the id that the client was told. The running gateway is asked with the token in
/// GATEWAY_TOKEN or the API key in GATEWAY_API_KEY, either with the role `admin`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The requestId of the answer, of the close reason, or of the audit.
    #[arg(value_name = "REQUEST_ID")]
    request: RequestId,
    /// Look into this audit file instead of asking the gateway.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    file: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

impl Explain {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        let records = match &self.file {
            Some(file) => source::from_file(file, self.request)?,
            None => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(source::from_gateway(&self.at, self.request, &environment))?
            }
        };
        let mut page = Page::default();
        page.row("request", self.request);
        for record in &records {
            page.line("");
            record.write(&mut page);
        }
        Ok(page.print()?)
    }
}
