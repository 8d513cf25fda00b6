//! From a configuration to the rooms of a gateway. Nothing is decided here: every value has been checked, and each
//! becomes the word that the crates have for it.

#[cfg(feature = "net")]
mod cluster;
mod doors;
#[cfg(feature = "net")]
mod heir;
mod hooks;
mod keys;
mod material;

use std::{sync::Arc, time::Duration};

#[cfg(feature = "net")]
use anyhow::ensure;
use anyhow::{Context, Result};
use gateway_auth::{
    ApiKey, ApiKeys, Authenticator, Fetch, Grant, Issuer, IssuerRules, Keyring, RefreshFamilies, RefreshRules,
    SigningKey, TokenRules,
};
use gateway_domain::{
    PlanName,
    ban::{Ban, Subject},
    name::NodeName,
};
#[cfg(feature = "net")]
use gateway_server::{
    Drain, Gateway, Opening,
    helm::Helm,
    http::{MAX_BODY, Site},
    socketio::Socketio,
};
use gateway_server::{
    House,
    audit::{AddressDetail, Audit, Destination},
    clock,
    cluster::Link,
    gate::Gate,
    house::Successor,
    hub::{Hub, HubRules, OutboxBounds, WhenFull},
    issuing::Issuing,
    ledger::Ledger,
    limits::{Accounts, AutoBan, CallLimits, HandshakeLimits, HandshakeRate},
    metrics::Metrics,
    plans::Plans,
    publish::Publisher,
    webhook::{Carry, Webhooks},
};
#[cfg(feature = "net")]
use gateway_transport::{AddressLaw, AddressRule, Counters, ListenAddr, Listener, TlsMaterial};
use gateway_transport::{OriginLaw, TokenSources};
#[cfg(feature = "net")]
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(feature = "net")]
use crate::{
    config::value::{ListenAddress, TrustedProxy},
    sockets::Sockets,
};
use crate::{
    config::{self, Config, Loaded, Mode, Secrets},
    process,
};
#[cfg(feature = "net")]
pub use cluster::{link, meeting_place};
use doors::doors;
pub use doors::namespaces;
#[cfg(feature = "net")]
use doors::times;
#[cfg(feature = "net")]
pub use heir::{Heir, heir};
pub use keys::{keyring, keys, sets, signing_key};
pub use material::usable;

#[cfg(feature = "net")]
/// What is kept of the time of a drain for the goodbye of those who were told last.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a house has besides its policy, or goes on with from the one before it.
struct Parts {
    node: NodeName,
    keyring: Keyring,
    publisher: Publisher,
    hub: Arc<Hub>,
    ledger: Arc<Ledger>,
    accounts: Arc<Accounts>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    handshakes: Arc<HandshakeLimits>,
    calls: CallLimits,
    dev: bool,
}

/// The rooms, without a listener, of a gateway that stands alone. `open_files` is how many files the process may open.
pub fn house(
    loaded: &Loaded,
    secrets: &Secrets,
    mode: Mode,
    open_files: u64,
    fetch: Fetch,
    carry: &Carry,
) -> Result<House> {
    linked_house(loaded, secrets, mode, open_files, fetch, carry, None)
}

/// The rooms of a gateway that is linked to others, where there is a link.
pub fn linked_house(
    loaded: &Loaded,
    secrets: &Secrets,
    mode: Mode,
    open_files: u64,
    fetch: Fetch,
    carry: &Carry,
    link: Option<Arc<Link>>,
) -> Result<House> {
    let Config { server, state, audit, auth, webhooks, limits, bans, .. } = &loaded.config;
    let now = clock::now();
    let destination = audit.file.as_ref().map_or(Destination::Stderr, |file| Destination::File(file.as_path().into()));
    let addresses = match audit.address {
        config::AuditAddress::Full => AddressDetail::Full,
        config::AuditAddress::Prefix => AddressDetail::Prefix,
        config::AuditAddress::Hash => AddressDetail::Hash,
    };
    let audit = Arc::new(
        Audit::new(destination, addresses, audit.kept.get() as usize)
            .context("audit.file cannot be opened for writing")?,
    );
    let metrics = Arc::new(Metrics::new());
    metrics.process.ask(process::probe());
    if mode == Mode::Dev {
        metrics.dev_mode();
    }
    let refresh_ttl = auth.issuer.as_ref().map(|issuer| issuer.refresh_ttl.get()).unwrap_or_default();
    let families = RefreshFamilies::new(RefreshRules::new(refresh_ttl));
    let file = state.file.as_ref().map(|file| file.as_path());
    let mut ledger = Ledger::open(file.map(Into::into), bans.iter().filter_map(ban).collect(), families, now)
        .context("state.file")?;
    if let Some(link) = &link {
        ledger = ledger.linked(Arc::clone(link));
    }
    let ledger = Arc::new(ledger);
    let hooks = hooks::rules(webhooks, &secrets.webhooks);
    let hooks = Webhooks::open(hooks, file, carry, &audit, &metrics, link.is_some())
        .context("what stands beside state.file")?;
    let rules = hub_rules(&loaded.config, open_files)?;
    let mut hub = Hub::new(rules, Arc::clone(&audit), Arc::clone(&metrics)).telling(hooks);
    if let Some(link) = &link {
        hub = hub.linked(Arc::clone(link));
    }
    let hub = Arc::new(hub);
    let parts = Parts {
        node: server.node.clone().unwrap_or_else(machine),
        keyring: keyring(auth, secrets, fetch)?,
        publisher: Publisher::new(Arc::clone(&hub), loaded.schemas()?),
        hub,
        ledger,
        accounts: Arc::default(),
        audit,
        metrics,
        handshakes: Arc::new(handshake_limits(limits)),
        calls: call_limits(&loaded.config),
        dev: mode == Mode::Dev,
    };
    under(loaded, secrets, parts)
}

/// The house of those parts under the policy of that configuration.
fn under(loaded: &Loaded, secrets: &Secrets, parts: Parts) -> Result<House> {
    let Config { http, auth, api_keys, endpoints, .. } = &loaded.config;
    let Parts { node, keyring, publisher, hub, ledger, accounts, audit, metrics, handshakes, calls, dev } = parts;
    let claims = keys::claim_names(auth)?;
    let rules = TokenRules {
        audience: auth.audience.iter().map(|name| name.as_str().into()).collect(),
        leeway: auth.leeway.get(),
        exp_leeway: auth.exp_leeway.get(),
        max_bytes: auth.max_token.bytes(),
        claims: claims.clone(),
    };
    let gate = Gate {
        authenticator: Arc::new(Authenticator::new(rules, Arc::new(keyring))),
        agent_source: claims.agent,
        token_sources: TokenSources::new(auth.token_sources.iter().map(token_source).collect()),
        ledger: Arc::clone(&ledger),
        accounts: Arc::clone(&accounts),
        plans: plans(&loaded.config)?,
        handshakes: Arc::clone(&handshakes),
        seats: Arc::clone(&hub),
    };
    let api_origins: Vec<String> = http.origins.iter().map(ToString::to_string).collect();
    Ok(House {
        node,
        calls,
        endpoints: doors(endpoints)?,
        namespaces: namespaces(&loaded.config)?.into_iter().collect(),
        api_origins: OriginLaw::parse(&api_origins)?,
        gate,
        publisher,
        hub,
        routes: loaded.config.routes()?,
        handshakes,
        accounts,
        audit,
        metrics,
        issuing: issuing(&loaded.config, secrets, &ledger)?,
        ledger,
        api_keys: known_api_keys(api_keys, secrets),
        dev,
        configuration: serde_json::to_value(&loaded.config).unwrap_or_default(),
        successor: Successor::default(),
    })
}

fn hub_rules(config: &Config, open_files: u64) -> Result<HubRules> {
    let Config { limits, rooms, .. } = config;
    Ok(HubRules {
        seats: seats(limits, open_files),
        outbox: outbox(&limits.outbox),
        rooms: rooms.bounds(),
        rooms_per_connection: limits.rooms_of_connection(),
        pending: limits.pending(),
        laws: config.room_rules()?,
    })
}

fn handshake_limits(limits: &config::Limits) -> HandshakeLimits {
    HandshakeLimits::new(
        limits.handshakes_per_ip.get().map(handshake_rate),
        limits.handshakes_per_user.get().map(handshake_rate),
        limits.auto_ban.get().map(|law| AutoBan {
            violations: law.violations.get(),
            within: law.within.get(),
            duration: law.duration.get(),
        }),
    )
}

fn call_limits(config: &Config) -> CallLimits {
    let of_keys = config.api_keys.iter();
    let of_keys = of_keys.filter_map(|key| Some((key.id.as_str().into(), key.rate?.get().map(handshake_rate))));
    CallLimits::new(config.http.rate.get().map(handshake_rate), of_keys)
}

#[cfg(feature = "net")]
/// How a node leaves: whoever is not gone at the end of the window has a while for its goodbye.
pub fn drain(server: &config::Server) -> Drain {
    let timeout = server.drain_timeout.get();
    Drain { window: server.drain_window.get().min(timeout.saturating_sub(GOODBYE)), timeout }
}

/// A gateway with its listeners bound, or taken over, ready to run.
#[cfg(feature = "net")]
pub fn gateway(loaded: &Loaded, secrets: &Secrets, house: House, helm: &Helm, mut sockets: Sockets) -> Result<Gateway> {
    let Config { server, admin, console, limits, socketio, .. } = &loaded.config;
    let house = Arc::new(house);
    let tasks = TaskTracker::new();
    let counters = Arc::new(Counters::default());
    let addresses = Arc::new(address_law(server));
    // Operators and scrapers come directly, not through the balancer of the clients.
    let of_operators = match addresses.rule() {
        AddressRule::ProxyProtocol => Arc::new(AddressLaw::new(AddressRule::Peer, addresses.trusted().to_vec(), false)),
        AddressRule::Peer | AddressRule::XForwardedFor | AddressRule::Forwarded => Arc::clone(&addresses),
    };
    let strangers = limits.unauthenticated.get() as usize;
    let sessions = seats(limits, open_files()).saturating_add(strangers);
    let largest = house.namespaces.largest_message();
    let front = Arc::new(Socketio::new(socketio.path.as_str(), times(socketio), largest, sessions));
    let site = |addresses: &Arc<AddressLaw>, doors, api| {
        Arc::new(Site {
            house: Arc::clone(&house),
            addresses: Arc::clone(addresses),
            doors,
            socketio: doors.then(|| Arc::clone(&front)),
            api,
            console: api && console.enabled,
            max_body: MAX_BODY,
            tasks: tasks.clone(),
            counters: Arc::clone(&counters),
            helm: Some(helm.clone()),
        })
    };
    let bounds = gateway_transport::Limits {
        header_timeout: limits.header_timeout.get(),
        handshake_timeout: limits.handshake_timeout.get(),
        unauthenticated: limits.unauthenticated.get() as usize,
        unauthenticated_per_address: limits.unauthenticated_per_address.get() as usize,
        ..gateway_transport::Limits::default()
    };
    let tls = match &secrets.tls {
        Some(tls) => Some(TlsMaterial::from_pem(&tls.certificates, tls.key.expose()).context("server.tls")?),
        None => None,
    };
    let open = |address: &ListenAddress, inherited, site| -> Result<Opening> {
        let listener = match inherited {
            Some(socket) => Listener::inherit(socket)?,
            None => Listener::bind(&listen_addr(address))?,
        };
        Ok(Opening { listener, limits: bounds.clone(), tls: tls.clone(), site })
    };
    let mut openings = vec![open(&server.listen, sockets.server(), site(&addresses, true, admin.listen.is_none()))?];
    if let Some(address) = &admin.listen {
        openings.push(open(address, sockets.admin(), site(&of_operators, false, true))?);
    }
    ensure!(
        sockets.is_empty(),
        "a socket for `admin` was handed over, and there is no admin.listen in the configuration"
    );
    let hurry = CancellationToken::new();
    Ok(Gateway { house: Arc::clone(&house), openings, tasks, counters, drain: helm.drain(), hurry })
}

/// What this machine calls itself, where that can be a name of a node.
fn machine() -> NodeName {
    let own = rustix::system::uname();
    let own = own.nodename().to_str().ok().and_then(|name| NodeName::parse(name).ok());
    own.unwrap_or_else(NodeName::unnamed)
}

/// How many files this process may open.
pub fn open_files() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many connections there may be.
fn seats(limits: &config::Limits, open_files: u64) -> usize {
    limits.connections.in_force(open_files).map_or(usize::MAX, |most| most as usize)
}

fn outbox(outbox: &config::Outbox) -> OutboxBounds {
    OutboxBounds {
        messages: outbox.messages.get() as usize,
        bytes: outbox.bytes.bytes(),
        when_full: match outbox.when_full {
            config::WhenFull::Close => WhenFull::Close,
            config::WhenFull::DropOldest => WhenFull::DropOldest,
        },
    }
}

fn plans(config: &Config) -> Result<Plans> {
    let name: PlanName = "default".parse()?;
    let fallback = config.plans.get(&name).cloned().unwrap_or_default().named(&name);
    Ok(Plans::new(config.plans.iter().map(|(name, plan)| plan.named(name)), fallback))
}

fn issuing(config: &Config, secrets: &Secrets, ledger: &Arc<Ledger>) -> Result<Option<Issuing>> {
    let (Some(issuer), Some(signer)) = (&config.auth.issuer, own_issuer(&config.auth, secrets)?) else {
        return Ok(None);
    };
    let own = config.auth.keys.iter().find(|key| key.kid.as_ref().is_some_and(|kid| *kid == issuer.key));
    let user_prefix = own.and_then(|key| key.user_prefix.as_ref()).map(|prefix| Arc::from(prefix.as_str()));
    Ok(Some(Issuing::new(signer, issuer.access_ttl.get(), user_prefix, Arc::clone(ledger))))
}

/// Who signs here, where this gateway issues anything.
pub fn own_issuer(auth: &config::Auth, secrets: &Secrets) -> Result<Option<Issuer>> {
    let Some(own) = &auth.issuer else { return Ok(None) };
    let (key, issued_as) = signing_key(auth, secrets, Some(own.key.as_str()))?;
    issuer(auth, key, issued_as).map(Some)
}

/// Who signs with that key, in the form that the authenticator of this configuration takes.
pub fn issuer(auth: &config::Auth, key: SigningKey, issued_as: Option<Arc<str>>) -> Result<Issuer> {
    let rules = IssuerRules {
        issuer: issued_as,
        audience: auth.audience.iter().map(|name| name.as_str().into()).collect(),
        access_ttl: auth.issuer.as_ref().map_or(Duration::from_secs(900), |issuer| issuer.access_ttl.get()),
        claims: keys::claim_names(auth)?,
    };
    Ok(Issuer::new(key, rules)?)
}

fn known_api_keys(keys: &[config::ApiKey], secrets: &Secrets) -> ApiKeys {
    ApiKeys::new(keys.iter().zip(&secrets.api_keys).map(|(key, material)| ApiKey {
        id: key.id.as_str().into(),
        sha256: match material {
            config::ApiKeyMaterial::Sha256(hash) => *hash,
            config::ApiKeyMaterial::Key(secret) => {
                gateway_auth::api_key::hash(&String::from_utf8_lossy(secret.expose()))
            }
        },
        grant: Grant {
            user: key.user.clone(),
            roles: key.roles.clone(),
            permissions: key.permissions.clone(),
            plan: key.plan.clone(),
            agent: key.agent.clone(),
        },
    }))
}

#[cfg(feature = "net")]
fn address_law(server: &config::Server) -> AddressLaw {
    let rule = match server.client_address {
        config::ClientAddress::Peer => AddressRule::Peer,
        config::ClientAddress::XForwardedFor => AddressRule::XForwardedFor,
        config::ClientAddress::Forwarded => AddressRule::Forwarded,
        config::ClientAddress::ProxyProtocol => AddressRule::ProxyProtocol,
    };
    let networks: Vec<gateway_domain::network::Network> = server
        .trusted_proxies
        .iter()
        .filter_map(|proxy| match proxy {
            TrustedProxy::Network(network) => Some(*network),
            TrustedProxy::Unix => None,
        })
        .collect();
    AddressLaw::new(rule, networks, server.trusted_proxies.contains(&TrustedProxy::Unix))
}

#[cfg(feature = "net")]
fn listen_addr(address: &ListenAddress) -> ListenAddr {
    match address {
        ListenAddress::Tcp(address) => ListenAddr::Tcp(*address),
        ListenAddress::Unix(path) => ListenAddr::Unix(path.clone()),
    }
}

fn token_source(source: &config::value::TokenSource) -> gateway_transport::TokenSource {
    use config::value::TokenSource as Written;
    use gateway_transport::TokenSource as Meant;
    match source {
        Written::Query => Meant::Query,
        Written::Header => Meant::Header,
        Written::Subprotocol => Meant::Subprotocol,
        Written::Cookie(name) => Meant::Cookie(name.clone()),
    }
}

fn handshake_rate(limit: &config::Handshakes) -> HandshakeRate {
    HandshakeRate { rate: *limit.rate, burst: limit.burst.non_zero() }
}

fn ban(ban: &config::Ban) -> Option<Ban> {
    let subject = match (&ban.address, &ban.user) {
        (Some(network), _) => Subject::Network(*network),
        (None, Some(user)) => Subject::User(user.clone()),
        (None, None) => return None,
    };
    Some(Ban { subject, until: ban.until, reason: ban.reason.as_ref().map(|reason| reason.as_str().to_owned()) })
}
