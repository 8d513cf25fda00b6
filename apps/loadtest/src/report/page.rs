//! The page: one file, nothing is fetched, the plots are drawn in it.

use super::{Line, Report, Row, figure, figure_or_dash, plot};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #dde3ea }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left }
.fault { background: #fdecea; border-left: 4px solid #c0392b; padding: .4rem .8rem } .fine { color: #1e7d4f }
figure { margin: 1rem 0 } figcaption { color: #5a6672; font-size: .9rem } svg { width: 100%; height: auto }
svg text { font: 12px system-ui, sans-serif; fill: #1d2733 }
";

pub(super) fn page(report: &Report<'_>) -> String {
    let pinned = if report.pinned { "server and client on a processor of their own" } else { "not pinned" };
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Load test</title><style>{STYLE}</style></head><body>\n<h1>Load test</h1>\n\
         <p>{} processors, {pinned}; {}; sizes: {:?}, {} rounds. Times in one line are from one run: read ratios before \
         absolute times, and differences below about 15 % as noise.</p>\n",
        report.processors,
        escaped(&report.system),
        report.size,
        report.sizes.rounds,
    );
    if report.faults.is_empty() {
        text += "<p class=\"fine\">Nothing was lost, nothing came out of order, nobody was turned away.</p>\n";
    }
    for fault in report.faults {
        text += &format!("<p class=\"fault\">{}</p>\n", escaped(fault));
    }
    text += &targets(report.targets);
    text += &table(report.rows);
    text += "<h2>Processor time for a unit of work</h2>\n<figure>";
    text += &plot::costs(report.rows);
    text += "<figcaption>Microseconds of the server's processor time, on a logarithmic scale; ticks are the rounds.\
             </figcaption></figure>\n<h2>How long it took</h2>\n";
    for row in report.rows {
        if let Some(curve) = plot::latencies(row) {
            text += &format!(
                "<figure>{curve}<figcaption>{}: milliseconds at each percentile</figcaption></figure>\n",
                escaped(&title(row))
            );
        }
    }
    text + "</body></html>\n"
}

fn targets(lines: &[Line]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text =
        "<h2>Targets</h2>\n<table><tr><th>what</th><th>target</th><th>measured</th><th>met</th><th>beside</th></tr>\n"
            .to_owned();
    for line in lines {
        let beside: Vec<String> =
            line.beside.iter().map(|(name, value)| format!("{} {}", escaped(name), figure(*value))).collect();
        text += &format!(
            "<tr><td>{}</td><td>{} {}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escaped(&line.what),
            figure(line.most),
            line.unit,
            figure_or_dash(line.measured),
            line.met.map_or("-", |met| if met { "yes" } else { "no" }),
            beside.join(", "),
        );
    }
    text + "</table>\n<h2>What was measured</h2>\n"
}

fn table(rows: &[Row]) -> String {
    let mut text =
        "<table><tr><th>scenario</th><th>unit</th><th>CPU &micro;s</th><th>floor &micro;s</th><th>ratio</th>\
                    <th>p50 ms</th><th>p99 ms</th><th>a second</th></tr>\n"
            .to_owned();
    for row in rows {
        let latency = row.gateway.latency.as_ref();
        let mut name = escaped(&title(row));
        for (figures, value) in &row.figures {
            name += &format!("<br><small>{}: {}</small>", escaped(figures), figure(*value));
        }
        text += &format!(
            "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escaped(&row.unit),
            figure_or_dash(row.gateway.cpu_micros),
            figure_or_dash(row.floor.as_ref().and_then(|floor| floor.cpu_micros)),
            figure_or_dash(row.ratio),
            figure_or_dash(latency.map(|latency| latency.p50)),
            figure_or_dash(latency.map(|latency| latency.p99)),
            figure(row.gateway.per_second),
        );
        for peer in &row.peers {
            let latency = peer.side.latency.as_ref();
            text += &format!(
                "<tr><td>&nbsp;&nbsp;beside: {}</td><td>{}</td><td>{}</td><td></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(&peer.name),
                escaped(&row.unit),
                figure_or_dash(peer.side.cpu_micros),
                figure_or_dash(peer.ratio),
                figure_or_dash(latency.map(|latency| latency.p50)),
                figure_or_dash(latency.map(|latency| latency.p99)),
                figure(peer.side.per_second),
            );
        }
    }
    text + "</table>\n"
}

pub(super) fn title(row: &Row) -> String {
    format!("{}, {}", row.scenario, row.case)
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        protocol::Tongue,
        sample::{Latency, Sample},
        sizes::{Choices, Set},
    };

    fn sample(cpu: u64) -> Sample {
        let mut latency = Latency::default();
        (1..100).for_each(|millis| latency.note(Duration::from_millis(millis)));
        Sample {
            units: 10,
            cpu: Some(Duration::from_micros(cpu)),
            elapsed: Duration::from_secs(1),
            latency,
            lost: 0,
            disordered: 0,
            failed: 0,
        }
    }

    fn written(rows: &[Row], faults: &[String]) -> (String, serde_json::Value) {
        let choices = Choices {
            size: Set::Tiny,
            rounds: None,
            connections: None,
            receivers: Vec::new(),
            in_flight: None,
            seconds: None,
        };
        let sizes = choices.sizes(2).unwrap();
        let report = Report {
            version: "0",
            size: Set::Tiny,
            sizes: &sizes,
            processors: 2,
            pinned: true,
            system: "a <system>".into(),
            protocol: Tongue::Native,
            peers: Vec::new(),
            targets: &[],
            rows,
            faults,
        };
        (report.html(), serde_json::from_str(&report.json().unwrap()).unwrap())
    }

    #[test]
    fn a_page_shows_all_and_fetches_nothing() {
        let rows = [
            Row::new("echo", "8 <clients>", "echo", &[sample(40), sample(44)], &[sample(20), sample(22)]).beside(
                "other",
                &[sample(60), sample(66)],
                &[sample(20), sample(22)],
            ),
            Row::new("idle", "none", "connection", &[Sample { cpu: None, ..sample(0) }], &[]).with("kib", Some(4.9)),
        ];
        let (html, json) = written(&rows, &["echo: 3 were lost & gone".into()]);
        for part in [
            "8 &lt;clients&gt;",
            "a &lt;system&gt;",
            "3 were lost &amp; gone",
            "kib: 4.90",
            "2.00",
            "beside: other",
            "3.00",
            "<svg",
        ] {
            assert!(html.contains(part), "{part} is not in\n{html}");
        }
        for fetched in ["http:", "https:", "<script", "<link", "src=", "url("] {
            assert!(!html.contains(fetched), "{fetched}");
        }
        for number in ["NaN", "inf"] {
            assert!(!html.contains(number), "a plot has no place for {number}");
        }
        assert_eq!(json["rows"][0]["ratio"], 2.0);
        assert_eq!(json["rows"][0]["gateway"]["cpuMicrosByRound"], serde_json::json!([4.0, 4.4]));
        assert_eq!(json["rows"][1]["gateway"]["cpuMicros"], serde_json::Value::Null);
        assert_eq!(json["rows"][1]["figures"]["kib"], 4.9);
        assert_eq!(json["faults"][0], "echo: 3 were lost & gone");
    }

    #[test]
    fn nothing_measured_is_a_page_too() {
        let (html, json) = written(&[], &[]);
        assert!(html.contains("Nothing was lost"));
        assert_eq!(json["rows"], serde_json::json!([]));
        assert!(super::super::table(&[]).contains("floor us"));
    }

    #[test]
    fn the_table_lines_up() {
        let row = Row::new("echo", "8 clients", "echo", &[sample(40)], &[sample(20)])
            .beside("other", &[sample(60)], &[sample(20)])
            .with("more", Some(12_345.0));
        let text = super::super::table(&[row]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].starts_with("echo: 8 clients    echo"), "{text}");
        assert_eq!(lines[1].find(" 4.00"), lines[2].find(" 6.00"), "{text}");
        assert!(lines[1].contains("4.00") && lines[1].contains("2.00") && lines[1].ends_with("0/0/0"), "{text}");
        assert!(lines[2].trim().starts_with("beside: other") && lines[2].contains("3.00"), "{text}");
        assert_eq!(lines[3].trim(), "more: 12345");
    }
}
