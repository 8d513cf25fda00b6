//! The debug log, on standard error: for the people who run the gateway. The audit is another stream.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, Server, value::LogFilter};

/// Changes what is written to the log, from now on.
pub struct Log(Box<dyn Fn(EnvFilter) + Send + Sync>);

/// Begins to log as the configuration says.
pub fn begin(server: &Server) -> Log {
    let log = fmt().with_writer(std::io::stderr);
    let wanted = filter(&server.log);
    // A second beginning, as in a test, leaves the first in force. A log that is gone needs no other filter.
    match server.log_format {
        LogFormat::Human => {
            let log = log.with_target(false).with_ansi(false).with_env_filter(wanted).with_filter_reloading();
            let handle = log.reload_handle();
            let _ = log.try_init();
            Log(Box::new(move |filter| drop(handle.reload(filter))))
        }
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_env_filter(wanted).with_filter_reloading();
            let handle = log.reload_handle();
            let _ = log.try_init();
            Log(Box::new(move |filter| drop(handle.reload(filter))))
        }
    }
}

impl Log {
    /// Writes from now on what that filter lets through.
    pub fn filter(&self, wanted: &LogFilter) {
        (self.0)(filter(wanted));
    }
}

fn filter(wanted: &LogFilter) -> EnvFilter {
    EnvFilter::try_new(wanted.as_str()).unwrap_or_else(|_| EnvFilter::new("info"))
}
