//! Whoever runs the tests, and the harness: it is told by the environment what the runner wants, and says on the error
//! stream, where it is read at once, what the runner needs to call a run back. Nothing else of the harness does either.

use std::{ffi::OsString, fmt::Display, str::FromStr};

/// What stands under that name in the environment.
#[allow(clippy::disallowed_methods, reason = "the runner speaks to the harness this way")]
pub fn told(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The number that stands there, where one does. What is no number is a slip of whoever wrote it.
pub fn number<T: FromStr>(name: &str) -> Option<T> {
    let told = told(name)?;
    let number = told.to_str().and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{name} is a number, and not {told:?}")))
}

/// Says something to the runner.
#[allow(clippy::print_stderr, reason = "the harness speaks to the runner this way")]
pub fn say(what: impl Display) {
    eprintln!("{what}");
}
