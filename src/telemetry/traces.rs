//! Spans, and their way to a collector: OTLP over HTTP, in batches, on a thread of its own. A collector that is slow or
//! away costs spans and nothing else.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

use crate::config::Traces as Settings;

const DEADLINE: Duration = Duration::from_secs(10);

/// Where spans go. When dropped, what is left of them is lost.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Without a collector every span still has its place in a trace, and none is kept. Must be called where tasks
    /// can be spawned.
    pub(super) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let resource = Resource::builder()
            .with_service_name("numberdesk")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder().with_resource(resource);
        let Some(endpoint) = &settings.endpoint else {
            let nothing = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
            return Ok(Self(provider.with_sampler(nothing).build()));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new()?)
            .with_endpoint(endpoint.as_str())
            .with_timeout(DEADLINE)
            .build()
            .context("traces can't be exported")?;
        let share = Sampler::TraceIdRatioBased(f64::from(settings.percent) / 100.0);
        Ok(Self(
            provider
                .with_sampler(Sampler::ParentBased(Box::new(share)))
                .with_batch_exporter(exporter)
                .build(),
        ))
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.0.tracer("numberdesk")
    }

    /// Sends what is left. Blocks until it is sent, or its time is over.
    pub(super) fn end(&self) {
        let _ = self.0.shutdown_with_timeout(Duration::from_secs(2));
    }
}

/// The way to the collector. The thread that exports has no runtime, so the sending is done on ours.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

impl Collector {
    fn new() -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(DEADLINE)
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
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(answer.headers());
            }
            // What a collector says besides its status tells nobody anything here.
            Ok::<_, HttpError>(response.body(Bytes::new())?)
        });
        let answer = sent.await?;
        let outcome = match &answer {
            Ok(answer) if answer.status().is_success() => "done",
            Ok(_) => "refused",
            Err(_) => "lost",
        };
        metrics::counter!("numberdesk_trace_exports_total", "outcome" => outcome).increment(1);
        answer
    }
}
