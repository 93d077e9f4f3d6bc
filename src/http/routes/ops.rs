//! The operators' port: is it alive, is it ready, has it started, and its metrics. No token, no API.

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
use crate::http::reload_status::Looked;
use crate::http::{Board, Http};

/// Renders the metrics as Prometheus reads them.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The process answers: nothing else is asked, so that trouble elsewhere restarts nothing.
pub(in crate::http) async fn livez() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Whether requests can be answered, and what is known of everything around; Close being down is told, but does not
/// make the desk unready. With `?verbose` more of it, for people: none of that is asked anywhere, it is what was last
/// found.
pub(in crate::http) async fn readyz(
    State(http): State<Http>,
    Extension(board): Extension<Board>,
    RawQuery(query): RawQuery,
) -> (StatusCode, Json<Report>) {
    let readiness = http.desk.readiness().await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = wants_more(query.as_deref()).then(|| Verbose {
        files: board.lines(),
        issuers: http.auth.report().into_iter().map(OfIssuer::from).collect(),
        open_orders: http.desk.open_orders(),
        close_left_alone: http.desk.leaves_close_alone(),
    });
    (status, Json(Report { readiness, verbose }))
}

/// A probe is answered whatever else it says.
fn wants_more(query: Option<&str>) -> bool {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(name, value)| name == "verbose" && !["0", "false"].contains(&&*value))
}

/// What a probe is told.
#[derive(Serialize)]
pub(in crate::http) struct Report {
    #[serde(flatten)]
    readiness: Readiness,
    #[serde(flatten)]
    verbose: Option<Verbose>,
}

/// What a person is told besides.
#[derive(Serialize)]
struct Verbose {
    /// The files beside the configuration.
    files: BTreeMap<&'static str, Looked>,
    issuers: Vec<OfIssuer>,
    /// Orders whose end is not known yet, by state, as they were last counted.
    open_orders: BTreeMap<&'static str, i64>,
    /// Whether Close did not answer for so long that nobody calls for a while.
    close_left_alone: bool,
}

/// How the keys of an issuer stand.
#[derive(Serialize)]
struct OfIssuer {
    issuer: String,
    source: &'static str,
    keys: usize,
    usable: bool,
    age_seconds: Option<u64>,
    /// What went wrong the last time.
    wrong: Option<String>,
}

impl From<KeyReport> for OfIssuer {
    fn from(report: KeyReport) -> Self {
        Self {
            issuer: report.issuer,
            source: report.source,
            keys: report.keys,
            usable: report.usable,
            age_seconds: report.age.map(|age| age.as_secs()),
            wrong: report.last_error,
        }
    }
}

/// The metrics.
pub(in crate::http) async fn metrics(Extension(render): Extension<Metrics>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        render(),
    )
}
