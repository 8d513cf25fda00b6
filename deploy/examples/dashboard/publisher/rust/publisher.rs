//! Publishes the events of one gateway, each in its own type. Written by `gateway events codegen --language rust` from
//! the schemas of its configuration: do not edit it, write it anew.
//!
//! It needs these crates: `reqwest`, `serde` (with `derive`), `serde_json`, `tokio` (with `time`), `uuid`
//! (with `serde` and `v4`).
#![allow(clippy::enum_variant_names, clippy::large_enum_variant, reason = "events are what their schemas make them")]

use std::{fmt, time::Duration};

use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long the gateway may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long all waits between the attempts may be together, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often one event is sent at most.
const ATTEMPTS: u32 = 10;

/// An event: its type, and what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload")]
pub enum Event {
    /// `dashboard:error`
    /// What the dashboard should say went wrong
    #[serde(rename = "dashboard:error")]
    DashboardError(DashboardError),
    /// `dashboard:partialPartsUpdated`
    /// The MOCs of which only some parts are there
    #[serde(rename = "dashboard:partialPartsUpdated")]
    DashboardPartialPartsUpdated(Vec<DashboardPartialPartsUpdatedItem>),
    /// `dashboard:recentMocAdded`
    /// A MOC that was added
    #[serde(rename = "dashboard:recentMocAdded")]
    DashboardRecentMocAdded(DashboardRecentMocAdded),
    /// `dashboard:summaryUpdated`
    /// The figures at the top of the dashboard
    #[serde(rename = "dashboard:summaryUpdated")]
    DashboardSummaryUpdated(DashboardSummaryUpdated),
    /// `dashboard:themeBreakdownUpdated`
    /// How many there are of each theme
    #[serde(rename = "dashboard:themeBreakdownUpdated")]
    DashboardThemeBreakdownUpdated(Vec<DashboardThemeBreakdownUpdatedItem>),
}

/// What the dashboard should say went wrong
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardError {
    /// `code`
    pub code: String,
    /// `message`
    pub message: String,
}

/// `BuildStatus`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BuildStatus {
    /// `ADDED`
    #[serde(rename = "ADDED")]
    Added,
    /// `IN_PROGRESS`
    #[serde(rename = "IN_PROGRESS")]
    InProgress,
    /// `BUILT`
    #[serde(rename = "BUILT")]
    Built,
}

/// `DashboardPartialPartsUpdatedItem`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardPartialPartsUpdatedItem {
    /// `id`
    pub id: String,
    /// `title`
    pub title: String,
    /// `theme`
    pub theme: String,
    /// `buildStatus`
    #[serde(rename = "buildStatus")]
    pub build_status: BuildStatus,
    /// at least 0, at most 100
    #[serde(rename = "coveragePercentage")]
    pub coverage_percentage: f64,
    /// format date-time
    #[serde(rename = "lastUpdatedAt")]
    pub last_updated_at: String,
}

/// A MOC that was added
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardRecentMocAdded {
    /// `id`
    pub id: String,
    /// `title`
    pub title: String,
    /// `theme`
    pub theme: String,
    /// `buildStatus`
    #[serde(rename = "buildStatus")]
    pub build_status: BuildStatus,
    /// `coverImageUrl`
    #[serde(rename = "coverImageUrl")]
    pub cover_image_url: Option<String>,
    /// format date-time
    #[serde(rename = "createdAt")]
    pub created_at: String,
}

/// `MocsByBuildStatus`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MocsByBuildStatus {
    /// `ADDED`
    #[serde(rename = "ADDED")]
    pub added: i64,
    /// `IN_PROGRESS`
    #[serde(rename = "IN_PROGRESS")]
    pub in_progress: i64,
    /// `BUILT`
    #[serde(rename = "BUILT")]
    pub built: i64,
}

/// `MocsByCoverageStatus`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MocsByCoverageStatus {
    /// `FULL_INVENTORY`
    #[serde(rename = "FULL_INVENTORY")]
    pub full_inventory: i64,
    /// `PARTIAL_ORDERED`
    #[serde(rename = "PARTIAL_ORDERED")]
    pub partial_ordered: i64,
    /// `NONE`
    #[serde(rename = "NONE")]
    pub none: i64,
}

/// The figures at the top of the dashboard
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardSummaryUpdated {
    /// at least 0
    #[serde(rename = "totalMocs")]
    pub total_mocs: u64,
    /// at least 0
    #[serde(rename = "totalWishlistItems")]
    pub total_wishlist_items: u64,
    /// `mocsByBuildStatus`
    #[serde(rename = "mocsByBuildStatus")]
    pub mocs_by_build_status: MocsByBuildStatus,
    /// `mocsByCoverageStatus`
    #[serde(rename = "mocsByCoverageStatus")]
    pub mocs_by_coverage_status: MocsByCoverageStatus,
}

/// `DashboardThemeBreakdownUpdatedItem`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardThemeBreakdownUpdatedItem {
    /// `theme`
    pub theme: String,
    /// at least 0
    #[serde(rename = "mocCount")]
    pub moc_count: u64,
    /// at least 0
    #[serde(rename = "setCount")]
    pub set_count: u64,
}

/// Who publishes: somebody with the role `service`.
#[derive(Clone)]
pub enum Credential {
    /// An API key of the configuration.
    ApiKey(String),
    /// A token.
    Bearer(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(...)",
            Self::Bearer(_) => "Bearer(...)",
        })
    }
}

/// What came of an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Its id.
    pub event_id: Uuid,
    /// Into how many connections' outboxes it was put.
    pub delivered: u64,
    /// Whether an earlier attempt had told it already, and nobody was told again.
    #[serde(default)]
    pub duplicate: bool,
}

/// A refusal of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The status of HTTP.
    #[serde(skip)]
    pub status: u16,
    /// The stable code, such as `SCHEMA_MISMATCH`.
    pub code: String,
    /// What a person reads.
    pub message: String,
    /// What is wrong in which place of the body.
    #[serde(default)]
    pub details: Vec<Detail>,
    /// In how many seconds to come back.
    pub retry_after: Option<u64>,
    /// By what the operators of the gateway find it.
    pub request_id: Option<String>,
}

/// What is wrong in one place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Detail {
    /// Where, such as `/payload/theme`.
    pub path: String,
    /// What.
    pub message: String,
}

/// Why an event is not published, or not known to be.
#[derive(Debug)]
pub enum PublishError {
    /// The gateway refused it.
    Refused(Refused),
    /// There was no answer: the event may have been told or not. Sent again under the same id it is told once.
    NoAnswer {
        /// The id of the event.
        event_id: Uuid,
        /// Why there was none.
        cause: reqwest::Error,
    },
    /// What answered is no gateway.
    Strange {
        /// The status of HTTP.
        status: u16,
    },
    /// The event has no JSON form.
    Unwritable(serde_json::Error),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => {
                write!(f, "{}: {}", refused.code, refused.message)?;
                refused.details.iter().try_for_each(|Detail { path, message }| write!(f, "; {path}: {message}"))
            }
            Self::NoAnswer { event_id, cause } => write!(f, "no answer to the event {event_id}: {cause}"),
            Self::Strange { status } => write!(f, "what answered with status {status} is no gateway"),
            Self::Unwritable(fault) => write!(f, "the event has no JSON form: {fault}"),
        }
    }
}

impl std::error::Error for PublishError {}

/// Publishes events by the HTTP API of a gateway, over connections that are kept.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
    address: String,
    credential: Credential,
    patience: Duration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    to: Vec<&'a str>,
    event_id: Uuid,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Deserialize)]
struct Refusal {
    error: Refused,
}

impl Publisher {
    /// Publishes at the gateway with that address, such as `https://gateway.example`.
    ///
    /// # Errors
    /// There is no client for HTTP here: TLS cannot be set up.
    pub fn new(gateway: &str, credential: Credential) -> Result<Self, reqwest::Error> {
        let address = format!("{}/api/v1/events", gateway.trim_end_matches('/'));
        // A credential goes nowhere else.
        let client = Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { client, address, credential, patience: PATIENCE })
    }

    /// Through a client that knows what the way there needs, such as a proxy. Let it follow no redirects.
    pub fn with_client(self, client: Client) -> Self {
        Self { client, ..self }
    }

    /// With another limit to the waits between the attempts together; none: each event is sent once.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Goes on with another credential: a token ends.
    pub fn renew(&mut self, credential: Credential) {
        self.credential = credential;
    }

    /// Publishes an event to targets such as `user:ann`. Where the gateway is busy, or no answer comes, it is sent again
    /// under the same id, so that nobody is told twice.
    ///
    /// # Errors
    /// The gateway refuses the event, or gives no answer.
    pub async fn publish(&self, to: &[impl AsRef<str>], event: &Event) -> Result<Published, PublishError> {
        self.publish_as(Uuid::new_v4(), to, event).await
    }

    /// The same under an id of the caller's own, kept from an earlier call perhaps.
    ///
    /// # Errors
    /// The gateway refuses the event, or gives no answer.
    pub async fn publish_as(
        &self,
        event_id: Uuid,
        to: &[impl AsRef<str>],
        event: &Event,
    ) -> Result<Published, PublishError> {
        let body = Body { to: to.iter().map(AsRef::as_ref).collect(), event_id, event };
        let body = serde_json::to_string(&body).map_err(PublishError::Unwritable)?;
        let (mut waited, mut attempt) = (Duration::ZERO, 1);
        loop {
            let (error, wait) = match self.attempt(event_id, body.clone()).await {
                Ok(published) => return Ok(published),
                Err((error, Some(wait))) => (error, wait),
                Err((error, None)) => return Err(error),
            };
            // Without an answer each wait is twice the last; where the gateway names one, it is no shorter.
            let wait = wait.max(Duration::from_millis(50) * 2u32.saturating_pow(attempt));
            if waited + wait > self.patience || attempt == ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            waited += wait;
            attempt += 1;
        }
    }

    /// One attempt: what came of it; where another may help, the error has how long to wait before.
    async fn attempt(&self, event_id: Uuid, body: String) -> Result<Published, (PublishError, Option<Duration>)> {
        let no_answer = |cause| (PublishError::NoAnswer { event_id, cause }, Some(Duration::ZERO));
        let request = self.client.post(&self.address).header(CONTENT_TYPE, "application/json").timeout(ANSWER);
        let response = self.signed(request).body(body).send().await.map_err(no_answer)?;
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = response.bytes().await.map_err(no_answer)?;
        if status.is_success() {
            let strange = |_| (PublishError::Strange { status: status.as_u16() }, None);
            return serde_json::from_slice(&bytes).map_err(strange);
        }
        let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let Ok(Refusal { error }) = serde_json::from_slice(&bytes) else {
            // A proxy on the way, perhaps, while the gateway itself is away.
            let wait = busy.then(|| Duration::from_secs(after.unwrap_or(1)));
            return Err((PublishError::Strange { status: status.as_u16() }, wait));
        };
        let retry_after = error.retry_after.or(after);
        let wait = busy.then(|| Duration::from_secs(retry_after.unwrap_or(1)));
        Err((PublishError::Refused(Refused { status: status.as_u16(), retry_after, ..error }), wait))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credential {
            Credential::ApiKey(key) => request.header("x-api-key", key),
            Credential::Bearer(token) => request.bearer_auth(token),
        }
    }
}
