//! Where a set of keys comes from, and within which bounds it is taken.

use std::{borrow::Cow, fmt, pin::Pin, sync::Arc, time::Duration};

use gateway_domain::Role;

use crate::algorithm::Algorithm;

/// Fetches what lies at an address. Whoever gives it owns the client, the cap on the size, the time-out, and the
/// refusal of redirects and of plain HTTP.
pub type Fetch =
    Arc<dyn Fn(Arc<str>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchFault>> + Send>> + Send + Sync>;

/// Why nothing was fetched, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchFault(pub Cow<'static, str>);

/// A set of keys from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksSource {
    /// What the audit calls it.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: JwksOrigin,
    /// The issuer whose tokens its keys verify; then no other's.
    pub issuer: Option<Arc<str>>,
    /// What is put before the user id and the agent id of its tokens.
    pub user_prefix: Option<Arc<str>>,
    /// All the roles that it may grant. None: an address grants all but `admin` and `service`.
    pub roles: Option<Vec<Role>>,
    /// The algorithms that it may serve; those with a shared secret never count.
    pub algorithms: Vec<Algorithm>,
    /// How often it is read again.
    pub refresh_every: Duration,
    /// How long its keys hold when it cannot be read again.
    pub max_stale: Duration,
    /// The mean time between two readings for the sake of unknown key ids.
    pub min_interval: Duration,
    /// How long an id that it did not have is not asked for again.
    pub absent_for: Duration,
    /// The most keys that it may have.
    pub max_keys: usize,
    /// The most bytes that it may have.
    pub max_bytes: usize,
}

/// Where a set comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum JwksOrigin {
    /// An address, from the configuration only.
    Url(Arc<str>),
    /// Given by hand, and changed by [`replace_set`](crate::Keyring::replace_set).
    Given(Vec<u8>),
}

impl fmt::Debug for JwksOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
            Self::Given(_) => f.write_str("Given(..)"),
        }
    }
}

impl JwksSource {
    /// A set with the bounds that most want: read every 5 minutes, good for a day, 64 keys in 256 KiB.
    pub fn new(name: impl Into<Arc<str>>, origin: JwksOrigin) -> Self {
        Self {
            name: name.into(),
            origin,
            issuer: None,
            user_prefix: None,
            roles: None,
            algorithms: Algorithm::asymmetric().collect(),
            refresh_every: Duration::from_secs(300),
            max_stale: Duration::from_secs(24 * 3600),
            min_interval: Duration::from_secs(10),
            absent_for: Duration::from_secs(60),
            max_keys: 64,
            max_bytes: 256 * 1024,
        }
    }
}
