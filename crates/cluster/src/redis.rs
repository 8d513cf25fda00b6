//! The link of gateways on many machines: Redis or Valkey, from version 7, alone or behind Sentinels.
//!
//! The law: what has to be decided once for all nodes is one script, and so one step; what is told goes out by one
//! publish for each channel. Nothing waits without an end: a command that is not answered in time ends its connection, and what
//! stood on it is put right on the next one. Whatever hangs on a node hangs on its lease.
//!
//! Reading order: `settings` is what an operator says, `dial` connects by it, `keys` and `wire` are the names and texts that
//! others see, `scripts` what is run there. `link` is the task that lives as long as the house does; it `serve`s while it is
//! connected, and `restore`s what this node holds whenever it is again. `errand` makes a command of an order and an answer of
//! a reply, `hearing` takes in what others say.

mod dial;
mod errand;
mod fault;
mod hearing;
mod keys;
mod link;
mod mirror;
mod reply;
mod restore;
mod scripts;
mod serve;
mod settings;
mod settling;
mod wire;

use std::sync::Arc;

use gateway_domain::{Now, link::NodeId};
use tokio::sync::mpsc;

pub use self::{
    fault::Fault,
    keys::NAMES,
    settings::{Address, Sentinel, Servers, Settings, SettingsFault, Tls},
};
use crate::Ends;

/// Joins the nodes that meet at that Redis, as that node, on that clock. Must be called on a runtime.
///
/// Where Redis cannot be reached the link begins as one that is away, and goes on trying. What waiting cannot mend
/// (a wrong password, a certificate that nobody vouches for, a server that is too old) is an error.
///
/// The link ends with [`Act::Leave`](gateway_domain::link::Act::Leave), or with the sender of orders: then what hangs on the
/// node goes with its lease.
pub async fn open(settings: Settings, node: NodeId, now: fn() -> Now) -> Result<Ends, Fault> {
    let (orders, ordered) = mpsc::channel(settings.orders);
    let (arriving, arrivals) = mpsc::channel(settings.arrivals);
    let link = link::Link::new(settings, node, now, ordered, arriving)?;
    let first = match link.opening().await {
        Err(fault) if fault.is_for_the_operator() => return Err(fault),
        first => first,
    };
    tokio::spawn(link.run(first));
    Ok((orders, arrivals))
}

/// Looks whether that Redis would let a node in, by the way that [`open`] goes, and leaves nothing behind there. Says where
/// the master is.
pub async fn look(settings: Settings) -> Result<Address, Fault> {
    let dial = dial::Dial::new(Arc::new(settings))?;
    let address = dial.master().await?;
    link::check_server(&mut dial.connect(&address, None).await?).await?;
    Ok(address)
}
