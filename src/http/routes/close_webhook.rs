//! `/webhooks/close`: receives webhooks from Close.
//!
//! The route needs no token, because `ingest` verifies the signature.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use crate::desk::Ingested;
use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;

/// Maximum size of a webhook, in bytes. Close's objects for numbers and groups are far smaller.
const MAX_BYTES: usize = 256 << 10;
/// Maximum time for the body of a webhook to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Receive a webhook from Close
///
/// Close sends changes of numbers and groups here, signed with the key of its webhook subscription. From a webhook,
/// Numberdesk only learns which object to read again from Close. Numberdesk responds after it has stored the webhook.
/// A repeated webhook changes nothing.
#[utoipa::path(
    post, path = WEBHOOK_PATH, tag = "webhooks of Close", operation_id = "receive_webhook", security(()),
    params(
        ("close-sig-hash" = String, Header, description = "HMAC-SHA256 of the timestamp and the body, as 64 hexadecimal digits"),
        ("close-sig-timestamp" = String, Header, description = "The time of the signature, in seconds since 1970 (Unix time)"),
    ),
    request_body(content = serde_json::Value, description = "One event, byte for byte as Close signed it"),
    responses(
        (status = 204, description = "Stored now, already stored before, or not relevant for Numberdesk"),
        (status = 401, description = "The signature is not valid"),
    ),
)]
pub(in crate::http) async fn receive(
    State(http): State<Http>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(Problem::new(ProblemType::NotFromClose)
            .detail("The body is compressed. Close does not compress its webhooks."));
    }
    let context = parts.extensions.get::<RequestContext>();
    let permit = &context.expect("every request has a context").permit;
    let body = permit.without_permit(read(body)).await??;
    let header = |name| single(&parts.headers, name);
    let received = http
        .desk
        .sync
        .ingest(header("close-sig-hash"), header("close-sig-timestamp"), &body)
        .await;
    match received? {
        Ingested::New | Ingested::Repeated | Ingested::Ignored => Ok(StatusCode::NO_CONTENT),
        Ingested::Forged(forged) => {
            Err(Problem::new(ProblemType::NotFromClose)
                .detail(format!("The webhook is not valid: {forged}.")))
        }
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    match timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => Err(Problem::new(ProblemType::BodyTooLarge).detail(format!(
            "The webhook is incomplete, or larger than {MAX_BYTES} bytes."
        ))),
        Err(_) => Err(Problem::new(ProblemType::BodyTooSlow)),
    }
}

/// Returns the value of a header that appears exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}
