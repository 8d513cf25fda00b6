//! Where a Redis is: its URL, which never holds a password, and the addresses of Sentinels.

use std::fmt;

use super::{Scalar, Unfit, Value, through_serde};

/// Where a Redis is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisUrl(Box<str>);

/// A host, and a port where it is not the usual one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisHost(Box<str>);

impl RedisUrl {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RedisHost {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for RedisUrl {
    const KIND: &'static str = "redis url";
    const WANTED: &'static str = "redis://HOST:PORT or redis://HOST:PORT/DATABASE, and rediss:// for TLS";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        let place = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"));
        let Some(place) = place else { return Err(Unfit::not::<Self>(Scalar::Text("what is given"))) };
        if place.contains('@') {
            // It is not repeated: it may hold a password.
            let what = "a user or a password does not belong into the address";
            return Err(Unfit::new(
                what,
                "Write cluster.username, and the password into a file: cluster.password_file",
            ));
        }
        let (host, database) =
            place.trim_end_matches('/').split_once('/').unwrap_or((place.trim_end_matches('/'), "0"));
        if is_host(host) && database.parse::<u16>().is_ok() {
            Ok(Self(text.into()))
        } else {
            Err(Unfit::not::<Self>(scalar))
        }
    }
}

impl Value for RedisHost {
    const KIND: &'static str = "host";
    const WANTED: &'static str = "a host and a port, such as \"sentinel-1:26379\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text(text) if is_host(text) => Ok(Self(text.into())),
            _ => Err(Unfit::not::<Self>(scalar)),
        }
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (text, "1"),
    };
    let plain = |text: &str| !text.is_empty() && text.len() <= 255 && !text.contains(['/', '@', ' ', '?', '#']);
    plain(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for RedisHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedisHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

through_serde!(RedisUrl, RedisHost);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_redis_holds_no_password() {
        for text in ["redis://127.0.0.1:6379", "rediss://cache.example/3", "redis://[::1]:7000", "redis://host/"] {
            assert!(RedisUrl::read(Scalar::Text(text)).is_ok(), "{text}");
        }
        for text in ["", "localhost:6379", "http://host", "redis://", "redis://host:x", "redis://host/x"] {
            assert!(RedisUrl::read(Scalar::Text(text)).is_err(), "{text}");
        }
        let fault = RedisUrl::read(Scalar::Text("redis://:hidden@host")).unwrap_err();
        assert!(!format!("{fault:?}").contains("hidden"), "{fault:?}");
    }

    #[test]
    fn a_sentinel_may_leave_its_port_out() {
        for text in ["sentinel-1:26379", "10.0.0.1", "[::1]:26379", "[::1]"] {
            assert!(RedisHost::read(Scalar::Text(text)).is_ok(), "{text}");
        }
        for text in ["", "a:b", "redis://a", ":7000", "a:0"] {
            assert!(RedisHost::read(Scalar::Text(text)).is_err(), "{text}");
        }
    }
}
