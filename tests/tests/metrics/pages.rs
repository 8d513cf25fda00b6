//! The pages that name metrics: the table of the documentation, the dashboard, the alerts. Each name and each label in
//! them is one that a gateway serves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

/// Labels that Prometheus gives.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&read(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// The rows of the page's table: the labels of each metric.
pub(super) fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("docs/observability.md");
    let rows = text.lines().filter(|line| line.starts_with("| `gateway_"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        (quoted(cells[1]).remove(0), quoted(cells[2]).into_iter().collect())
    };
    rows.map(row).collect()
}

/// Every alert: its name, what it asks, how grave it is, what it says.
fn alerts() -> Vec<[String; 4]> {
    let rules = yaml("deploy/prometheus/alerts.yml");
    let all =
        rules["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules"));
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("a text is missing: {value}")).to_owned();
    all.map(|rule| {
        let said = text(&rule["annotations"]["summary"]) + &text(&rule["annotations"]["description"]);
        [text(&rule["alert"]), text(&rule["expr"]), text(&rule["labels"]["severity"]), said]
    })
    .collect()
}

/// Everything that the dashboard asks, and what it makes names of.
fn questions(dashboard: &Value, found: &mut Vec<(String, String)>) {
    match dashboard {
        Value::Object(members) => {
            if let Some(asked) = members.get("expr").and_then(Value::as_str) {
                let legend = members.get("legendFormat").and_then(Value::as_str).unwrap_or_default();
                found.push((asked.to_owned(), legend.to_owned()));
            }
            members.values().for_each(|value| questions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| questions(value, found)),
        _ => {}
    }
}

/// The dashboard and the alerts ask for nothing but what is served.
pub(super) fn ask_only_for(served: &BTreeMap<String, BTreeSet<String>>) {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/gateway.json")).unwrap();
    let mut asked = Vec::new();
    questions(&dashboard, &mut asked);
    assert!(asked.len() > 40, "the dashboard asks {} questions", asked.len());
    asked.extend(alerts().into_iter().map(|[_, asks, _, said]| (asks, said)));
    let known: BTreeSet<&str> = served.values().flatten().map(String::as_str).chain(OF_PROMETHEUS).collect();
    let words = read("docs/observability.md") + &read("docs/protocol.md") + &read("docs/openapi.json");
    let mut names = BTreeSet::new();
    for (asks, says) in &asked {
        for (name, matchers) in selectors(asks) {
            let Some(own) = served.get(name) else { panic!("no gateway serves {name}: {asks}") };
            for (label, how, value) in matchers {
                assert!(own.contains(label) || OF_PROMETHEUS.contains(&label), "{name} has no label {label}: {asks}");
                // What is matched as it stands is a word that is told somewhere.
                let is_told = ["`", "\""].iter().any(|quote| words.contains(&format!("{quote}{value}{quote}")));
                assert!(how.contains('~') || is_told, "nobody tells of {label} {value}: {asks}");
            }
            names.insert(name.to_owned());
        }
        for label in grouped(asks).chain(spoken(says)) {
            assert!(known.contains(label), "no metric has a label {label}: {asks} {says}");
        }
    }
    for name in table().keys() {
        let is_asked =
            names.iter().any(|asked| asked == name || asked.strip_prefix(name).is_some_and(|rest| rest == "_bucket"));
        assert!(is_asked, "neither the dashboard nor an alert shows {name}");
    }
}

/// What is demanded of a label: its name, how it is matched, with what.
type Matcher<'a> = (&'a str, &'a str, &'a str);

/// Metrics in an expression, each with what is demanded of its labels.
fn selectors(text: &str) -> Vec<(&str, Vec<Matcher<'_>>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in text.match_indices("gateway_") {
        if text[..at].ends_with(is_name) {
            continue;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let inside = rest[end..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let matchers = inside.map_or_else(Vec::new, |(inside, _)| {
            let parts = inside.split(',').filter_map(|part| part.split_once('"'));
            parts
                .map(|(head, value)| {
                    let label = head.trim_end_matches(['=', '!', '~']);
                    (label.trim(), &head[label.len()..], value.trim_end_matches('"'))
                })
                .collect()
        });
        found.push((&rest[..end], matchers));
    }
    found
}

/// The labels by which an expression groups.
fn grouped(text: &str) -> impl Iterator<Item = &str> {
    let lists = ["by (", "on (", "group_left ("].into_iter().flat_map(|word| text.split(word).skip(1));
    lists.filter_map(|rest| rest.split(')').next()).flat_map(|list| list.split(',')).map(str::trim)
}

/// The labels that a legend or a message speaks of.
fn spoken(text: &str) -> impl Iterator<Item = &str> {
    let inside = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim);
    inside.filter(|word| !word.starts_with("$value")).map(|word| word.trim_start_matches("$labels."))
}

/// The page has a row for every alert and no other, and Prometheus is told to read their file.
pub(super) fn alerts_are_told() {
    let text = read("docs/observability.md");
    let rows = text.lines().filter(|line| line.starts_with("| `Gateway"));
    let told: Vec<_> =
        rows.map(|line| line.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>()).collect();
    let told: Vec<_> = told.iter().map(|row| (row[1].clone(), row[2].clone())).collect();
    let own: Vec<_> = alerts().into_iter().map(|[name, _, severity, _]| (name, severity)).collect();
    assert_eq!(told, own, "docs/observability.md, the table of alerts");
    let prometheus = yaml("deploy/prometheus/prometheus.yml");
    assert_eq!(prometheus["rule_files"], serde_json::json!(["alerts.yml"]));
    assert_eq!(prometheus["scrape_configs"][0]["metrics_path"], "/metrics");
    assert_eq!(prometheus["scrape_configs"][0]["job_name"], "gateway", "the alert of a node that is gone names it");
}
