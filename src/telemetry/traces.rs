//! Spans, and their export to a collector: OTLP over HTTP, in batches, on a thread of their own.
//!
//! A collector that is slow or down causes lost spans, and nothing else.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
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
use crate::egress::{Client, Failure, Proxies, Trust};

/// For one export, connecting included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the last export, when the process stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The collector of traces, and how it is reached.
#[derive(Debug, Clone)]
pub struct CollectorSettings {
    /// The URL of its OTLP over HTTP.
    pub endpoint: Url,
    /// A file with authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxies by which it is reached.
    pub proxies: Proxies,
}

/// The source of spans and their export. Dropping it loses the spans that are left; [`Self::end`] sends them.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the export to the collector, if there is one, of a share of the traces that callers did not begin.
    ///
    /// Without a collector, spans still carry a trace context but are not recorded. Needs a Tokio runtime.
    pub(super) fn start(
        collector: Option<&CollectorSettings>,
        percent: u8,
        resource: Resource,
    ) -> anyhow::Result<Self> {
        let provider = SdkTracerProvider::builder().with_resource(resource);
        let Some(settings) = collector else {
            let none = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
            return Ok(Self(provider.with_sampler(none).build()));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(settings)?)
            .with_endpoint(settings.endpoint.as_str())
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
struct Collector {
    client: Arc<Client>,
    runtime: Handle,
}

impl Collector {
    fn new(settings: &CollectorSettings) -> anyhow::Result<Self> {
        // Also for http: the proxy may need TLS.
        let trust = Trust::beside(settings.ca_file.clone());
        let client = Client::new(trust, Some(settings.proxies.clone()), || {
            reqwest::Client::builder()
                .redirect(Policy::none())
                .timeout(EXPORT_TIMEOUT)
                .user_agent("numberdesk")
        });
        Ok(Self {
            client: Arc::new(client.context("traces")?),
            runtime: Handle::try_current()?,
        })
    }

    /// Sends one batch. The authorities may have changed since the last one.
    async fn send(client: Arc<Client>, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let read = Arc::clone(&client);
        if let Err(error) = tokio::task::spawn_blocking(move || read.reload()).await? {
            tracing::warn!(%error, "authorities of the collector not read; the last good ones stay trusted");
        }
        let received = client
            .current()
            .execute(request.try_into()?)
            .await
            .map_err(|error| Failure::of(&error).to_string())?;
        let mut response = Response::builder().status(received.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(received.headers());
        }
        // The exporter needs only the status, so the body is not read.
        Ok(response.body(Bytes::new())?)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self
            .runtime
            .spawn(Self::send(self.client.clone(), request))
            .await?;
        let outcome = match &response {
            Ok(response) if response.status().is_success() => "done",
            Ok(_) => "refused",
            Err(_) => "lost",
        };
        counter!(TRACE_EXPORTS_TOTAL, "outcome" => outcome).increment(1);
        response
    }
}
