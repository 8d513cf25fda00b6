//! Tokens for the clients, and the keys that a gateway needs to take them. They are made for one run; the secret of a
//! running gateway is read from where its owner says, and never shown.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use gateway_auth::{Algorithm, Grant, Issuer, IssuerRules, SigningKey, SigningMaterial, claims::ClaimNames, generate};
use gateway_domain::{Now, Tick, Timestamp};

/// Tokens outlive every run.
const LIFE: Duration = Duration::from_secs(6 * 3600);

/// Makes tokens, by one key for each algorithm.
pub struct Mint(Vec<(Algorithm, Issuer)>);

impl Mint {
    /// New keys: their files go into a folder, and what the configuration says of them comes back.
    pub fn new(folder: &Path, algorithms: &[Algorithm]) -> Result<(Self, String)> {
        let (mut issuers, mut keys) = (Vec::new(), String::new());
        for algorithm in algorithms {
            let made = generate(*algorithm).with_context(|| format!("no key can be made for {algorithm}"))?;
            let kid = format!("loadtest-{algorithm}");
            let file = Self::file_in(folder, *algorithm);
            let (text, member, material) = match made.public {
                Some(public) => (public, "public_key_file", SigningMaterial::PrivatePem(made.private.into_bytes())),
                None => {
                    let secret = made.private.trim().to_owned();
                    (secret.clone(), "secret_file", SigningMaterial::Secret(secret.into_bytes()))
                }
            };
            fs::write(&file, text).context("a key cannot be written")?;
            keys += &format!("[[auth.keys]]\nkid = \"{kid}\"\nalgorithm = \"{algorithm}\"\n{member} = \"{kid}.key\"\n");
            issuers.push((*algorithm, issuer(Some(kid), *algorithm, material)?));
        }
        Ok((Self(issuers), keys))
    }

    /// Where the key of an algorithm lies, as those need it who verify.
    pub fn file_in(folder: &Path, algorithm: Algorithm) -> PathBuf {
        folder.join(format!("loadtest-{algorithm}.key"))
    }

    /// The secret that a running gateway shares.
    pub fn of_secret(secret: Vec<u8>, kid: Option<String>) -> Result<Self> {
        let issuer = issuer(kid, Algorithm::Hs256, SigningMaterial::Secret(secret))?;
        Ok(Self(vec![(Algorithm::Hs256, issuer)]))
    }

    /// The algorithms that it has keys for.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.0.iter().map(|(algorithm, _)| *algorithm).collect()
    }

    /// A token by the first key.
    pub fn token(&self, user: &str, role: &str) -> Result<String> {
        let (algorithm, _) = self.0.first().context("there is no key to make tokens with")?;
        self.token_by(*algorithm, user, role)
    }

    /// A token by the key of an algorithm.
    pub fn token_by(&self, algorithm: Algorithm, user: &str, role: &str) -> Result<String> {
        let (_, issuer) = self
            .0
            .iter()
            .find(|(own, _)| *own == algorithm)
            .with_context(|| format!("there is no {algorithm} key to make tokens with"))?;
        let grant = Grant {
            user: user.parse()?,
            roles: vec![role.parse()?],
            permissions: Vec::new(),
            plan: Some("loadtest".parse()?),
            agent: None,
        };
        Ok(issuer.mint(&grant, now())?.token.expose().to_owned())
    }
}

fn issuer(kid: Option<String>, algorithm: Algorithm, material: SigningMaterial) -> Result<Issuer> {
    let key = SigningKey::new(kid.map(Arc::from), algorithm, material).context("the key cannot sign tokens")?;
    let rules = IssuerRules { issuer: None, audience: Vec::new(), access_ttl: LIFE, claims: ClaimNames::default() };
    Issuer::new(key, rules).context("no tokens can be made")
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or_default()) }
}
