//! The door to the street. A socket that has not shown who it is has little time and little room: every wait here
//! has an end, and the caps let honest addresses in while others crowd.

mod attend;
mod bind;
mod serve;
mod shortage;
mod vestibule;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use bind::{BACKLOG, BindFault, Inherited, ListenAddr, Listener, NotAListenAddr};
pub use serve::serve;
pub use vestibule::Ticket;

use crate::address::Peer;

/// What a connection may take before it has shown who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time for the head of a request, and for the silence before it.
    pub header_timeout: Duration,
    /// The time from the accepted socket to the answer, the PROXY header and TLS included; then from answer to answer.
    pub handshake_timeout: Duration,
    /// The size of a request's head.
    pub max_header_bytes: usize,
    /// How many headers a request may have.
    pub max_headers: usize,
    /// How many sockets of this node may be unauthenticated at once: beyond it the oldest idle one makes room.
    pub unauthenticated: usize,
    /// How many of them may be of one address (v6: of one /64): beyond it the newest is closed.
    pub unauthenticated_per_address: usize,
    /// Whether a connection may make several requests.
    pub keep_alive: bool,
    /// What requests in flight have left when the listener stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            max_header_bytes: 16 << 10,
            max_headers: 64,
            unauthenticated: 1024,
            unauthenticated_per_address: 256,
            keep_alive: true,
            grace: Duration::from_secs(5),
        }
    }
}

/// What every request of a connection carries among its extensions.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The other end of the socket.
    pub peer: Peer,
    /// The client behind it, where a trusted balancer told it by the PROXY protocol.
    pub proxied: Option<IpAddr>,
    /// Whether the connection came by TLS.
    pub secure: bool,
    /// Its place among the unauthenticated: to be given up with [`Ticket::admit`].
    pub ticket: Arc<Ticket>,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened at the door, counted.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Count,)*
        }

        impl Counters {
            /// Every count by its name.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get())),*]
            }
        }
    };
}

counters! {
    /// Sockets accepted.
    accepted,
    /// Sockets closed at once, since their address holds too many unauthenticated ones.
    over_address_cap,
    /// Sockets closed at once, since every unauthenticated one of the node was being served.
    over_node_cap,
    /// Unauthenticated idle sockets closed to make room.
    evicted,
    /// Connections that showed nothing in the handshake's time.
    handshake_timeouts,
    /// Requests whose head did not come in time.
    header_timeouts,
    /// Requests whose head was too large, or had too many headers.
    oversize_heads,
    /// Requests that are no HTTP.
    malformed_heads,
    /// TLS handshakes that failed.
    tls_faults,
    /// Connections without a proper PROXY header, or from a peer that may send none.
    proxy_faults,
    /// Times that the system gave no socket.
    accept_faults,
}

/// One count.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
