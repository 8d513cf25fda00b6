//! What the tests share: a clock that stands, keys of every algorithm, tokens with any header and claims, and a
//! server of key sets that can fail, hang and count.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_auth::{
    Algorithm, Authenticator, Fetch, FetchFault, Generated, Grant, Issuer, IssuerRules, JwksOrigin, JwksSource, Key,
    KeyMaterial, KeySpec, Keyring, SigningKey, SigningMaterial, TokenRules, Verdict, claims::ClaimNames,
};
use gateway_domain::{Code, Detail, Now, Principal, Refusal, Tick, Timestamp, Token};
use parking_lot::Mutex;
use serde_json::{Value, json};

pub(crate) const NOON: i64 = 1_800_000_000;
pub(crate) const SECRET: &[u8] = b"a secret of 32 bytes at the least";

pub(crate) fn now() -> Now {
    after(Duration::from_secs(1000))
}

pub(crate) fn after(elapsed: Duration) -> Now {
    let origin = Timestamp::from_seconds(NOON - 1000);
    Now { tick: Tick::after_origin(elapsed), wall: origin + elapsed }
}

/// So many seconds after noon.
pub(crate) fn later(seconds: u64) -> Now {
    after(Duration::from_secs(1000 + seconds))
}

/// One generated key for each algorithm and each name.
pub(crate) fn generated(algorithm: Algorithm, name: &'static str) -> Arc<Generated> {
    type Kept = HashMap<(String, &'static str), Arc<Generated>>;
    static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
    // RSA keys are slow to make, and one serves all six algorithms.
    let family = format!("{:?}", algorithm.family());
    let family = if family == "Secret" { algorithm.to_string() } else { family };
    let mut kept = KEPT.lock();
    kept.entry((family, name)).or_insert_with(|| Arc::new(gateway_auth::generate(algorithm).unwrap())).clone()
}

pub(crate) fn signing(algorithm: Algorithm, kid: Option<&str>, name: &'static str) -> SigningKey {
    let key = generated(algorithm, name);
    let text = key.private.clone().into_bytes();
    let material = if key.public.is_some() { SigningMaterial::PrivatePem(text) } else { SigningMaterial::Secret(text) };
    SigningKey::new(kid.map(Arc::from), algorithm, material).unwrap()
}

pub(crate) fn spec(kid: Option<&str>, algorithm: Algorithm, material: KeyMaterial) -> KeySpec {
    let kid = kid.map(Arc::from);
    KeySpec { kid, name: "configured".into(), algorithm, issuer: None, user_prefix: None, roles: None, material }
}

pub(crate) fn hs256(kid: Option<&str>) -> KeySpec {
    spec(kid, Algorithm::Hs256, KeyMaterial::Secret(SECRET.to_vec()))
}

pub(crate) fn verifying(key: &SigningKey) -> Key {
    Key::new(spec(key.kid().map(|kid| &**kid), key.algorithm(), key.verifying_material())).unwrap()
}

pub(crate) fn no_fetch() -> Fetch {
    Arc::new(|_| Box::pin(async { Err(FetchFault("nothing is fetched here".into())) }))
}

pub(crate) fn ring(keys: impl IntoIterator<Item = KeySpec>) -> Keyring {
    Keyring::new(keys.into_iter().map(|spec| Key::new(spec).unwrap()).collect(), vec![], no_fetch()).unwrap()
}

pub(crate) fn judge(keys: Keyring) -> Authenticator {
    judge_by(TokenRules::default(), keys)
}

pub(crate) fn judge_by(rules: TokenRules, keys: Keyring) -> Authenticator {
    Authenticator::new(rules, Arc::new(keys))
}

/// Claims that everybody takes, with others laid over them; `null` takes one away.
pub(crate) fn claims(others: Value) -> Value {
    let mut claims = json!({"sub": "ann", "exp": NOON + 900});
    for (name, value) in others.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub(crate) fn part(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signs any header and claims with HS256 and any secret.
pub(crate) fn hs256_signed(header: &str, claims: &str, secret: &[u8]) -> Token {
    let message = format!("{}.{}", part(header), part(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
    Token::new(format!("{message}.{signature}"))
}

/// A good HS256 token with such claims.
pub(crate) fn token(others: Value) -> Token {
    with_header(json!({}), others)
}

/// The same with members of the header laid over it.
pub(crate) fn with_header(members: Value, others: Value) -> Token {
    let mut header = json!({"alg": "HS256", "typ": "JWT"});
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            header.as_object_mut().unwrap().remove(name);
        } else {
            header[name] = value.clone();
        }
    }
    hs256_signed(&header.to_string(), &claims(others).to_string(), SECRET)
}

pub(crate) fn issuer(key: SigningKey, name: Option<&str>) -> Issuer {
    let rules = IssuerRules {
        issuer: name.map(Arc::from),
        audience: vec![],
        access_ttl: Duration::from_secs(900),
        claims: ClaimNames::default(),
    };
    Issuer::new(key, rules).unwrap()
}

pub(crate) fn grant(user: &str) -> Grant {
    Grant { user: user.parse().unwrap(), roles: vec![], permissions: vec![], plan: None, agent: None }
}

pub(crate) fn minted(key: &SigningKey, issued_by: Option<&str>) -> Token {
    issuer(key.clone(), issued_by).mint(&grant("ann"), now()).unwrap().token
}

#[track_caller]
pub(crate) fn done(verdict: Verdict) -> Result<Principal, Refusal> {
    match verdict {
        Verdict::Done(judged) => judged,
        Verdict::KeyWanted(wanted) => panic!("{wanted:?}"),
    }
}

#[track_caller]
pub(crate) fn admitted(authenticator: &Authenticator, token: &Token) -> Principal {
    done(authenticator.verify(token, now())).unwrap()
}

#[track_caller]
pub(crate) fn refused(authenticator: &Authenticator, token: &Token) -> Refusal {
    done(authenticator.verify(token, now())).unwrap_err()
}

#[track_caller]
pub(crate) fn invalid(authenticator: &Authenticator, token: &Token, detail: Detail) -> Refusal {
    let refusal = refused(authenticator, token);
    assert_eq!((refusal.code, refusal.detail), (Code::TokenInvalid, Some(detail)), "{refusal}");
    refusal
}

/// The entry of a public key in a set.
pub(crate) fn entry(key: &SigningKey) -> Value {
    use aws_lc_rs::{rsa::PublicKey, signature::RsaPublicKeyComponents};
    let KeyMaterial::PublicPem(text) = key.verifying_material() else { panic!("a public key") };
    let text = String::from_utf8(text).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let text = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let mut entry = match key.algorithm() {
        Algorithm::Es256 => {
            json!({"kty": "EC", "crv": "P-256", "x": text(&der[27..59]), "y": text(&der[59..])})
        }
        Algorithm::Es384 => {
            json!({"kty": "EC", "crv": "P-384", "x": text(&der[24..72]), "y": text(&der[72..])})
        }
        Algorithm::EdDsa => json!({"kty": "OKP", "crv": "Ed25519", "x": text(&der[12..])}),
        _ => {
            let numbers = RsaPublicKeyComponents::<Vec<u8>>::from(&PublicKey::from_der(&der).unwrap());
            json!({"kty": "RSA", "n": text(&numbers.n), "e": text(&numbers.e)})
        }
    };
    entry["alg"] = json!(key.algorithm());
    entry["use"] = json!("sig");
    if let Some(kid) = key.kid() {
        entry["kid"] = json!(kid);
    }
    entry
}

pub(crate) fn set(entries: impl IntoIterator<Item = Value>) -> Vec<u8> {
    json!({"keys": entries.into_iter().collect::<Vec<_>>()}).to_string().into_bytes()
}

type Answer = Result<Vec<u8>, FetchFault>;

/// A server of key sets.
#[derive(Clone, Default)]
pub(crate) struct KeyServer {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    delay: Arc<Mutex<Duration>>,
    asked: Arc<AtomicUsize>,
    broken: Arc<Mutex<bool>>,
}

impl KeyServer {
    pub(crate) fn serve(&self, url: &str, bytes: Vec<u8>) {
        self.answers.lock().insert(url.into(), Ok(bytes));
    }

    pub(crate) fn fail(&self, url: &str) {
        self.answers.lock().insert(url.into(), Err(FetchFault("connection refused".into())));
    }

    pub(crate) fn slow(&self, delay: Duration) {
        *self.delay.lock() = delay;
    }

    pub(crate) fn panicking(&self, broken: bool) {
        *self.broken.lock() = broken;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn fetch(&self) -> Fetch {
        let server = self.clone();
        Arc::new(move |url| {
            let server = server.clone();
            Box::pin(async move {
                server.asked.fetch_add(1, Ordering::SeqCst);
                assert!(!*server.broken.lock(), "broken on purpose");
                let answer = server.answers.lock().get(&*url).cloned();
                let delay = *server.delay.lock();
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                answer.unwrap_or_else(|| Err(FetchFault("no such address".into())))
            })
        })
    }
}

pub(crate) const URL: &str = "https://id.example/keys";

pub(crate) fn source() -> JwksSource {
    JwksSource::new("idp", JwksOrigin::Url(URL.into()))
}

pub(crate) fn judge_of(server: &KeyServer, sources: Vec<JwksSource>) -> Arc<Authenticator> {
    Arc::new(judge(Keyring::new(vec![], sources, server.fetch()).unwrap()))
}

pub(crate) fn key(kid: &str) -> SigningKey {
    // The id tells the keys apart in most of these tests; the material need not.
    signing(Algorithm::Es256, Some(kid), "main")
}

pub(crate) async fn ask(judge: &Authenticator, token: &Token, now: Now) -> Result<Principal, Refusal> {
    judge.verify_patiently(token, now).await
}

#[track_caller]
pub(crate) fn is(judged: Result<Principal, Refusal>, code: Code, detail: Option<Detail>) -> Refusal {
    let refusal = judged.unwrap_err();
    assert_eq!((refusal.code, refusal.detail), (code, detail), "{refusal}");
    refusal
}

pub(crate) fn unknown(judged: Result<Principal, Refusal>) {
    is(judged, Code::TokenInvalid, Some(Detail::UnknownKey));
}
