//! The link to other gateways, where the configuration names a Redis at which they meet.

use std::sync::Arc;

use anyhow::{Context, Result};
use gateway_cluster::redis::{Address, Sentinel, Servers, Settings, Tls, look, open};
use gateway_domain::{Token, link::NodeId};
use gateway_server::{
    clock,
    cluster::{Link, WhenAway},
};

use super::foundation::machine;
use crate::config::{self, Config, Loaded, Secret, Secrets};

/// The port of a Sentinel to which nobody gave one.
const SENTINEL_PORT: u16 = 26_379;
/// The database of a Redis that is known by its Sentinels alone.
const BEHIND_SENTINELS: &str = "redis://localhost";

/// Joins the others, as a life of this node. Where their Redis cannot be reached yet, the link begins as one that is away and
/// goes on trying; what waiting cannot mend, such as a wrong password, is an error.
pub async fn link(loaded: &Loaded, secrets: &Secrets) -> Result<Option<Arc<Link>>> {
    let Config { cluster, server, .. } = &loaded.config;
    if !cluster.is_on() {
        return Ok(None);
    }
    let settings = settings(cluster, secrets)?;
    let name = server.node.clone().unwrap_or_else(machine);
    let node = NodeId::new(&name, uuid::Uuid::new_v4());
    let (orders, arrivals) = open(settings, node.clone(), clock::now).await.context("[cluster]")?;
    let when_away = match cluster.when_away {
        config::WhenAway::FailOpenLocal => WhenAway::FailOpenLocal,
        config::WhenAway::FailClosed => WhenAway::FailClosed,
    };
    Ok(Some(Link::new(node, when_away, orders, arrivals)))
}

/// Where the others are met, if that Redis would let this gateway in; nothing is left behind there. None where it stands alone.
pub async fn meeting_place(cluster: &config::Cluster, secrets: &Secrets) -> Result<Option<Address>> {
    if !cluster.is_on() {
        return Ok(None);
    }
    Ok(Some(look(settings(cluster, secrets)?).await.context("[cluster]")?))
}

fn settings(cluster: &config::Cluster, secrets: &Secrets) -> Result<Settings> {
    let url = cluster.redis.as_ref().map_or(BEHIND_SENTINELS, |url| url.as_str());
    let mut settings = Settings::of_urls([url]).context("cluster.redis")?;
    let password = |secret: &Option<Secret>| {
        secret.as_ref().map(|secret| Token::new(String::from_utf8_lossy(secret.expose()).trim()))
    };
    if let Some(sentinel) = &cluster.sentinel {
        let nodes = sentinel.nodes.iter().filter_map(|node| Address::parse(node.as_str(), SENTINEL_PORT)).collect();
        settings.servers = Servers::Behind(Sentinel {
            master: sentinel.master.as_str().to_owned(),
            nodes,
            username: sentinel.username.as_ref().map(|username| username.as_str().to_owned()),
            password: password(&secrets.cluster.sentinels),
        });
    }
    settings.username = cluster.username.as_ref().map(|username| username.as_str().to_owned());
    settings.password = password(&secrets.cluster.password);
    if let Some(authorities) = &secrets.cluster.authorities {
        settings.tls = Some(Tls { authorities: Some(authorities.to_vec()) });
    }
    settings.lease = cluster.lease.get();
    settings.prefix = cluster.prefix.as_str().to_owned();
    Ok(settings)
}
