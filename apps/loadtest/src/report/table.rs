//! The table on the terminal.

use super::{Row, figure, figure_or_dash};

const HEAD: [&str; 10] =
    ["", "unit", "CPU us", "floor us", "ratio", "p50 ms", "p99 ms", "max ms", "a second", "lost/disordered/failed"];

/// All rows, with the other figures of each below it.
pub fn table(rows: &[Row]) -> String {
    let mut lines: Vec<Vec<String>> = vec![HEAD.iter().map(|head| (*head).to_owned()).collect()];
    for row in rows {
        let side = &row.gateway;
        let millis = |of: fn(&crate::sample::Millis) -> f64| figure_or_dash(side.latency.as_ref().map(of));
        lines.push(vec![
            format!("{}: {}", row.scenario, row.case),
            row.unit.clone(),
            figure_or_dash(side.cpu_micros),
            figure_or_dash(row.floor.as_ref().and_then(|floor| floor.cpu_micros)),
            figure_or_dash(row.ratio),
            millis(|latency| latency.p50),
            millis(|latency| latency.p99),
            millis(|latency| latency.max),
            figure(side.per_second),
            format!("{}/{}/{}", side.lost, side.disordered, side.failed),
        ]);
    }
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (nth, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let cell = if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text += &cell;
            text += "  ";
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        let row = nth.checked_sub(1).and_then(|nth| rows.get(nth));
        for (name, value) in row.into_iter().flat_map(|row| &row.figures) {
            text += &format!("    {name}: {}\n", figure(*value));
        }
    }
    text
}
