//! The management API: how anything is said to a connection, and how one is ended. A connection that is gone is an answer,
//! not a fault.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_apigatewaymanagement::{
    Client, Config,
    config::{BehaviorVersion, Region, http::HttpResponse, retry::RetryConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::Blob,
};

use crate::{settings::Settings, table};

/// The largest text that can be said.
pub const MOST_BYTES: usize = 128 << 10;
/// Throttling is answered by waiting, so often.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The most stages of one API that are spoken to.
const MOST_STAGES: usize = 64;

/// The connections of an API, by stage.
#[derive(Clone, Debug)]
pub struct Management {
    address: Arc<str>,
    config: Config,
    clients: Arc<Mutex<BTreeMap<String, Client>>>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was said.
    Yes,
    /// There is no such connection any more.
    Gone,
    /// It could not be said, for that reason.
    No(String),
}

impl Management {
    /// The API that the settings name.
    pub fn new(settings: &Settings) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(table::credentials(settings))
            .http_client(table::http_client())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_PAUSE))
            .timeout_config(table::timeouts())
            .build();
        Self { address: settings.management.as_str().into(), config, clients: Arc::default() }
    }

    /// Who speaks to that stage. The name comes from the service, or from the table.
    fn client(&self, stage: &str) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(stage) {
            return client.clone();
        }
        let config = self.config.to_builder().endpoint_url(self.address.replace("{stage}", stage)).build();
        let client = Client::from_conf(config);
        if clients.len() < MOST_STAGES {
            clients.insert(stage.to_owned(), client.clone());
        }
        client
    }

    /// Says a text to a connection.
    pub async fn say(&self, stage: &str, wire: &str, text: &str) -> Said {
        let post = self.client(stage).post_to_connection().connection_id(wire).data(Blob::new(text.as_bytes()));
        answered(post.send().await)
    }

    /// Whether a connection is there; what cannot be found out counts as yes.
    pub async fn is_there(&self, stage: &str, wire: &str) -> bool {
        answered(self.client(stage).get_connection().connection_id(wire).send().await) != Said::Gone
    }

    /// Ends a connection. The client reads no code of ours: the service knows none.
    pub async fn end(&self, stage: &str, wire: &str) -> Said {
        answered(self.client(stage).delete_connection().connection_id(wire).send().await)
    }
}

fn answered<T, E>(outcome: Result<T, SdkError<E, HttpResponse>>) -> Said
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match outcome {
        Ok(_) => Said::Yes,
        Err(error) if error.code() == Some("GoneException") || status(&error) == Some(410) => Said::Gone,
        Err(error) => Said::No(DisplayErrorContext(error).to_string().chars().take(300).collect()),
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
