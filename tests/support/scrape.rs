//! The daemon's own pages, as a probe and as Prometheus see them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

/// A place that is free at this moment.
pub fn free_place() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Status and text; `None` when nobody answers.
pub async fn get(url: String) -> Option<(u16, String)> {
    let ask = move || {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let mut answer = ureq::Agent::new_with_config(config).get(&url).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// The samples of one scrape, by name and labels as they are written.
pub struct Scrape {
    pub text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    pub fn of(text: String) -> Scrape {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            (series.to_owned(), value.parse().unwrap())
        };
        let samples = lines.map(sample).collect();
        Scrape { text, samples }
    }

    pub fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no series {series} in\n{}", self.text))
    }

    /// A whole number.
    pub fn count(&self, series: &str) -> u64 {
        let value = self.value(series);
        assert_eq!(value.fract(), 0.0, "{series}");
        value as u64
    }

    /// Label's value -> count, of a metric with one label; zeros left out.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let (before, after) = (format!("{name}{{{label}=\""), "\"}");
        let of = |(series, value): (&String, &f64)| {
            let label = series.strip_prefix(&before)?.strip_suffix(after)?;
            Some((label.to_owned(), *value as u64)).filter(|(_, value)| *value > 0)
        };
        self.samples.iter().filter_map(of).collect()
    }

    /// Counters of this scrape that are lower than in the one before.
    pub fn fallen_since(&self, before: &Scrape) -> Vec<String> {
        let is_counter = |series: &str| {
            let name = series.split('{').next().unwrap_or(series);
            ["_total", "_count", "_bucket", "_sum"].iter().any(|suffix| name.ends_with(suffix))
        };
        let fallen = |(series, value): &(&String, &f64)| {
            is_counter(series) && before.samples.get(*series).is_some_and(|before| before > value)
        };
        self.samples.iter().filter(fallen).map(|(series, _)| series.clone()).collect()
    }
}
