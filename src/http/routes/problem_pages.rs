//! A page for each problem type, where its `type` points, and the same as one guide in Markdown.

use axum::response::{Html, IntoResponse, Response};

use crate::http::extract::Id;
use crate::http::middleware::security_headers::{PAGE_POLICY, REVALIDATE};
use crate::http::problem::problem_type::ProblemType;

/// All problem types
///
/// With a link to the page of each.
#[utoipa::path(get, path = "/problems/", tag = "documents", operation_id = "problems", security(()),
    responses((status = 200, description = "Every problem type there is", body = String, content_type = "text/html")))]
pub(in crate::http) async fn index() -> Response {
    let row = |kind: &ProblemType| {
        let (status, name, title) = (kind.status().as_u16(), kind.name(), kind.title());
        format!("<tr><td>{status}<td><a href=\"/problems/{name}\">{name}</a><td>{title}")
    };
    let rows: String = ProblemType::ALL.iter().map(row).collect();
    html("Problems", &format!("<h1>Problems</h1><table>{rows}</table>"))
}

/// A problem type
///
/// The page that a problem's `type` points to, for people.
#[utoipa::path(get, path = "/problems/{name}", tag = "documents", operation_id = "problem", security(()),
    params(("name" = String, Path, description = "The last part of a problem's `type`", example = "policy-denied")),
    responses((status = 200, description = "What it means and what to do", body = String, content_type = "text/html")))]
pub(in crate::http) async fn page(Id(kind): Id<ProblemType>) -> Response {
    let body = format!(
        "<p><a href=\"/problems/\">Problems</a></p><h1>{}</h1><p><code>{}</code> &middot; HTTP {}</p>\
         <h2>What it means</h2><p>{}</p><h2>What to do</h2><p>{}</p>",
        escaped(kind.title()),
        kind.uri(),
        kind.status(),
        prose(kind.meaning()),
        prose(kind.remedy()),
    );
    html(kind.title(), &body)
}

/// The guide to all problem types: one heading for each, as `docs/errors.md` has it.
pub fn markdown() -> String {
    let heading = |kind: &ProblemType| {
        let (name, uri, status) = (kind.name(), kind.uri(), kind.status().as_u16());
        let (title, meaning, remedy) = (kind.title(), kind.meaning(), kind.remedy());
        format!("\n## {name}\n\n`{uri}`, status {status}: {title}.\n\n{meaning}\n\nWhat to do: {remedy}\n")
    };
    let headings: String = ProblemType::ALL.iter().map(heading).collect();
    format!(
        "# Errors\n\nEvery error is `application/problem+json` (RFC 9457). `type` is one of these paths and never \
         changes; `detail` says what happened this time, and `request_id` finds it in the log.\n{headings}"
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

/// Text in which `code` stands between backticks.
fn prose(text: &str) -> String {
    let part = |(place, part): (usize, &str)| {
        if place % 2 == 1 {
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
