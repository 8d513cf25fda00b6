//! Who heard what: every receiver is to hear 1, 2, 3, and so on, and nothing twice. A number that is skipped counts as
//! lost, one that comes again or too late as disordered.

/// The digits with which a number is written, so that messages have one length.
const DIGITS: usize = 10;
const MARK: &[u8] = br#""n":""#;

/// A payload with a number, of at least that many bytes.
pub fn payload(number: u64, more: &str, size: usize) -> String {
    let bare = format!(r#"{{"n":"{number:0DIGITS$}"{more},"pad":""}}"#);
    let pad = "x".repeat(size.saturating_sub(bare.len()));
    format!(r#"{{"n":"{number:0DIGITS$}"{more},"pad":"{pad}"}}"#)
}

/// Finds the number in a text; remembers where it was, for it is mostly there again.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    at: usize,
}

impl Finder {
    /// The number in a text.
    pub fn number(&mut self, text: &[u8]) -> Option<u64> {
        if !text.get(self.at..).is_some_and(|rest| rest.starts_with(MARK)) {
            self.at = crate::wire::find(text, MARK)?;
        }
        let start = self.at + MARK.len();
        let digits = text.get(start..start + DIGITS)?;
        digits
            .iter()
            .try_fold(0_u64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
    }
}

/// What receivers have heard, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    latest: Vec<u64>,
    /// How many were heard.
    pub heard: u64,
    /// How many were skipped.
    pub lost: u64,
    /// How many came again, or too late.
    pub disordered: u64,
}

impl Tally {
    /// Somebody heard a number.
    pub fn hear(&mut self, who: usize, number: u64) {
        if self.latest.len() <= who {
            self.latest.resize(who + 1, 0);
        }
        self.heard += 1;
        let Some(latest) = self.latest.get_mut(who) else { return };
        if number <= *latest {
            self.disordered += 1;
            // It was counted as lost when it was skipped.
            return;
        }
        self.lost += number - *latest - 1;
        *latest = number;
    }

    /// Those who did not hear all up to a number have lost the rest.
    pub fn close(&mut self, receivers: impl Iterator<Item = usize>, last: u64) {
        for who in receivers {
            if self.latest.len() <= who {
                self.latest.resize(who + 1, 0);
            }
            if let Some(latest) = self.latest.get_mut(who) {
                self.lost += last.saturating_sub(*latest);
                *latest = last.max(*latest);
            }
        }
    }

    /// One that found so much lost already.
    pub fn of_lost(lost: u64) -> Self {
        Self { lost, ..Self::default() }
    }

    /// What was found since the last time this was asked: heard, lost, disordered.
    pub fn take(&mut self) -> [u64; 3] {
        [&mut self.heard, &mut self.lost, &mut self.disordered].map(std::mem::take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_wherever_it_stands() {
        let mut finder = Finder::default();
        for (number, before) in [(1, ""), (2, ""), (4_000_000_000, r#"{"type":"x","payload":"#), (7, "")] {
            let text = format!("{before}{}", payload(number, r#","to":"me""#, 128));
            assert_eq!(finder.number(text.as_bytes()), Some(number));
        }
        assert_eq!(payload(1, "", 256).len(), 256);
        assert_eq!(finder.number(b"nothing"), None);
        assert_eq!(finder.number(br#"{"n":"00000x0001"}"#), None);
    }

    #[test]
    fn what_is_in_order_and_whole_is_neither_lost_nor_disordered() {
        let mut tally = Tally::default();
        for number in 1..=100 {
            tally.hear(3, number);
        }
        tally.close([3].into_iter(), 100);
        assert_eq!((tally.heard, tally.lost, tally.disordered), (100, 0, 0));
    }

    #[test]
    fn gaps_repetitions_and_a_missing_end_are_found() {
        let mut tally = Tally::default();
        for number in [1, 2, 5, 5, 4, 6] {
            tally.hear(0, number);
        }
        assert_eq!((tally.lost, tally.disordered), (2, 2));
        tally.close([0, 1].into_iter(), 8);
        assert_eq!(tally.lost, 2 + 2 + 8, "one lacks two at its end, one heard nothing at all");
        assert_eq!(tally.take(), [6, 12, 2]);
        tally.hear(0, 9);
        tally.close([0, 1].into_iter(), 9);
        assert_eq!(tally.take(), [1, 1, 0], "what was counted once is not counted again");
    }
}
