//! Who is it: tokens and the keys that verify them, the issuing of tokens, refresh tokens, API keys.
//!
//! The law of this crate: bytes, a [`Now`](gateway_domain::Now) and a function that fetches come in, and values go
//! out. It sees no HTTP, no file, no environment and no clock. Nothing that a token says is believed before its
//! signature is verified, and which algorithm verifies it is never the token's choice.
//!
//! Reading order: [`algorithm`] and [`key`] are what signatures are checked with; [`keyring`] holds keys, and sets
//! of keys from elsewhere; [`claims`] says which claim means what; [`authenticator`] judges a token. On the other
//! side, [`signing`] and [`issuer`] make tokens, [`refresh`] exchanges refresh tokens and [`api_key`] knows backends;
//! [`seal`] is what backends know the gateway by.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use gateway_auth::{
//!     Algorithm, Authenticator, Grant, Issuer, IssuerRules, Key, KeySpec, Keyring, SigningKey, SigningMaterial,
//!     TokenRules, Verdict, claims::ClaimNames, keyring::FetchFault,
//! };
//! use gateway_domain::{Now, Tick, Timestamp};
//!
//! let now = Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(1_800_000_000) };
//! let secret = SigningMaterial::Secret(b"a secret of 32 bytes at the least".to_vec());
//! let signing = SigningKey::new(Some("main".into()), Algorithm::Hs256, secret)?;
//!
//! let keys = Keyring::of(vec![Key::verifying(&signing, "main")?])?;
//! let authenticator = Authenticator::new(TokenRules::default(), Arc::new(keys));
//!
//! let issuer = Issuer::new(signing, IssuerRules::default())?;
//! let grant = Grant {
//!     user: "ann".parse()?,
//!     roles: vec!["dashboard".parse()?],
//!     permissions: Vec::new(),
//!     plan: None,
//!     agent: None,
//! };
//! let minted = issuer.mint(&grant, now)?;
//!
//! let Verdict::Done(judged) = authenticator.verify(&minted.token, now) else { unreachable!() };
//! let principal = judged?;
//! assert_eq!(principal.user.as_str(), "ann");
//! assert!(principal.is("dashboard") && !principal.is("admin"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod algorithm;
pub mod api_key;
pub mod authenticator;
pub mod claims;
pub mod inspect;
pub mod issuer;
mod json;
mod jwk;
mod jws;
pub mod key;
pub mod keyring;
mod pem;
pub mod refresh;
mod remembered;
pub mod seal;
pub mod signing;
mod verifier;

pub use algorithm::Algorithm;
pub use api_key::{ApiKey, ApiKeys};
pub use authenticator::{Authenticator, TokenRules, Verdict};
pub use claims::{AgentSource, ClaimNames, ClaimPath};
pub use inspect::{Inspected, inspect};
pub use issuer::{Grant, Issuer, IssuerRules, Minted};
pub use key::{Key, KeyFault, KeyMaterial, KeySpec};
pub use keyring::{Fetch, FetchFault, JwksOrigin, JwksSource, Keyring};
pub use refresh::{FamilyEvent, RefreshFamilies, RefreshRules};
pub use seal::Seal;
pub use signing::{Generated, SigningKey, SigningMaterial, generate};
