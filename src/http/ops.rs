//! The operators' port: is it alive, is it ready, has it started, and its metrics. No token, no API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::desk::Readiness;
use crate::http::Http;

/// Renders the metrics as Prometheus reads them.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The process answers: nothing else is asked, so that trouble elsewhere restarts nothing.
pub(super) async fn livez() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Whether requests can be answered, and what is known of everything around; Close being down is told, but does not
/// make the desk unready.
pub(super) async fn readyz(State(http): State<Http>) -> (StatusCode, Json<Readiness>) {
    let readiness = http.desk.readiness().await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

/// The metrics.
pub(super) async fn metrics(Extension(render): Extension<Metrics>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        render(),
    )
}
