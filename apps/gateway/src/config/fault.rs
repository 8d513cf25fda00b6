//! What is wrong with a configuration: where, which key, what, and what to do about it. All of it at once.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// How many faults are told; whoever has more has read enough.
const TOLD: usize = 100;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line and a column of the file, both from 1.
    File {
        /// The file, as it was named.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag on the command line.
    Flag,
    /// Nowhere: what ships.
    Shipped,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("command line"),
            Self::Shipped => f.write_str("as shipped"),
        }
    }
}

/// One thing that is wrong, or that is worth a warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// Which key, such as `auth.keys[0].secret_file`; empty where the file cannot be read at all.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}.", self.what.trim_end_matches('.'))?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " {}", self.remedy) }
    }
}

/// Everything that is wrong, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults, sorted and each once; nothing where there are none.
    pub(crate) fn gather(mut faults: Vec<Fault>) -> Result<(), Self> {
        faults.sort();
        faults.dedup();
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    /// One alone.
    pub(crate) fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().take(TOLD).enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        match self.0.len().checked_sub(TOLD) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// Which place gave which key.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    file: Option<PathBuf>,
    lines: BTreeMap<String, (usize, usize)>,
    others: BTreeMap<String, Place>,
}

impl Places {
    /// Of a file, whose keys stand at these lines and columns.
    pub(super) fn of_file(file: PathBuf, lines: BTreeMap<String, (usize, usize)>) -> Self {
        Self { file: Some(file), lines, others: BTreeMap::new() }
    }

    /// A key that something stronger than the file gave.
    pub(super) fn overlay(&mut self, key: String, place: Place) {
        self.others.insert(key, place);
    }

    /// Where a key was given: the nearest place that has it or something around it.
    pub(super) fn of(&self, key: &str) -> Place {
        let mut around = Some(key);
        while let Some(key) = around {
            if let Some(place) = self.others.get(key) {
                return place.clone();
            }
            if let Some(place) = self.line(key) {
                return place;
            }
            around = parent(key);
        }
        match &self.file {
            Some(file) => Place::File { file: file.clone(), line: 1, column: 1 },
            None => Place::Shipped,
        }
    }

    /// Whether the file gave that list, be it empty.
    pub(super) fn gave(&self, list: &str) -> bool {
        self.lines.contains_key(list) || self.lines.contains_key(&format!("{list}[0]"))
    }

    /// Where a key that is missing belongs: beside what was given of the same table.
    pub(super) fn of_missing(&self, key: &str) -> Place {
        let Some(table) = parent(key).filter(|table| !self.lines.contains_key(*table)) else { return self.of(key) };
        let beside = self.others.iter().find(|(other, _)| parent(other) == Some(table));
        beside.map_or_else(|| self.of(key), |(_, place)| place.clone())
    }

    /// The line of the file that has a key or something around it, where the file has the last word on it.
    pub(super) fn line_of(&self, key: &str) -> Option<(PathBuf, usize)> {
        let known = std::iter::successors(Some(key), |key| parent(key)).any(|key| self.lines.contains_key(key));
        match self.of(key) {
            Place::File { file, line, .. } if known => Some((file, line)),
            Place::File { .. } | Place::Environment(_) | Place::Flag | Place::Shipped => None,
        }
    }

    fn line(&self, key: &str) -> Option<Place> {
        let (line, column) = *self.lines.get(key)?;
        Some(Place::File { file: self.file.clone()?, line, column })
    }
}

/// The key around a key.
pub(super) fn parent(key: &str) -> Option<&str> {
    // A quoted name may hold dots and brackets of its own.
    if let Some(rest) = key.strip_suffix('"') {
        let inside = rest.rfind(".\"")?;
        return key.get(..inside);
    }
    key.rfind(['.', '[']).and_then(|end| key.get(..end)).filter(|key| !key.is_empty())
}

/// The key of a name inside a key.
pub(crate) fn below(key: &str, name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let name = if bare { name.to_owned() } else { format!("\"{}\"", name.escape_debug()) };
    if key.is_empty() { name } else { format!("{key}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize) -> Fault {
        let place = Place::File { file: "gateway.toml".into(), line, column: 1 };
        Fault { place, key: format!("k{line}"), what: "it is wrong".into(), remedy: "Mend it".into() }
    }

    #[test]
    fn faults_are_told_in_the_order_of_the_file_and_once() {
        assert!(Faults::gather(Vec::new()).is_ok());
        let faults = Faults::gather(vec![fault(10), fault(9), fault(10)]).unwrap_err();
        let told = "gateway.toml:9:1  k9: it is wrong. Mend it\ngateway.toml:10:1  k10: it is wrong. Mend it";
        assert_eq!(faults.to_string(), told);
        assert_eq!((&faults).into_iter().count(), 2);
    }

    #[test]
    fn no_more_are_told_than_one_can_read() {
        let faults = Faults::gather((1..=150).map(fault).collect()).unwrap_err();
        assert!(faults.to_string().ends_with("and 50 more"));
        assert_eq!(faults.to_string().lines().count(), 101);
    }

    #[test]
    fn a_place_is_the_nearest_that_is_known() {
        let lines =
            [("server".to_owned(), (1, 1)), ("server.listen".to_owned(), (2, 1)), ("bans[0]".to_owned(), (5, 1))];
        let mut places = Places::of_file("g.toml".into(), lines.into());
        assert_eq!(places.of("server.listen").to_string(), "g.toml:2:1");
        assert_eq!(places.of("server.log").to_string(), "g.toml:1:1");
        assert_eq!(places.line_of("bans[0].user"), Some(("g.toml".into(), 5)));
        assert_eq!(places.of("auth").to_string(), "g.toml:1:1");
        assert_eq!(places.line_of("auth"), None);
        places.overlay("server.listen".into(), Place::Environment("GATEWAY__SERVER__LISTEN".into()));
        assert_eq!(places.of("server.listen").to_string(), "environment GATEWAY__SERVER__LISTEN");
        assert_eq!(places.line_of("server.listen"), None);
        places.overlay("server.log".into(), Place::Flag);
        assert_eq!(places.of("server.log").to_string(), "command line");
        assert_eq!(Places::default().of("server").to_string(), "as shipped");
    }

    #[test]
    fn keys_with_odd_names_are_quoted_and_taken_apart() {
        assert_eq!(below("plans", "a.b"), "plans.\"a.b\"");
        assert_eq!(parent("plans.\"a.b\""), Some("plans"));
        assert_eq!(parent("plans.\"a.b\".connections"), Some("plans.\"a.b\""));
        assert_eq!(parent("a[0].b"), Some("a[0]"));
        assert_eq!(parent("a[0]"), Some("a"));
        assert_eq!(parent("a"), None);
        assert_eq!(below("", "a"), "a");
    }
}
