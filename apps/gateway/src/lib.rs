//! The gateway as a program: configuration, composition, command line.
//!
//! [`config`] is what an operator writes; [`compose`] turns it into the rooms of `gateway-server`; [`dev`] is the mode
//! for trying things out; [`fetch`] brings key sets, [`carry`] takes events to webhooks, [`steer`] reads the configuration
//! again; [`process`] asks the system what the process uses; [`sockets`] were opened before it; [`codegen`] writes typed publishers; [`cli`] is what can be
//! asked. Only `main` reads the environment.
//!
//! ```
//! let loaded = gateway::config::Config::dev()?;
//! assert_eq!(loaded.config.endpoints.len(), 4);
//! # Ok::<(), gateway::config::Faults>(())
//! ```

pub mod carry;
pub mod cli;
pub mod codegen;
pub mod compose;
pub mod config;
pub mod dev;
pub mod fetch;
pub mod logging;
pub mod process;
pub mod sockets;
pub mod steer;
