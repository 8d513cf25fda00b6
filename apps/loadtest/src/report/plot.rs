//! Plots, drawn as SVG.

use super::{Row, figure, page::escaped, page::title};

const WIDTH: f64 = 900.0;
const LABELS: f64 = 300.0;
const BAR: f64 = 14.0;
const GAP: f64 = 14.0;
const GATEWAY: &str = "#2563a8";
const FLOOR: &str = "#9aa7b4";

/// Bars of what a unit of work cost: the gateway's, and the floor's below it.
pub(super) fn costs(rows: &[Row]) -> String {
    let shown: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((row, row.gateway.cpu_micros?))).collect();
    let floors = shown.iter().filter_map(|(row, _)| row.floor.as_ref()?.cpu_micros);
    let values: Vec<f64> = shown.iter().map(|(_, cpu)| *cpu).chain(floors).filter(|cpu| *cpu > 0.0).collect();
    let scale = Scale::over(&values, WIDTH - LABELS - 70.0);
    let (mut body, mut y) = (String::new(), GAP);
    for (row, cpu) in shown {
        body += &format!("<text x=\"0\" y=\"{:.1}\">{}</text>", y + BAR, escaped(&title(row)));
        body += &bar(&scale, y, cpu, GATEWAY, &row.gateway.cpu_micros_by_round);
        y += BAR + 2.0;
        if let Some((floor, cpu)) = row.floor.as_ref().and_then(|floor| Some((floor, floor.cpu_micros?))) {
            body += &bar(&scale, y, cpu, FLOOR, &floor.cpu_micros_by_round);
            y += BAR;
        }
        y += GAP;
    }
    framed(y, &body)
}

fn bar(scale: &Scale, y: f64, value: f64, colour: &str, rounds: &[f64]) -> String {
    let length = scale.place(value);
    let mut text = format!(
        "<rect x=\"{LABELS}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LABELS + length + 8.0,
        y + BAR - 2.0,
        figure(value)
    );
    for round in rounds {
        let x = LABELS + scale.place(*round);
        text += &format!(
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\" stroke=\"#1d2733\" stroke-width=\"1\"/>",
            y + BAR
        );
    }
    text
}

/// The latencies of a row, percentile by percentile; none where none were taken.
pub(super) fn latencies(row: &Row) -> Option<String> {
    const HEIGHT: f64 = 180.0;
    const LEFT: f64 = 60.0;
    let sides = [(Some(&row.gateway), GATEWAY), (row.floor.as_ref(), FLOOR)];
    let curves: Vec<(&[(f64, f64)], &str)> = sides
        .iter()
        .filter_map(|(side, colour)| Some((&side.as_ref()?.latency.as_ref()?.curve[..], *colour)))
        .collect();
    let values: Vec<f64> = curves.iter().flat_map(|(curve, _)| curve.iter().map(|(_, millis)| *millis)).collect();
    if values.is_empty() {
        return None;
    }
    let scale = Scale::over(&values, HEIGHT - 40.0);
    let mut body = String::new();
    for mark in scale.marks() {
        let y = HEIGHT - 20.0 - scale.place(mark);
        body += &format!(
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#dde3ea\"/>\
             <text x=\"0\" y=\"{:.1}\">{mark}</text>",
            y + 4.0
        );
    }
    for (curve, colour) in curves {
        let step = (WIDTH - LEFT - 40.0) / (curve.len().max(2) - 1) as f64;
        let mut points = String::new();
        for (nth, (percent, millis)) in curve.iter().enumerate() {
            let x = LEFT + step * nth as f64;
            points += &format!("{x:.1},{:.1} ", HEIGHT - 20.0 - scale.place(*millis));
            if colour == GATEWAY {
                body += &format!("<text x=\"{:.1}\" y=\"{HEIGHT}\">{percent}</text>", x - 8.0);
            }
        }
        body += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.trim_end()
        );
    }
    Some(framed(HEIGHT + 4.0, &body))
}

/// A picture that stands in a file of its own, and brings what the page gives to others.
pub(super) fn alone(picture: &str) -> String {
    const STYLE: &str = "<style>text { font: 12px system-ui, sans-serif; fill: #1d2733 }</style>\
                         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";
    let named = picture.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
    named.replacen('>', &format!(">{STYLE}"), 1) + "\n"
}

fn framed(height: f64, body: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">{body}</svg>")
}

/// A logarithmic scale from a power of ten to another.
struct Scale {
    lowest: f64,
    decades: f64,
    length: f64,
}

impl Scale {
    fn over(values: &[f64], length: f64) -> Self {
        let sound = values.iter().copied().filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = sound.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self { lowest: 1.0, decades: 1.0, length };
        }
        let lowest = 10_f64.powf(low.log10().floor());
        Self { lowest, decades: (high / lowest).log10().ceil().max(1.0), length }
    }

    fn place(&self, value: f64) -> f64 {
        ((value.max(self.lowest) / self.lowest).log10() / self.decades * self.length).clamp(0.0, self.length)
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let lowest = self.lowest;
        (0..=self.decades as i32).map(move |nth| lowest * 10_f64.powi(nth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_holds_all_that_it_is_made_for() {
        let scale = Scale::over(&[0.3, 42.0, 900.0], 100.0);
        assert!(scale.place(0.1).abs() < 1e-9 && (scale.place(1000.0) - 100.0).abs() < 1e-9);
        assert!((scale.place(10.0) - 50.0).abs() < 1e-9, "each decade is as long as the next");
        assert_eq!(scale.marks().count(), 5);
        let none = Scale::over(&[0.0, f64::NAN], 100.0);
        assert!(none.place(0.0).is_finite() && none.place(5.0).is_finite());
    }
}
