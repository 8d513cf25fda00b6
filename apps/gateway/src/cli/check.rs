//! `gateway token check`: a token at the very gate that serves, without a listener in front of it. What only a running
//! gateway knows (who is connected, how often somebody knocked) is not asked, and said so.

mod knock;
mod origin;
mod state;

use std::{net::IpAddr, path::Path, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use gateway_domain::{Code, Refusal, Token, remedy::remedy};
use gateway_server::{
    House, clock,
    endpoint::Parameters,
    gate::{Admitted, Check as Step},
};

use self::knock::Knock;
use super::{
    Environment, Failure, Where,
    config::demanded,
    corridor::{self, Outcome},
    explain::record::in_full,
    page::Page,
    token::given,
};
use crate::{
    carry, compose,
    config::{Loaded, Mode, Secrets, value::Scalar, value::Value as _},
    fetch,
};

/// Try a token at the gate.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The path of the endpoint, such as /ws/agent; with a query where the endpoint reads one.
    #[arg(long, value_name = "PATH")]
    endpoint: String,
    /// The page that connects, such as https://app.example; left out, no browser does.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// The host that is asked, for an origin of "self" [default: server.listen].
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The client's address; left out, bans of addresses are not asked.
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// The file with the token; - is standard input.
    #[arg(value_name = "FILE")]
    token: PathBuf,
    #[command(flatten)]
    place: Where,
}

impl Check {
    pub(super) fn run(self, environment: &Environment) -> Result<(), Failure> {
        let without = "The keys of dev mode live in the running process alone: connect to it to see what it says \
                       (gateway connect URL). For a configuration of your own: gateway config reference";
        let (loaded, secrets) = demanded(self.place.clone(), environment, without)?;
        let (_, query) = self.endpoint.split_once('?').unwrap_or_default();
        if query.split('&').any(|pair| pair.split('=').next() == Some("token")) {
            return Err(anyhow!(
                "a token does not belong on a command line: give it in a file, or as - on standard input"
            )
            .into());
        }
        let token = given::read(&self.token)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut page = Page::default();
        let copy = state::Copy::of(loaded.config.state.file.as_ref().map(|file| file.as_path()));
        page.row("endpoint", &self.endpoint);
        page.row("state", &copy);
        let house = rooms(&loaded, &secrets, copy.file().as_deref()).map_err(|fault| copy.by_its_own_name(&fault))?;
        let outcome = runtime.block_on(self.admitted(&loaded, &house, &token));
        let deciding = outcome
            .as_ref()
            .err()
            .map(|refusal| Step::behind(refusal.code, refusal.user.is_some()).unwrap_or(Step::Form));
        corridor::write(&mut page, |step| match Outcome::of(step, deciding) {
            Outcome::Passed if !self.is_asked(step) => Outcome::NotAskedHere,
            outcome => outcome,
        });
        match outcome {
            Ok(admitted) => welcome(&mut page, &admitted),
            Err(refusal) => {
                self.refused(&mut page, &loaded, &refusal, &token);
                page.print()?;
                return Err(Failure::No);
            }
        }
        Ok(page.print()?)
    }

    /// Goes the way of a handshake.
    async fn admitted(&self, loaded: &Loaded, house: &House, token: &Token) -> Result<Admitted, Refusal> {
        let (path, query) = self.endpoint.split_once('?').unwrap_or((&self.endpoint, ""));
        let namespaces = compose::namespaces(&loaded.config).unwrap_or_default();
        let namespace = || {
            let found = namespaces.iter().find(|namespace| *namespace.path == *path);
            found.map(|namespace| (Arc::new(namespace.clone()), Parameters::default()))
        };
        let (endpoint, parameters) = house.endpoints.at(path).or_else(namespace).ok_or_else(|| {
            let paths = house.endpoints.iter().map(|endpoint| &*endpoint.path);
            let paths = paths.chain(namespaces.iter().map(|namespace| &*namespace.path)).collect::<Vec<_>>().join(", ");
            Refusal::plain(Code::NotFound).because(format!("there is no endpoint at {path}; there are: {paths}"))
        })?;
        let listen = loaded.config.server.listen.to_string();
        let knock = Knock {
            endpoint,
            parameters,
            query,
            origin: self.origin.as_deref(),
            host: self.host.as_deref().unwrap_or(&listen),
            address: self.address,
            secure: loaded.config.server.tls.is_some(),
        };
        let handshake = knock.handshake(house.gate.token_sources.as_slice(), token)?;
        let now = clock::now();
        let candidate = house.gate.examine(&handshake, now).await?;
        house.gate.admit(&handshake, candidate, now).await
    }

    /// Whether the answer of a check means anything without a running gateway.
    fn is_asked(&self, step: Step) -> bool {
        match step {
            Step::Form | Step::Draining | Step::NodeFull | Step::AddressRate | Step::UserRate | Step::Seat => false,
            Step::AddressBan => self.address.is_some(),
            Step::Path
            | Step::Origin
            | Step::TokenPresent
            | Step::TokenValid
            | Step::Revoked
            | Step::UserBan
            | Step::Role => true,
        }
    }

    fn refused(&self, page: &mut Page, loaded: &Loaded, refusal: &Refusal, token: &Token) {
        page.row("refused", in_full(refusal.code));
        page.row_of("detail", refusal.detail.map(|detail| detail.name()));
        page.row_of("user", refusal.user.as_ref());
        page.row("reason", refusal.reason());
        let path = self.endpoint.split('?').next().unwrap_or_default();
        page.row_of("line", origin::of(loaded, refusal, path, self.address, token));
        let remedy = remedy(refusal.code);
        page.row("the client", remedy.client);
        page.row("you", remedy.operator);
    }
}

fn welcome(page: &mut Page, admitted: &Admitted) {
    let principal = &admitted.standing.principal;
    let list = |each: Vec<String>| if each.is_empty() { "none".to_owned() } else { each.join(", ") };
    page.row("admitted", &principal.user);
    page.row_of("as", admitted.standing.role.as_ref());
    page.row("roles", list(principal.roles.iter().map(ToString::to_string).collect()));
    page.row("permissions", list(principal.permissions.iter().map(ToString::to_string).collect()));
    page.row_of("agent", principal.agent.as_ref());
    match &admitted.unknown_plan {
        Some(unknown) => {
            page.row("plan", format_args!("{}, since no plan is called {unknown}", admitted.standing.plan.name));
        }
        None => page.row("plan", &admitted.standing.plan.name),
    }
    page.row("key", &principal.key);
    page.row("until", principal.expires_at);
}

/// The rooms of the gateway apart from its files, which belong to the one that serves: nothing is written, and no lock
/// is taken. `state` stands for the state file.
pub(super) fn rooms(loaded: &Loaded, secrets: &Secrets, state: Option<&Path>) -> Result<House> {
    let mut loaded = loaded.clone();
    let file =
        state.and_then(Path::to_str).and_then(|path| crate::config::value::FilePath::read(Scalar::Text(path)).ok());
    loaded.config.state.file = file;
    loaded.config.audit.file = None;
    let house = compose::house(&loaded, secrets, Mode::Serve, compose::open_files(), fetch::fetch()?, &carry::carry()?);
    house.context("the configuration cannot be put to use")
}
