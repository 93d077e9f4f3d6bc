//! The path below which the service is reached: the path of `server.public_url`.
//!
//! A reverse proxy can serve the service below a path, such as `/numberdesk`. The proxy may remove that path from a
//! request, or leave it in place: both work. Handlers know only paths of the service, such as `/v1/orders`; this module
//! removes the prefix from requests and adds it to the headers of responses.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{LINK, LOCATION};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Uri};

/// The prefix: empty, or a path that starts with a slash and does not end with one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::http) struct Prefix(Arc<str>);

impl Prefix {
    /// Creates the prefix from the path of a URL. The path is percent-encoded, so it is plain ASCII.
    ///
    /// The prefix starts with one slash only. A client would read a `Location` that starts with two as another host.
    pub(in crate::http) fn new(path: &str) -> Self {
        match path.trim_matches('/') {
            "" => Self::default(),
            path => Self(format!("/{path}").into()),
        }
    }

    pub(in crate::http) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a path of the service as its clients see it.
    pub(in crate::http) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Returns whether a service with these paths can remove the prefix from requests.
    ///
    /// It cannot if the prefix is empty, or if a path begins with the first segment of the prefix: a request below that
    /// segment would be ambiguous.
    pub(in crate::http) fn can_strip<'a>(&self, mut own_paths: impl Iterator<Item = &'a str>) -> bool {
        let first = first_segment(&self.0);
        first.is_some_and(|first| own_paths.all(|path| first_segment(path) != Some(first)))
    }

    /// Removes the prefix from the path of the request, if it is there.
    pub(in crate::http) fn strip<B>(&self, mut request: Request<B>) -> Request<B> {
        if let Some(uri) = self.stripped(request.uri()) {
            *request.uri_mut() = uri;
        }
        request
    }

    fn stripped(&self, uri: &Uri) -> Option<Uri> {
        let rest = uri.path_and_query()?.as_str().strip_prefix(&*self.0)?;
        let rest = match rest.chars().next() {
            Some('/') => rest.to_owned(),
            None | Some('?') => format!("/{rest}"),
            Some(_) => return None,
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Adds the prefix to the paths in `Location` and `Link`.
    pub(in crate::http) fn add_to(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        for (name, before) in [(LOCATION, ""), (LINK, "<")] {
            if let axum::http::header::Entry::Occupied(mut entry) = headers.entry(name) {
                for value in entry.iter_mut() {
                    if let Some(prefixed) = self.prefixed(value, before) {
                        *value = prefixed;
                    }
                }
            }
        }
    }

    /// Returns the header's value with the prefix before its path, which follows the text `before`.
    fn prefixed(&self, value: &HeaderValue, before: &str) -> Option<HeaderValue> {
        let path = value.to_str().ok()?.strip_prefix(before)?;
        if !path.starts_with('/') {
            return None;
        }
        HeaderValue::from_str(&format!("{before}{}{path}", self.0)).ok()
    }
}

fn first_segment(path: &str) -> Option<&str> {
    path.split('/').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(prefix: &str, uri: &str) -> String {
        let request = Request::builder().uri(uri).body(()).unwrap();
        Prefix::new(prefix).strip(request).uri().to_string()
    }

    #[test]
    fn only_the_whole_prefix_is_removed_from_a_path() {
        assert_eq!(stripped("/desk", "/desk/v1/me?a=b"), "/v1/me?a=b");
        assert_eq!(stripped("/desk/", "/desk"), "/");
        assert_eq!(stripped("/desk", "/desk?a"), "/?a");
        assert_eq!(stripped("/desk", "/desktop/v1"), "/desktop/v1");
        assert_eq!(stripped("/desk", "/v1/me"), "/v1/me");
        assert_eq!(stripped("/a/b", "/a/b/docs/"), "/docs/");
        assert_eq!(stripped("/", "/v1/me"), "/v1/me");
        assert_eq!(stripped("//desk", "/desk/v1/me"), "/v1/me");
    }

    #[test]
    fn a_prefix_that_is_also_a_path_of_the_service_is_never_removed() {
        let can_strip = |prefix| Prefix::new(prefix).can_strip(["/", "/docs/{file}", "/v1/me"].into_iter());
        assert!(can_strip("/desk") && can_strip("/doc"));
        for prefix in ["", "/", "/docs", "/v1/desk"] {
            assert!(!can_strip(prefix), "{prefix}");
        }
    }

    #[test]
    fn paths_in_headers_get_the_prefix_and_other_urls_do_not() {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static("/v1/orders/1"));
        headers.append(LINK, HeaderValue::from_static("</problems/busy>; rel=\"help\""));
        headers.append(
            LINK,
            HeaderValue::from_static("<https://a.example/x>; rel=\"help\""),
        );
        Prefix::new("/desk").add_to(&mut headers);
        assert_eq!(headers[LOCATION], "/desk/v1/orders/1");
        assert_eq!(Prefix::new("//desk//").path("/v1"), "/desk/v1");
        let links: Vec<_> = headers.get_all(LINK).iter().collect();
        assert_eq!(
            links,
            [
                "</desk/problems/busy>; rel=\"help\"",
                "<https://a.example/x>; rel=\"help\""
            ]
        );
    }
}
