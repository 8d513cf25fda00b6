//! Whether it went well: nothing lost, nothing out of order, nobody turned away, and no figure above what was allowed.

use clap::Args;

use crate::sample::{Row, Side};

/// What is allowed at most; absent: anything.
#[derive(Args, Clone, Debug, Default)]
pub struct Thresholds {
    /// Fail where the gateway costs more than so many times the floor
    #[arg(long, value_name = "TIMES")]
    pub max_ratio: Option<f64>,
    /// Fail where the 99th of 100 waited longer than so many milliseconds
    #[arg(long, value_name = "MS")]
    pub max_p99: Option<f64>,
    /// Fail where an idle connection takes more memory than so many KiB
    #[arg(long, value_name = "KIB")]
    pub max_kib: Option<f64>,
}

/// What did not go well, one line each.
pub fn faults(rows: &[Row], thresholds: &Thresholds) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows {
        let name = format!("{} ({})", row.scenario, row.case);
        unsound(&name, "the gateway", &row.gateway, &mut found);
        if let Some(floor) = &row.floor {
            unsound(&name, "the floor", floor, &mut found);
        }
        for peer in &row.peers {
            unsound(&name, &peer.name, &peer.side, &mut found);
        }
        let mut above = |what: &str, figure: Option<f64>, most: Option<f64>| {
            if let (Some(figure), Some(most)) = (figure, most)
                && figure > most
            {
                found.push(format!("{name}: {what} is {figure:.2}, above the {most} that were allowed"));
            }
        };
        above("the ratio to the floor", row.ratio, thresholds.max_ratio);
        let p99 = row.gateway.latency.as_ref().map(|latency| latency.p99);
        above("the 99th percentile in ms", p99, thresholds.max_p99);
        above("KiB for a connection", row.figures.get("kibPerConnection").copied(), thresholds.max_kib);
    }
    found
}

fn unsound(name: &str, whose: &str, side: &Side, found: &mut Vec<String>) {
    for (count, what) in
        [(side.lost, "lost"), (side.disordered, "out of order"), (side.failed, "refused, cut off or not done")]
    {
        if count > 0 {
            found.push(format!("{name}: of what {whose} did, {count} were {what}"));
        }
    }
    if side.units == 0 {
        found.push(format!("{name}: {whose} did nothing at all"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample::{Latency, Sample};

    fn row(lost: u64) -> Row {
        let mut latency = Latency::default();
        latency.note(Duration::from_millis(20));
        let sample = Sample {
            units: 10,
            cpu: Some(Duration::from_micros(40)),
            elapsed: Duration::from_secs(1),
            latency,
            lost,
            disordered: 0,
            failed: 0,
        };
        let floor = Sample { cpu: Some(Duration::from_micros(20)), lost: 0, ..sample.clone() };
        Row::new("echo", "one", "echo", &[sample], &[floor]).with("kibPerConnection", Some(5.0))
    }

    #[test]
    fn what_went_well_has_no_faults() {
        assert_eq!(faults(&[row(0)], &Thresholds::default()), [""; 0]);
        let wide = Thresholds { max_ratio: Some(2.5), max_p99: Some(30.0), max_kib: Some(6.0) };
        assert_eq!(faults(&[row(0)], &wide), [""; 0]);
    }

    #[test]
    fn a_loss_and_each_figure_above_its_threshold_are_faults() {
        let lost = faults(&[row(3)], &Thresholds::default());
        assert_eq!(lost, ["echo (one): of what the gateway did, 3 were lost"]);
        let narrow = Thresholds { max_ratio: Some(1.9), max_p99: Some(10.0), max_kib: Some(4.0) };
        let found = faults(&[row(0)], &narrow);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().any(|fault| fault.contains("ratio to the floor is 2.00, above the 1.9")), "{found:?}");
    }
}
