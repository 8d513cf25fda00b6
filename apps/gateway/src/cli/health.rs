//! `gateway health`: whether the gateway on this machine answers, for health checks in images that hold no other
//! client. Where it is follows from the configuration that it serves with.

use anyhow::{Result, bail};
use clap::Args;

use super::{Environment, Failure, Where, config, page, vitals::Place};
use crate::config::{ClientAddress, Config};

/// Ask the gateway on this machine whether it answers (exit code 0), or not (1).
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Ask whether it takes newcomers, too: not while it drains.
    #[arg(long)]
    ready: bool,
    /// Where it is [default: what GATEWAY_URL says, else where the configuration listens].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    place: Where,
}

impl Health {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        let path = if self.ready { "/readyz" } else { "/healthz" };
        let place = self.asked(environment)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let vitals = runtime.block_on(place.ask(path))?;
        page::print(&format!("{} {}\n", vitals.status, vitals.said))?;
        if vitals.is_well { Ok(()) } else { Err(Failure::No) }
    }

    fn asked(self, environment: Environment) -> Result<Place, Failure> {
        let named = environment.iter().find(|(name, value)| name == "GATEWAY_URL" && !value.is_empty());
        match self.url.as_ref().or(named.map(|(_, url)| url)) {
            Some(url) => Ok(Place::Url(url.trim_end_matches('/').to_owned())),
            None => Ok(of_configuration(&config::looked_at(self.place, environment)?.config)?),
        }
    }
}

/// Where the clients' listener is asked, and the operators' where every connection to that one begins with a header
/// that only proxies write.
fn of_configuration(config: &Config) -> Result<Place> {
    let of_clients = (&config.server.listen, config.server.tls.is_some());
    let listen = match (&config.admin.listen, config.server.client_address) {
        (Some(admin), ClientAddress::ProxyProtocol) => (admin, config.server.tls.is_some()),
        (
            None | Some(_),
            ClientAddress::Peer
            | ClientAddress::XForwardedFor
            | ClientAddress::Forwarded
            | ClientAddress::ProxyProtocol,
        ) => of_clients,
    };
    match Place::of(listen.0, listen.1) {
        Some(place) => Ok(place),
        None => bail!("{} leaves the port to the system: name the gateway's address with --url", listen.0),
    }
}
