//! Every kind of value reads what it should, and says what it does not.

use super::*;

fn text<T: Value>(text: &str) -> Result<T, Unfit> {
    T::read(Scalar::Text(text))
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let mut names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn every_kind_refuses_what_it_cannot_be_and_says_what_to_write() {
    for (name, check) in KINDS {
        let unfit = check(Scalar::Float(1.5)).expect_err(name);
        assert!(unfit.what.contains("1.5") && !unfit.remedy.is_empty(), "{name}: {unfit}");
        let unfit = check(Scalar::Boolean(true)).expect_err(name);
        assert!(unfit.what.contains("true"), "{name}: {unfit}");
        assert!(check(Scalar::Text("")).is_err(), "{name} takes an empty text");
    }
}

#[test]
fn texts_are_bounded_and_printable() {
    assert!(text::<Label>(&"x".repeat(257)).is_err());
    assert!(text::<Label>("a\nb").is_err());
    assert_eq!(text::<Label>("main").unwrap().as_str(), "main");
    assert!(text::<Variable>("A-B").is_err());
    assert!(text::<LogFilter>("info,gateway_auth=debug").is_ok());
    assert!(text::<LogFilter>("info,=,x=nonsense").is_err());
    assert_eq!(text::<Role>("").unwrap_err().what, "the role is empty");
    assert!(text::<Network>("10.0.0.1/8").unwrap_err().what.ends_with("write 10.0.0.0/8"));
    assert!(text::<Timestamp>("tomorrow").unwrap_err().remedy.contains("2030-01-01"));
}

#[test]
fn a_long_or_odd_text_is_shown_short_and_escaped() {
    assert_eq!(Scalar::Text("a\u{1b}b").to_string(), "a\\u{1b}b");
    assert!(Scalar::Text(&"x".repeat(1000)).to_string().len() < 90);
}

#[test]
fn serde_reads_a_value_from_any_form() {
    assert_eq!(serde_json::from_str::<Label>("\"x\"").unwrap().to_string(), "x");
    assert!(serde_json::from_str::<Label>("1").unwrap_err().to_string().contains("`1` is not a valid text"));
    assert!(serde_json::from_str::<Label>("-1.5").is_err() && serde_json::from_str::<Label>("true").is_err());
    assert!(serde_json::from_str::<Label>("[]").unwrap_err().to_string().contains("a text of 1 to 256 bytes"));
    assert_eq!(format!("{:?}", text::<Label>("x").unwrap()), "\"x\"");
}
