//! The routers of both ports, with every route.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::extract::Extension;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, any, get, post};
use axum::{Router, routing};
use serde_json::Value;
use tower::Layer as _;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::middleware::authenticate::{Authenticated, protect};
use crate::http::middleware::deprecation::deprecation;
use crate::http::middleware::{access_log, fallback, serve_request};
use crate::http::openapi;
use crate::http::reload_status::ReloadStatus;
use crate::http::routes::docs::Document;
use crate::http::routes::guides::LlmsTxt;
use crate::http::routes::ops::Metrics;
use crate::http::routes::orders;
use crate::http::routes::problem_pages::ProblemPages;
use crate::http::routes::{
    audit, close_webhook, docs, events, guides, hold, me, numbers, ops as operators, problem_pages, runbooks,
    spend, webhook_deliveries, webhook_endpoints,
};
use crate::http::state::Http;

/// The rendered document. All servers of the process share it, because it never changes.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(document()));

/// Returns the router of the API port.
pub fn api(http: Http) -> Router {
    let (protected, operations) = protected().split_for_parts();
    let methods = fallback::Methods::of(&operations.paths);
    let paths = operations.paths.paths.keys().map(String::as_str);
    let paths: BTreeSet<&str> = paths.chain(PUBLIC.iter().map(|(path, _)| *path)).collect();
    let prefix = http.prefix.clone();
    access_log::start_fault_counters(DOCUMENT.value());
    let router = protect(protected, &http)
        .route_layer(from_fn(deprecation))
        .merge(public())
        .merge(trailing_slashes(&paths))
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .fallback(fallback::not_found)
        .layer(Extension(methods))
        .layer(Extension(DOCUMENT.below(&prefix)))
        .layer(Extension(LlmsTxt::new(&prefix)))
        .layer(Extension(ProblemPages::new(&prefix)))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(from_fn_with_state(http.clone(), serve_request::api))
        .with_state(http);
    if !prefix.can_strip(paths.iter().copied()) {
        return router;
    }
    // Around the router, because a layer of the router runs after the path has been matched.
    let strip = MapRequestLayer::new(move |request| prefix.strip(request));
    Router::new().fallback_service(strip.layer(router))
}

/// Returns the router of the operators' port.
pub fn ops(http: Http, metrics: Metrics, reloads: ReloadStatus) -> Router {
    Router::new()
        .route("/livez", routing::get(operators::livez))
        .route("/readyz", routing::get(operators::readyz))
        .route("/startupz", routing::get(operators::startupz))
        .route("/metrics", routing::get(operators::metrics))
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .fallback(fallback::not_found_by_operators)
        .layer(Extension(metrics))
        .layer(Extension(reloads))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(from_fn_with_state(http.clone(), serve_request::ops))
        .with_state(http)
}

/// Returns the OpenAPI document: the operations for apps, which are those that need a token.
pub fn document() -> Value {
    openapi::complete(protected().into_openapi())
}

/// Returns the same document in OpenAPI 3.0.
pub fn document_3_0() -> Value {
    openapi::v3_0::render(&document())
}

/// Returns the routes that need a token.
fn protected() -> OpenApiRouter<Authenticated> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(orders::create::create, orders::list::list))
        .routes(routes!(orders::validate::validate))
        .routes(routes!(orders::get::get))
        .routes(routes!(orders::cancel::cancel))
        .routes(routes!(orders::settle::settle))
        .routes(routes!(orders::approve::approve))
        .routes(routes!(orders::approve::reject))
        .routes(routes!(hold::get, hold::set))
        .routes(routes!(numbers::list))
        .routes(routes!(numbers::get, numbers::update, numbers::release))
        .routes(routes!(numbers::keep))
        .routes(routes!(numbers::transfer))
        .routes(routes!(me::get))
        .routes(routes!(audit::list))
        .routes(routes!(audit::export))
        .routes(routes!(spend::get))
        .routes(routes!(events::list))
        .routes(routes!(events::follow))
        .routes(routes!(webhook_endpoints::create, webhook_endpoints::list))
        .routes(routes!(
            webhook_endpoints::get,
            webhook_endpoints::update,
            webhook_endpoints::remove
        ))
        .routes(routes!(webhook_endpoints::secret))
        .routes(routes!(webhook_endpoints::rotate))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_deliveries::replay))
        .routes(routes!(webhook_deliveries::replay_events))
        .routes(routes!(webhook_deliveries::test))
}

/// A function that returns the handlers of a route.
type Handler = fn() -> MethodRouter<Http>;

/// The routes that need no token, with their handlers. The webhook of Close has a signature instead.
const PUBLIC: &[(&str, Handler)] = &[
    (WEBHOOK_PATH, || post(close_webhook::receive)),
    ("/", || get(docs::redirect)),
    ("/openapi.json", || get(docs::json)),
    ("/openapi.yaml", || get(docs::yaml)),
    ("/openapi-3.0.json", || get(docs::json_3_0)),
    ("/docs", || get(docs::redirect)),
    ("/docs/", || get(docs::swagger_page)),
    ("/docs/{file}", || get(docs::swagger_file)),
    ("/guides", || get(guides::redirect)),
    ("/guides/", || get(guides::index)),
    ("/guides/{*path}", || get(guides::guide)),
    ("/llms.txt", || get(guides::llms_txt)),
    ("/runbooks/", || get(runbooks::index)),
    ("/runbooks/{alert}", || get(runbooks::section)),
    ("/problems/", || get(problem_pages::index)),
    ("/problems/{name}", || get(problem_pages::page)),
];

/// Returns the routes that need no token.
fn public() -> Router<Http> {
    PUBLIC.iter().fold(Router::new(), |router, (path, handler)| {
        router.route(path, handler())
    })
}

/// Returns a route with a slash at its end for each of these paths, unless a page has that path already.
///
/// A path that ends with a wildcard matches a slash itself. The answer depends on the path alone, so it does not reveal
/// whether an object exists.
fn trailing_slashes(paths: &BTreeSet<&str>) -> Router<Http> {
    let missing = paths
        .iter()
        .filter(|path| !path.ends_with('/') && !path.contains("{*"))
        .map(|path| format!("{path}/"))
        .filter(|path| !paths.contains(path.as_str()));
    missing.fold(Router::new(), |router, path| {
        router.route(&path, any(fallback::trailing_slash))
    })
}
