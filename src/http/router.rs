//! The table of contents: every route there is, on either port.

use axum::extract::Extension;
use axum::middleware::from_fn_with_state;
use axum::{Router, routing};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::middleware::request_context;
use crate::http::problem::pages;
use crate::http::routes::ops::Metrics;
use crate::http::routes::orders::{self, approve, settle};
use crate::http::routes::{
    audit, close_webhook, docs, events, me, numbers, ops as operators, spend, webhook_deliveries,
    webhook_endpoints,
};
use crate::http::{Board, Http, openapi};

/// The API's port: API and documents about it.
pub fn api(http: Http) -> Router {
    let (routes, _) = documented().split_for_parts();
    routes
        .method_not_allowed_fallback(request_context::method_not_allowed)
        .fallback(request_context::not_found)
        .layer(CatchPanicLayer::custom(request_context::panicked))
        .layer(from_fn_with_state(http.clone(), request_context::api))
        .with_state(http)
}

/// The operators' port.
pub fn ops(http: Http, metrics: Metrics, board: Board) -> Router {
    Router::new()
        .route("/livez", routing::get(operators::livez))
        .route("/readyz", routing::get(operators::readyz))
        .route("/startupz", routing::get(operators::readyz))
        .route("/metrics", routing::get(operators::metrics))
        .method_not_allowed_fallback(request_context::method_not_allowed)
        .fallback(request_context::not_found)
        .layer(Extension(metrics))
        .layer(Extension(board))
        .layer(CatchPanicLayer::custom(request_context::panicked))
        .layer(from_fn_with_state(http.clone(), request_context::ops))
        .with_state(http)
}

/// The OpenAPI document that the server serves.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::complete(documented().into_openapi())
}

fn documented() -> OpenApiRouter<Http> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(orders::create, orders::list))
        .routes(routes!(orders::get))
        .routes(routes!(orders::cancel))
        .routes(routes!(settle::settle))
        .routes(routes!(approve::approve))
        .routes(routes!(approve::reject))
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
        .routes(routes!(close_webhook::receive))
        .routes(routes!(docs::home))
        .routes(routes!(docs::json))
        .routes(routes!(docs::yaml))
        .routes(routes!(docs::swagger))
        .routes(routes!(docs::swagger_page))
        .routes(routes!(docs::swagger_file))
        .routes(routes!(pages::index))
        .routes(routes!(pages::page))
}
