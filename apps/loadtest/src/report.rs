//! What came of it, in three forms: a table to look at, JSON to compute with, a page to show.

mod page;
mod plot;
mod table;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    protocol::Tongue,
    sample::Row,
    sizes::{Set, Sizes},
    targets::Line,
};
pub use table::table;

/// All that is known of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    /// The version of this program.
    pub version: &'a str,
    /// The set of sizes.
    pub size: Set,
    /// All sizes.
    pub sizes: &'a Sizes,
    /// How many processors the machine has.
    pub processors: usize,
    /// Whether server and client had one each.
    pub pinned: bool,
    /// The kernel.
    pub system: String,
    /// What dashboards spoke to the gateway.
    pub protocol: Tongue,
    /// The peers, with their versions.
    pub peers: Vec<String>,
    /// The targets, where the run was about them.
    pub targets: &'a [Line],
    /// What was measured.
    pub rows: &'a [Row],
    /// What did not go well.
    pub faults: &'a [String],
}

impl Report<'_> {
    /// As JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).context("the report has no JSON form")? + "\n")
    }

    /// As a page.
    pub fn html(&self) -> String {
        page::page(self)
    }
}

/// What a unit of work cost, as a picture by itself.
pub fn chart(rows: &[Row]) -> String {
    plot::alone(&plot::costs(rows))
}

/// A figure, with as many digits as it deserves.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn figure_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), figure)
}
