//! What was found, and what to do about it: a line for each, for people or as JSON.

use std::{fmt, io};

use serde_json::json;

use crate::cli::page::{self, printable};

/// How serious it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Fine,
    /// Worth a second look.
    Note,
    /// To be changed.
    Change,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Note => "look",
            Self::Change => "change",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// What it is about, in a word or two.
    pub(super) about: &'static str,
    /// What was found.
    pub(super) what: String,
    /// What to do about it; empty where nothing is to be done.
    pub(super) remedy: String,
}

/// All that was found, in the order in which it was looked for.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    /// As it should be.
    pub(super) fn fine(&mut self, about: &'static str, what: impl fmt::Display) {
        self.add(Verdict::Fine, about, &what, &"");
    }

    /// Worth a second look.
    pub(super) fn note(&mut self, about: &'static str, what: impl fmt::Display, remedy: impl fmt::Display) {
        self.add(Verdict::Note, about, &what, &remedy);
    }

    /// To be changed.
    pub(super) fn change(&mut self, about: &'static str, what: impl fmt::Display, remedy: impl fmt::Display) {
        self.add(Verdict::Change, about, &what, &remedy);
    }

    fn add(&mut self, verdict: Verdict, about: &'static str, what: &dyn fmt::Display, remedy: &dyn fmt::Display) {
        self.0.push(Finding { verdict, about, what: what.to_string(), remedy: remedy.to_string() });
    }

    /// Whether nothing has to be changed.
    pub(super) fn is_sound(&self) -> bool {
        self.count(Verdict::Change) == 0
    }

    /// How many findings are about that.
    pub(super) fn count_of(&self, about: &str) -> usize {
        self.0.iter().filter(|finding| finding.about == about).count()
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Prints it.
    pub(super) fn print(&self, as_json: bool) -> io::Result<()> {
        let mut text = String::new();
        for Finding { verdict, about, what, remedy } in &self.0 {
            let verdict = verdict.name();
            if as_json {
                text += &format!("{}\n", json!({"verdict": verdict, "about": about, "what": what, "remedy": remedy}));
                continue;
            }
            text += &format!("{verdict:<7} {about:<14} {}\n", printable(what));
            if !remedy.is_empty() {
                text += &format!("{:<22} -> {}\n", "", printable(remedy));
            }
        }
        if !as_json {
            let [change, note, fine] = [Verdict::Change, Verdict::Note, Verdict::Fine].map(|each| self.count(each));
            text += &format!("\n{change} to change, {note} worth a look, {fine} as they should be\n");
        }
        page::print(&text)
    }

    #[cfg(test)]
    pub(super) fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// The verdicts about that, in order.
    #[cfg(test)]
    pub(super) fn verdicts(&self, about: &str) -> Vec<Verdict> {
        self.0.iter().filter(|finding| finding.about == about).map(|finding| finding.verdict).collect()
    }
}
