//! A world around one gate, with exactly the faults that a test asks for, and somebody at its door.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gateway_auth::{
    AgentSource, Algorithm, Authenticator, ClaimNames, FetchFault, Grant, Issuer, IssuerRules, JwksOrigin, JwksSource,
    Key, Keyring, SigningKey, SigningMaterial, TokenRules,
};
use gateway_domain::{
    Now, PlanName, Principal, Refusal, RequestId, Timestamp,
    ban::{Ban, Subject},
    plan::{Messages, OnConnectionLimit, OwnLimits, Plan},
    revocation::{Revocation, RevokedSubject},
};
use gateway_server::{
    House,
    audit::Destination,
    clock,
    endpoint::Endpoint,
    gate::{Admitted, Check, Handshake},
    house::{Foundation, Policy},
    hub::{HubRules, Seat},
    limits::{HandshakeLimits, HandshakeRate},
    plans::Plans,
};
use gateway_transport::{ClientAddress, OriginLaw, Query};
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

const SECRET: &[u8] = b"a secret of 32 bytes at the least";

/// A gate, what it asks, and what a caller at its door shows.
pub(crate) struct World {
    pub(crate) house: House,
    pub(crate) door: Endpoint,
    pub(crate) grant: Grant,
    pub(crate) origin: Option<&'static str>,
    pub(crate) token: Option<String>,
    pub(crate) address: ClientAddress,
    /// How often a set of keys was fetched for a token.
    pub(crate) fetched: Arc<AtomicUsize>,
    signing: SigningKey,
    /// Seats that others hold.
    _held: Vec<Seat>,
}

pub(crate) fn signing_key(kid: &str) -> SigningKey {
    SigningKey::new(Some(kid.into()), Algorithm::Hs256, SigningMaterial::Secret(SECRET.to_vec())).unwrap()
}

pub(crate) fn plan(name: &str, connections: u32, on_connection_limit: OnConnectionLimit) -> Plan {
    let messages = Messages { rate: None, burst: None };
    Plan { name: name.parse().unwrap(), connections: Some(connections), on_connection_limit, messages }
}

pub(crate) fn somebody(user: &str) -> Principal {
    Principal {
        user: user.parse().unwrap(),
        agent: None,
        issuer: None,
        key: "main".into(),
        roles: Vec::new(),
        permissions: Vec::new(),
        plan: None,
        own_limits: OwnLimits::default(),
        token_id: None,
        issued_at: None,
        expires_at: clock::now().wall + Duration::from_secs(60),
        claims: Arc::default(),
    }
}

impl World {
    /// Nothing is wrong in it.
    pub(crate) async fn fair() -> Self {
        Self::with([]).await
    }

    /// All of these are wrong, and nothing else.
    pub(crate) async fn with(faults: impl IntoIterator<Item = Check>) -> Self {
        let faults: BTreeSet<Check> = faults.into_iter().collect();
        let held = 1 + usize::from(faults.contains(&Check::Seat));
        let capacity = if faults.contains(&Check::NodeFull) { held } else { 100 };
        let foundation =
            Foundation { rules: HubRules::seating(capacity), ..Foundation::in_memory(Destination::Nowhere).unwrap() };
        let once_a_minute = HandshakeRate { rate: "1/m".parse().unwrap(), burst: NonZeroU32::MIN };
        let plans = [plan("default", 1, OnConnectionLimit::RejectNew), plan("wide", 3, OnConnectionLimit::RejectNew)];
        let fetched = Arc::new(AtomicUsize::new(0));
        let policy = Policy {
            endpoints: [door()].into_iter().collect(),
            plans: Plans::new(plans.clone(), plans[0].clone()),
            handshakes: Arc::new(HandshakeLimits::new(Some(once_a_minute), Some(once_a_minute), None)),
            ..Policy::trusting(keyring(&fetched))
        };
        let mut world = Self {
            house: House::new(foundation, policy),
            door: door(),
            grant: Grant {
                user: "ann".parse().unwrap(),
                roles: vec!["dashboard".parse().unwrap()],
                permissions: Vec::new(),
                plan: None,
                agent: None,
            },
            origin: Some("https://app.example"),
            token: None,
            address: ClientAddress::Ip("203.0.113.9".parse().unwrap()),
            fetched,
            signing: signing_key("main"),
            _held: Vec::new(),
        };
        world.spoil(&faults, &plans[0]).await;
        world
    }

    async fn spoil(&mut self, faults: &BTreeSet<Check>, plan: &Plan) {
        let House { hub, ledger, handshakes, .. } = &self.house;
        let is = |fault| faults.contains(&fault);
        let mut held = vec![hub.take_seat(&somebody("guest"), plan, false).unwrap()];
        if is(Check::Seat) {
            held.push(hub.take_seat(&somebody("ann"), plan, false).unwrap());
        }
        if is(Check::Draining) {
            hub.drain();
        }
        let ban = |subject| ledger.ban(Ban { subject, until: None, reason: None });
        if is(Check::AddressBan) {
            ban(Subject::Network("203.0.113.0/24".parse().unwrap())).await.unwrap();
        }
        if is(Check::AddressRate) {
            handshakes.knock_from("203.0.113.9".parse().unwrap()).unwrap();
        }
        if is(Check::UserBan) {
            ban(Subject::User(self.grant.user.clone())).await.unwrap();
        }
        if is(Check::UserRate) {
            handshakes.knock_of(&self.grant.user).unwrap();
        }
        if is(Check::Revoked) {
            let subject = RevokedSubject::User { user: self.grant.user.clone(), before: clock::now().wall };
            ledger.revoke(Revocation { subject, until: None }).await.unwrap();
        }
        if is(Check::Origin) {
            self.origin = Some("https://evil.example");
        }
        if is(Check::Role) {
            self.grant.roles = vec!["viewer".parse().unwrap()];
        }
        let lasts = if is(Check::TokenValid) { Duration::ZERO } else { Duration::from_secs(60) };
        self.token = (!is(Check::TokenPresent)).then(|| self.minted(lasts));
        self._held = held;
    }

    /// A token of the caller, for that long.
    pub(crate) fn minted(&self, lasts: Duration) -> String {
        self.minted_by(self.signing.clone(), lasts)
    }

    /// The same by another key.
    pub(crate) fn minted_by(&self, key: SigningKey, lasts: Duration) -> String {
        let rules = IssuerRules { access_ttl: Duration::from_secs(60), ..IssuerRules::default() };
        let minted = Issuer::new(key, rules).unwrap().mint_for(&self.grant, lasts, clock::now()).unwrap();
        minted.token.expose().to_owned()
    }

    /// What the caller shows at the door.
    pub(crate) fn handshake(&self) -> Handshake {
        let query = self.token.as_ref().map_or_else(String::new, |token| format!("token={token}"));
        self.handshake_with(&query, HeaderMap::new())
    }

    /// The same with another query and further headers.
    pub(crate) fn handshake_with(&self, query: &str, mut headers: HeaderMap) -> Handshake {
        if let Some(origin) = self.origin {
            headers.insert("origin", HeaderValue::from_static(origin));
        }
        Handshake {
            parameters: Default::default(),
            request_id: RequestId::new(Uuid::from_u128(7)),
            endpoint: Arc::new(self.door.clone()),
            address: self.address,
            query: Query::parse(query).unwrap(),
            headers,
            secure: true,
        }
    }

    /// Walks through the gate.
    pub(crate) async fn pass(&self, handshake: &Handshake) -> Result<Admitted, Refusal> {
        self.pass_at(handshake, clock::now()).await
    }

    pub(crate) async fn pass_at(&self, handshake: &Handshake, now: Now) -> Result<Admitted, Refusal> {
        let candidate = self.house.gate.examine(handshake, now).await?;
        self.house.gate.admit(handshake, candidate, now).await
    }

    /// The check that turns the caller away; none where it is let in.
    pub(crate) async fn stopped_by(&self) -> Option<Check> {
        let refusal = self.pass(&self.handshake()).await.err()?;
        let check = Check::behind(refusal.code, refusal.user.is_some());
        Some(check.unwrap_or_else(|| panic!("no check stands behind {refusal}")))
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// Lets the client name its agent in the query.
    pub(crate) fn agents_by_query(mut self) -> Self {
        let claims = ClaimNames { agent: AgentSource::Query("agentId".into()), ..ClaimNames::default() };
        self.house.gate.agent_source = claims.agent.clone();
        let rules = TokenRules { claims, ..TokenRules::default() };
        self.house.gate.authenticator = Arc::new(Authenticator::new(rules, Arc::new(keyring(&self.fetched))));
        self
    }

    pub(crate) fn seats(&self) -> usize {
        self.house.hub.counts().seats
    }
}

fn keyring(fetched: &Arc<AtomicUsize>) -> Keyring {
    let own = Key::verifying(&signing_key("main"), "main").unwrap();
    let elsewhere = JwksSource::new("idp", JwksOrigin::Url("https://id.example/keys".into()));
    let fetched = Arc::clone(fetched);
    let fetch = Arc::new(move |_| {
        fetched.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(FetchFault("connection refused".into())) }) as _
    });
    Keyring::new(vec![own], vec![elsewhere], fetch).unwrap()
}

fn door() -> Endpoint {
    Endpoint {
        roles: vec!["admin".parse().unwrap(), "dashboard".parse().unwrap()],
        origins: OriginLaw::parse(&["https://app.example".into()]).unwrap(),
        ..Endpoint::at("/ws/dashboard")
    }
}

/// A name of a plan.
pub(crate) fn named(plan: &str) -> Option<PlanName> {
    Some(plan.parse().unwrap())
}

/// Long before every other moment here.
pub(crate) const LONG_AGO: Timestamp = Timestamp::from_seconds(1);
