//! Content negotiation (RFC 9110 section 12): the choices in `Accept` and `Accept-Encoding`, with their weights.

use axum::http::{HeaderMap, HeaderName};

/// Returns the choices that a header lists, in lower case, each with its weight.
///
/// The weight is 1 if the client gives none, and 0 if it is not a number. A client refuses a choice with the weight 0.
pub(in crate::http) fn choices(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (String, f32)> {
    let values = headers.get_all(name).iter();
    let listed = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    listed.map(|choice| {
        let mut parts = choice.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        (name, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    })
}
