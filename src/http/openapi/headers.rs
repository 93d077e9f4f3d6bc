//! The headers that several responses share.

use utoipa::openapi::schema::Type;
use utoipa::openapi::{Header, HeaderBuilder, ObjectBuilder, Ref, RefOr};

/// The header with the seconds until the next attempt.
const RETRY_AFTER: &str = "Retry-After";

/// The header with the id of the request.
pub(super) const REQUEST_ID: &str = "X-Request-Id";

/// The header of the response to a repeated idempotency key.
pub(super) const IDEMPOTENT_REPLAYED: &str = "Idempotent-Replayed";

/// The headers that several responses share, with their descriptions.
///
/// A handler declares only their names.
pub(super) const HEADERS: &[(&str, &str)] = &[
    ("ETag", "The version of the number."),
    (
        IDEMPOTENT_REPLAYED,
        "`true` if the request repeats an earlier one with the same idempotency key, so that the response shows the order \
         of that request in its current state. Missing in the response to the first request.",
    ),
    ("Location", "The path of the object."),
    ("Preference-Applied", "`wait=N`, if the request has it too."),
    (
        "RateLimit",
        "The team's remaining request quota. Every response to a request with a valid token has this header \
        (draft-ietf-httpapi-ratelimit-headers).",
    ),
    (RETRY_AFTER, "Seconds to wait before the next attempt."),
    ("WWW-Authenticate", "How to authenticate (RFC 6750)."),
    (
        REQUEST_ID,
        "The id of the request, as in the log. Give it to the operator when you report a problem.",
    ),
];

/// Returns a shared header.
pub(super) fn header(name: &str, description: &str) -> Header {
    let value = match name {
        RETRY_AFTER => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)),
        _ => ObjectBuilder::new().schema_type(Type::String),
    };
    HeaderBuilder::new()
        .schema(Some(value))
        .description(Some(description))
        .build()
}

/// Returns a reference to a shared header.
pub(super) fn header_ref(name: &str) -> RefOr<Header> {
    RefOr::Ref(Ref::new(format!("#/components/headers/{name}")))
}
