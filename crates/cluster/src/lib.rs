//! Several gateways that act as one: the link between them.
//!
//! The law of this crate: it speaks the words of [`gateway_domain::link`] and knows nothing of a gateway's inside. Each engine
//! is behind the same two ends: a bounded queue of orders, and one of arrivals. [`local`] joins gateways of one process, [`redis`]
//! those of many machines.

pub mod local;
mod memory;
pub mod redis;

use gateway_domain::link::{Arrival, Order};
use tokio::sync::mpsc;

/// What a house has of its link: where its orders go, and where it hears what arrives.
pub type Ends = (mpsc::Sender<Order>, mpsc::Receiver<Arrival>);
