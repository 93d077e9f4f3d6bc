//! The OpenAPI document and Swagger UI.
//!
//! The binary contains both, so the pages load nothing from other hosts. Swagger UI's own files are unchanged; the page
//! around it, its settings and its style are in the folder `docs` beside this file.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::HeaderMap;
use axum::response::{Redirect, Response};
use serde_json::{Value, json};
use utoipa_swagger_ui::Config;

use crate::http::asset::{self, Asset, LazyAsset};
use crate::http::extract::Id;
use crate::http::openapi::v3_0;
use crate::http::page::HTML;
use crate::http::prefix::Prefix;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

/// The OpenAPI document in each of its forms. Clones share it.
#[derive(Clone)]
pub(in crate::http) struct Document {
    value: Arc<Value>,
    /// Each form is rendered for the first client that asks for it, because rendering would delay the start.
    json: Arc<LazyAsset>,
    yaml: Arc<LazyAsset>,
    json_3_0: Arc<LazyAsset>,
}

impl Document {
    /// Returns the document as a value.
    pub(in crate::http) fn value(&self) -> &Value {
        &self.value
    }

    pub(in crate::http) fn new(document: Value) -> Self {
        let value = Arc::new(document);
        let form = |media_type: &'static str, render: fn(&Value) -> Vec<u8>| {
            let value = value.clone();
            Arc::new(asset::lazy(media_type, move || render(&value)))
        };
        Self {
            json: form("application/json", to_json),
            yaml: form("application/yaml", to_yaml),
            json_3_0: form("application/json", |document| to_json(&v3_0::render(document))),
            value,
        }
    }

    /// Returns the document of a service below a prefix: the server and the links in descriptions follow it.
    pub(in crate::http) fn below(&self, prefix: &Prefix) -> Self {
        if prefix.as_str().is_empty() {
            return self.clone();
        }
        let mut document = (*self.value).clone();
        document["servers"][0]["url"] = json!(prefix.as_str());
        prefix_links(&mut document, &format!("]({}/", prefix.as_str()));
        Self::new(document)
    }
}

/// Replaces the start of each Markdown link to a path of the service, in all descriptions.
fn prefix_links(value: &mut Value, start: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = text.replace("](/", start),
                    member => prefix_links(member, start),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prefix_links(item, start)),
        _ => {}
    }
}

fn to_json(document: &Value) -> Vec<u8> {
    serde_json::to_vec(document).expect("the document is made of texts and lists")
}

fn to_yaml(document: &Value) -> Vec<u8> {
    let yaml = serde_norway::to_string(document);
    yaml.expect("the document is made of texts and lists")
        .into_bytes()
}

/// `GET /openapi.json`: the document that `numberdesk openapi` prints, without its line breaks and indents.
pub(in crate::http) async fn json(Extension(document): Extension<Document>, headers: HeaderMap) -> Response {
    document.json.respond(&headers)
}

/// `GET /openapi-3.0.json`: the document in OpenAPI 3.0.
pub(in crate::http) async fn json_3_0(
    Extension(document): Extension<Document>,
    headers: HeaderMap,
) -> Response {
    document.json_3_0.respond(&headers)
}

/// `GET /openapi.yaml`: the same document as YAML.
pub(in crate::http) async fn yaml(Extension(document): Extension<Document>, headers: HeaderMap) -> Response {
    document.yaml.respond(&headers)
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files of the page by name: our own, and those of Swagger UI that the page loads.
static FILES: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
    let own = [
        ("index.html", HTML, include_str!("docs/index.html")),
        (
            "swagger-initializer.js",
            SCRIPT,
            include_str!("docs/swagger-initializer.js"),
        ),
        ("numberdesk.css", CSS, include_str!("docs/numberdesk.css")),
        ("pages.css", CSS, include_str!("docs/pages.css")),
        ("favicon.svg", SVG, include_str!("docs/favicon.svg")),
    ];
    let own = own.map(|(name, media_type, text)| (name, Asset::new(media_type, text)));
    let vendored = [("swagger-ui.css", CSS), ("swagger-ui-bundle.js", SCRIPT)]
        .map(|(name, media_type)| (name, Asset::new(media_type, vendored(name))));
    own.into_iter().chain(vendored).collect()
});

/// Returns a file of Swagger UI.
fn vendored(name: &str) -> Bytes {
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default()))
        .ok()
        .flatten()
        .expect("Swagger UI has its style sheet and its script");
    match file.bytes {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

/// `GET /` and `GET /docs`: redirects to `/docs/`, because the paths of the page's files are relative.
pub(in crate::http) async fn redirect() -> Redirect {
    Redirect::temporary("/docs/")
}

/// `GET /docs/`: Swagger UI. The page loads nothing from other hosts.
pub(in crate::http) async fn swagger_page(headers: HeaderMap) -> Result<Response, Problem> {
    swagger_file(Id("index.html".to_owned()), headers).await
}

/// `GET /docs/{file}`: a script, a style sheet or an image of the page.
pub(in crate::http) async fn swagger_file(
    Id(file): Id<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asset = FILES.get(file.as_str());
    asset.map_or_else(
        || Err(Problem::new(ProblemType::NotFound)),
        |asset| Ok(asset.respond(&headers)),
    )
}
