//! The checks of the gate as a list for people: in their order, each with what became of it.

use gateway_server::gate::Check;

use super::page::Page;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Outcome {
    /// It had nothing against it.
    Passed,
    /// It was the one that refused.
    Decided,
    /// An earlier one had decided.
    NotAsked,
    /// Only a running gateway can tell.
    NotAskedHere,
}

impl Outcome {
    /// What follows from the check that decided; none did where somebody was admitted.
    pub(in crate::cli) fn of(check: Check, deciding: Option<Check>) -> Self {
        match deciding {
            Some(deciding) if check == deciding => Self::Decided,
            Some(deciding) if check > deciding => Self::NotAsked,
            Some(_) | None => Self::Passed,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Decided => "DECIDED",
            Self::NotAsked => "not asked",
            Self::NotAskedHere => "not asked here",
        }
    }
}

/// Writes the list.
pub(in crate::cli) fn write(page: &mut Page, outcome: impl Fn(Check) -> Outcome) {
    page.line("checks");
    for (number, check) in (1..).zip(Check::ORDER) {
        page.line(format_args!("  {number:>2}  {:<15} {}", outcome(check).words(), check.question()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_deciding_check_passed_and_what_comes_after_was_not_asked() {
        let of = |check| Outcome::of(check, Some(Check::Origin));
        assert_eq!(of(Check::AddressRate), Outcome::Passed);
        assert_eq!(of(Check::Origin), Outcome::Decided);
        assert_eq!(of(Check::TokenPresent), Outcome::NotAsked);
        assert!(Check::ORDER.iter().all(|check| Outcome::of(*check, None) == Outcome::Passed));
    }
}
