//! The OpenAPI document and Swagger UI, all from the binary: a page here asks no other host for anything.

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

use crate::http::extract::Id;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::Kind;
use crate::http::router;

/// Swagger UI sets styles from its script, so styles may be inline; scripts may not.
pub(in crate::http) const PAGE_POLICY: (HeaderName, HeaderValue) = (
    CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
);
/// A page may be kept, but not used unasked: the next version of the binary has another one.
pub(in crate::http) const FRESH: (HeaderName, HeaderValue) =
    (CACHE_CONTROL, HeaderValue::from_static("no-cache"));

static JSON: LazyLock<Bytes> = LazyLock::new(|| {
    router::document()
        .to_pretty_json()
        .expect("the document is made of texts and lists")
        .into()
});
static YAML: LazyLock<Bytes> = LazyLock::new(|| {
    router::document()
        .to_yaml()
        .expect("the document is made of texts and lists")
        .into()
});
static SWAGGER: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("/openapi.json")
        .use_base_layout()
        .deep_linking(true)
        .display_request_duration(true)
        .default_models_expand_depth(0)
        .persist_authorization(false)
        .validator_url("none");
    Arc::new(config)
});

/// To the documentation
///
/// Whoever opens the service in a browser wants to read what it is.
#[utoipa::path(get, path = "/", tag = "documents", operation_id = "home", security(()),
    responses((status = 307, description = "To Swagger UI", headers(("Location" = String)))))]
pub(in crate::http) async fn home() -> Redirect {
    Redirect::temporary("/docs/")
}

/// This document as JSON
///
/// OpenAPI 3.1, the same as `numberdesk openapi` prints; made for generators of clients.
#[utoipa::path(get, path = "/openapi.json", tag = "documents", operation_id = "openapi_json", security(()),
    responses((status = 200, description = "The OpenAPI document", body = Object)))]
pub(in crate::http) async fn json() -> Response {
    (
        [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            FRESH,
        ],
        JSON.clone(),
    )
        .into_response()
}

/// This document as YAML
///
/// OpenAPI 3.1, the same as `numberdesk openapi --format yaml` prints.
#[utoipa::path(get, path = "/openapi.yaml", tag = "documents", operation_id = "openapi_yaml", security(()),
    responses((status = 200, description = "The OpenAPI document", body = Object, content_type = "application/yaml")))]
pub(in crate::http) async fn yaml() -> Response {
    (
        [
            (CONTENT_TYPE, HeaderValue::from_static("application/yaml")),
            FRESH,
        ],
        YAML.clone(),
    )
        .into_response()
}

/// To Swagger UI
///
/// The page itself ends with a slash, for the sake of the files beside it.
#[utoipa::path(get, path = "/docs", tag = "documents", operation_id = "docs", security(()),
    responses((status = 307, description = "To Swagger UI", headers(("Location" = String)))))]
pub(in crate::http) async fn swagger() -> Redirect {
    Redirect::temporary("/docs/")
}

/// Swagger UI
///
/// Authorize with a token, and try every operation out. It asks no other host for anything.
#[utoipa::path(get, path = "/docs/", tag = "documents", operation_id = "docs_page", security(()),
    responses((status = 200, description = "This document to read and to try out", body = String, content_type = "text/html")))]
pub(in crate::http) async fn swagger_page() -> Result<Response, Problem> {
    swagger_file(Id("index.html".to_owned())).await
}

/// A part of Swagger UI
///
/// Served from the binary.
#[utoipa::path(get, path = "/docs/{file}", tag = "documents", operation_id = "docs_file", security(()),
    params(("file" = String, Path, description = "A file of Swagger UI", example = "swagger-ui.css")),
    responses((status = 200, description = "A script, a style or an image", body = String, content_type = "*/*")))]
pub(in crate::http) async fn swagger_file(Id(file): Id<String>) -> Result<Response, Problem> {
    let served = utoipa_swagger_ui::serve(&file, SWAGGER.clone())
        .map_err(|fault| Problem::new(Kind::Internal).cause(fault.to_string()))?;
    let file = served.ok_or_else(|| Problem::new(Kind::NotFound))?;
    let kind = HeaderValue::from_str(&file.content_type).expect("a media type is plain ASCII");
    let mut response = (
        [(CONTENT_TYPE, kind), PAGE_POLICY, FRESH],
        file.bytes.into_owned(),
    )
        .into_response();
    if file.gzpipped {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
