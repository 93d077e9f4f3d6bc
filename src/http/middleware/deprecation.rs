//! Marks the responses to deprecated requests, those to refused requests included (RFC 9745).

use axum::extract::Request;
use axum::http::header::LINK;
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use url::form_urlencoded;

/// The time since which `validate_only=true` is deprecated, as a Unix time: version 0.2.0.
const SINCE: HeaderValue = HeaderValue::from_static("@1796083200");
/// The operation to use instead.
const SUCCESSOR: HeaderValue = HeaderValue::from_static("</v1/orders/validate>; rel=\"successor-version\"");

/// Adds `Deprecation` and `Link` to the response to a deprecated request.
pub(in crate::http) async fn deprecation(request: Request, next: Next) -> Response {
    let deprecated = is_deprecated(request.method(), request.uri());
    let mut response = next.run(request).await;
    if deprecated {
        response.headers_mut().insert("deprecation", SINCE);
        response.headers_mut().append(LINK, SUCCESSOR);
    }
    response
}

/// Whether the request is a new order with `validate_only=true`.
fn is_deprecated(method: &Method, uri: &Uri) -> bool {
    let mut query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    method == Method::POST
        && uri.path() == "/v1/orders"
        && query.any(|(name, value)| name == "validate_only" && value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_order_with_validate_only_is_deprecated() {
        let deprecated = |method, uri: &str| is_deprecated(&method, &uri.parse().unwrap());
        for uri in [
            "/v1/orders?validate_only=true",
            "/v1/orders?a=b&validate%5Fonly=tru%65",
        ] {
            assert!(deprecated(Method::POST, uri), "{uri}");
        }
        for uri in [
            "/v1/orders",
            "/v1/orders?validate_only=false",
            "/v1/orders/validate?validate_only=true",
        ] {
            assert!(!deprecated(Method::POST, uri), "{uri}");
        }
        assert!(!deprecated(Method::GET, "/v1/orders?validate_only=true"));
    }
}
