//! The recorder of metrics: keeps what the macros of the crate `metrics` record, and renders it for Prometheus.
//!
//! It knows exactly the metrics of [`SECTIONS`], with their labels. A histogram keeps an exemplar in each bucket: the id
//! of a recorded trace of a recent observation.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::metrics::{
    CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit, gauge,
    set_global_recorder,
};
use anyhow::anyhow;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing::Span;

use super::context::recorded_trace_id;
use super::metrics::{BUILD_INFO, Kind, Metric, SECTIONS};
use super::process::Process;
use super::suffix::split;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0, which has units and exemplars too.
    OpenMetrics,
}

impl MetricsFormat {
    /// Returns the media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Names and values, in the order of the declaration.
type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;
type Histogram = HistogramWithExemplars<[(&'static str, String); 1]>;

/// The metrics of the process. Clones share everything.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    series: HashMap<&'static str, (&'static Metric, Series)>,
}

/// The series of one metric, by their labels.
enum Series {
    Counter(Family<Labels, Counter>),
    Gauge(Family<Labels, FloatGauge>),
    Histogram(Family<Labels, Histogram, Buckets>),
}

/// Creates histograms with these upper bounds.
#[derive(Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Default for Metrics {
    /// Creates metrics that nothing records to yet.
    fn default() -> Self {
        let (mut registry, mut all) = (Registry::default(), HashMap::new());
        for metric in SECTIONS.iter().flat_map(|section| section.metrics) {
            let series = Series::register(metric, &mut registry);
            for labels in known_labels(metric) {
                series.start(&labels);
            }
            all.insert(metric.name, (metric, series));
        }
        registry.register_collector(Box::new(Process));
        Self(Arc::new(Inner {
            registry,
            series: all,
        }))
    }
}

impl Metrics {
    /// Installs the recorder of this process. Fails if the process has one already.
    pub fn install() -> anyhow::Result<Self> {
        let metrics = Self::default();
        set_global_recorder(metrics.clone())
            .map_err(|_| anyhow!("the process has a metrics recorder already"))?;
        gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(metrics)
    }

    /// Renders all metrics, with the process's use of processor, memory and files at this moment.
    pub fn render(&self, format: MetricsFormat) -> String {
        let mut rendered = String::new();
        let written = match format {
            MetricsFormat::Prometheus => prometheus_text::encode(&mut rendered, &self.0.registry),
            MetricsFormat::OpenMetrics => text::encode(&mut rendered, &self.0.registry),
        };
        written.expect("writing to a string does not fail");
        rendered
    }

    fn find(&self, key: &Key) -> Option<(Labels, &Series)> {
        let (metric, series) = self.0.series.get(key.name())?;
        let value = |name: &str| {
            let found = key.labels().find(|label| label.key() == name);
            found.map(|label| label.value().to_owned())
        };
        let labels = metric.labels.iter();
        Some((
            labels
                .filter_map(|label| Some((label.name, value(label.name)?)))
                .collect(),
            series,
        ))
    }
}

impl Series {
    fn register(metric: &'static Metric, registry: &mut Registry) -> Self {
        let (name, unit) = split(metric);
        // The registry ends each help text with a full stop.
        let help = metric.help.trim_end_matches('.');
        macro_rules! register {
            ($kind:ident, $family:expr) => {{
                let family = $family;
                match unit {
                    Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
                    None => registry.register(name, help, family.clone()),
                }
                Self::$kind(family)
            }};
        }
        match metric.kind {
            Kind::Counter => register!(Counter, Family::default()),
            Kind::Gauge => register!(Gauge, Family::default()),
            Kind::Histogram => {
                register!(Histogram, Family::new_with_constructor(Buckets(metric.buckets)))
            }
        }
    }

    /// Lets a series begin at 0. A gauge begins with its first value, because 0 may be wrong.
    fn start(&self, labels: &Labels) {
        match self {
            Self::Counter(family) => drop(family.get_or_create(labels)),
            Self::Histogram(family) => drop(family.get_or_create(labels)),
            Self::Gauge(_) => {}
        }
    }
}

/// Returns the label sets that are known before anything was recorded.
fn known_labels(metric: &Metric) -> Vec<Labels> {
    metric.labels.iter().fold(vec![Labels::new()], |sets, label| {
        let with =
            |set: &Labels, value: &&str| [set.as_slice(), &[(label.name, (*value).to_owned())]].concat();
        let longer = |set: &Labels| label.values.iter().map(|value| with(set, value)).collect();
        sets.iter().flat_map::<Vec<_>, _>(longer).collect()
    })
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Counter {
        match self.find(key) {
            Some((labels, Series::Counter(family))) => {
                ::metrics::Counter::from_arc(Arc::new(OneCounter(family.get_or_create_owned(&labels))))
            }
            _ => ::metrics::Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Gauge {
        match self.find(key) {
            Some((labels, Series::Gauge(family))) => {
                ::metrics::Gauge::from_arc(Arc::new(OneGauge(family.get_or_create_owned(&labels))))
            }
            _ => ::metrics::Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Histogram {
        match self.find(key) {
            Some((labels, Series::Histogram(family))) => {
                ::metrics::Histogram::from_arc(Arc::new(OneHistogram(family.get_or_create_owned(&labels))))
            }
            _ => ::metrics::Histogram::noop(),
        }
    }
}

struct OneCounter(Counter);

impl CounterFn for OneCounter {
    fn increment(&self, value: u64) {
        self.0.inc_by(value);
    }

    fn absolute(&self, value: u64) {
        self.0.inner().fetch_max(value, Ordering::Relaxed);
    }
}

struct OneGauge(FloatGauge);

impl GaugeFn for OneGauge {
    fn increment(&self, value: f64) {
        self.0.inc_by(value);
    }

    fn decrement(&self, value: f64) {
        self.0.dec_by(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

struct OneHistogram(Histogram);

impl HistogramFn for OneHistogram {
    fn record(&self, value: f64) {
        let exemplar = recorded_trace_id(&Span::current()).map(|id| [("trace_id", id)]);
        // Without a time of its own, an exemplar gets that of the scrape.
        self.0.observe(value, exemplar, None);
    }
}
