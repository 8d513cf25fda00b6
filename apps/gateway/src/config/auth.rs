//! The sections about who comes in: the keys that verify tokens, what their claims mean, and what this gateway
//! issues itself. Nothing here holds a secret: it says where one is.

use gateway_auth::Algorithm;
use gateway_domain::{AgentId, PlanName, Role, UserId, name::Permission};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    limits::Handshakes,
    value::{
        AgentSource, ClaimPaths, Described, FilePath, JwksUrl, Label, Leeway, Limit, Period, Sha256, Size, TokenSource,
        Variable,
    },
};

/// Which tokens are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// A token must be meant for one of these (`aud`); none: not asked.
    pub audience: Vec<Label>,
    /// How far the clocks of issuers may be ahead: it widens `nbf` and `iat`, never `exp`.
    pub leeway: Leeway,
    /// How long a token lives past its `exp`; part of the one deadline used everywhere.
    pub exp_leeway: Leeway,
    /// Where a token may be, in the order in which it is looked for; the first that is there is judged, and no other.
    pub token_sources: Vec<TokenSource>,
    /// The longest token that is looked at.
    pub max_token: Size,
    /// What the claims of a token mean.
    pub claims: Claims,
    /// What this gateway issues; absent: it issues nothing.
    pub issuer: Option<Issuer>,
    /// The keys that verify tokens. At least one.
    pub keys: Vec<Key>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            audience: Vec::new(),
            leeway: Leeway::seconds(30),
            exp_leeway: Leeway::seconds(0),
            token_sources: vec![TokenSource::Query, TokenSource::Header],
            max_token: Size::kib(8),
            claims: Claims::default(),
            issuer: None,
            keys: Vec::new(),
        }
    }
}

/// Which claims mean what. Dots lead into nested claims; of a list the first that is there counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    /// Whom the token speaks for; demanded.
    pub user: ClaimPaths,
    /// What the user is: a list, or words in a text.
    pub roles: ClaimPaths,
    /// Which plan limits the user.
    pub plan: ClaimPaths,
    /// What the user may do: a list, or words in a text.
    pub permissions: ClaimPaths,
    /// What makes the id of an agent.
    pub agent: AgentSource,
    /// Tighter limits of the token's own.
    pub limits: ClaimPaths,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            user: ClaimPaths::shipped(&["sub"]),
            roles: ClaimPaths::shipped(&["roles", "role"]),
            plan: ClaimPaths::shipped(&["plan"]),
            permissions: ClaimPaths::shipped(&["permissions"]),
            agent: AgentSource::sub(),
            limits: ClaimPaths::shipped(&["limits"]),
        }
    }
}

/// Each is one key, or one set of keys, and has exactly one source: `secret_file` or `secret_env` for the HS algorithms,
/// `public_key_file` for the others, `jwks_file` or `jwks_url` for a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The name that tokens call it by; tokens without one may fit, too. For a set: its name in logs.
    pub kid: Option<Label>,
    /// The one algorithm that it verifies, whatever a token says. For a set: the same as `algorithms` with one entry.
    #[schemars(with = "Option<Described<Algorithm>>")]
    pub algorithm: Option<Algorithm>,
    /// A file with the shared secret, of at least 32 bytes; one line end at its end does not count.
    pub secret_file: Option<FilePath>,
    /// The environment variable with the shared secret, of at least 32 bytes.
    pub secret_env: Option<Variable>,
    /// A file with the public key, in PEM or as a JWK.
    pub public_key_file: Option<FilePath>,
    /// A file with the private key, in PEM, beside `public_key_file`; only for the key that `auth.issuer` signs with.
    pub private_key_file: Option<FilePath>,
    /// A file with a key set (JWKS).
    pub jwks_file: Option<FilePath>,
    /// Where a key set (JWKS) is fetched from: over https, or from this machine.
    pub jwks_url: Option<JwksUrl>,
    /// The algorithms that a set may verify; none: every one that its keys fit, but for HS.
    #[serde(default)]
    #[schemars(with = "Vec<Described<Algorithm>>")]
    pub algorithms: Vec<Algorithm>,
    /// How often a set is fetched again.
    #[serde(default = "Key::refresh")]
    pub refresh: Period,
    /// How old a set may become while it cannot be fetched; afterwards nobody comes in by it.
    #[serde(default = "Key::max_stale")]
    pub max_stale: Period,
    /// Who issues its tokens: demanded of them (`iss`) where it is given.
    pub issuer: Option<Label>,
    /// What is put before the user ids of its tokens; demanded where there are two issuers, so that the users of one
    /// cannot speak for those of another.
    pub user_prefix: Option<Label>,
    /// All the roles that it may grant; others are dropped from its tokens. Absent: any, but a set that is fetched
    /// never grants `admin` or `service`.
    #[schemars(with = "Option<Vec<Described<Role>>>")]
    pub roles: Option<Vec<Role>>,
}

impl Key {
    fn refresh() -> Period {
        Period::seconds(5 * 60)
    }

    fn max_stale() -> Period {
        Period::seconds(24 * 3600)
    }

    /// The source of the key; `None` where it has none or several, which no configuration that loaded has.
    pub fn source(&self) -> Option<KeySource<'_>> {
        match self.sources().as_slice() {
            [(_, only)] => Some(*only),
            _ => None,
        }
    }

    /// Every source that is given, by the name of its line.
    pub(super) fn sources(&self) -> Vec<(&'static str, KeySource<'_>)> {
        [
            ("secret_file", self.secret_file.as_ref().map(KeySource::SecretFile)),
            ("secret_env", self.secret_env.as_ref().map(KeySource::SecretEnv)),
            ("public_key_file", self.public_key_file.as_ref().map(KeySource::PublicKeyFile)),
            ("jwks_file", self.jwks_file.as_ref().map(KeySource::JwksFile)),
            ("jwks_url", self.jwks_url.as_ref().map(KeySource::JwksUrl)),
        ]
        .into_iter()
        .filter_map(|(name, source)| Some((name, source?)))
        .collect()
    }

    /// What a set may verify: `algorithms`, or the one of `algorithm`. Empty: every one that is no HS.
    pub fn set_algorithms(&self) -> Vec<Algorithm> {
        self.algorithms.iter().copied().chain(self.algorithm).collect()
    }

    /// Whether a token with that role can come by this key.
    pub fn grants(&self, role: &Role) -> bool {
        match &self.roles {
            Some(roles) => roles.contains(role),
            None => self.jwks_url.is_none() || !matches!(role.as_str(), "admin" | "service"),
        }
    }

    /// Whether this gateway can sign with it.
    pub fn can_sign(&self) -> bool {
        self.secret_file.is_some() || self.secret_env.is_some() || self.private_key_file.is_some()
    }
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeySource<'a> {
    /// A shared secret in a file.
    SecretFile(&'a FilePath),
    /// A shared secret in a variable.
    SecretEnv(&'a Variable),
    /// A public key in a file.
    PublicKeyFile(&'a FilePath),
    /// A set in a file.
    JwksFile(&'a FilePath),
    /// A set that is fetched.
    JwksUrl(&'a JwksUrl),
}

/// For API keys: `POST /auth/token` and `POST /auth/refresh`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The `kid` of the key that signs: one with a secret, or with a `private_key_file`.
    pub key: Label,
    /// How long an access token lives.
    #[serde(default = "Issuer::access_ttl")]
    pub access_ttl: Period,
    /// How long a refresh token lives unused.
    #[serde(default = "Issuer::refresh_ttl")]
    pub refresh_ttl: Period,
}

impl Issuer {
    fn access_ttl() -> Period {
        Period::seconds(15 * 60)
    }

    fn refresh_ttl() -> Period {
        Period::seconds(7 * 86_400)
    }
}

/// They come in `X-API-Key`: for the HTTP API, and for `POST /auth/token`. Only the hash of a key is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Its name in logs.
    pub id: Label,
    /// Its SHA-256 hash, as `gateway keys hash` prints it; or `key_env`.
    pub sha256: Option<Sha256>,
    /// The environment variable with the key itself; or `sha256`.
    pub key_env: Option<Variable>,
    /// Whom it speaks for.
    #[schemars(with = "Described<UserId>")]
    pub user: UserId,
    /// What that user is.
    #[serde(default)]
    #[schemars(with = "Vec<Described<Role>>")]
    pub roles: Vec<Role>,
    /// What that user may do.
    #[serde(default)]
    #[schemars(with = "Vec<Described<Permission>>")]
    pub permissions: Vec<Permission>,
    /// Which plan limits that user; absent: the endpoint's, else `default`.
    #[schemars(with = "Option<Described<PlanName>>")]
    pub plan: Option<PlanName>,
    /// The agent id of its tokens, where it speaks for an agent.
    #[schemars(with = "Option<Described<AgentId>>")]
    pub agent: Option<AgentId>,
    /// How often it may be shown to the HTTP API; absent: as often as `http.rate` says.
    pub rate: Option<Limit<Handshakes>>,
}
