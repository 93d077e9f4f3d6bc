//! The routers of both ports, with every route.

use std::sync::LazyLock;

use axum::extract::Extension;
use axum::middleware::from_fn_with_state;
use axum::{Router, routing};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::middleware::authenticate::{Authenticated, protect};
use crate::http::middleware::{fallback, serve_request};
use crate::http::openapi;
use crate::http::reload_status::ReloadStatus;
use crate::http::routes::docs::Document;
use crate::http::routes::ops::Metrics;
use crate::http::routes::orders;
use crate::http::routes::{
    audit, close_webhook, docs, events, me, numbers, ops as operators, problem_pages, spend,
    webhook_deliveries, webhook_endpoints,
};
use crate::http::state::Http;

/// The rendered document. All servers of the process share it, because it never changes.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(document()));

/// Returns the router of the API port.
pub fn api(http: Http) -> Router {
    let (protected, _) = protected().split_for_parts();
    let (public, _) = public().split_for_parts();
    protect(protected, &http)
        .merge(public)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .fallback(fallback::not_found)
        .layer(Extension(DOCUMENT.clone()))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(from_fn_with_state(http.clone(), serve_request::api))
        .with_state(http)
}

/// Returns the router of the operators' port.
pub fn ops(http: Http, metrics: Metrics, reloads: ReloadStatus) -> Router {
    Router::new()
        .route("/livez", routing::get(operators::livez))
        .route("/readyz", routing::get(operators::readyz))
        .route("/startupz", routing::get(operators::readyz))
        .route("/metrics", routing::get(operators::metrics))
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .fallback(fallback::not_found)
        .layer(Extension(metrics))
        .layer(Extension(reloads))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(from_fn_with_state(http.clone(), serve_request::ops))
        .with_state(http)
}

/// Returns the OpenAPI document of the API port.
pub fn document() -> OpenApi {
    let mut document = protected().into_openapi();
    document.merge(public().into_openapi());
    openapi::complete(document)
}

/// Returns the routes that need a token.
fn protected() -> OpenApiRouter<Authenticated> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(orders::create::create, orders::list::list))
        .routes(routes!(orders::get::get))
        .routes(routes!(orders::cancel::cancel))
        .routes(routes!(orders::settle::settle))
        .routes(routes!(orders::approve::approve))
        .routes(routes!(orders::approve::reject))
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

/// Returns the routes that need no token. The webhook of Close has a signature instead.
fn public() -> OpenApiRouter<Http> {
    OpenApiRouter::default()
        .routes(routes!(close_webhook::receive))
        .routes(routes!(docs::home))
        .routes(routes!(docs::json))
        .routes(routes!(docs::yaml))
        .routes(routes!(docs::swagger))
        .routes(routes!(docs::swagger_page))
        .routes(routes!(docs::swagger_file))
        .routes(routes!(problem_pages::index))
        .routes(routes!(problem_pages::page))
}
