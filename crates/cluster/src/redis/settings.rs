//! What an operator says of the Redis at which the nodes meet.

use std::{fmt, time::Duration};

use gateway_domain::Token;
use redis::{ConnectionAddr, IntoConnectionInfo};

/// All of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub servers: Servers,
    /// As whom, where not as the default user.
    pub username: Option<String>,
    /// By which password.
    pub password: Option<Token>,
    /// Whether by TLS; the Sentinels too.
    pub tls: Option<Tls>,
    /// Which of its databases.
    pub database: i64,
    /// What all keys and channels begin with: several clusters may share a Redis under different ones.
    pub prefix: String,
    /// How long what hangs on a node stands without its being heard of.
    pub lease: Duration,
    /// How long a command may take.
    pub timeout: Duration,
    /// How long the loop may be open before the link says that it is away.
    pub patience: Duration,
    /// How many orders may wait.
    pub orders: usize,
    /// How many arrivals may wait.
    pub arrivals: usize,
    /// The most members of a room that are told.
    pub members: usize,
}

/// Where Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// At these addresses: the first that is a master.
    At(Vec<Address>),
    /// Where Sentinels say.
    Behind(Sentinel),
}

/// Those who know which of several is the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinel {
    /// What they call it.
    pub master: String,
    /// Where they are.
    pub nodes: Vec<Address>,
    /// As whom, where they ask.
    pub username: Option<String>,
    /// By which password, where they ask.
    pub password: Option<Token>,
}

/// How the other side is known.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The certificates of those who may vouch for it, as PEM; without it those that the system trusts.
    pub authorities: Option<Vec<u8>>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name, or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What is wrong with a URL. The URL itself is not in it: it may have a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    /// Not one of the schemes.
    #[error("write redis://HOST:PORT, or rediss://HOST:PORT for TLS")]
    Scheme,
    /// Not a URL.
    #[error("not a URL such as redis://:PASSWORD@HOST:PORT/DATABASE")]
    NotAUrl,
    /// None at all.
    #[error("no address is given")]
    None,
    /// Several that contradict each other.
    #[error("all addresses of one Redis need the same scheme, user, password and database")]
    Different,
}

impl Settings {
    /// The usual ones, with the Redis at these URLs, of which one is the master.
    pub fn of_urls<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, SettingsFault> {
        let mut settings: Option<(Self, Vec<Address>)> = None;
        for url in urls {
            let (one, address) = Self::of_url(url)?;
            match &mut settings {
                None => settings = Some((one, vec![address])),
                Some((first, _)) if !first.is_like(&one) => return Err(SettingsFault::Different),
                Some((_, addresses)) => addresses.push(address),
            }
        }
        let (settings, addresses) = settings.ok_or(SettingsFault::None)?;
        Ok(Self { servers: Servers::At(addresses), ..settings })
    }

    /// How long a lease is written down for: shorter than it is to others, by the time that it takes to notice.
    pub(crate) fn written_lease(&self) -> Duration {
        self.lease.saturating_sub(self.beat() * 2).max(self.lease / 2)
    }

    /// How often a lease is renewed.
    pub(crate) fn beat(&self) -> Duration {
        (self.lease / 6).min(Duration::from_secs(1)).max(Duration::from_millis(50))
    }

    /// How long nobody takes a new seat after data may have been lost: until then all nodes put back what they hold.
    pub(crate) fn settling(&self) -> Duration {
        (self.lease / 4).min(Duration::from_millis(2500))
    }

    fn of_url(url: &str) -> Result<(Self, Address), SettingsFault> {
        let url = url.trim();
        let (plain, tls) = match url.split_once("://") {
            Some(("redis", _)) => (url.to_owned(), None),
            Some(("rediss", rest)) => (format!("redis://{rest}"), Some(Tls::default())),
            _ => return Err(SettingsFault::Scheme),
        };
        let info = plain.into_connection_info().map_err(|_| SettingsFault::NotAUrl)?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(SettingsFault::Scheme) };
        let address = Address { host: host.clone(), port: *port };
        let redis = info.redis_settings();
        let settings = Self {
            servers: Servers::At(vec![address.clone()]),
            username: redis.username().map(str::to_owned),
            password: redis.password().map(Token::new),
            tls,
            database: redis.db(),
            prefix: "gateway".to_owned(),
            lease: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            patience: Duration::from_secs(3),
            orders: 8192,
            arrivals: 65_536,
            members: 1024,
        };
        Ok((settings, address))
    }

    fn is_like(&self, other: &Self) -> bool {
        let password = |of: &Self| of.password.as_ref().map(|password| password.expose().to_owned());
        self.username == other.username
            && password(self) == password(other)
            && self.tls.is_some() == other.tls.is_some()
            && self.database == other.database
    }
}

impl Address {
    /// Reads `HOST:PORT`.
    pub fn parse(text: &str, port: u16) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, given)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, given.parse().ok()?)
            }
            _ => (text, port),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let fits = !host.is_empty() && !host.contains(['/', '@', ' ']);
        fits.then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_as_whom_and_how() {
        let settings = Settings::of_urls(["rediss://cara:p%40ss@[::1]:7000/2"]).unwrap();
        assert_eq!(settings.servers, Servers::At(vec![Address { host: "::1".into(), port: 7000 }]));
        assert_eq!(settings.username.as_deref(), Some("cara"));
        assert_eq!(settings.password.as_ref().map(Token::expose), Some("p@ss"));
        assert!(settings.tls.is_some() && settings.database == 2);
        assert!(!format!("{settings:?}").contains("p@ss"), "a password is never shown");
    }

    #[test]
    fn several_urls_are_of_one_redis() {
        let two = Settings::of_urls(["redis://a:1", "redis://b"]).unwrap();
        let at = |host: &str, port| Address { host: host.into(), port };
        assert_eq!(two.servers, Servers::At(vec![at("a", 1), at("b", 6379)]));
        assert_eq!(Settings::of_urls(["redis://a", "redis://:p@b"]).unwrap_err(), SettingsFault::Different);
        assert_eq!(Settings::of_urls([]).unwrap_err(), SettingsFault::None);
        for wrong in ["", "localhost:6379", "http://localhost", "unix:/tmp/redis.sock"] {
            assert_eq!(Settings::of_urls([wrong]).unwrap_err(), SettingsFault::Scheme, "{wrong}");
        }
        assert_eq!(Settings::of_urls(["redis://a:b"]).unwrap_err(), SettingsFault::NotAUrl);
    }

    #[test]
    fn an_address_may_leave_its_port_out() {
        let read = |text| Address::parse(text, 26_379).map(|address| address.to_string());
        assert_eq!(read("sentinel-1").as_deref(), Some("sentinel-1:26379"));
        assert_eq!(read("10.0.0.1:7000").as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(read("[::1]:7000").as_deref(), Some("[::1]:7000"));
        assert_eq!(read("[::1]").as_deref(), Some("[::1]:26379"));
        for wrong in ["", "a:b", "redis://a", ":7000"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
