//! The frame of the HTML pages: guides, problem pages and the page for a path that does not exist.

use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::extract::negotiation::choices;
use crate::http::middleware::security_headers::{PAGE_POLICY, REVALIDATE};
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

pub(in crate::http) const HTML: &str = "text/html; charset=utf-8";

/// Returns a whole page. `root` is the URL of the service's root with a slash at its end, such as `../` or `/`.
pub(in crate::http) fn html(root: &str, title: &str, body: &str) -> String {
    let (root, title) = (escaped(root), escaped(title));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} &middot; numberdesk</title>\
         <link rel=\"icon\" href=\"{root}docs/favicon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"{root}docs/pages.css\"></head><body>\
         <nav><a href=\"{root}guides/\">Guides</a> <a href=\"{root}docs/\">API</a> \
         <a href=\"{root}problems/\">Problems</a></nav>\n<main>{body}</main></body></html>\n"
    )
}

/// Returns the 404 for a page that does not exist: HTML for a browser, a problem for other clients.
pub(in crate::http) fn not_found(root: &str, headers: &HeaderMap) -> Response {
    let vary = HeaderValue::from_static("Accept");
    let problem = ProblemType::NotFound;
    if !wants_html(headers) {
        let problem = Problem::new(problem).detail("This page does not exist.");
        return problem.header(VARY, vary).into_response();
    }
    let body = format!(
        "<h1>{}</h1><p>This page does not exist. The lists of <a href=\"{root}guides/\">guides</a> and of \
         <a href=\"{root}problems/\">problems</a> have all pages.</p>",
        problem.title(),
        root = escaped(root),
    );
    let media_type = [(CONTENT_TYPE, HeaderValue::from_static(HTML)), (VARY, vary)];
    let page = html(root, problem.title(), &body);
    (StatusCode::NOT_FOUND, media_type, [PAGE_POLICY, REVALIDATE], page).into_response()
}

/// Returns whether `Accept` names HTML, as browsers do. Wildcards do not count, because other clients send them too.
fn wants_html(headers: &HeaderMap) -> bool {
    choices(headers, ACCEPT).any(|(media_type, weight)| media_type == "text/html" && weight > 0.0)
}

/// Escapes a text for HTML, also inside a quoted attribute.
pub(in crate::http) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Renders text with backticks as HTML with `code` elements.
pub(in crate::http) fn inline_code(text: &str) -> String {
    let part = |(index, part): (usize, &str)| {
        if index % 2 == 1 {
            format!("<code>{}</code>", escaped(part))
        } else {
            escaped(part)
        }
    };
    text.split('`').enumerate().map(part).collect()
}
