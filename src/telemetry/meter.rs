//! What a metric is made of. Counters hold their numbers themselves, so that whoever shows progress and whoever scrapes
//! read the same ones. Nothing here takes a lock, and nothing is recorded for a row: for an object, a call or a commit.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// Empty for a metric of one series.
    pub label: &'static str,
    /// What the label may be; one empty text for a metric of one series.
    pub values: fn() -> Vec<&'static str>,
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    Seconds,
    /// Seconds since 1970.
    UnixSeconds,
    Bytes,
    /// Millionths of the currency unit.
    Micros,
    /// 1 or 0.
    Truth,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Seconds => "seconds",
            Unit::UnixSeconds => "Unix seconds",
            Unit::Bytes => "bytes",
            Unit::Micros => "micros",
            Unit::Truth => "0 or 1",
        }
    }

    /// The upper bounds of a histogram's buckets.
    pub fn buckets(self) -> &'static [f64] {
        match self {
            Unit::Seconds | Unit::UnixSeconds => {
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0]
            }
            Unit::Count | Unit::Bytes | Unit::Micros | Unit::Truth => {
                &[1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6]
            }
        }
    }
}

/// What tells the series of one metric apart: few values, known before the program runs. Never a key of a log or an object.
pub trait Label: Copy {
    const NAME: &'static str;

    /// In the order of [`Label::index`].
    fn values() -> Vec<&'static str>;

    fn index(self) -> usize;
}

/// A metric of one series.
impl Label for () {
    const NAME: &'static str = "";

    fn values() -> Vec<&'static str> {
        vec![""]
    }

    fn index(self) -> usize {
        0
    }
}

/// A metric as the code records it. Made of a line of the table and by nothing else.
pub trait Recorded: Sized {
    const KIND: Kind;

    /// Shown by `recorder`, or by nobody.
    fn of(metric: &Metric, recorder: Option<&PrometheusRecorder>) -> Self;

    /// Shows what this holds itself.
    fn publish(&self) {}
}

pub struct Counter<L> {
    counts: Vec<AtomicU64>,
    shown: Vec<metrics::Counter>,
    label: PhantomData<fn(L)>,
}

pub struct Gauge<L> {
    shown: Vec<metrics::Gauge>,
    label: PhantomData<fn(L)>,
}

pub struct Histogram<L> {
    shown: Vec<metrics::Histogram>,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Counter<L> {
    pub fn add(&self, label: L, more: u64) {
        self.counts[label.index()].fetch_add(more, Ordering::Relaxed);
    }

    /// Takes over a count that somebody else keeps.
    pub fn rise_to(&self, label: L, count: u64) {
        self.counts[label.index()].fetch_max(count, Ordering::Relaxed);
    }

    pub fn get(&self, label: L) -> u64 {
        self.counts[label.index()].load(Ordering::Relaxed)
    }

    pub fn sum(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl<L: Label> Gauge<L> {
    pub fn set(&self, label: L, value: f64) {
        self.shown[label.index()].set(value);
    }
}

impl<L: Label> Histogram<L> {
    pub fn record(&self, label: L, value: f64) {
        self.shown[label.index()].record(value);
    }

    pub fn took(&self, label: L, time: Duration) {
        self.record(label, time.as_secs_f64());
    }
}

/// One key for each value of the label.
fn keys(metric: &Metric) -> impl Iterator<Item = Key> {
    let (name, label) = (metric.name, metric.label);
    let labels = move |value| if label.is_empty() { vec![] } else { vec![metrics::Label::new(label, value)] };
    (metric.values)().into_iter().map(move |value| Key::from_parts(name, labels(value)))
}

const ABOUT: Metadata<'static> = Metadata::new("xc2_analyzer", Level::INFO, None);

impl<L: Label> Recorded for Counter<L> {
    const KIND: Kind = Kind::Counter;

    fn of(metric: &Metric, recorder: Option<&PrometheusRecorder>) -> Self {
        let shown = keys(metric).map(|key| match recorder {
            Some(recorder) => recorder.register_counter(&key, &ABOUT),
            None => metrics::Counter::noop(),
        });
        let shown: Vec<_> = shown.collect();
        Self { counts: shown.iter().map(|_| AtomicU64::new(0)).collect(), shown, label: PhantomData }
    }

    fn publish(&self) {
        for (count, shown) in self.counts.iter().zip(&self.shown) {
            shown.absolute(count.load(Ordering::Relaxed));
        }
    }
}

impl<L: Label> Recorded for Gauge<L> {
    const KIND: Kind = Kind::Gauge;

    fn of(metric: &Metric, recorder: Option<&PrometheusRecorder>) -> Self {
        let shown = keys(metric).map(|key| match recorder {
            Some(recorder) => recorder.register_gauge(&key, &ABOUT),
            None => metrics::Gauge::noop(),
        });
        Self { shown: shown.collect(), label: PhantomData }
    }
}

impl<L: Label> Recorded for Histogram<L> {
    const KIND: Kind = Kind::Histogram;

    fn of(metric: &Metric, recorder: Option<&PrometheusRecorder>) -> Self {
        let shown = keys(metric).map(|key| match recorder {
            Some(recorder) => recorder.register_histogram(&key, &ABOUT),
            None => metrics::Histogram::noop(),
        });
        Self { shown: shown.collect(), label: PhantomData }
    }
}
