//! `gateway events`: what backends publish events with.

use clap::{Args, Subcommand};

use super::{Environment, Failure, Where, config, page};
use crate::codegen::{self, Language};

/// Write what backends publish events with.
#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// Print a typed publisher: one source file with a type for each event whose schema the configuration names, and a
    /// client that publishes them.
    Codegen(Codegen),
}

/// Print a typed publisher.
#[derive(Debug, Args)]
pub(super) struct Codegen {
    /// The language that it is written in.
    #[arg(long, value_name = "LANGUAGE")]
    language: Language,
    #[command(flatten)]
    place: Where,
}

impl Events {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        let Self::Codegen(Codegen { language, place }) = self;
        let loaded =
            config::without_secrets(place, environment, "It is the schemas in its events.schemas that are written.")?;
        let schemas = loaded.written_schemas().map_err(|faults| Failure::Configuration(faults.to_string()))?;
        if schemas.is_empty() {
            let what = "gateway: the configuration names no schema in events.schemas, and an event without one has no \
                        type to be written. Add a line such as \"dashboard:summaryUpdated\" = \"schemas/summary.json\"";
            return Err(Failure::Configuration(what.into()));
        }
        Ok(page::print(&codegen::publisher(language, &schemas))?)
    }
}
