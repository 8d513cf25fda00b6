//! The gateway as a program: configuration, composition, command line.
//!
//! [`config`] is what an operator writes; [`compose`] turns it into the rooms of `gateway-server`; [`dev`] is the mode
//! for trying things out; [`fetch`] brings key sets, [`carry`] takes events to webhooks, [`steer`] reads the configuration
//! again; [`process`] asks the system what the process uses; [`sockets`] were opened before it; [`codegen`] writes typed publishers; [`cli`] is what can be
//! asked. Only `main` reads the environment.
//!
//! Without the default feature `net` it is the configuration and its rooms alone, for another front.
//!
//! ```
//! let loaded = gateway::config::Config::dev()?;
//! assert_eq!(loaded.config.endpoints.len(), 4);
//! # Ok::<(), gateway::config::Faults>(())
//! ```

#[cfg(feature = "net")]
pub mod carry;
#[cfg(feature = "net")]
pub mod cli;
#[cfg(feature = "net")]
pub mod codegen;
pub mod compose;
pub mod config;
#[cfg(feature = "net")]
pub mod dev;
pub mod fetch;
pub mod logging;
pub mod process;
#[cfg(feature = "net")]
pub mod sockets;
#[cfg(feature = "net")]
pub mod steer;
