//! Where clients, backends and operators come in: the listeners, what each of them serves, and how they are left.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use gateway_server::{Drain, Gateway, House, Opening, helm::Helm, http::Site, socketio::Socketio};
use gateway_transport::{AddressLaw, AddressRule, ListenAddr, Listener, TlsMaterial};
use tokio_util::sync::CancellationToken;

use super::{
    doors::times,
    foundation::{open_files, seats},
};
use crate::{
    config::{
        self, Config, Loaded, Secrets,
        value::{ListenAddress, TrustedProxy},
    },
    sockets::Sockets,
};

/// What is kept of the time of a drain for the goodbye of those who were told last.
const GOODBYE: Duration = Duration::from_secs(5);

/// A gateway with its listeners bound, or taken over, ready to run.
pub fn gateway(loaded: &Loaded, secrets: &Secrets, house: House, helm: &Helm, mut sockets: Sockets) -> Result<Gateway> {
    let Config { server, admin, console, limits, socketio, .. } = &loaded.config;
    let house = Arc::new(house);
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
    let usual = Site { helm: Some(helm.clone()), ..Site::of(Arc::clone(&house)) };
    let site = |addresses: &Arc<AddressLaw>, doors: bool, api| {
        Arc::new(Site {
            addresses: Arc::clone(addresses),
            doors,
            socketio: doors.then(|| Arc::clone(&front)),
            api,
            console: api && console.enabled,
            ..usual.clone()
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
    let Site { tasks, counters, .. } = usual;
    Ok(Gateway { house, openings, tasks, counters, drain: helm.drain(), hurry: CancellationToken::new() })
}

/// How a node leaves: whoever is not gone at the end of the window has a while for its goodbye.
pub fn drain(server: &config::Server) -> Drain {
    let timeout = server.drain_timeout.get();
    Drain { window: server.drain_window.get().min(timeout.saturating_sub(GOODBYE)), timeout }
}

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

fn listen_addr(address: &ListenAddress) -> ListenAddr {
    match address {
        ListenAddress::Tcp(address) => ListenAddr::Tcp(*address),
        ListenAddress::Unix(path) => ListenAddr::Unix(path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_nobody_told_how_leaves_as_the_one_that_ships() {
        assert_eq!(drain(&config::Server::default()), Drain::default());
    }
}
