//! A ledger in a folder of its own, and what it knows, in a form that can be compared.

use std::{path::PathBuf, time::Duration};

use gateway_auth::{Grant, RefreshFamilies, RefreshRules};
use gateway_domain::{
    Now, Principal, Token, UserId,
    ban::{Ban, Subject},
    plan::OwnLimits,
    revocation::{Revocation, RevokedSubject},
};
use gateway_server::{
    clock,
    ledger::{JournalFault, Ledger},
};

/// Ids of tokens that some tests revoke.
pub(crate) const JTIS: [&str; 2] = ["t1", "t2"];

pub(crate) const AN_HOUR: Duration = Duration::from_secs(3600);

/// A folder with a state file in it, gone with the value.
pub(crate) struct Shelf {
    _folder: tempfile::TempDir,
    pub(crate) file: PathBuf,
}

/// What a ledger knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) bans: Vec<Ban>,
    pub(crate) revoked: Vec<String>,
    /// Which of the refresh tokens would be taken, and whose they are.
    pub(crate) owners: Vec<Option<UserId>>,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.jsonl");
        Self { _folder: folder, file }
    }

    pub(crate) fn holding(bytes: &[u8]) -> Self {
        let shelf = Self::new();
        shelf.write(bytes);
        shelf
    }

    pub(crate) fn open(&self) -> Result<Ledger, JournalFault> {
        self.open_with(Vec::new())
    }

    /// With bans of the configuration.
    pub(crate) fn open_with(&self, configured: Vec<Ban>) -> Result<Ledger, JournalFault> {
        Ledger::open(Some(self.file.clone()), configured, families(), clock::now())
    }

    pub(crate) fn read(&self) -> Vec<u8> {
        std::fs::read(&self.file).unwrap()
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        std::fs::write(&self.file, bytes).unwrap();
    }

    pub(crate) fn lines(&self) -> usize {
        self.read().iter().filter(|byte| **byte == b'\n').count()
    }
}

pub(crate) fn families() -> RefreshFamilies {
    RefreshFamilies::new(RefreshRules::new(AN_HOUR))
}

pub(crate) fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub(crate) fn address(text: &str) -> Subject {
    Subject::Network(text.parse().unwrap())
}

pub(crate) fn ban(subject: Subject, reason: &str) -> Ban {
    Ban { subject, until: None, reason: Some(reason.into()) }
}

pub(crate) fn ban_of(name: &str, reason: &str) -> Ban {
    ban(Subject::User(user(name)), reason)
}

pub(crate) fn of_token(jti: &str) -> Revocation {
    Revocation { subject: RevokedSubject::Token { jti: jti.into() }, until: None }
}

pub(crate) fn of_user(name: &str) -> Revocation {
    let subject = RevokedSubject::User { user: user(name), before: clock::now().wall };
    Revocation { subject, until: None }
}

pub(crate) fn grant(name: &str) -> Grant {
    Grant { user: user(name), roles: Vec::new(), permissions: Vec::new(), plan: None, agent: None }
}

/// A principal of that user with that token id.
pub(crate) fn principal(name: &str, jti: &str, now: Now) -> Principal {
    Principal {
        user: user(name),
        agent: None,
        issuer: None,
        key: "main".into(),
        roles: Vec::new(),
        permissions: Vec::new(),
        plan: None,
        own_limits: OwnLimits::default(),
        token_id: Some(jti.into()),
        issued_at: None,
        expires_at: now.wall + AN_HOUR,
        claims: Default::default(),
    }
}

impl Known {
    /// Asks for these token ids (of users that nobody bans), users and refresh tokens.
    pub(crate) fn of(ledger: &Ledger, jtis: &[&str], users: &[&str], tokens: &[Token]) -> Self {
        let now = clock::now();
        let met = |name: &str, jti: &str| ledger.objection(&principal(name, jti, now), now).is_err();
        let by_token = jtis.iter().filter(|jti| met("nobody", jti));
        let by_user = users.iter().filter(|name| met(name, "none"));
        Self {
            bans: ledger.bans(now),
            revoked: by_token.chain(by_user).map(ToString::to_string).collect(),
            owners: tokens.iter().map(|token| ledger.owner(token, now)).collect(),
        }
    }
}
