//! Whether this machine knows the time: what its time service says, and what other machines say (`abroad`). Tokens begin
//! and end by it.

use std::path::Path;

use gateway_domain::Timestamp;

use super::finding::Report;

/// Where systemd's time service leaves its mark.
const TIMESYNC: &str = "/run/systemd/timesync";
/// No machine is right that thinks it is earlier: 2026-01-01.
const EARLIEST: i64 = 1_767_225_600_000;

/// Looks at this machine's own word.
pub(super) fn look(now: Timestamp, report: &mut Report) {
    if now.millis() < EARLIEST {
        let what = format!("it is {now} here, which cannot be: every token would be of the future");
        report.change("clock", what, "Set the clock, and let a time service keep it (timedatectl set-ntp true)");
    } else if Path::new(TIMESYNC).is_dir() && !Path::new(TIMESYNC).join("synchronized").exists() {
        let what = "the time service has not reached a server yet (systemd-timesyncd)";
        report.note("clock", what, "See timedatectl timesync-status");
    } else {
        report.fine("clock", format!("it is {now} here"));
    }
}

/// A date as HTTP writes it, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn of_http(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    #[test]
    fn a_date_of_http_is_read() {
        let read = of_http("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(read.to_string(), "1994-11-06T08:49:37.000Z");
        for text in
            ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Non 1994 08:49:37 GMT"]
        {
            assert_eq!(of_http(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_a_fault() {
        let mut report = Report::default();
        look(Timestamp::from_seconds(0), &mut report);
        assert_eq!(report.verdicts("clock"), [Verdict::Change]);
    }
}
