//! The routes of the operators' port: liveness, readiness, startup and metrics. No route needs a token.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::auth::KeyReport;
use crate::desk::{CallFailure, Readiness, Startup};
use crate::domain::odd_record::KnownOddRecord;
use crate::http::extract::negotiation::choices;
use crate::http::reload_status::{FileStatus, ReloadStatus};
use crate::http::state::Http;
use crate::telemetry::MetricsFormat;

/// The most records of Close that a verbose report lists.
const ODD_RECORDS: usize = 20;

/// A function that renders the metrics.
pub type Metrics = Arc<dyn Fn(MetricsFormat) -> String + Send + Sync>;

/// Reports that the process responds to requests.
///
/// It checks no dependency: an outage of the database or of Close must not cause restarts.
pub(in crate::http) async fn livez() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Reports whether the replica has started. Once it has, that stays so until the process ends, also during the stop.
pub(in crate::http) async fn startupz(State(http): State<Http>) -> (StatusCode, Json<Startup>) {
    let startup = http.desk.health.startup();
    (status(startup.started), Json(startup))
}

/// Reports whether the replica can serve requests, and the state of its dependencies.
///
/// The report contains an outage of Close or of the database, but the replica stays ready. `?verbose` adds details for
/// people. Everything is in memory, so that no probe waits for a dependency.
pub(in crate::http) async fn readyz(
    State(http): State<Http>,
    Extension(reloads): Extension<ReloadStatus>,
    RawQuery(query): RawQuery,
) -> (StatusCode, Json<Report>) {
    let readiness = http.desk.health.readiness();
    let status = status(readiness.ready);
    let verbose = is_verbose(query.as_deref()).then(|| Verbose {
        files: reloads.files(),
        issuers: http.auth.report().into_iter().map(IssuerReport::from).collect(),
        open_orders: http.desk.gauges.open_orders(),
        close_left_alone: http.desk.health.close_circuit_open(),
        close_last_failure: http.desk.health.last_close_failure(),
        odd_records: http
            .desk
            .gauges
            .odd_records()
            .into_iter()
            .take(ODD_RECORDS)
            .collect(),
    });
    (status, Json(Report { readiness, verbose }))
}

fn status(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Returns whether the query asks for details.
///
/// Ignores other parameters, so that they cannot make a probe fail.
fn is_verbose(query: Option<&str>) -> bool {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(name, value)| name == "verbose" && !["0", "false"].contains(&&*value))
}

/// The body of `/readyz`.
#[derive(Serialize)]
pub(in crate::http) struct Report {
    #[serde(flatten)]
    readiness: Readiness,
    #[serde(flatten)]
    verbose: Option<Verbose>,
}

/// The details that `?verbose` adds.
#[derive(Serialize)]
struct Verbose {
    /// The last reload of each watched file.
    files: BTreeMap<&'static str, FileStatus>,
    /// The signing keys of each issuer.
    issuers: Vec<IssuerReport>,
    /// The number of orders that are not final, by state, from the last count.
    open_orders: BTreeMap<&'static str, i64>,
    /// Whether the circuit breaker for Close is open.
    close_left_alone: bool,
    /// The last call to Close without a usable answer.
    close_last_failure: Option<CallFailure>,
    /// The first records of Close that can't be read, from the last count.
    odd_records: Vec<KnownOddRecord>,
}

/// The state of an issuer's signing keys.
#[derive(Serialize)]
struct IssuerReport {
    issuer: String,
    source: &'static str,
    keys: usize,
    usable: bool,
    age_seconds: Option<u64>,
    /// Why the last refresh failed.
    #[serde(rename = "wrong")]
    error: Option<String>,
}

impl From<KeyReport> for IssuerReport {
    fn from(report: KeyReport) -> Self {
        Self {
            issuer: report.issuer,
            source: report.source,
            keys: report.keys,
            usable: report.usable,
            age_seconds: report.age.map(|age| age.as_secs()),
            error: report.last_error,
        }
    }
}

/// Returns all metrics: as `OpenMetrics` if the client prefers it, else in the Prometheus text format.
pub(in crate::http) async fn metrics(
    Extension(render): Extension<Metrics>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let weight = |media_type: &str| {
        let listed = choices(&headers, ACCEPT).filter(|(choice, _)| choice == media_type);
        listed.map(|(_, weight)| weight).fold(0.0, f32::max)
    };
    let open_metrics = weight("application/openmetrics-text");
    let format = if open_metrics > 0.0 && open_metrics >= weight("text/plain") {
        MetricsFormat::OpenMetrics
    } else {
        MetricsFormat::Prometheus
    };
    let headers = [(CONTENT_TYPE, format.media_type()), (VARY, "accept")];
    (headers, render(format))
}
