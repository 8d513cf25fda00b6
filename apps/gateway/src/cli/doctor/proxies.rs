//! Whose word is taken about where clients are: what is configured, held against what the audit shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    net::IpAddr,
    path::Path,
};

use gateway_domain::network::Network;
use serde_json::Value;

use super::finding::Report;
use crate::config::{
    ClientAddress, Config,
    value::{TokenSource, TrustedProxy},
};

/// So much of the end of the audit is read.
const TAIL: u64 = 512 << 10;
/// Fewer connections show nothing.
const ENOUGH: usize = 20;
/// A network that is wider than this holds more than proxies.
const WIDEST: (u8, u8) = (8, 32);

/// Looks at what is trusted, and at what the audit tells of it.
pub(super) fn look(config: &Config, report: &mut Report) {
    let server = &config.server;
    let before = report.count_of("proxies");
    for proxy in &server.trusted_proxies {
        if let TrustedProxy::Network(network) = proxy
            && is_wide(network)
        {
            let what = format!("server.trusted_proxies has {network}: everybody in it can choose its own address");
            report.note("proxies", what, "Name the addresses of the proxies themselves");
        }
    }
    let behind = server.client_address != ClientAddress::Peer;
    if behind && config.auth.token_sources.contains(&TokenSource::Query) {
        let what = "tokens may be in the query, and proxies write queries into their access logs";
        let remedy =
            "Strip the query there, as the files in deploy/proxies do, or leave \"query\" out of auth.token_sources";
        report.note("proxies", what, remedy);
    }
    if let Some(file) = &config.audit.file
        && let Some(crowd) = crowd(&tail(file.as_path()))
    {
        let told = format!(
            "{} of the last {} connections came from {}, for {} users",
            crowd.connections, crowd.of, crowd.address, crowd.users
        );
        if behind {
            let what = format!("{told}: what is in front of the nearest proxy is not told, or not trusted");
            report.note(
                "proxies",
                what,
                "Let each proxy add the address that it sees, and name each in server.trusted_proxies",
            );
        } else {
            let what = format!("{told}: that is a proxy, and all of them share its limits and its bans");
            let remedy = format!(
                "Set server.client_address to what it sends, and server.trusted_proxies = [\"{}\"]",
                crowd.address
            );
            report.change("proxies", what, remedy);
        }
    }
    if report.count_of("proxies") == before {
        report.fine(
            "proxies",
            match server.client_address {
                ClientAddress::Peer => "a client is where its connection comes from".to_owned(),
                ClientAddress::XForwardedFor | ClientAddress::Forwarded | ClientAddress::ProxyProtocol => {
                    format!("{} are believed about where clients are", server.trusted_proxies.len())
                }
            },
        );
    }
}

fn is_wide(network: &Network) -> bool {
    let widest = if network.to_string().contains(':') { WIDEST.1 } else { WIDEST.0 };
    network.prefix() < widest
}

/// Many users behind one address that is nobody's home.
#[derive(Debug, PartialEq, Eq)]
struct Crowd {
    address: IpAddr,
    connections: usize,
    of: usize,
    users: usize,
}

/// The crowd of an audit, where nearly all that came in did so from one private address.
fn crowd(audit: &str) -> Option<Crowd> {
    let mut by: BTreeMap<IpAddr, (usize, BTreeSet<String>)> = BTreeMap::new();
    let mut of = 0;
    // The first line may be the end of one.
    for line in audit.lines().skip(1).filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let (Some("connected"), Some(Ok(ip)), Some(user)) = (text("event"), text("ip").map(str::parse), text("userId"))
        else {
            continue;
        };
        of += 1;
        let seen = by.entry(ip).or_default();
        seen.0 += 1;
        seen.1.insert(user.to_owned());
    }
    let (address, (connections, users)) = by.into_iter().max_by_key(|(_, (connections, _))| *connections)?;
    let is_crowd = of >= ENOUGH && connections * 10 >= of * 9 && users.len() * 4 >= ENOUGH && is_private(address);
    is_crowd.then_some(Crowd { address, connections, of, users: users.len() })
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The end of a file, as text; empty where it cannot be read.
fn tail(file: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(address: &str, users: usize, connections: usize) -> String {
        let line = |at: usize| {
            let user = at % users;
            format!("{{\"event\":\"connected\",\"ip\":\"{address}\",\"userId\":\"u{user}\"}}\n")
        };
        (0..=connections).map(line).collect()
    }

    #[test]
    fn many_users_behind_one_private_address_are_a_crowd() {
        let crowd = crowd(&audit("10.0.0.7", 10, 40)).unwrap();
        assert_eq!(
            (crowd.address.to_string().as_str(), crowd.connections, crowd.of, crowd.users),
            ("10.0.0.7", 40, 40, 10)
        );
    }

    #[test]
    fn one_users_own_machine_a_public_address_and_a_few_are_none() {
        for audit in [audit("10.0.0.7", 1, 40), audit("203.0.113.9", 10, 40), audit("10.0.0.7", 10, 5), String::new()] {
            assert_eq!(crowd(&audit), None, "{audit}");
        }
    }

    #[test]
    fn a_network_of_more_than_proxies_is_wide() {
        for (text, wide) in [("8.0.0.0/7", true), ("10.0.0.0/8", false), ("fd00::/8", true), ("2001:db8::/32", false)] {
            assert_eq!(is_wide(&text.parse().unwrap()), wide, "{text}");
        }
    }
}
