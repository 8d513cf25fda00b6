//! The debug log, on standard error: for the people who run the gateway. The audit is another stream.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, Server};

/// Begins to log as the configuration says.
pub fn begin(server: &Server) {
    let filter = EnvFilter::try_new(server.log.as_str()).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second beginning, as in a test, leaves the first in force.
    let _ = match server.log_format {
        LogFormat::Human => log.with_target(false).with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
