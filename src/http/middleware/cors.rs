//! Cross-origin requests (CORS): which pages of other origins may call the API from a browser.
//!
//! Without a list of origins there are no CORS headers, so browsers refuse such calls. Callers send bearer tokens and no
//! cookies, so no origin gets credentials.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_NONE_MATCH, LINK, LOCATION, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::Response;
use tower::util::service_fn;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::middleware::request_context::X_REQUEST_ID;

/// How long a browser may keep the answer to a preflight request. Browsers shorten it.
const MAX_AGE: Duration = Duration::from_hours(2);

/// The headers of requests that pages may set, besides those that browsers always allow.
const REQUEST_HEADERS: [HeaderName; 10] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    X_REQUEST_ID,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// The headers of responses that pages may read, besides those that browsers always show.
const RESPONSE_HEADERS: [HeaderName; 14] = [
    ALLOW,
    CONTENT_DISPOSITION,
    ETAG,
    LINK,
    LOCATION,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    X_REQUEST_ID,
    HeaderName::from_static("deprecation"),
    HeaderName::from_static("idempotent-replayed"),
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("sunset"),
];

/// The methods of the API.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The rules for cross-origin requests. The default allows none.
#[derive(Clone, Default)]
pub(in crate::http) struct Cors(Option<CorsLayer>);

impl Cors {
    /// Allows requests from pages of these origins.
    pub(in crate::http) fn new(origins: &[String]) -> Self {
        if origins.is_empty() {
            return Self::default();
        }
        let origins = origins
            .iter()
            .map(|origin| HeaderValue::from_str(origin).expect("an origin of the settings is visible ASCII"));
        Self(Some(
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(origins))
                .allow_methods(METHODS)
                .allow_headers(REQUEST_HEADERS)
                .expose_headers(RESPONSE_HEADERS)
                .max_age(MAX_AGE),
        ))
    }

    /// Answers a preflight request, or runs the request and adds the headers to its response.
    pub(in crate::http) async fn run<F: Future<Output = Response>>(
        &self,
        request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Response {
        match self.0.as_ref().filter(|_| concerns(&request)) {
            None => run(request).await,
            Some(cors) => {
                let mut run = Some(run);
                let inner = service_fn(move |request| {
                    let response = run.take().expect("a request runs once")(request);
                    async { Ok::<_, Infallible>(response.await) }
                });
                let Ok(response) = cors.layer(inner).oneshot(request).await;
                response
            }
        }
    }
}

/// Whether a request is one that browsers send from pages of any origin.
///
/// The layer would answer every `OPTIONS` as a preflight, and so hide the 405 of other clients. Only Close sends webhooks.
fn concerns(request: &Request) -> bool {
    let headers = request.headers();
    let preflight = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    request.uri().path() != WEBHOOK_PATH && (request.method() != Method::OPTIONS || preflight)
}
