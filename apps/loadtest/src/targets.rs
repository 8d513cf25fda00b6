//! Where the gateway wants to be: each target in one line, beside what was measured and what the same work cost others,
//! all from one run. A target is a ratio wherever it can be: to the floor, or to uWebSockets, which does nearly the least
//! that a server with rooms and tokens can do.

use serde::Serialize;

use crate::{
    report::figure,
    sample::{Row, Side},
};

/// One target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What is measured.
    pub what: String,
    /// The most that it may be, and of what.
    pub most: f64,
    /// In what that is: `x floor`, `x uws`, `us`, `ms`, `KiB`, `%`.
    pub unit: &'static str,
    /// What it was; none, where nothing that is needed for it was measured.
    pub measured: Option<f64>,
    /// Whether that is within.
    pub met: Option<bool>,
    /// The gateway's own figure, and those of the others by their names.
    pub beside: Vec<(String, f64)>,
}

/// Where no uWebSockets is installed, its targets are held against the floor: what it cost there, once, side by side.
const IN_BAND_TO_FLOOR: f64 = 7.0 / 3.6;
const HANDSHAKE_TO_FLOOR: f64 = 45.0 / 8.9;
/// What rounds differ by when nothing does.
const NOISE: f64 = 1.15;

/// The targets, held against what was measured; the second rows are those of Socket.IO.
pub fn lines(rows: &[Row], by_socketio: &[Row]) -> Vec<Line> {
    let of = |scenario: &str, case: &str| {
        rows.iter().find(|row| row.scenario == scenario && row.case.split(", ").any(|part| part == case))
    };
    let mut lines = Vec::new();
    let mut rooms: Vec<&Row> = rows.iter().filter(|row| row.scenario == "fanout" && row.floor.is_some()).collect();
    rooms.retain(|row| row.case.ends_with("under way"));
    for row in rooms {
        let most = if row.case.ends_with(", 1 under way") { 1.25 } else { 1.5 };
        lines.push(to_floor(format!("a delivery in a room: {}", row.case), most, Some(row)));
    }
    lines.push(to_floor("an echo".into(), 1.5, first(rows, "echo")));
    lines.push(to_floor(
        "a command and its answer (the floor's own there and back)".into(),
        1.5,
        first(rows, "command"),
    ));
    lines.push(to_uws("a message to one user, in band", 7.0 / 7.8, IN_BAND_TO_FLOOR, of("targeted", "in band")));
    lines.push(to_uws("the same, published by HTTP", 12.0 / 15.0, f64::NAN, of("targeted", "by HTTP")));
    lines.push(to_uws("a handshake, HS256", 45.0 / 30.0, HANDSHAKE_TO_FLOOR, of("handshake", "HS256")));
    for row in rows.iter().filter(|row| row.scenario == "handshake") {
        let p99 = p99_of(&row.gateway);
        lines.push(line(format!("connect to ready, p99: {}", row.case), 200.0, "ms", p99, Vec::new()));
    }
    let idle = first(rows, "idle");
    lines.push(line("an idle connection".into(), 6.0, "KiB", figure_of(idle, "kibPerConnection"), kibs(idle)));
    lines.push(line("all idle, with their pings".into(), 1.0, "%", figure_of(idle, "cpuPercent"), Vec::new()));
    let leave = first(rows, "leave");
    let left = leave.and_then(|row| row.gateway.cpu_micros);
    lines.push(line(named("a goodbye", leave), 20.0, "us", left, Vec::new()));
    let waits = leave.and_then(|row| p99_of(&row.gateway));
    lines.push(line("newcomers while all leave, p99".into(), 200.0, "ms", waits, Vec::new()));
    let storm = first(rows, "storm");
    let returned = figure_of(storm, "timesCalm");
    let beside = [("gateway", returned), ("floor", figure_of(storm, "floorTimesCalm"))];
    let beside = beside.into_iter().filter_map(|(name, times)| Some((name.to_owned(), times?))).collect();
    lines.push(line(named("a return", storm), NOISE, "x calm", returned, beside));
    let waits = figure_of(storm, "newcomersMaxMillis");
    lines.push(line("newcomers while all return, the longest wait".into(), 1000.0, "ms", waits, Vec::new()));
    lines.extend(growth(rows));
    let paced = rows.iter().find(|row| row.scenario == "fanout" && row.case.ends_with("a second"));
    let p99 = paced.and_then(|row| p99_of(&row.gateway));
    let beside = [("gateway", p99), ("floor", paced.and_then(|row| p99_of(row.floor.as_ref()?)))];
    let beside = beside.into_iter().filter_map(|(name, p99)| Some((name.to_owned(), p99?))).collect();
    lines.push(line(named("heard by all, p99", paced), 50.0, "ms", p99, beside));
    let unsound = |side: &Side| side.lost + side.disordered + side.failed;
    let all = (!rows.is_empty()).then(|| rows.iter().map(|row| unsound(&row.gateway)).sum::<u64>() as f64);
    lines.push(line("lost, out of order or refused, in all of it".into(), 0.0, "", all, Vec::new()));
    let idle = first(by_socketio, "idle");
    let stock = figure_of(idle, "socketioKibPerConnection");
    let ratio = figure_of(idle, "kibPerConnection").zip(stock).map(|(own, stock)| own / stock);
    lines.push(line("an idle connection by Socket.IO, KiB".into(), 1.0, "x socketio", ratio, kibs(idle)));
    lines
}

/// Whether a publish costs the same beside the most others as beside the fewest, each held against its floor, and
/// whether the last of the others weigh what the first did.
fn growth(rows: &[Row]) -> Option<Line> {
    let mut steps = rows.iter().filter(|row| row.scenario == "growth" && row.case.ends_with(" others"));
    let (fewest, most) = (steps.next()?, steps.next_back()?);
    let cost = |row: &Row| row.ratio.or(row.gateway.cpu_micros);
    let grown = cost(most).zip(cost(fewest)).map(|(most, fewest)| most / fewest);
    Some(line(format!("a publish to {}, beside the fewest", most.case), NOISE, "x fewest", grown, costs(most)))
}

fn first<'a>(rows: &'a [Row], scenario: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.scenario == scenario)
}

fn p99_of(side: &Side) -> Option<f64> {
    side.latency.as_ref().map(|latency| latency.p99)
}

fn named(what: &str, row: Option<&Row>) -> String {
    row.map_or_else(|| what.to_owned(), |row| format!("{what}: {}", row.case))
}

fn figure_of(row: Option<&Row>, name: &str) -> Option<f64> {
    row?.figures.get(name).copied()
}

fn to_floor(what: String, most: f64, row: Option<&Row>) -> Line {
    line(what, most, "x floor", row.and_then(|row| row.ratio), row.map(costs).unwrap_or_default())
}

/// Held against uWebSockets where it was there, otherwise against the floor; against nothing, where that has no such work.
fn to_uws(what: &str, most: f64, most_to_floor: f64, row: Option<&Row>) -> Line {
    let uws = row.and_then(|row| row.peers.iter().find(|peer| peer.name == "uws"));
    let ratio = row.and_then(|row| row.gateway.cpu_micros).zip(uws.and_then(|uws| uws.side.cpu_micros));
    match ratio {
        None if !most_to_floor.is_nan() => to_floor(what.to_owned(), most_to_floor, row),
        ratio => {
            let ratio = ratio.map(|(own, uws)| own / uws);
            line(what.to_owned(), most, "x uws", ratio, row.map(costs).unwrap_or_default())
        }
    }
}

fn line(what: String, most: f64, unit: &'static str, measured: Option<f64>, beside: Vec<(String, f64)>) -> Line {
    Line { what, most, unit, measured, met: measured.map(|measured| measured <= most), beside }
}

/// What a unit cost everybody, in microseconds.
fn costs(row: &Row) -> Vec<(String, f64)> {
    let own = [("gateway", Some(&row.gateway)), ("floor", row.floor.as_ref())];
    let peers = row.peers.iter().map(|peer| (peer.name.as_str(), Some(&peer.side)));
    own.into_iter().chain(peers).filter_map(|(name, side)| Some((name.to_owned(), side?.cpu_micros?))).collect()
}

/// What a connection weighs everywhere, in KiB.
fn kibs(row: Option<&Row>) -> Vec<(String, f64)> {
    let figures = row.into_iter().flat_map(|row| &row.figures);
    let mut found: Vec<(String, f64)> = figures
        .filter_map(|(name, value)| Some((name.strip_suffix("ibPerConnection")?, *value)))
        .filter_map(|(name, value)| match name {
            "k" => Some(("gateway".to_owned(), value)),
            other => Some((other.strip_suffix('K')?.to_owned(), value)),
        })
        .collect();
    found.sort_by_key(|(name, _)| name != "gateway");
    found
}

/// The table, as Markdown that lines up on a terminal, too.
pub fn table(lines: &[Line]) -> String {
    let mut names: Vec<&str> = vec!["gateway", "floor"];
    for (name, _) in lines.iter().flat_map(|line| &line.beside) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let head = ["", "target", "measured", "met"].into_iter().chain(names.iter().copied());
    let mut cells: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
    for line in lines {
        let mut row = vec![
            line.what.clone(),
            format!("{} {}", figure(line.most), line.unit).trim_end().to_owned(),
            line.measured.map_or_else(|| "not measured".to_owned(), figure),
            line.met.map_or("-", |met| if met { "yes" } else { "NO" }).to_owned(),
        ];
        row.extend(names.iter().map(|name| {
            let found = line.beside.iter().find(|(own, _)| own == name);
            found.map_or_else(String::new, |(_, value)| figure(*value))
        }));
        cells.push(row);
    }
    let width = |column: usize| cells.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len() + 4).map(width).collect();
    let mut text = String::new();
    for (nth, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            text += &format!("| {cell:<width$} ");
        }
        text += "|\n";
        if nth == 0 {
            widths.iter().for_each(|width| text += &format!("|{}", "-".repeat(width + 2)));
            text += "|\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample::{Latency, Sample};

    fn sample(cpu: u64, lost: u64) -> Sample {
        let mut latency = Latency::default();
        latency.note(Duration::from_millis(20));
        let cpu = Some(Duration::from_micros(cpu));
        Sample { units: 10, cpu, elapsed: Duration::from_secs(1), latency, lost, disordered: 0, failed: 0 }
    }

    fn met(lines: &[Line], what: &str) -> (Option<f64>, Option<bool>) {
        let line = lines.iter().find(|line| line.what.contains(what)).unwrap();
        (line.measured, line.met)
    }

    #[test]
    fn each_target_is_held_against_its_own_row_and_none_is_met_unmeasured() {
        let (dear, cheap, floor) = ([sample(140, 0)], [sample(110, 0)], [sample(100, 0)]);
        let rows = [
            Row::new("fanout", "1000 receivers, 1 under way", "delivery", &dear, &floor),
            Row::new("fanout", "1000 receivers, 4 under way", "delivery", &dear, &floor),
            Row::new("handshake", "HS256, 8 at a time", "handshake", &cheap, &floor).beside("uws", &floor, &floor),
            Row::new("targeted", "4 users, in band", "delivery", &dear, &floor),
            Row::new("growth", "a room of 10, 100 others", "publish", &cheap, &floor),
            Row::new("growth", "a room of 10, 15000 others", "publish", &dear, &floor),
            Row::new("idle", "50 connections for 1 s", "connection", &cheap, &[])
                .with("kibPerConnection", Some(7.0))
                .with("floorKibPerConnection", Some(0.1)),
        ];
        let found = lines(&rows, &[]);
        assert_eq!(met(&found, "1 under way"), (Some(1.4), Some(false)));
        assert_eq!(met(&found, "4 under way"), (Some(1.4), Some(true)));
        assert_eq!(met(&found, "a handshake, HS256"), (Some(1.1), Some(true)));
        assert_eq!(met(&found, "connect to ready, p99: HS256").1, Some(true));
        assert_eq!(met(&found, "in band").1, Some(true), "without uWebSockets it is held against the floor");
        assert_eq!(met(&found, "15000 others").1, Some(false), "a publish became dearer");
        assert_eq!(met(&found, "an idle connection"), (Some(7.0), Some(false)));
        for missing in ["an echo", "by HTTP", "a goodbye", "a return", "by Socket.IO"] {
            assert_eq!(met(&found, missing), (None, None), "{missing}");
        }
        let text = table(&found);
        assert!(text.lines().all(|line| line.starts_with('|') && line.ends_with('|')), "{text}");
        assert!(text.lines().next().unwrap().contains("uws"), "{text}");
        assert!(text.contains("0.10"), "what the floor weighs is there: {text}");
    }

    #[test]
    fn what_was_lost_meets_no_target() {
        let rows = [Row::new("echo", "4 clients", "echo", &[sample(100, 1)], &[sample(100, 0)])];
        assert_eq!(met(&lines(&rows, &[]), "lost"), (Some(1.0), Some(false)));
        assert_eq!(met(&lines(&[], &[]), "lost"), (None, None));
    }
}
