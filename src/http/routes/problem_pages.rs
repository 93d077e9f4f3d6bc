//! The HTML pages to which the `type` of a problem points, and the same texts as a Markdown guide.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::http::asset::{self, LazyAsset};
use crate::http::extract::Id;
use crate::http::guides::table::Guide;
use crate::http::page::{self, HTML, escaped, inline_code};
use crate::http::prefix::Prefix;
use crate::http::problem::example::example;
use crate::http::problem::guide::guide;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;

/// The pages by the name of the problem type. The list of all types has an empty name. Clones share the pages.
#[derive(Clone)]
pub(in crate::http) struct ProblemPages(Arc<BTreeMap<&'static str, LazyAsset>>);

impl ProblemPages {
    /// Creates the pages of a service below the prefix. Their links contain the prefix.
    pub(in crate::http) fn new(prefix: &Prefix) -> Self {
        let list = prefix.clone();
        let list = asset::lazy(HTML, move || list_page(&list));
        let pages = ProblemType::ALL.iter().map(|problem_type| {
            let prefix = prefix.clone();
            let page = asset::lazy(HTML, move || type_page(*problem_type, &prefix));
            (problem_type.name(), page)
        });
        Self(Arc::new(pages.chain([("", list)]).collect()))
    }
}

/// `GET /problems/`: an HTML page with a link to each problem type.
pub(in crate::http) async fn index(
    Extension(pages): Extension<ProblemPages>,
    headers: HeaderMap,
) -> Response {
    pages.0[""].respond(&headers)
}

/// `GET /problems/{name}`: the HTML page to which the `type` of a problem points.
pub(in crate::http) async fn page(
    State(http): State<Http>,
    Extension(pages): Extension<ProblemPages>,
    Id(name): Id<String>,
    headers: HeaderMap,
) -> Response {
    match pages.0.get(name.as_str()) {
        Some(page) => page.respond(&headers),
        None => page::not_found(&http.prefix.path("/"), &headers),
    }
}

fn list_page(prefix: &Prefix) -> String {
    let row = |problem_type: &ProblemType| {
        let (status, name, title) = (
            problem_type.status().as_u16(),
            problem_type.name(),
            problem_type.title(),
        );
        let url = escaped(&prefix.path(&problem_type.uri()));
        format!("<tr><td>{status}<td><a href=\"{url}\">{name}</a><td>{title}")
    };
    let rows: String = ProblemType::ALL.iter().map(row).collect();
    let body = format!("<h1>Problems</h1><div class=\"table\"><table>{rows}</table></div>");
    page::html(&prefix.path("/"), "Problems", &body)
}

fn type_page(problem_type: ProblemType, prefix: &Prefix) -> String {
    let root = prefix.path("/");
    let example = serde_json::to_string_pretty(&example(problem_type)).expect("an example is plain data");
    let (slug, anchor) = guide(problem_type);
    let body = format!(
        "<h1>{}</h1><p><code>{}</code> &middot; HTTP {}</p><h2>What it means</h2><p>{}</p><h2>What to do</h2><p>{}</p>\
         <p>Guide: <a href=\"{}guides/{slug}{anchor}\">{}</a></p><h2>Example</h2><pre><code>{}</code></pre>",
        escaped(problem_type.title()),
        problem_type.uri(),
        problem_type.status(),
        inline_code(problem_type.meaning()),
        inline_code(problem_type.remedy()),
        escaped(&root),
        escaped(Guide::find(slug).map_or(slug, Guide::title)),
        escaped(&example),
    );
    page::html(&root, problem_type.title(), &body)
}

/// Returns the guide to all problem types in Markdown, the content of `docs/errors.md`.
pub fn markdown() -> String {
    let heading = |problem_type: &ProblemType| {
        let (name, uri, status) = (
            problem_type.name(),
            problem_type.uri(),
            problem_type.status().as_u16(),
        );
        let (title, meaning, remedy) = (
            problem_type.title(),
            problem_type.meaning(),
            problem_type.remedy(),
        );
        format!("\n## {name}\n\n`{uri}`, status {status}: {title}.\n\n{meaning}\n\nWhat to do: {remedy}\n")
    };
    let headings: String = ProblemType::ALL.iter().map(heading).collect();
    format!(
        "# Errors\n\nEvery error is `application/problem+json` (RFC 9457). `type` is one of these paths and never \
         changes. `detail` explains this occurrence, and `request_id` identifies the request in the log.\n\n`type` and `instance` are paths \
         of the API: they are the same in every installation, also if a reverse proxy serves the API below a path. The header \
         `Link` with `rel=\"help\"` is the URL of the page that explains the problem.\n{headings}"
    )
}
