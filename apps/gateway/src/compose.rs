//! From a configuration to the rooms of a gateway. Nothing is decided here: every value has been checked, and each
//! becomes the word that the crates have for it.

#[cfg(feature = "net")]
mod cluster;
mod doors;
mod foundation;
#[cfg(feature = "net")]
mod heir;
mod hooks;
mod keys;
#[cfg(feature = "net")]
mod listeners;
mod material;
mod policy;

use std::sync::Arc;

use anyhow::Result;
use gateway_auth::Fetch;
use gateway_server::{House, cluster::Link, webhook::Carry};

use crate::config::{Loaded, Mode, Secrets};
#[cfg(feature = "net")]
pub use cluster::{link, meeting_place};
pub use doors::namespaces;
use foundation::foundation;
pub use foundation::open_files;
#[cfg(feature = "net")]
pub use heir::{Heir, heir};
pub use keys::{issuer, keyring, keys, own_issuer, sets, signing_key};
#[cfg(feature = "net")]
pub use listeners::{drain, gateway};
pub use material::usable;
use policy::policy;

/// The rooms, without a listener, of a gateway that stands alone. `open_files` is how many files the process may open.
pub fn house(
    loaded: &Loaded,
    secrets: &Secrets,
    mode: Mode,
    open_files: u64,
    fetch: Fetch,
    carry: &Carry,
) -> Result<House> {
    linked_house(loaded, secrets, mode, open_files, fetch, carry, None)
}

/// The rooms of a gateway that is linked to others, where there is a link.
pub fn linked_house(
    loaded: &Loaded,
    secrets: &Secrets,
    mode: Mode,
    open_files: u64,
    fetch: Fetch,
    carry: &Carry,
    link: Option<Arc<Link>>,
) -> Result<House> {
    let foundation = foundation(loaded, secrets, mode, open_files, carry, link)?;
    let policy = policy(loaded, secrets, keyring(&loaded.config.auth, secrets, fetch)?)?;
    Ok(House::new(foundation, policy))
}
