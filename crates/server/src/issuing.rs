//! Issuing: tokens for those who show an API key, and new ones for spent ones. Only a gateway that was given a
//! signing key has this room.

use std::{sync::Arc, time::Duration};

use gateway_auth::{Grant, Issuer, Minted};
use gateway_domain::{Code, Now, PlanName, Refusal, Token, UserId};
use parking_lot::RwLock;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    ledger::{Ledger, banned_user},
    words,
};

/// Who signs.
#[derive(Debug)]
pub struct Signer {
    /// The signer.
    pub issuer: Issuer,
    /// What the authenticator puts before the users of its key: everywhere but in the tokens themselves a user has it.
    pub user_prefix: Option<Arc<str>>,
}

/// Who signs, and where refresh tokens are kept.
#[derive(Debug)]
pub struct Issuing {
    issuer: RwLock<Issuer>,
    access_ttl: Duration,
    user_prefix: Option<Arc<str>>,
    ledger: Arc<Ledger>,
}

/// An access token and the refresh token behind it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Issued {
    /// The token that opens doors.
    #[serde(serialize_with = "exposed")]
    #[schemars(with = "String")]
    pub access_token: Token,
    /// The token that opens none, and gets the next pair.
    #[serde(serialize_with = "exposed")]
    #[schemars(with = "String")]
    pub refresh_token: Token,
    /// How the access token is sent.
    pub token_type: &'static str,
    /// How many seconds it lasts.
    pub expires_in: u64,
    /// Whose it is.
    #[schemars(with = "words::User")]
    pub user_id: UserId,
    /// With which limits.
    #[schemars(with = "Option<words::Plan>")]
    pub plan: Option<PlanName>,
}

fn exposed<S: serde::Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

impl Issuing {
    /// A room with that signer.
    pub fn new(signer: Signer, ledger: Arc<Ledger>) -> Self {
        let Signer { issuer, user_prefix } = signer;
        Self { access_ttl: issuer.access_ttl(), issuer: RwLock::new(issuer), user_prefix, ledger }
    }

    /// Tokens for whoever was granted something.
    pub async fn issue(&self, grant: &Grant, now: Now) -> Result<Issued, Refusal> {
        let prefix = self.user_prefix.as_deref().unwrap_or_default();
        let user = UserId::parse(&format!("{prefix}{}", grant.user))
            .map_err(|fault| Refusal::plain(Code::AuthError).because(format!("the user {fault}")))?;
        if let Some(refusal) = banned_user(&self.ledger, &user, now) {
            return Err(refusal);
        }
        let grant = Grant { user, ..grant.clone() };
        let refresh_token = self.ledger.begin_family(grant.clone(), now).await?;
        self.signed(grant, refresh_token, now)
    }

    /// One access token for whoever was granted something, with nothing to renew it by.
    pub fn mint(&self, grant: &Grant, now: Now) -> Result<Minted, Refusal> {
        self.minted(grant.clone(), now)
    }

    /// New tokens for a refresh token, which is spent by this.
    pub async fn refresh(&self, presented: &Token, now: Now) -> Result<Issued, Refusal> {
        self.learn(presented).await;
        if let Some(user) = self.ledger.owner(presented, now)
            && let Some(refusal) = banned_user(&self.ledger, &user, now)
        {
            return Err(refusal);
        }
        let rotated = self.ledger.rotate(presented, now).await?;
        self.signed(rotated.grant, rotated.token, now)
    }

    /// Signs with another key from now on.
    pub fn replace(&self, issuer: Issuer) {
        *self.issuer.write() = issuer;
    }

    /// Learns of other gateways what they know of a refresh token, where there are any.
    pub async fn learn(&self, presented: &Token) {
        self.ledger.learn(presented).await;
    }

    /// Whose refresh token it is, if it is one.
    pub fn owner(&self, presented: &Token, now: Now) -> Option<UserId> {
        self.ledger.owner(presented, now)
    }

    fn signed(&self, grant: Grant, refresh_token: Token, now: Now) -> Result<Issued, Refusal> {
        let (user_id, plan) = (grant.user.clone(), grant.plan.clone());
        let minted = self.minted(grant, now)?;
        Ok(Issued {
            access_token: minted.token,
            refresh_token,
            token_type: "Bearer",
            expires_in: self.access_ttl.as_secs(),
            user_id,
            plan,
        })
    }

    fn minted(&self, mut grant: Grant, now: Now) -> Result<Minted, Refusal> {
        let failed = |why: String| Refusal::new(Code::AuthError, "the token could not be signed").because(why);
        let prefix = self.user_prefix.as_deref().unwrap_or_default();
        if let Some(bare) = grant.user.as_str().strip_prefix(prefix) {
            grant.user = UserId::parse(bare).map_err(|fault| failed(format!("the user {fault}")))?;
        }
        self.issuer.read().mint(&grant, now).map_err(|fault| failed(fault.to_string()))
    }
}
