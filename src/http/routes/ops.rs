//! The routes of the operators' port: liveness, readiness, startup and metrics. They need no token.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::auth::KeyReport;
use crate::desk::Readiness;
use crate::http::reload_status::{FileStatus, ReloadStatus};
use crate::http::state::Http;

/// Renders the metrics in the Prometheus text format.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Reports that the process answers.
///
/// It checks nothing else, so that a failing database or Close restarts no replica.
pub(in crate::http) async fn livez() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Reports whether the replica can answer requests, and the state of its dependencies.
///
/// An outage of Close is reported, but does not make the replica unready. `?verbose` adds details for people; they come
/// from memory and cost no call.
pub(in crate::http) async fn readyz(
    State(http): State<Http>,
    Extension(reloads): Extension<ReloadStatus>,
    RawQuery(query): RawQuery,
) -> (StatusCode, Json<Report>) {
    let readiness = http.desk.health.readiness().await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = is_verbose(query.as_deref()).then(|| Verbose {
        files: reloads.files(),
        issuers: http.auth.report().into_iter().map(IssuerReport::from).collect(),
        open_orders: http.desk.gauges.open_orders(),
        close_left_alone: http.desk.health.close_circuit_open(),
    });
    (status, Json(Report { readiness, verbose }))
}

/// Whether the query asks for details. Other parameters are ignored: a probe must get its answer.
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
    /// Orders that are not final, by state, as last counted.
    open_orders: BTreeMap<&'static str, i64>,
    /// Whether the circuit breaker for Close is open.
    close_left_alone: bool,
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

/// Returns all metrics.
pub(in crate::http) async fn metrics(Extension(render): Extension<Metrics>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        render(),
    )
}
