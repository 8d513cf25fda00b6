//! `gateway doctor`: what an operator would look at before a gateway serves, and what to change. It reads, it knocks at
//! doors, and it changes nothing; no secret is in what it says.

mod abroad;
mod books;
mod certificate;
mod clock;
mod finding;
mod machine;
mod ports;
mod proxies;
mod secrets;

use clap::Args;
use gateway_server::clock::now;

use self::finding::Report;
use super::{Environment, Failure, Where, check, config};
use crate::{compose, config::Loaded, dev};

/// Look at the machine, the configuration and what it needs, and say what to change (exit code 1, where anything has
/// to be).
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Ask nobody outside of this machine: no key sets, no webhooks, no Redis.
    #[arg(long)]
    offline: bool,
    /// Print JSON, a line for each finding.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Doctor {
    pub(super) fn run(self, mut environment: Environment) -> Result<(), Failure> {
        let mut report = Report::default();
        match config::in_force(self.place.clone(), environment.clone()) {
            Ok(loaded) => {
                // The secrets of dev mode are drawn when it begins.
                if loaded.origin.is_none() {
                    dev::draw(&mut environment)?;
                }
                self.examine(&loaded, &environment, &mut report)?;
            }
            Err(Failure::Configuration(faults)) => {
                for fault in faults.lines() {
                    report.change("configuration", fault, "");
                }
                machine::look(None, compose::open_files(), &mut report);
            }
            Err(other) => return Err(other),
        }
        report.print(self.json)?;
        if report.is_sound() { Ok(()) } else { Err(Failure::No) }
    }

    fn examine(&self, loaded: &Loaded, environment: &Environment, report: &mut Report) -> Result<(), Failure> {
        let config = &loaded.config;
        let (now, open_files) = (now(), compose::open_files());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let secrets = loaded.resolve(environment);
        let usable = secrets.as_ref().map_err(Clone::clone).and_then(|secrets| compose::usable(loaded, secrets));
        match usable {
            Err(faults) => faults.iter().for_each(|fault| {
                report.change("configuration", format!("{} {}: {}", fault.place, fault.key, fault.what), &fault.remedy);
            }),
            Ok(()) => match &loaded.origin {
                Some(file) => report.fine("configuration", format!("{} is sound", file.display())),
                None => report.fine("configuration", "none, which is dev mode: for a first look, on this machine"),
            },
        }
        for warning in &loaded.warnings {
            report.note("configuration", format!("{}: {}", warning.key, warning.what), &warning.remedy);
        }
        machine::look(Some(config), open_files, report);
        // The rooms need a runtime around them, as they have when they serve.
        let _inside = runtime.enter();
        ports::look(config, &runtime, report);
        proxies::look(config, report);
        secrets::look(config, secrets.as_ref().ok(), now.wall, report);
        books::look(config, report);
        if let Ok(secrets) = &secrets
            && let Err(fault) = check::rooms(loaded, secrets, None)
        {
            report.change("configuration", format!("{fault:#}"), "");
        }
        clock::look(now.wall, report);
        if self.offline {
            report.note("others", "nobody outside of this machine was asked (--offline)", "");
        } else {
            runtime.block_on(abroad::look(loaded, secrets.as_ref().ok(), report));
        }
        Ok(())
    }
}
