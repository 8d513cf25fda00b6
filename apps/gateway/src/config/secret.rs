//! The secrets: fetched apart from the configuration, from files and from the environment, and never printed.

use std::{fmt, fs, io::Read, path::Path};

use gateway_auth::{Algorithm, algorithm::Family};

use super::{
    ApiKey, Cluster, Config, Key, KeySource, Webhook,
    check::Complaints,
    shape::Misfit,
    value::{FilePath, JwksUrl, Variable},
};

/// The least bytes of a shared secret: as many as the hash of HS256 has.
const LEAST: usize = 32;
/// The largest file of keys.
const LARGEST: u64 = 256 << 10;

/// Bytes that are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The bytes themselves, for whoever verifies or signs.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What a configuration leaves out.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// The keys, in the order of `auth.keys`.
    pub keys: Vec<KeyMaterial>,
    /// The API keys, in the order of `api_keys`.
    pub api_keys: Vec<ApiKeyMaterial>,
    /// The secrets of webhooks, in the order of `webhooks`.
    pub webhooks: Vec<HookSecrets>,
    /// Certificate and key, where TLS is on.
    pub tls: Option<TlsMaterial>,
    /// What the Redis of a cluster needs.
    pub cluster: ClusterSecrets,
}

/// What the Redis of a cluster needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSecrets {
    /// The password.
    pub password: Option<Secret>,
    /// That of the Sentinels.
    pub sentinels: Option<Secret>,
    /// The certificates of those who may vouch for it, in PEM.
    pub authorities: Option<Box<[u8]>>,
}

/// What a key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMaterial {
    /// A shared secret.
    Secret(Secret),
    /// A public key, in PEM or as a JWK, and its private half where this gateway signs with it.
    KeyPair {
        /// What verifies.
        public: Box<[u8]>,
        /// What signs, in PEM.
        private: Option<Secret>,
    },
    /// A key set, as it is in its file.
    JwksFile(Box<[u8]>),
    /// A key set that is fetched from there.
    JwksUrl(JwksUrl),
}

/// What an API key is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiKeyMaterial {
    /// Its hash.
    Sha256([u8; 32]),
    /// Itself.
    Key(Secret),
}

/// What the requests to a webhook are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSecrets {
    /// The secret.
    pub current: Secret,
    /// The one before, while it is exchanged.
    pub previous: Option<Secret>,
}

/// What TLS needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsMaterial {
    /// The certificate and those above it.
    pub certificates: Box<[u8]>,
    /// The private key.
    pub key: Secret,
}

/// Fetches everything, and finds everything that is wrong with it.
pub(super) fn resolve(config: &Config, env: &[(String, String)]) -> Result<Secrets, Complaints> {
    let mut fetch = Fetch { env, complaints: Complaints::default() };
    let keys: Vec<_> = config.auth.keys.iter().enumerate().map(|(at, key)| fetch.key(key, at)).collect();
    let api_keys: Vec<_> = config.api_keys.iter().enumerate().map(|(at, key)| fetch.api_key(key, at)).collect();
    let webhooks: Vec<_> = config.webhooks.iter().enumerate().map(|(at, hook)| fetch.webhook(hook, at)).collect();
    let tls = config.server.tls.as_ref().map(|tls| {
        let most = "Name a file in PEM";
        let certificates = fetch.file(&tls.cert_file, "server.tls.cert_file", most);
        let key = fetch.file(&tls.key_file, "server.tls.key_file", most);
        fetch.begins(
            certificates.as_deref(),
            &["-----BEGIN CERTIFICATE"],
            "server.tls.cert_file",
            "a certificate in PEM",
        );
        fetch.contains(key.as_deref(), "PRIVATE KEY-----", "server.tls.key_file", "a private key in PEM");
        Some(TlsMaterial { certificates: certificates?, key: Secret(key?) })
    });
    let cluster = fetch.cluster(config);
    let fetched = keys.into_iter().collect::<Option<Vec<_>>>().zip(api_keys.into_iter().collect::<Option<Vec<_>>>());
    match fetched.zip(webhooks.into_iter().collect::<Option<Vec<_>>>()) {
        Some(((keys, api_keys), webhooks)) if fetch.complaints.faults.is_empty() => {
            Ok(Secrets { keys, api_keys, webhooks, tls: tls.flatten(), cluster })
        }
        _ => Err(fetch.complaints),
    }
}

struct Fetch<'a> {
    env: &'a [(String, String)],
    complaints: Complaints,
}

impl Fetch<'_> {
    fn key(&mut self, key: &Key, at: usize) -> Option<KeyMaterial> {
        let line = |name: &str| format!("auth.keys[{at}].{name}");
        // A key without a source, or with several, is a fault of sense, and told as such.
        match key.source()? {
            KeySource::SecretFile(file) => {
                let line = line("secret_file");
                let secret = self.file(file, &line, &create(key.algorithm, file))?;
                self.shared(trimmed(secret), &line).map(KeyMaterial::Secret)
            }
            KeySource::SecretEnv(variable) => {
                let line = line("secret_env");
                let secret = self.variable(variable, &line)?;
                self.shared(secret, &line).map(KeyMaterial::Secret)
            }
            KeySource::PublicKeyFile(file) => {
                let name = line("public_key_file");
                let public = self.file(file, &name, "Name the file with the public key, in PEM or as a JWK");
                let forms = ["-----BEGIN PUBLIC KEY", "-----BEGIN RSA PUBLIC KEY", "-----BEGIN CERTIFICATE", "{"];
                self.begins(public.as_deref(), &forms, &name, "a public key in PEM or as a JWK");
                let name = line("private_key_file");
                let private = match &key.private_key_file {
                    None => Some(None),
                    Some(file) => {
                        let private = self.file(file, &name, "Name the file with the private key, in PEM");
                        self.contains(private.as_deref(), "PRIVATE KEY-----", &name, "a private key in PEM");
                        private.map(|private| Some(Secret(private)))
                    }
                };
                Some(KeyMaterial::KeyPair { public: public?, private: private? })
            }
            KeySource::JwksFile(file) => {
                let line = line("jwks_file");
                let set = self.file(file, &line, "Name the file with the key set: {\"keys\": [...]}")?;
                let whole = serde_json::from_slice::<serde_json::Value>(&set).ok();
                if whole.and_then(|whole| whole.get("keys").map(serde_json::Value::is_array)) != Some(true) {
                    self.fault(&line, format!("`{file}` is no key set"), "It must be JSON: {\"keys\": [...]}");
                    return None;
                }
                Some(KeyMaterial::JwksFile(set))
            }
            KeySource::JwksUrl(url) => Some(KeyMaterial::JwksUrl(url.clone())),
        }
    }

    fn api_key(&mut self, key: &ApiKey, at: usize) -> Option<ApiKeyMaterial> {
        match (&key.sha256, &key.key_env) {
            (Some(hash), None) => Some(ApiKeyMaterial::Sha256(*hash.bytes())),
            (None, Some(variable)) => {
                let line = format!("api_keys[{at}].key_env");
                let secret = self.variable(variable, &line)?;
                self.long_enough(secret, &line, "gateway keys generate --api-key").map(ApiKeyMaterial::Key)
            }
            // None or both is a fault of sense.
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    fn cluster(&mut self, config: &Config) -> ClusterSecrets {
        if !config.cluster.is_on() {
            // What is of no use is a fault of sense.
            return ClusterSecrets::default();
        }
        let Cluster { password_file, ca_file, sentinel, .. } = &config.cluster;
        let most = "Name a file that holds the password, and nothing else";
        let password = password_file.as_ref().and_then(|file| self.file(file, "cluster.password_file", most));
        let asked = sentinel.as_ref().and_then(|sentinel| sentinel.password_file.as_ref());
        let sentinels = asked.and_then(|file| self.file(file, "cluster.sentinel.password_file", most));
        let authorities = ca_file.as_ref().and_then(|file| self.file(file, "cluster.ca_file", "Name a file in PEM"));
        let begins = &["-----BEGIN CERTIFICATE"];
        self.begins(authorities.as_deref(), begins, "cluster.ca_file", "a certificate in PEM");
        let secret = |password| Secret(trimmed(password));
        ClusterSecrets { password: password.map(secret), sentinels: sentinels.map(secret), authorities }
    }

    fn webhook(&mut self, hook: &Webhook, at: usize) -> Option<HookSecrets> {
        // None or both is a fault of sense.
        let current = self.hook_secret(&hook.secret_file, &hook.secret_env, &format!("webhooks[{at}].secret"));
        let line = format!("webhooks[{at}].previous_secret");
        let previous = self.hook_secret(&hook.previous_secret_file, &hook.previous_secret_env, &line);
        Some(HookSecrets { current: current?, previous })
    }

    fn hook_secret(&mut self, file: &Option<FilePath>, variable: &Option<Variable>, stem: &str) -> Option<Secret> {
        let (secret, line) = match (file, variable) {
            (Some(file), None) => {
                let line = format!("{stem}_file");
                (trimmed(self.file(file, &line, &create(None, file))?), line)
            }
            (None, Some(variable)) => {
                let line = format!("{stem}_env");
                (self.variable(variable, &line)?, line)
            }
            (None, None) | (Some(_), Some(_)) => return None,
        };
        self.long_enough(secret, &line, "gateway keys generate --algorithm HS256")
    }

    fn shared(&mut self, secret: Box<[u8]>, line: &str) -> Option<Secret> {
        if secret.starts_with(b"-----BEGIN") {
            let what = "a PEM file is no shared secret: whoever knows the public key could sign";
            self.fault(line, what.into(), "Use `public_key_file` with an algorithm of key pairs, such as \"ES256\"");
            return None;
        }
        self.long_enough(secret, line, "gateway keys generate --algorithm HS256")
    }

    fn long_enough(&mut self, secret: Box<[u8]>, line: &str, maker: &str) -> Option<Secret> {
        if secret.len() < LEAST {
            let what = format!("the secret has {} bytes, and {LEAST} are the least", secret.len());
            self.fault(line, what, &format!("Create one with: {maker}"));
            return None;
        }
        Some(Secret(secret))
    }

    fn variable(&mut self, variable: &Variable, line: &str) -> Option<Box<[u8]>> {
        let value =
            self.env.iter().find(|(name, _)| name == variable.as_str()).map(|(_, value)| value.as_bytes().into());
        if value.is_none() {
            let what = format!("the environment variable `{variable}` is not set");
            self.fault(line, what, "Set it where the gateway is started, or name another");
        }
        value
    }

    fn file(&mut self, file: &FilePath, line: &str, remedy: &str) -> Option<Box<[u8]>> {
        match read(file.as_path()) {
            Ok(bytes) => Some(bytes.into()),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
                self.fault(line, format!("the file `{file}` does not exist"), remedy);
                None
            }
            Err(fault) => {
                self.fault(
                    line,
                    format!("the file `{file}` cannot be read: {fault}"),
                    "Give the gateway's user the right to read it",
                );
                None
            }
        }
    }

    fn begins(&mut self, bytes: Option<&[u8]>, forms: &[&str], line: &str, wanted: &str) {
        let Some(bytes) = bytes else { return };
        let text = bytes.trim_ascii_start();
        if text.windows(11).any(|part| part == b"PRIVATE KEY") {
            self.fault(line, "this file holds a private key".into(), &format!("It must hold {wanted}"));
        } else if !forms.iter().any(|form| text.windows(form.len()).any(|part| part == form.as_bytes())) {
            self.fault(line, format!("this file does not hold {wanted}"), "Name another file");
        }
    }

    fn contains(&mut self, bytes: Option<&[u8]>, mark: &str, line: &str, wanted: &str) {
        if bytes.is_some_and(|bytes| !bytes.windows(mark.len()).any(|part| part == mark.as_bytes())) {
            self.fault(line, format!("this file does not hold {wanted}"), "Name another file");
        }
    }

    fn fault(&mut self, line: &str, what: String, remedy: &str) {
        self.complaints.faults.push(Misfit { key: line.to_owned(), what, remedy: remedy.to_owned() });
    }
}

fn create(algorithm: Option<Algorithm>, file: &FilePath) -> String {
    let algorithm = algorithm.filter(|algorithm| algorithm.family() == Family::Secret).unwrap_or(Algorithm::Hs256);
    format!("Create it with: gateway keys generate --algorithm {algorithm} > {file}")
}

/// Without the one line end that editors and shells put at the end.
fn trimmed(secret: Box<[u8]>) -> Box<[u8]> {
    let text = secret.strip_suffix(b"\n").unwrap_or(&secret);
    text.strip_suffix(b"\r").unwrap_or(text).into()
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > LARGEST) {
        return Err(std::io::Error::other(format!("it has more than {LARGEST} bytes")));
    }
    Ok(bytes)
}
