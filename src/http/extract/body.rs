//! Request bodies: reads strict JSON, and checks its media type, size and time.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::timeout;

use crate::domain::input::fault::Fault;
use crate::domain::input::read::{self, Input};
use crate::domain::input::{json, pointer};
use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;

/// Maximum time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of bytes that [`collect`] reads and drops beyond the limit.
const MAX_DRAINED_BYTES: usize = 1 << 20;
/// Maximum wait for each part that [`collect`] drops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A body in `application/json`.
pub(in crate::http) struct JsonBody<T>(pub(in crate::http) T);

/// A body in `application/json`, or no body. Without a body, the request needs no `Content-Type`.
pub(in crate::http) struct OptionalBody<T>(pub(in crate::http) Option<T>);

/// A JSON merge patch (RFC 7396), with its own media type or as `application/json`. The use case reads it.
pub(in crate::http) struct PatchBody(pub(in crate::http) Value);

impl<S: Send + Sync, T: Input> FromRequest<S> for OptionalBody<T>
where
    Http: FromRef<S>,
{
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(None));
        }
        let JsonBody(body) = JsonBody::from_request(request, state).await?;
        Ok(Self(Some(body)))
    }
}

impl<S: Send + Sync, T: Input> FromRequest<S> for JsonBody<T>
where
    Http: FromRef<S>,
{
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = value(request, Http::from_ref(state).limits.body, &["application/json"]).await?;
        Ok(Self(read::read(&body)?))
    }
}

impl<S: Send + Sync> FromRequest<S> for PatchBody
where
    Http: FromRef<S>,
{
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        value(
            request,
            Http::from_ref(state).limits.body,
            &["application/merge-patch+json", "application/json"],
        )
        .await
        .map(Self)
    }
}

async fn value(request: Request, limit: usize, types: &[&str]) -> Result<Value, Problem> {
    let (parts, body) = request.into_parts();
    if let Some(fault) = not_json(&parts.headers, types) {
        return Err(Problem::header_fault(ProblemType::UnsupportedMediaType, &fault));
    }
    let may_fit = body.size_hint().lower() <= limit as u64;
    if !may_fit && parts.headers.contains_key(EXPECT) {
        // The client waits for `100 Continue` before it sends the body, so nothing is left to read.
        return Err(too_large(limit));
    }
    let context = parts.extensions.get::<RequestContext>();
    let permit = &context.expect("every request has a context").permit;
    let bytes = permit
        .without_permit(timeout(BODY_TIMEOUT, collect(body, limit, may_fit)))
        .await?
        .unwrap_or_else(|_| {
            Err(Problem::new(ProblemType::BodyTooSlow).header(CONNECTION, HeaderValue::from_static("close")))
        })?;
    json::parse(&bytes).map_err(|fault| Problem::invalid(&[fault]))
}

/// Collects the body, or fails if it exceeds the limit.
///
/// `fits`: the body is not known to exceed the limit.
///
/// Beyond the limit, it reads up to [`MAX_DRAINED_BYTES`] more: many clients read the response only after they have
/// sent the whole body.
async fn collect(mut body: Body, limit: usize, mut fits: bool) -> Result<Vec<u8>, Problem> {
    let (mut read, mut drained) = (Vec::new(), 0);
    while drained <= MAX_DRAINED_BYTES {
        let next = if fits {
            Ok(body.frame().await)
        } else {
            timeout(DRAIN_TIMEOUT, body.frame()).await
        };
        let Ok(Some(frame)) = next else { break };
        let frame = frame.map_err(|_| Problem::fault("", "is incomplete or not well formed"))?;
        let Ok(data) = frame.into_data() else { continue };
        fits = fits && read.len() + data.len() <= limit;
        if fits {
            read.extend_from_slice(&data);
        } else {
            drained += data.len();
        }
    }
    if fits { Ok(read) } else { Err(too_large(limit)) }
}

fn too_large(limit: usize) -> Problem {
    let close = HeaderValue::from_static("close");
    Problem::new(ProblemType::BodyTooLarge)
        .detail(format!("The body is larger than {limit} bytes."))
        .header(CONNECTION, close)
}

/// Returns the fault of a body that is not uncompressed JSON in UTF-8, with exactly one of the media types.
fn not_json(headers: &HeaderMap, types: &[&str]) -> Option<Fault> {
    let fault = |header: &str, message: String| {
        Some(Fault {
            pointer: pointer::child("/headers", header),
            message,
        })
    };
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let mut compressed = codings.filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if let Some(coding) = compressed.next() {
        let message = format!(
            "must be absent, because bodies are not decompressed; it is `{}`",
            shown(coding)
        );
        return fault("Content-Encoding", message);
    }
    let right = types.join("` or `");
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let found = match (values.next(), values.next()) {
        (None, _) => "the request has no such header".to_owned(),
        (Some(_), Some(_)) => "the request has this header more than once".to_owned(),
        (Some(value), None) if has_type(value, types) => return None,
        (Some(value), None) => format!("it is `{}`", shown(value)),
    };
    fault("Content-Type", format!("must be `{right}`, in UTF-8; {found}"))
}

/// Returns whether the value of `Content-Type` is one of the media types, in UTF-8.
fn has_type(value: &HeaderValue, types: &[&str]) -> bool {
    let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    types.iter().any(|known| known.eq_ignore_ascii_case(essence)) && parts.all(is_utf8)
}

/// Returns a header's value for a message: shortened, and without control characters.
fn shown(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Returns whether a parameter of the media type is compatible with UTF-8.
fn is_utf8(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use futures::stream;

    fn typed(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_uncompressed_json_in_utf_8_is_json() {
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json; profile=x",
        ] {
            assert_eq!(not_json(&typed(good), &["application/json"]), None, "{good}");
        }
        let fault = |headers: &HeaderMap| not_json(headers, &["application/json"]).unwrap().to_string();
        let content_type = "/headers/Content-Type: must be `application/json`, in UTF-8; ";
        for bad in [
            "",
            "text/plain",
            "application/json2",
            "application/json; charset=utf-16",
            "application/merge-patch+json",
        ] {
            assert_eq!(fault(&typed(bad)), format!("{content_type}it is `{bad}`"));
        }
        let mut packed = typed("application/json");
        packed.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(
            fault(&packed),
            "/headers/Content-Encoding: must be absent, because bodies are not decompressed; it is `gzip`"
        );
        let mut twice = typed("application/json");
        twice.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(
            fault(&twice),
            format!("{content_type}the request has this header more than once")
        );
        assert_eq!(
            fault(&HeaderMap::new()),
            format!("{content_type}the request has no such header")
        );
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_an_endless_one_is_refused() {
        assert_eq!(
            collect(Body::from(vec![b'x'; 10]), 10, true).await.unwrap().len(),
            10
        );
        assert!(collect(Body::from(vec![b'x'; 11]), 10, true).await.is_err());
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024])));
        assert!(collect(Body::from_stream(endless), 10, true).await.is_err());
    }
}
