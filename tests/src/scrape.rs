//! The metrics of a gateway, read as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};

use crate::TestGateway;

/// What one reading told.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// All of it.
    pub text: String,
    /// The kind of each metric, by the name that is told of it.
    pub kinds: BTreeMap<String, String>,
    series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Reads the metrics of a gateway, from its own machine; where it is several, those of all.
    pub async fn of(gateway: &TestGateway) -> Self {
        let mut nodes = gateway.everywhere("/metrics").into_iter();
        let mut all = Self::at(&nodes.next().expect("a node")).await;
        for node in nodes {
            let Self { text, kinds, series } = Self::at(&node).await;
            all.text.push_str(&text);
            all.kinds.extend(kinds);
            all.series.extend(series);
        }
        all
    }

    /// Reads the metrics there.
    pub async fn at(url: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{url}");
        Self::read(answer.text().await.expect("text"))
    }

    /// Takes a text apart.
    pub fn read(text: String) -> Self {
        assert!(text.ends_with("# EOF\n"), "it has no end:\n{text}");
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let told = |name: &str, kind: &str| if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        let kinds = types.map(|(name, kind)| (told(name, kind), kind.to_owned())).collect();
        let series = text.lines().filter(|line| !line.starts_with('#')).map(Series::read).collect();
        Self { kinds, series, text }
    }

    /// The names of all metrics. A histogram has one.
    pub fn names(&self) -> BTreeSet<String> {
        self.kinds.keys().cloned().collect()
    }

    /// The names of all series: a histogram has three.
    pub fn series(&self) -> BTreeSet<String> {
        self.series.iter().map(|series| series.name.clone()).collect()
    }

    /// The labels that series of a name have.
    pub fn labels(&self, name: &str) -> BTreeSet<String> {
        let own = self.series.iter().filter(|series| series.name == name || series.is_of(name));
        own.flat_map(|series| series.labels.keys()).filter(|label| *label != "le").cloned().collect()
    }

    /// The sum of the series of a name that have all of these labels; 0 where there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |series: &&Series| {
            series.name == name
                && labels.iter().all(|(label, value)| series.labels.get(*label).is_some_and(|own| own == value))
        };
        self.series.iter().filter(has).map(|series| series.value).sum()
    }

    /// The metrics that say something else than before.
    pub fn moved_since(&self, before: &Self) -> BTreeSet<String> {
        let of = |scrape: &Self, name: &str| -> Vec<Series> {
            scrape.series.iter().filter(|series| series.name == name || series.is_of(name)).cloned().collect()
        };
        self.names().into_iter().filter(|name| of(self, name) != of(before, name)).collect()
    }
}

impl Series {
    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("open labels: {line}"));
        let mut own = BTreeMap::new();
        while let Some((label, rest)) = labels.split_once("=\"") {
            let (value, rest) = rest.split_once('"').unwrap_or_else(|| panic!("an open value: {line}"));
            own.insert(label.to_owned(), value.to_owned());
            labels = rest.strip_prefix(',').unwrap_or(rest);
        }
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        Self { name: name.to_owned(), labels: own, value }
    }

    /// Whether it is a part of the histogram of that name.
    fn is_of(&self, name: &str) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| ["_bucket", "_count", "_sum"].contains(&rest))
    }
}
