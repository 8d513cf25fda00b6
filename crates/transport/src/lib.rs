//! HTTP and WebSocket turned into the gateway's words. It sees no JWT: a credential is found here and judged elsewhere.
//!
//! The law of this crate: whatever comes from the wire is bounded before it is kept, every parser takes any bytes
//! without a panic, and what is wrong is a [`gateway_domain::Refusal`] or a named fault, never a guess.
//!
//! The handshake builds without a socket (`default-features = false`): [`upgrade`] is the form of a WebSocket
//! request, [`query`] and [`credential`] find the token, [`address`] says whose request it is, [`origin`] which pages
//! may make it, [`close`] how a connection ends, [`text`] what is said to
//! many at once. [`engineio`] and [`socketio`] are the packets of Socket.IO in two layers, read and written without a
//! session. With the feature `net`: `listener` accepts, `wire` and `tls` carry,
//! `proxy_protocol` reads what a balancer says, `websocket` speaks on the upgraded stream.
//!
//! ```
//! use gateway_transport::{AddressLaw, AddressRule, OriginLaw, Peer, Query, TokenSources, examine};
//! use http::{HeaderMap, HeaderValue, Method, Version};
//!
//! let mut headers = HeaderMap::new();
//! for (name, value) in [
//!     ("connection", "keep-alive, Upgrade"),
//!     ("upgrade", "websocket"),
//!     ("sec-websocket-version", "13"),
//!     ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
//!     ("origin", "https://app.example"),
//!     ("x-forwarded-for", "198.51.100.7"),
//! ] {
//!     headers.append(name, HeaderValue::from_static(value));
//! }
//! examine(&Method::GET, Version::HTTP_11, &headers)?;
//!
//! let law = AddressLaw::new(AddressRule::XForwardedFor, vec!["10.0.0.0/8".parse()?], false);
//! let peer = Peer::Ip("10.0.0.1:4711".parse()?);
//! assert_eq!(law.client(&peer, &headers, None)?.to_string(), "198.51.100.7");
//!
//! OriginLaw::parse(&["https://app.example".into()])?.admits(&headers, true)?;
//!
//! let query = Query::parse("token=abc&autojoin=false")?;
//! let (token, _source) = TokenSources::default().find(&query, &headers)?.ok_or("no token")?;
//! assert_eq!(token.expose(), "abc");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod address;
pub mod close;
pub mod credential;
pub mod engineio;
pub mod origin;
pub mod query;
pub mod socketio;
pub mod text;
pub mod upgrade;

#[cfg(feature = "net")]
pub mod listener;
#[cfg(feature = "net")]
pub mod proxy_protocol;
#[cfg(feature = "net")]
pub mod tls;
#[cfg(feature = "net")]
pub mod websocket;
#[cfg(feature = "net")]
pub mod wire;

pub use address::{AddressLaw, AddressRule, ClientAddress, Peer, has_forwarding_headers};
pub use close::CloseFrame;
pub use credential::{TokenSource, TokenSources, bearer};
pub use origin::{OriginFault, OriginLaw};
pub use query::Query;
pub use text::Text;
pub use upgrade::{Upgrade, examine};

#[cfg(feature = "net")]
pub use listener::{ConnectionInfo, Counters, Inherited, Limits, ListenAddr, Listener, Ticket, serve};
#[cfg(feature = "net")]
pub use tls::TlsMaterial;
#[cfg(feature = "net")]
pub use websocket::{
    Inbound, Outbound, Outlet, PeerClose, Scratch, Socket, SocketFault, SocketLimits, Utf8Bytes, upgraded,
};
#[cfg(feature = "net")]
pub use wire::Wire;
