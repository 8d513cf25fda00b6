//! What is wrong with something that an operator wrote, and what to write instead: never the one without the other.

/// Something wrong in a text of the operator's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {remedy}")]
pub struct Flaw {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

const MOST_LISTED: usize = 8;
const MOST_COMPARED: usize = 64;

impl Flaw {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// The known word that was probably meant.
    pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
        nearest(word, &known.into_iter().collect::<Vec<_>>())
    }

    /// A name that nothing has, with the one that was probably meant.
    pub(crate) fn unknown<'k>(what: &str, name: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        let remedy = match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("no {what} is configured: add it, or take this out"),
            None => {
                let listed: Vec<_> = known.iter().take(MOST_LISTED).map(|name| format!("`{name}`")).collect();
                let more = if known.len() > MOST_LISTED { ", and more" } else { "" };
                format!("write one that there is: {}{more}", listed.join(", "))
            }
        };
        Self::new(format!("there is no {what} `{name}`"), remedy)
    }
}

/// The known name that is so near that a slip of the hand explains the difference.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let most = (name.chars().count() / 3).clamp(1, 3);
    let near = known.iter().map(|known| (distance(&name.to_lowercase(), &known.to_lowercase()), *known));
    near.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= most).map(|(_, known)| known)
}

/// How many letters must be put in, taken out or changed to make the one from the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().take(MOST_COMPARED).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().take(MOST_COMPARED).enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (own, above) in other.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(*own != letter);
            diagonal = *above;
            left = changed.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        for (one, other, far) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_one_that_was_meant() {
        let flaw = |name, known: &[&'static str]| Flaw::unknown("role", name, known.iter().copied()).to_string();
        assert_eq!(flaw("Dashbord", &["agent", "dashboard"]), "there is no role `Dashbord`: did you mean `dashboard`?");
        assert_eq!(flaw("x", &["agent", "admin"]), "there is no role `x`: write one that there is: `agent`, `admin`");
        assert!(flaw("x", &[]).ends_with("no role is configured: add it, or take this out"));
        assert!(flaw("zzzzzz", &["a", "b", "c", "d", "e", "f", "g", "h", "i"]).ends_with("`h`, and more"));
    }
}
