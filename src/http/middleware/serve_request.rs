//! The outermost middleware of both ports: first to see a request, last to change its response.
//!
//! It creates the request context, refuses requests above the limits, drains the body, and completes every response
//! with the body of its problem, the quota, the security headers and the request id.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, LINK};
use axum::http::{HeaderValue, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument as _;

use crate::domain::id::RequestId;
use crate::http::middleware::access_log::AccessLog;
use crate::http::middleware::check_head::check_head;
use crate::http::middleware::cors::Cors;
use crate::http::middleware::drain::SharedBody;
use crate::http::middleware::load_shed::{LoadShed, Permit};
use crate::http::middleware::request_context::{RequestContext, X_REQUEST_ID};
use crate::http::middleware::security_headers::add_security_headers;
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::telemetry::metrics::HTTP_REQUESTS_IN_FLIGHT;

/// Serves a request of the API port, with load shedding, a trace, a log line and metrics.
pub(in crate::http) async fn api(State(http): State<Http>, request: Request, next: Next) -> Response {
    let log = AccessLog::begin(&request);
    let _in_flight = InFlight::begin();
    let served = serve(&http, Some(&http.load_shed), &http.cors, request, next).instrument(log.span.clone());
    let (response, context, problem) = log.waited.measure(served).await;
    log.write(&http.request_log, &response, &context, problem.as_deref());
    response
}

/// Serves a request of the operators' port, without a log line.
///
/// There is no load shedding, because probes must always get a response. No page of another origin may read it.
pub(in crate::http) async fn ops(State(http): State<Http>, request: Request, next: Next) -> Response {
    serve(&http, None, &Cors::default(), request, next).await.0
}

/// Counts a request in the gauge of running requests, until it is dropped.
///
/// The drop also happens when the client disconnects.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!(HTTP_REQUESTS_IN_FLIGHT).increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!(HTTP_REQUESTS_IN_FLIGHT).decrement(1.0);
    }
}

async fn serve(
    http: &Http,
    load_shed: Option<&LoadShed>,
    cors: &Cors,
    mut request: Request,
    next: Next,
) -> (Response, RequestContext, Option<Arc<Problem>>) {
    let mut context = RequestContext::new(RequestId::generate(http.desk.now()));
    let instance = instance(request.uri());
    let (body, version) = (SharedBody::share(&mut request), request.version());
    let permit = check_head(&request, &http.limits).and_then(|()| match load_shed {
        Some(load_shed) => load_shed.acquire(request.uri().path()),
        None => Ok(Permit::default()),
    });
    let admitted = permit.map(|permit| {
        context.permit = permit;
        request.extensions_mut().insert(context.clone());
    });
    // Around the checks above, so that pages of other origins can read their problems, too.
    let run = |request| async {
        match admitted {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    let mut response = cors.run(request, run).await;
    context.permit.release();
    if (!body.drain().await || http.desk.health.is_leaving()) && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let problem = response.extensions_mut().remove::<Arc<Problem>>();
    if let Some(problem) = &problem {
        let document = problem.document(&instance, context.request_id.as_str());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let body = serde_json::to_vec(&document).expect("a problem is plain data");
        *response.body_mut() = Body::from(body);
        let help = format!("<{}>; rel=\"help\"", document.r#type);
        let help = HeaderValue::from_str(&help).expect("a URI is plain ASCII");
        response.headers_mut().append(LINK, help);
    }
    let headers = response.headers_mut();
    http.prefix.add_to(headers);
    if let Some(quota) = context.quota.get() {
        quota.write_headers(headers);
    }
    let id =
        HeaderValue::from_str(context.request_id.as_str()).expect("an id is made of letters, digits and `_`");
    headers.insert(X_REQUEST_ID, id);
    add_security_headers(headers);
    (response, context, problem)
}

/// Returns the path of the request, shortened, so that a long path does not make the response large.
fn instance(uri: &Uri) -> String {
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    path.chars().take(256).collect()
}
