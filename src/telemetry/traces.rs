//! Spans, and their export to a collector: OTLP over HTTP, in batches, on a thread of their own.
//!
//! A collector that is slow or down causes lost spans, and nothing else.

use std::time::Duration;

use ::metrics::counter;
use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::metrics::TRACE_EXPORTS_TOTAL;

/// For one export, connecting included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the last export, when the process stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The source of spans and their export. Dropping it loses the spans that are left; [`Self::end`] sends them.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the export to `collector`, if there is one, of `percent` of the traces that callers did not begin.
    ///
    /// Without a collector, spans still carry a trace context but are not recorded. Needs a Tokio runtime.
    pub(super) fn start(collector: Option<&Url>, percent: u8) -> anyhow::Result<Self> {
        let resource = Resource::builder()
            .with_service_name("numberdesk")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder().with_resource(resource);
        let Some(endpoint) = collector else {
            let none = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
            return Ok(Self(provider.with_sampler(none).build()));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new()?)
            .with_endpoint(endpoint.as_str())
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .context("the exporter of traces can't be built")?;
        let share = Sampler::TraceIdRatioBased(f64::from(percent) / 100.0);
        Ok(Self(
            provider
                .with_sampler(Sampler::ParentBased(Box::new(share)))
                .with_batch_exporter(exporter)
                .build(),
        ))
    }

    /// The layer that turns this crate's spans, at level `info` and above, into spans of traces.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("numberdesk"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(
                FilterFn::new(|metadata| metadata.is_span() && metadata.target().starts_with("numberdesk"))
                    .with_max_level_hint(LevelFilter::INFO),
            )
    }

    /// Sends the spans that are left. Blocks until they are sent, for [`SHUTDOWN_TIMEOUT`] at most.
    pub(super) fn end(&self) {
        let _ = self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
    }
}

/// The HTTP client of the exporter. The exporter's thread has no runtime, so requests run on the service's.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

impl Collector {
    fn new() -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(EXPORT_TIMEOUT)
            .user_agent("numberdesk")
            .build()?;
        Ok(Self {
            client,
            runtime: Handle::try_current()?,
        })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let task = self.runtime.spawn(async move {
            let received = client.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(received.status());
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(received.headers());
            }
            // The exporter needs only the status, so the body is not read.
            Ok::<_, HttpError>(response.body(Bytes::new())?)
        });
        let response = task.await?;
        let outcome = match &response {
            Ok(response) if response.status().is_success() => "done",
            Ok(_) => "refused",
            Err(_) => "lost",
        };
        counter!(TRACE_EXPORTS_TOTAL, "outcome" => outcome).increment(1);
        response
    }
}
