//! The table on the terminal.

use super::{Row, figure, figure_or_dash};
use crate::sample::{Millis, Side};

const HEAD: [&str; 10] =
    ["", "unit", "CPU us", "floor us", "ratio", "p50 ms", "p99 ms", "max ms", "a second", "lost/disordered/failed"];

/// All rows, with the other figures of each below it.
pub fn table(rows: &[Row]) -> String {
    let mut lines: Vec<Vec<String>> = vec![HEAD.iter().map(|head| (*head).to_owned()).collect()];
    for row in rows {
        let name = format!("{}: {}", row.scenario, row.case);
        let floor = row.floor.as_ref().and_then(|floor| floor.cpu_micros);
        lines.push(line(name, row, &row.gateway, floor, row.ratio));
        for peer in &row.peers {
            lines.push(line(format!("    beside: {}", peer.name), row, &peer.side, floor, peer.ratio));
        }
    }
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    // The figures of a row come behind the last of its lines.
    let mut ends = vec![None; lines.len()];
    let mut last = 0;
    for row in rows {
        last += 1 + row.peers.len();
        if let Some(end) = ends.get_mut(last) {
            *end = Some(row);
        }
    }
    for (line, row) in lines.iter().zip(ends) {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let cell = if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text += &cell;
            text += "  ";
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        for (name, value) in row.into_iter().flat_map(|row| &row.figures) {
            text += &format!("    {name}: {}\n", figure(*value));
        }
    }
    text
}

/// What one server did in a row.
fn line(name: String, row: &Row, side: &Side, floor: Option<f64>, ratio: Option<f64>) -> Vec<String> {
    let millis = |of: fn(&Millis) -> f64| figure_or_dash(side.latency.as_ref().map(of));
    vec![
        name,
        row.unit.clone(),
        figure_or_dash(side.cpu_micros),
        figure_or_dash(floor),
        figure_or_dash(ratio),
        millis(|latency| latency.p50),
        millis(|latency| latency.p99),
        millis(|latency| latency.max),
        figure(side.per_second),
        format!("{}/{}/{}", side.lost, side.disordered, side.failed),
    ]
}
