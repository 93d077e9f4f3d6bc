//! What every request passes first and every answer last: the request id, the limits of a request's head, the
//! headers that keep browsers in check, the body of a problem, one line in the log and the metrics.
//! It does not know what any route does.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument as _;

use crate::domain::caller::Caller;
use crate::domain::id::RequestId;
use crate::http::middleware::access_log::Line;
use crate::http::middleware::drain::Leftover;
use crate::http::middleware::load_shed::{Place, Room};
use crate::http::middleware::rate_limit::Standing;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::Kind;
use crate::http::{Http, Limits};
use crate::telemetry::metrics::HTTP_REQUESTS_IN_FLIGHT;

const MAX_URI_BYTES: usize = 8 << 10;
const MAX_HEADER_BYTES: usize = 32 << 10;
/// The header that every answer carries its request's id in.
pub(in crate::http) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Marks a request that stands for bytes which hyper could not read as one, with the status it found for them.
#[derive(Clone, Copy)]
pub(in crate::http) struct Unread(pub(in crate::http) StatusCode);

/// What is known of a request while it is under way; the extractors fill it in.
#[derive(Clone)]
pub(in crate::http) struct Ticket {
    pub(in crate::http) request_id: RequestId,
    pub(in crate::http) caller: Arc<OnceLock<Arc<Caller>>>,
    /// How much of its team's quota is left.
    pub(in crate::http) standing: Arc<OnceLock<Standing>>,
    /// Where it works.
    pub(in crate::http) place: Place,
}

/// Serves one request of the API's port: traced, told in the log and counted.
pub(in crate::http) async fn api(State(http): State<Http>, request: Request, next: Next) -> Response {
    let line = Line::begin(&request);
    let _under_way = UnderWay::begin();
    let served = serve(&http, Some(&http.room), request, next).instrument(line.span.clone());
    let (response, ticket, problem) = line.waited.measure(served).await;
    line.write(&response, &ticket, problem.as_deref());
    response
}

/// A request that is being answered; one whose client hangs up ends here too.
struct UnderWay;

impl UnderWay {
    fn begin() -> Self {
        metrics::gauge!(HTTP_REQUESTS_IN_FLIGHT).increment(1.0);
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        metrics::gauge!(HTTP_REQUESTS_IN_FLIGHT).decrement(1.0);
    }
}

/// Serves one request of the operators' port: probes and scrapes are neither told nor counted, and never turned
/// away.
pub(in crate::http) async fn ops(State(http): State<Http>, request: Request, next: Next) -> Response {
    serve(&http, None, request, next).await.0
}

/// A handler that panicked is a fault of ours like any other.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer that calls it hands the panic over"
)]
pub(in crate::http) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::new(Kind::Internal)
        .cause(format!("a handler panicked: {said}"))
        .into_response()
}

/// What no route matches.
pub(in crate::http) async fn not_found() -> Problem {
    Problem::new(Kind::NotFound)
}

/// A route that does not take the method; `Allow` is set by who knows the route.
pub(in crate::http) async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed)
}

async fn serve(
    http: &Http,
    room: Option<&Room>,
    mut request: Request,
    next: Next,
) -> (Response, Ticket, Option<Arc<Problem>>) {
    let mut ticket = Ticket {
        request_id: RequestId::generate(http.desk.now()),
        caller: Arc::default(),
        standing: Arc::default(),
        place: Place::default(),
    };
    let instance = instance(request.uri());
    let (rest, version) = (Leftover::of(&mut request), request.version());
    let entered = fits(&request, &http.limits).and_then(|()| match room {
        Some(room) => room.enter(request.uri().path()),
        None => Ok(Place::default()),
    });
    let mut response = match entered {
        Ok(place) => {
            ticket.place = place;
            request.extensions_mut().insert(ticket.clone());
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    ticket.place.leave();
    if (!rest.spill().await || http.desk.is_leaving()) && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let problem = response.extensions_mut().remove::<Arc<Problem>>();
    if let Some(problem) = &problem {
        let document = problem.document(&instance, ticket.request_id.as_str());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        *response.body_mut() = Body::from(document.to_string());
    }
    if let Some(standing) = ticket.standing.get() {
        standing.tell(response.headers_mut());
    }
    dress(response.headers_mut(), &ticket.request_id);
    (response, ticket, problem)
}

/// The path as it was sent, shortened: it is repeated to whoever sent it, and must not grow there.
fn instance(uri: &Uri) -> String {
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    path.chars().take(256).collect()
}

fn fits(request: &Request, limits: &Limits) -> Result<(), Problem> {
    if let Some(Unread(status)) = request.extensions().get() {
        return Err(unread(*status));
    }
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let address = request
        .uri()
        .path_and_query()
        .map_or(0, |address| address.as_str().len());
    if address > MAX_URI_BYTES {
        return Err(Problem::new(Kind::UriTooLong));
    }
    if headers.len() > limits.max_headers || bytes > MAX_HEADER_BYTES {
        return Err(Problem::new(Kind::HeadersTooLarge));
    }
    // RFC 9112 section 3.2: two hosts mean that two readers of the request could see two different ones.
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Problem::fault("/headers/host", "must stand exactly once"));
    }
    Ok(())
}

fn unread(status: StatusCode) -> Problem {
    match status {
        StatusCode::URI_TOO_LONG => Problem::new(Kind::UriTooLong),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Problem::new(Kind::HeadersTooLarge),
        _ => Problem::new(Kind::InvalidRequest).detail("What was sent is not a well-formed HTTP request."),
    }
}

fn dress(headers: &mut HeaderMap, request_id: &RequestId) {
    let id = HeaderValue::from_str(request_id.as_str()).expect("an id is made of letters, digits and `_`");
    headers.insert(X_REQUEST_ID, id);
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (RESOURCE_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
