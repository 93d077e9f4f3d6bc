//! The OpenAPI document and Swagger UI.
//!
//! The binary contains both, so the pages load nothing from other hosts.

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::http::extract::Id;
use crate::http::middleware::security_headers::{PAGE_POLICY, REVALIDATE};
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

/// The OpenAPI document as JSON and as YAML. Clones share the bytes.
///
/// It is rendered as YAML when a client asks for that first, because few do and it delays the start.
#[derive(Clone)]
pub(in crate::http) struct Document {
    json: Bytes,
    yaml: Arc<LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>>,
}

impl Document {
    pub(in crate::http) fn new(document: OpenApi) -> Self {
        let json = document.to_pretty_json();
        Self {
            json: json.expect("the document is made of texts and lists").into(),
            yaml: Arc::new(LazyLock::new(Box::new(move || {
                let yaml = document.to_yaml();
                yaml.expect("the document is made of texts and lists").into()
            }))),
        }
    }
}

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

/// Open the documentation
///
/// Redirects a browser to Swagger UI.
#[utoipa::path(get, path = "/", tag = "documents", operation_id = "home", security(()),
    responses((status = 307, description = "Redirect to Swagger UI", headers(("Location" = String)))))]
pub(in crate::http) async fn home() -> Redirect {
    Redirect::temporary("/docs/")
}

/// Get this document as JSON
///
/// OpenAPI 3.1, the same text that `numberdesk openapi` prints. You can generate clients from this document.
#[utoipa::path(get, path = "/openapi.json", tag = "documents", operation_id = "openapi_json", security(()),
    responses((status = 200, description = "The OpenAPI document", body = Object)))]
pub(in crate::http) async fn json(Extension(document): Extension<Document>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json), REVALIDATE], document.json).into_response()
}

/// Get this document as YAML
///
/// OpenAPI 3.1, the same text that `numberdesk openapi --format yaml` prints.
#[utoipa::path(get, path = "/openapi.yaml", tag = "documents", operation_id = "openapi_yaml", security(()),
    responses((status = 200, description = "The OpenAPI document", body = Object, content_type = "application/yaml")))]
pub(in crate::http) async fn yaml(Extension(document): Extension<Document>) -> Response {
    let yaml = HeaderValue::from_static("application/yaml");
    (
        [(CONTENT_TYPE, yaml), REVALIDATE],
        LazyLock::force(&document.yaml).clone(),
    )
        .into_response()
}

/// Go to Swagger UI
///
/// Redirects to `/docs/`. The page needs the trailing slash, because the paths of its files are relative.
#[utoipa::path(get, path = "/docs", tag = "documents", operation_id = "docs", security(()),
    responses((status = 307, description = "Redirect to Swagger UI", headers(("Location" = String)))))]
pub(in crate::http) async fn swagger() -> Redirect {
    Redirect::temporary("/docs/")
}

/// Open Swagger UI
///
/// Authorize with a token and try every operation. The page loads nothing from other hosts.
#[utoipa::path(get, path = "/docs/", tag = "documents", operation_id = "docs_page", security(()),
    responses((status = 200, description = "The interactive documentation", body = String, content_type = "text/html")))]
pub(in crate::http) async fn swagger_page() -> Result<Response, Problem> {
    swagger_file(Id("index.html".to_owned())).await
}

/// Get a file of Swagger UI
///
/// A script, a style sheet or an image of the page.
#[utoipa::path(get, path = "/docs/{file}", tag = "documents", operation_id = "docs_file", security(()),
    params(("file" = String, Path, description = "The name of the file", example = "swagger-ui.css")),
    responses((status = 200, description = "The file", body = String, content_type = "*/*")))]
pub(in crate::http) async fn swagger_file(Id(file): Id<String>) -> Result<Response, Problem> {
    let served = utoipa_swagger_ui::serve(&file, SWAGGER.clone())
        .map_err(|error| Problem::new(ProblemType::Internal).cause(error.to_string()))?;
    let file = served.ok_or_else(|| Problem::new(ProblemType::NotFound))?;
    let media_type = HeaderValue::from_str(&file.content_type).expect("a media type is plain ASCII");
    let mut response = (
        [(CONTENT_TYPE, media_type), PAGE_POLICY, REVALIDATE],
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
