//! `/webhooks/close`: receives webhooks from Close.
//!
//! The route needs no token, because `ingest` verifies the signature.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use crate::desk::{Forged, Ingested};
use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::http::problem::sentence;
use crate::http::state::Http;

/// Maximum size of a webhook, in bytes. Close's objects for numbers and groups are far smaller.
const MAX_BYTES: usize = 256 << 10;
/// Maximum time for the body of a webhook to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time that a webhook with a valid signature waits while others are stored.
const RUN_TIMEOUT: Duration = Duration::from_secs(10);

/// `POST /webhooks/close`: receives a webhook from Close.
///
/// Close sends changes of numbers and groups here, signed with the key of its webhook subscription. From a webhook,
/// Numberdesk only learns which object to read again from Close. Numberdesk responds after it has stored the webhook.
/// A repeated webhook changes nothing.
pub(in crate::http) async fn receive(
    State(http): State<Http>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(Problem::new(ProblemType::NotFromClose)
            .detail("The body is compressed. Close does not compress its webhooks."));
    }
    let header = |name| single(&parts.headers, name);
    let sync = &http.desk.sync;
    // Before the body, which may be slow and large: only Close knows what makes the body worth reading.
    let signature = sync
        .signature(header("close-sig-hash"), header("close-sig-timestamp"))
        .map_err(not_from_close)?;
    let context = parts.extensions.get::<RequestContext>();
    let permit = &context.expect("every request has a context").permit;
    let body = permit.receive(read(body)).await??;
    let delivery = sync.verify(&signature, &body).map_err(not_from_close)?;
    permit.wait(RUN_TIMEOUT).await?;
    match sync.accept(delivery).await? {
        Ingested::New | Ingested::Repeated | Ingested::Ignored => Ok(StatusCode::NO_CONTENT),
        Ingested::Forged(forged) => Err(not_from_close(forged)),
    }
}

fn not_from_close(forged: Forged) -> Problem {
    let detail = sentence(&format!("The webhook is not valid: {forged}"));
    Problem::new(ProblemType::NotFromClose).detail(detail)
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
