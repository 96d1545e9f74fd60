//! The metrics as Prometheus reads them.

use metrics::Recorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::meter::{Kind, Metric};
use super::metrics::{METRICS, Meter};

/// Renders what one [`Meter`] records.
pub struct Exporter {
    handle: PrometheusHandle,
}

impl Exporter {
    /// Of the text that [`Exporter::render`] returns (Prometheus documentation, "Exposition formats").
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    pub fn new() -> (Exporter, Meter) {
        let mut builder = PrometheusBuilder::new();
        for Metric { name, unit, .. } in METRICS.iter().filter(|metric| metric.kind == Kind::Histogram) {
            let of = Matcher::Full((*name).to_owned());
            builder = builder.set_buckets_for_metric(of, unit.buckets()).expect("every unit has buckets");
        }
        let recorder = builder.build_recorder();
        for &Metric { name, kind, help, .. } in METRICS {
            match kind {
                Kind::Counter => recorder.describe_counter(name.into(), None, help.into()),
                Kind::Gauge => recorder.describe_gauge(name.into(), None, help.into()),
                Kind::Histogram => recorder.describe_histogram(name.into(), None, help.into()),
            }
        }
        let meter = Meter::of(Some(&recorder));
        (Exporter { handle: recorder.handle() }, meter)
    }

    /// Metrics by name, so that a person finds one.
    pub fn render(&self, meter: &Meter) -> String {
        meter.publish();
        let text = self.handle.render();
        let mut families: Vec<&str> = text.split("\n\n").filter(|family| !family.trim().is_empty()).collect();
        // Each begins with `# HELP <name>`.
        families.sort_unstable();
        families.join("\n\n") + "\n"
    }

    /// To be called now and then: until then every sample of a histogram is kept, also when nobody scrapes.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
