//! `gateway token inspect`: what a token says of itself, as JSON. Nothing of it is verified, and the signature is left
//! out, so that what is printed opens no door.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::anyhow;
use clap::Args;
use gateway_domain::{Now, Timestamp};
use gateway_server::clock;
use serde::Serialize;
use serde_json::Value;

use super::given;
use crate::cli::{Failure, page};

const WARNING: &str =
    "NOT VERIFIED: anybody can write such a token. Whether a gateway believes it: gateway token check";

/// Print what a token says, without verifying anything.
#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// The file with the token; - is standard input.
    #[arg(value_name = "FILE")]
    token: PathBuf,
}

#[derive(Serialize)]
struct Said {
    warning: &'static str,
    header: Value,
    claims: Value,
    times: BTreeMap<&'static str, String>,
}

impl Inspect {
    pub(in crate::cli) fn run(self) -> Result<(), Failure> {
        let token = given::read(&self.token)?;
        let inspected =
            gateway_auth::inspect(&token).map_err(|refusal| anyhow!("that is no token: {}", refusal.message))?;
        let times = times(&inspected.claims, clock::now());
        let said = Said { warning: WARNING, header: inspected.header, claims: inspected.claims, times };
        page::remark(WARNING);
        Ok(page::print(&format!("{}\n", serde_json::to_string_pretty(&said)?))?)
    }
}

/// The moments that the claims name, as people write them.
fn times(claims: &Value, now: Now) -> BTreeMap<&'static str, String> {
    let moment = |name| claims.get(name)?.as_f64().filter(|seconds| seconds.is_finite());
    let told = |seconds: f64| {
        // Beyond the calendar a moment is its last or its first, as the type of it says.
        let at = Timestamp::from_millis((seconds * 1000.0) as i64);
        format!("{at}, {}", distance(at, now.wall))
    };
    ["auth_time", "exp", "iat", "nbf"].into_iter().filter_map(|name| Some((name, told(moment(name)?)))).collect()
}

/// How far a moment is from now.
fn distance(at: Timestamp, now: Timestamp) -> String {
    let (gap, ahead) = if at > now { (at.since(now), true) } else { (now.since(at), false) };
    let seconds = gap.as_secs();
    let gap = match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    if ahead { format!("in {gap}") } else { format!("{gap} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Tick;
    use serde_json::json;

    #[test]
    fn times_are_readable_and_claims_that_are_no_times_are_left_out() {
        let now = Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(1_767_225_600) };
        let claims = json!({ "exp": 1_767_226_500, "iat": 1_767_225_590.5, "nbf": "soon", "auth_time": 1e300, "x": 1 });
        let times = times(&claims, now);
        assert_eq!(times["exp"], "2026-01-01T00:15:00.000Z, in 15 min");
        assert_eq!(times["iat"], "2025-12-31T23:59:50.500Z, 9 s ago");
        assert!(times["auth_time"].starts_with("9999-12-31"));
        assert_eq!(times.len(), 3);
    }

    #[test]
    fn distances_are_told_in_one_unit() {
        let now = Timestamp::from_seconds(1_000_000);
        for (seconds, told) in
            [(1_000_000, "0 s ago"), (1_007_200, "in 2 h"), (0, "11 days ago"), (999_940, "1 min ago")]
        {
            assert_eq!(distance(Timestamp::from_seconds(seconds), now), told);
        }
    }
}
