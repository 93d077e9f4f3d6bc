//! `/guides/` and `/llms.txt`: the guides, as pages and as Markdown.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{Redirect, Response};

use crate::http::asset::{self, Asset, LazyAsset};
use crate::http::extract::Id;
use crate::http::guides::table::{GUIDES, Guide};
use crate::http::guides::{lists, render};
use crate::http::middleware::fallback;
use crate::http::page::{self, HTML};
use crate::http::prefix::Prefix;
use crate::http::state::Http;

const MARKDOWN: &str = "text/markdown; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

static INDEX: LazyLock<Asset> = LazyLock::new(|| Asset::new(HTML, lists::index_page()));

/// Pages and Markdown files by the last part of their URL.
static PAGES: LazyLock<BTreeMap<String, LazyAsset>> = LazyLock::new(|| {
    let pages = GUIDES.iter().flat_map(|guide: &'static Guide| {
        let page = asset::lazy(HTML, move || render::page(guide));
        let markdown = asset::lazy(MARKDOWN, move || render::markdown(guide));
        [
            (guide.slug.to_owned(), page),
            (format!("{}.md", guide.slug), markdown),
        ]
    });
    pages.collect()
});

/// `GET /guides`: redirects to the list, because the links of the page are relative.
pub(in crate::http) async fn redirect() -> Redirect {
    Redirect::temporary("/guides/")
}

/// `GET /guides/`: the list of guides.
pub(in crate::http) async fn index(headers: HeaderMap) -> Response {
    INDEX.respond(&headers)
}

/// `GET /guides/{path}`: a guide as a page, or with `.md` at its end as Markdown.
///
/// The wildcard of this route also matches a slash at the end. So this handler redirects such a request, as the router
/// does for other routes.
pub(in crate::http) async fn guide(
    http: State<Http>,
    Id(path): Id<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Some(page) = PAGES.get(&path) {
        return page.respond(&headers);
    }
    match path.strip_suffix('/') {
        Some(path) if PAGES.contains_key(path) => fallback::trailing_slash(http, method, uri).await,
        _ => page::not_found(&http.prefix.path("/"), &headers),
    }
}

/// The list of guides for language models. Clones share it.
#[derive(Clone)]
pub(in crate::http) struct LlmsTxt(Arc<LazyAsset>);

impl LlmsTxt {
    pub(in crate::http) fn new(prefix: &Prefix) -> Self {
        let prefix = prefix.clone();
        Self(Arc::new(asset::lazy(TEXT, move || lists::llms_txt(&prefix))))
    }
}

/// `GET /llms.txt`: the list of guides for language models.
pub(in crate::http) async fn llms_txt(Extension(text): Extension<LlmsTxt>, headers: HeaderMap) -> Response {
    text.0.respond(&headers)
}
