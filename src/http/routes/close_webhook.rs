//! `/webhooks/close`: where Close delivers. Open to everyone, and only what Close has signed gets further.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;

/// The largest delivery, in bytes: far more than a number or a group ever is.
const LARGEST: usize = 256 << 10;
/// Longest time that a delivery may take to arrive.
const TIME: Duration = Duration::from_secs(10);

/// Receive what Close tells
///
/// Close delivers here what happened to numbers and groups, signed with the key of its webhook subscription. What it says
/// is never believed: it makes the desk ask Close. Answered once it is durable; delivered again, it changes nothing.
#[utoipa::path(
    post, path = WEBHOOK_PATH, tag = "webhooks of Close", operation_id = "receive_webhook", security(()),
    params(
        ("close-sig-hash" = String, Header, description = "Signature of time and body: HMAC-SHA256, 64 hexadecimal digits"),
        ("close-sig-timestamp" = String, Header, description = "When it was signed, in seconds since 1970"),
    ),
    request_body(content = serde_json::Value, description = "One event, byte for byte as it was signed"),
    responses(
        (status = 204, description = "Taken in, or taken in before, or nothing that the desk follows"),
        (status = 401, description = "The signature does not hold"),
    ),
)]
pub(in crate::http) async fn receive(
    State(http): State<Http>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(Problem::new(ProblemType::NotFromClose)
            .detail("The body is compressed. What Close signs is what it sends, as it stands."));
    }
    let context = parts.extensions.get::<RequestContext>();
    let permit = &context.expect("every request has a context").permit;
    let body = permit.without_permit(read(body)).await??;
    let header = |name| single(&parts.headers, name);
    let received = http
        .desk
        .receive(header("close-sig-hash"), header("close-sig-timestamp"), &body)
        .await;
    match received {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(Ok(forged)) => {
            Err(Problem::new(ProblemType::NotFromClose)
                .detail(format!("The delivery does not hold: {forged}.")))
        }
        Err(Err(fault)) => Err(fault.into()),
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    match timeout(TIME, axum::body::to_bytes(body, LARGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => Err(Problem::new(ProblemType::BodyTooLarge).detail(format!(
            "The delivery broke off, or is larger than {LARGEST} bytes."
        ))),
        Err(_) => Err(Problem::new(ProblemType::BodyTooSlow)),
    }
}

/// A header that stands once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}
