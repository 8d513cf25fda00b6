//! What can be wrong between a node and its Redis, in words for whoever runs them. No password is in any of them.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why there is no link.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody is there.
    #[error("Redis at {server} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// It did not answer in time.
    #[error("Redis at {server} did not answer in time")]
    Silent {
        /// Which.
        server: String,
    },
    /// The connection broke.
    #[error("the connection with Redis broke: {reason}")]
    Broken {
        /// How.
        reason: String,
    },
    /// It lets this user not in, or not do what has to be done.
    #[error(
        "Redis at {server} refuses the user or the password: {said}. Set the password of the cluster's Redis, and let \
         the user run scripts, publish, subscribe and use all keys and channels that begin with the prefix"
    )]
    Credentials {
        /// Which.
        server: String,
        /// What it says.
        said: String,
    },
    /// A Sentinel lets this user not in, or not ask.
    #[error(
        "the Sentinel at {server} refuses the user or the password: {said}. Set the password of the Sentinels, which need not be \
         that of the Redis, and let the user run SENTINEL get-master-addr-by-name"
    )]
    SentinelCredentials {
        /// Which.
        server: String,
        /// What it says.
        said: String,
    },
    /// It is not who it should be.
    #[error(
        "TLS with Redis at {server} failed: {reason}. Give the certificate of the authority that signed its certificate, and the \
         name that is in it as the host"
    )]
    Tls {
        /// Which.
        server: String,
        /// What is wrong.
        reason: String,
    },
    /// The certificates to trust cannot be used.
    #[error("the certificates by which Redis is trusted cannot be used: {reason}")]
    Authorities {
        /// Why.
        reason: String,
    },
    /// Scripts and streams are needed as they are from that version on.
    #[error("Redis at {server} is version {version}: 7.0 or later is needed, or any Valkey")]
    TooOld {
        /// Which.
        server: String,
        /// What it says it is.
        version: String,
    },
    /// It is one of many that share the keys among each other.
    #[error(
        "Redis at {server} runs in cluster mode, where a script sees the keys of one shard only: use a Redis that runs alone, or \
         behind Sentinels"
    )]
    Sharded {
        /// Which.
        server: String,
    },
    /// It follows another.
    #[error("Redis at {server} is a replica: name the master, or the Sentinels that know it")]
    Replica {
        /// Which.
        server: String,
    },
    /// No sentinel says who it is.
    #[error("no Sentinel knows a master named {master}: {reason}")]
    NoMaster {
        /// Under which name.
        master: String,
        /// What the last of them said.
        reason: String,
    },
    /// The lease of this node ended while it did not answer.
    #[error("the lease of this node is over: others may have taken what it held")]
    LeaseOver,
    /// What was said did not come back.
    #[error("what this node published did not come back to it")]
    LoopOpen,
    /// More arrived than was taken.
    #[error("more arrives than is taken: {queue} arrivals wait")]
    Overrun {
        /// How many may.
        queue: usize,
    },
    /// Another is the master now.
    #[error("the Sentinels name another master")]
    Moved,
    /// It says what it should not say.
    #[error("Redis says: {said}")]
    Said {
        /// What.
        said: String,
    },
}

impl Fault {
    /// Whether no waiting helps.
    pub const fn is_for_the_operator(&self) -> bool {
        matches!(
            self,
            Self::Credentials { .. }
                | Self::SentinelCredentials { .. }
                | Self::Tls { .. }
                | Self::Authorities { .. }
                | Self::TooOld { .. }
                | Self::Sharded { .. }
        )
    }

    /// What an error of the client means, about that server.
    pub(crate) fn of(server: &str, error: &RedisError) -> Self {
        let server = server.to_owned();
        // Who does not know a command repeats its arguments, and a password may be one.
        let said = || error.to_string().split(", with args").next().unwrap_or_default().to_owned();
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                Self::Credentials { server, said: said() }
            }
            _ if matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM")) => {
                Self::Credentials { server, said: said() }
            }
            ErrorKind::Server(_) => Self::Said { said: said() },
            _ if error.is_timeout() => Self::Silent { server },
            _ => Self::Broken { reason: said() },
        }
    }
}
