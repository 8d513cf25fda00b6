//! Names of languages, from names that only had to be JSON. Two names of a schema may become one here; whoever writes
//! them side by side makes them differ.

use std::collections::BTreeSet;

/// `dashboard:summaryUpdated` as `DashboardSummaryUpdated`, `IN_PROGRESS` as `InProgress`.
pub(super) fn pascal(text: &str) -> String {
    let name: String = words(text).iter().map(|word| capitalised(word)).collect();
    started(name, "N")
}

/// `coverImageUrl` as `cover_image_url`.
pub(super) fn snake(text: &str) -> String {
    let name = words(text).join("_");
    started(name, "n")
}

/// A name that is free: the one that is wanted, or with a number behind it.
pub(super) fn free(wanted: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2u32..).map(|number| format!("{wanted}{number}"));
    let name = std::iter::once(wanted.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(wanted);
    taken.insert(name.clone());
    name
}

/// The words of a text, in lower case: split at whatever is no letter and no digit, and where a capital follows a small
/// letter.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in text.chars() {
        let splits = !letter.is_ascii_alphanumeric() || (letter.is_ascii_uppercase() && was_small);
        if splits {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(letter.to_ascii_lowercase());
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// No name begins with a digit, and none is empty.
fn started(name: String, with: &str) -> String {
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("{with}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_a_reader_would() {
        for (text, in_pascal, in_snake) in [
            ("dashboard:summaryUpdated", "DashboardSummaryUpdated", "dashboard_summary_updated"),
            ("IN_PROGRESS", "InProgress", "in_progress"),
            ("coverImageURL", "CoverImageUrl", "cover_image_url"),
            ("2nd", "N2nd", "n2nd"),
            ("é", "N", "n"),
            ("type", "Type", "type"),
        ] {
            assert_eq!((pascal(text).as_str(), snake(text).as_str()), (in_pascal, in_snake));
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let mut taken = BTreeSet::from(["A".to_owned()]);
        assert_eq!([free("A".into(), &mut taken), free("A".into(), &mut taken)], ["A2", "A3"]);
    }
}
