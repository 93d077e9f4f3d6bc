//! The HTML pages to which the `type` of a problem points, and the same texts as a Markdown guide.

use axum::response::{Html, IntoResponse, Response};

use crate::http::extract::Id;
use crate::http::middleware::security_headers::{PAGE_POLICY, REVALIDATE};
use crate::http::problem::problem_type::ProblemType;

/// List the problem types
///
/// An HTML page with a link to each problem type.
#[utoipa::path(get, path = "/problems/", tag = "documents", operation_id = "problems", security(()),
    responses((status = 200, description = "All problem types", body = String, content_type = "text/html")))]
pub(in crate::http) async fn index() -> Response {
    let row = |problem_type: &ProblemType| {
        let (status, name, title) = (
            problem_type.status().as_u16(),
            problem_type.name(),
            problem_type.title(),
        );
        format!("<tr><td>{status}<td><a href=\"/problems/{name}\">{name}</a><td>{title}")
    };
    let rows: String = ProblemType::ALL.iter().map(row).collect();
    html("Problems", &format!("<h1>Problems</h1><table>{rows}</table>"))
}

/// Get a problem type
///
/// The HTML page to which the `type` of a problem points.
#[utoipa::path(get, path = "/problems/{name}", tag = "documents", operation_id = "problem", security(()),
    params(("name" = String, Path, description = "The last part of a problem's `type`", example = "policy-denied")),
    responses((status = 200, description = "The meaning of the problem, and how to solve it", body = String, content_type = "text/html")))]
pub(in crate::http) async fn page(Id(problem_type): Id<ProblemType>) -> Response {
    let body = format!(
        "<p><a href=\"/problems/\">Problems</a></p><h1>{}</h1><p><code>{}</code> &middot; HTTP {}</p>\
         <h2>What it means</h2><p>{}</p><h2>What to do</h2><p>{}</p>",
        escaped(problem_type.title()),
        problem_type.uri(),
        problem_type.status(),
        to_html(problem_type.meaning()),
        to_html(problem_type.remedy()),
    );
    html(problem_type.title(), &body)
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
         changes. `detail` explains this occurrence, and `request_id` identifies the request in the log.\n{headings}"
    )
}

fn html(title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"icon\" href=\"/docs/favicon-32x32.png\">\
         <title>{} &middot; numberdesk</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;\
         padding:0 1rem}}td{{padding:.2rem 1rem .2rem 0}}code{{background:#eee;padding:0 .2rem}}</style>{body}",
        escaped(title)
    );
    ([PAGE_POLICY, REVALIDATE], Html(page)).into_response()
}

/// Renders text with backticks as HTML with `code` elements.
fn to_html(text: &str) -> String {
    let part = |(index, part): (usize, &str)| {
        if index % 2 == 1 {
            format!("<code>{}</code>", escaped(part))
        } else {
            escaped(part)
        }
    };
    text.split('`').enumerate().map(part).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
