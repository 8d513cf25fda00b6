//! The one table: connections, who is in which room, seats, counts of knocks, events that were told, and what is due.
//!
//! Every item has a `ttl`, so that whatever is left behind goes by itself; since the service deletes late, whoever reads
//! an item looks at its end, too. Every change is idempotent: an event that comes twice, or a function that stopped
//! half-way, leaves nothing that a later event does not put right. The keys are in docs/lambda.md.

mod connections;
mod dues;
mod events;
mod item;
mod rates;
mod rooms;
pub mod seats;

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, http::HttpResponse, retry::RetryConfig, timeout::TimeoutConfig},
    error::{DisplayErrorContext, SdkError},
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use gateway_domain::{Code, Refusal, Timestamp};
use std::time::Duration;

use crate::settings::Settings;
pub use dues::Due;
pub use events::Begun;
pub use rooms::Holder;

/// How long an attempt may take, and the whole call.
const ATTEMPT: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(6);
/// How much longer than it is needed an item is kept.
const SLACK: Duration = Duration::from_secs(600);

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

/// The table did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// It was not reached, or refused.
    #[error("the table was not {what}: {why}")]
    Call {
        /// What was wanted.
        what: &'static str,
        /// What came of it.
        why: String,
    },
    /// It holds what this program did not write.
    #[error("an item of the table cannot be read: {0}")]
    Item(String),
}

impl Table {
    /// The table that the settings name.
    pub fn new(settings: &Settings) -> Self {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(credentials(settings))
            .http_client(http_client())
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(timeouts());
        config.set_endpoint_url(settings.dynamodb.clone());
        Self { client: Client::from_conf(config.build()), name: settings.table.clone() }
    }
}

/// What a function is to AWS, for its clients.
pub(crate) fn credentials(settings: &Settings) -> Credentials {
    let identity = settings.identity.clone();
    Credentials::new(identity.key_id, identity.secret, identity.session, None, "function")
}

/// How the clients reach AWS: by rustls, on the cryptography that the tokens are checked with.
pub(crate) fn http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

pub(crate) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(ATTEMPT).operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build()
}

impl StoreFault {
    fn of<E>(what: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + 'static,
    {
        move |error| Self::Call { what, why: DisplayErrorContext(error).to_string().chars().take(300).collect() }
    }

    /// What a client reads of it: that the answer is not known, and that it may come back.
    pub fn refusal(&self) -> Refusal {
        tracing::error!(fault = %self, "the table failed");
        Refusal::new(Code::AuthError, "the connection could not be checked").because(self.to_string())
    }
}

/// The moment at which an item may go that is needed until then, in the seconds of the service.
fn ttl(needed_until: Timestamp) -> String {
    ((needed_until + SLACK).millis() / 1000).to_string()
}
