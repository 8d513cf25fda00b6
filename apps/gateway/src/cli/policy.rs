//! `gateway policy`: who may say what to whom, tried and shown without a gateway that runs. What decides here is what
//! decides there: the same words of an endpoint, the same routes, the same rules of the rooms.

mod cases;
mod judge;
mod overview;
mod person;
mod reading;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gateway_domain::Role;

use super::{Environment, Failure, Where, config, page, page::Page};
use judge::Judge;

/// Try routes and rules of rooms, and see what each role may do.
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Try every case of a file against routes and rules. Exit code 0: all hold; 1: some do not, each told with its
    /// line; 2: the file of cases, or the configuration, is wrong.
    Test(Test),
    /// Print what each role may do: through which doors it comes, what it may send to whom, which rooms it may follow.
    Show(Show),
}

/// The cases, and the configuration that they are tried against.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The file of cases, in TOML: [[cases]] with a name, from = { role = "dashboard" }, send = { type = "command" },
    /// and goes_to = ["agent:a1"] or refused = "FORBIDDEN"; or subscribe = "ROOM" and allowed = true.
    #[arg(value_name = "FILE")]
    cases: PathBuf,
    #[command(flatten)]
    place: Where,
}

/// Whose policy is shown, and how.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// This role alone.
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Policy {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        match self {
            Self::Test(test) => test.run(environment),
            Self::Show(show) => show.run(environment),
        }
    }
}

impl Test {
    fn run(self, environment: Environment) -> Result<(), Failure> {
        let loaded = config::in_force(self.place, environment)?;
        let cases =
            cases::read(&self.cases, &loaded.config).map_err(|faults| Failure::Configuration(faults.to_string()))?;
        let judge = Judge::new(&loaded)?;
        let mut page = Page::default();
        let mut failed = 0;
        for case in &cases {
            if let Err(why) = judge.holds(case)? {
                failed += 1;
                page.line(page::printable(&format!("{}  {}: {why}", case.place, case.name)));
            }
        }
        let all = cases.len();
        let each = if all == 1 { "case" } else { "cases" };
        if failed == 0 {
            return Ok(page::print(&format!("ok: {all} {each}\n"))?);
        }
        page.line(format_args!("{failed} of {all} {each} failed"));
        page.print()?;
        Err(Failure::No)
    }
}

impl Show {
    fn run(self, environment: Environment) -> Result<(), Failure> {
        let loaded = config::in_force(self.place, environment)?;
        let overview = overview::of(&loaded, self.role.as_ref())?;
        if self.json {
            let text = serde_json::to_string_pretty(&overview)?;
            return Ok(page::print(&format!("{text}\n"))?);
        }
        let mut page = Page::default();
        overview.write(&mut page);
        Ok(page.print()?)
    }
}
