//! The sense of the whole: what contradicts itself, and what is unsafe, though every value fits its key.

mod cluster;
mod doors;
mod keys;
mod process;
mod rooms;
mod routes;
mod webhooks;
mod words;

use super::{
    Config, Mode,
    fault::{Fault, Faults, Places},
    routing::surroundings,
    shape::Misfit,
};

/// What a check found, before it has places.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints {
    /// What must be mended.
    pub(super) faults: Vec<Misfit>,
    /// What is worth a second look.
    pub(super) warnings: Vec<Misfit>,
}

impl Complaints {
    pub(super) fn extend(&mut self, other: Self) {
        self.faults.extend(other.faults);
        self.warnings.extend(other.warnings);
    }

    /// The faults, each where its key was given.
    pub(super) fn placed(self, places: &Places) -> Faults {
        let placed = self.faults.into_iter().map(|Misfit { key, what, remedy }| Fault {
            place: places.of(&key),
            key,
            what,
            remedy,
        });
        match Faults::gather(placed.collect()) {
            Err(faults) => faults,
            Ok(()) => Faults::one(Fault {
                place: places.of(""),
                key: String::new(),
                what: "the secrets cannot be fetched".into(),
                remedy: String::new(),
            }),
        }
    }

    pub(super) fn fault(&mut self, key: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.faults.push(Misfit { key: key.into(), what: what.into(), remedy: remedy.into() });
    }

    fn warn(&mut self, key: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.push(Misfit { key: key.into(), what: what.into(), remedy: remedy.into() });
    }
}

/// Everything that makes no sense.
pub(super) fn sense(config: &Config, mode: Mode) -> Complaints {
    let mut complaints = Complaints::default();
    process::check(config, mode, &mut complaints);
    cluster::check(config, &mut complaints);
    keys::check(config, &mut complaints);
    doors::check(config, &mut complaints);
    words::check(config, &mut complaints);
    webhooks::check(config, &mut complaints);
    let around = surroundings(config);
    routes::check(config, &around, &mut complaints);
    rooms::check(config, &around, &mut complaints);
    if config.events.strict && config.events.schemas.is_empty() {
        let what = "no type of events has a schema, so that nothing can be published";
        complaints.warn("events.strict", what, "Name the schemas in events.schemas, or set it to false");
    }
    complaints
}

/// A remedy in the words of the domain, as a sentence of its own.
fn sentence(remedy: &str) -> String {
    let mut letters = remedy.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The first of several equal things, for each that comes again: (again, first).
fn repeated<T: PartialEq>(things: &[T]) -> Vec<(usize, usize)> {
    let first = |thing: &T| things.iter().position(|other| other == thing);
    let pairs = things.iter().enumerate().filter_map(|(at, thing)| Some((at, first(thing)?)));
    pairs.filter(|(at, first)| at != first).collect()
}
