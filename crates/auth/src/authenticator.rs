//! The judge of tokens: form, key, signature, issuer, audience, user, time, and the rest of the claims, in this order.
//! It never waits by itself; a key that must be fetched first is an answer of its own.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    Now, Principal, Role, Timestamp, Token,
    refusal::{Code, Detail, Refusal},
};
use serde_json::{Map, Value};

use crate::{
    algorithm::Algorithm,
    claims::{ClaimNames, Reading},
    jws::{Jws, Wanted},
    key::{Key, RoleBound},
    keyring::{KeyWanted, Keyring},
    remembered::{Proof, Remembered},
};

/// How long a token may wait for its key.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Roles that rule the gateway: a key from elsewhere grants them only where the configuration says so.
const POWERS: [&str; 2] = ["admin", "service"];

/// What every token must fulfil, whichever key signed it.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// The audiences of this gateway, of which a token must name one; empty: none is demanded.
    pub audience: Vec<Arc<str>>,
    /// By how much `nbf` and `iat` may lie ahead.
    pub leeway: Duration,
    /// By how much a token outlives its `exp`: part of its one deadline.
    pub exp_leeway: Duration,
    /// The longest token.
    pub max_bytes: usize,
    /// Which claims mean what.
    pub claims: ClaimNames,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            audience: Vec::new(),
            leeway: Duration::from_secs(30),
            exp_leeway: Duration::ZERO,
            max_bytes: 8 * 1024,
            claims: ClaimNames::default(),
        }
    }
}

/// Judges tokens by rules and keys.
#[derive(Debug)]
pub struct Authenticator {
    rules: TokenRules,
    keys: Arc<Keyring>,
    remembered: Remembered,
}

/// The judgement of a token.
#[derive(Debug)]
pub enum Verdict {
    /// It is judged.
    Done(Result<Principal, Refusal>),
    /// A set of keys should be asked first.
    KeyWanted(KeyWanted),
}

/// What was already done for a key that is not there.
#[derive(Clone, Copy, PartialEq)]
enum Waited {
    NotYet,
    Enough,
    InVain,
}

impl Authenticator {
    /// A judge by these rules and keys.
    pub fn new(rules: TokenRules, keys: Arc<Keyring>) -> Self {
        Self { rules, keys, remembered: Remembered::new() }
    }

    /// The keys.
    pub fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    /// Judges a token with the keys that are here. Never waits.
    pub fn verify(&self, token: &Token, now: Now) -> Verdict {
        self.judge(token, now, Waited::NotYet)
    }

    /// Judges a token, and waits up to [`PATIENCE`] for a key that must be fetched.
    pub async fn verify_patiently(&self, token: &Token, now: Now) -> Result<Principal, Refusal> {
        // Nearly always the key is here, and nothing is waited for.
        match self.verify(token, now) {
            Verdict::Done(judged) => judged,
            // Boxed, since hardly anybody takes this way, and all would make room for it.
            Verdict::KeyWanted(wanted) => Box::pin(self.verify_with(wanted, token, now)).await,
        }
    }

    /// As [`verify_patiently`](Self::verify_patiently), for somebody who comes with the same token again and again: one
    /// that was verified is known again, as long as the key that did is still its key and its time is not over.
    pub async fn verify_caller(&self, token: &Token, now: Now) -> Result<Arc<Principal>, Refusal> {
        let Some(mark) = self.remembered.mark(token) else {
            return self.verify_patiently(token, now).await.map(Arc::new);
        };
        if let Some(principal) = self.remembered.recall(&mark, &self.keys, now) {
            return Ok(principal);
        }
        if let Ok(Signed::By(signer, claims)) = self.signed(token, now, Waited::NotYet) {
            let principal = Arc::new(self.principal(&signer.key, claims, Some(now))?);
            let Signer { key, algorithm, kid } = signer;
            let proof = Proof { key, algorithm, kid, verified: now.wall, principal: Arc::clone(&principal) };
            self.remembered.keep(mark, proof);
            return Ok(principal);
        }
        self.verify_patiently(token, now).await.map(Arc::new)
    }

    /// Judges a token once the keys that it wants were asked for.
    async fn verify_with(&self, mut wanted: KeyWanted, token: &Token, now: Now) -> Result<Principal, Refusal> {
        let asking = async {
            // The second round is for who joined a fetch that began before its key was published.
            for _ in 0..2 {
                self.keys.look_up(&wanted, now).await;
                match self.verify(token, now) {
                    Verdict::Done(judged) => return Some(judged),
                    Verdict::KeyWanted(more) => wanted = more,
                }
            }
            None
        };
        let waited = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Some(judged)) => return judged,
            Ok(None) => Waited::Enough,
            Err(_) => Waited::InVain,
        };
        match self.judge(token, now, waited) {
            Verdict::Done(judged) => judged,
            Verdict::KeyWanted(_) => Err(out_of_reach(PATIENCE)),
        }
    }

    fn judge(&self, token: &Token, now: Now, waited: Waited) -> Verdict {
        match self.signed(token, now, waited) {
            Ok(Signed::By(signer, claims)) => Verdict::Done(self.principal(&signer.key, claims, Some(now))),
            Ok(Signed::KeyWanted(wanted)) => Verdict::KeyWanted(wanted),
            Err(refusal) => Verdict::Done(Err(refusal)),
        }
    }

    fn signed(&self, token: &Token, now: Now, waited: Waited) -> Result<Signed, Refusal> {
        let jws = Jws::parse(token, self.rules.max_bytes)?;
        let wanted = jws.wanted()?;
        let found = self.keys.find(&wanted, now);
        let mut keys = found.keys.into_iter();
        let mut tried = Vec::new();
        for key in keys.by_ref() {
            if key.verifies(wanted.algorithm, jws.message, &jws.signature) {
                let signer = Signer { key, algorithm: wanted.algorithm, kid: wanted.kid };
                return Ok(Signed::By(signer, jws.claims));
            }
            tried.push(key);
        }
        match (found.wanted, found.unavailable) {
            (Some(key), _) if waited == Waited::NotYet => Ok(Signed::KeyWanted(key)),
            (Some(_), _) if waited == Waited::InVain => Err(out_of_reach(PATIENCE)),
            (_, Some(wait)) => Err(out_of_reach(wait)),
            _ if !tried.is_empty() => Err(unsigned_by(&tried)),
            _ => Err(no_key(&wanted, found.near)),
        }
    }

    /// Who somebody is by these rules and keys whose token was verified by other ones: a key of that name must be here, too,
    /// and all that the token claims is read again. A key that was exchanged under its name sends nobody away, as a set that
    /// is read anew does not; one that is gone does. Whether the token's time is over is asked elsewhere, all the time.
    pub fn read_again(&self, known: &Principal, was: &Self, now: Now) -> Result<Principal, Refusal> {
        let issuer = known.issuer.as_deref();
        match self.keys.named(&known.key, issuer, now) {
            Some(key) => self.principal(&key, Map::clone(&known.claims), None),
            None if was.keys.named(&known.key, issuer, now).is_none() => Ok(known.clone()),
            None => Err(Refusal::invalid_token(Detail::UnknownKey, "the key that verified the token is one no more")
                .because(format!("there is no key {} any more", known.key))),
        }
    }

    /// Who the claims of a verified token say is there; where there is a time, only if that is the token's time.
    fn principal(&self, key: &Key, claims: Map<String, Value>, now: Option<Now>) -> Result<Principal, Refusal> {
        if let Some(wrong) = self.wrong_audience(&claims) {
            return Err(wrong);
        }
        let reading = Reading::new(&self.rules.claims, &claims);
        let prefix = key.grants.user_prefix.as_deref().unwrap_or_default();
        let user = reading.user(prefix)?;
        let of_user = |refusal: Refusal| refusal.of_user(&user);
        let (issued_at, expires_at) = self.times(&reading, now).map_err(of_user)?;
        let mut roles = reading.roles().map_err(of_user)?;
        roles.retain(|role| grants(&key.grants.roles, role));
        let permissions = reading.permissions().map_err(of_user)?;
        let plan = reading.plan().map_err(of_user)?;
        let own_limits = reading.limits().map_err(of_user)?;
        let agent = reading.agent(prefix).map_err(of_user)?;
        let token_id = reading.token_id().map_err(of_user)?;
        Ok(Principal {
            agent,
            issuer: claims.get("iss").and_then(Value::as_str).map(Arc::from),
            key: key.label().clone(),
            roles,
            permissions,
            plan,
            own_limits,
            token_id,
            issued_at,
            expires_at,
            user,
            claims: Arc::new(claims),
        })
    }

    fn wrong_audience(&self, claims: &Map<String, Value>) -> Option<Refusal> {
        let ours = |value: &Value| self.rules.audience.iter().any(|own| value == &**own);
        let fits = match claims.get("aud") {
            _ if self.rules.audience.is_empty() => true,
            Some(Value::Array(named)) => named.iter().any(ours),
            Some(named) => ours(named),
            None => false,
        };
        (!fits).then(|| Refusal::invalid_token(Detail::Audience, "the token is not meant for this gateway"))
    }

    /// When the token was issued, and its deadline, where it is valid now.
    fn times(&self, reading: &Reading<'_>, now: Option<Now>) -> Result<(Option<Timestamp>, Timestamp), Refusal> {
        let missing = || Refusal::invalid_token(Detail::ClaimMissing, "the claim `exp` is missing");
        let expires_at = reading.moment("exp")?.ok_or_else(missing)? + self.rules.exp_leeway;
        let issued_at = reading.moment("iat")?;
        let Some(now) = now else { return Ok((issued_at, expires_at)) };
        for (name, moment) in [("nbf", reading.moment("nbf")?), ("iat", issued_at)] {
            if let Some(ahead) = moment.filter(|moment| *moment > now.wall + self.rules.leeway) {
                let gap = ahead.since(now.wall).as_secs_f64();
                let leeway = self.rules.leeway.as_secs_f64();
                let message =
                    format!("the token's `{name}` lies {gap} s ahead, and {leeway} s are allowed: compare the clocks");
                return Err(Refusal::invalid_token(Detail::NotYetValid, message));
            }
        }
        if now.wall >= expires_at { Err(Refusal::expired(expires_at)) } else { Ok((issued_at, expires_at)) }
    }
}

enum Signed {
    By(Signer, Map<String, Value>),
    KeyWanted(KeyWanted),
}

/// The key that signed a token, and by what of the token it was chosen.
struct Signer {
    key: Arc<Key>,
    algorithm: Algorithm,
    kid: Option<Arc<str>>,
}

fn grants(bound: &RoleBound, role: &Role) -> bool {
    match bound {
        RoleBound::All => true,
        RoleBound::Only(roles) => roles.contains(role),
        RoleBound::AllButPowers => !POWERS.contains(&role.as_str()),
    }
}

fn out_of_reach(wait: Duration) -> Refusal {
    Refusal::new(Code::AuthError, "the keys that verify tokens are out of reach at the moment").retry_after(wait)
}

fn unsigned_by(tried: &[Arc<Key>]) -> Refusal {
    let names: Vec<&str> = tried.iter().map(|key| &**key.label()).collect();
    Refusal::invalid_token(Detail::Signature, "the token's signature does not fit")
        .because(format!("the signature is not that of {}", names.join(", ")))
}

fn no_key(wanted: &Wanted<'_>, near: Option<Detail>) -> Refusal {
    let algorithm = wanted.algorithm;
    match near {
        Some(Detail::Algorithm) => {
            let message = format!("the token is signed with {algorithm}, which is not the algorithm of its key");
            Refusal::invalid_token(Detail::Algorithm, message)
        }
        Some(Detail::Issuer) => {
            Refusal::invalid_token(Detail::Issuer, "the token's issuer is not the one that its key belongs to")
        }
        _ => Refusal::invalid_token(Detail::UnknownKey, "no key is known that could have signed the token"),
    }
}
