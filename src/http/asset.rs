//! A document that is the same for every caller: served with an `ETag`, and compressed if the client accepts it.
//!
//! The service compresses each document once and keeps the result, because clients without a token may ask for it at
//! any rate. The compression of tower-http would compress every response again.

use std::io::Write as _;
use std::sync::{LazyLock, OnceLock};

use axum::body::Bytes;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::http::extract::conditional;
use crate::http::extract::negotiation::choices;
use crate::http::middleware::security_headers::{PAGE_POLICY, REVALIDATE};

/// Minimum size of a document that is compressed. A smaller one fits into one packet anyway.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// The bytes of a document with what is derived from them when the first client needs it.
#[derive(Debug)]
pub(in crate::http) struct Asset {
    media_type: &'static str,
    bytes: Bytes,
    version: OnceLock<String>,
    compressed: OnceLock<Bytes>,
}

/// An asset that is rendered when the first client asks for it.
pub(in crate::http) type LazyAsset = LazyLock<Asset, Render>;

type Render = Box<dyn FnOnce() -> Asset + Send>;

/// Returns an asset that `render` creates when the first client asks for it.
pub(in crate::http) fn lazy<B: Into<Bytes>>(
    media_type: &'static str,
    render: impl FnOnce() -> B + Send + 'static,
) -> LazyAsset {
    let render: Render = Box::new(move || Asset::new(media_type, render()));
    LazyLock::new(render)
}

impl Asset {
    pub(in crate::http) fn new(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self {
            media_type,
            bytes: bytes.into(),
            version: OnceLock::new(),
            compressed: OnceLock::new(),
        }
    }

    /// Returns the response to a request with these headers: the document, or 304 if the client has it.
    pub(in crate::http) fn respond(&self, headers: &HeaderMap) -> Response {
        let version = self.version.get_or_init(|| version(&self.bytes));
        // Weak, because the plain and the compressed document have the same tag.
        let tag = HeaderValue::from_str(&format!("W/{}", conditional::etag(version)))
            .expect("a tag is made of hexadecimal digits");
        // A browser replaces the headers of its stored response by those of a 304, so both have the same policy.
        let common = [
            (ETAG, tag),
            (VARY, HeaderValue::from_static("Accept-Encoding")),
            REVALIDATE,
            PAGE_POLICY,
        ];
        if is_known(headers, version) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let media_type = [(CONTENT_TYPE, HeaderValue::from_static(self.media_type))];
        if self.bytes.len() >= MIN_COMPRESSED_BYTES && accepts_gzip(headers) {
            let bytes = self.compressed.get_or_init(|| compress(&self.bytes)).clone();
            let gzip = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
            return (common, media_type, gzip, bytes).into_response();
        }
        (common, media_type, self.bytes.clone()).into_response()
    }
}

fn version(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..12])
}

fn compress(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::default());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written").into()
}

/// Returns whether `If-None-Match` contains the version. An invalid header is ignored.
fn is_known(headers: &HeaderMap, version: &str) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let conditions = known.filter_map(|value| conditional::parse(value.to_str().ok()?));
    conditions.into_iter().any(|condition| condition.names(version))
}

/// Returns whether `Accept-Encoding` allows gzip (RFC 9110 section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any) = (None, false);
    for (coding, weight) in choices(headers, ACCEPT_ENCODING) {
        match coding.as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight > 0.0),
            "*" => any = weight > 0.0,
            _ => {}
        }
    }
    gzip.unwrap_or(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_used_only_if_the_client_accepts_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("identity, *;q=0", false),
        ] {
            assert_eq!(
                accepts_gzip(&headers(ACCEPT_ENCODING, value)),
                accepted,
                "{value}"
            );
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_client_that_has_the_document_gets_304_whichever_form_it_has() {
        let asset = Asset::new("text/plain", "text".repeat(1000));
        let tag = asset.respond(&HeaderMap::new()).headers()[ETAG].clone();
        let gzip = asset.respond(&headers(ACCEPT_ENCODING, "gzip"));
        assert_eq!(
            (&gzip.headers()[ETAG], &gzip.headers()[CONTENT_ENCODING]),
            (&tag, &"gzip".parse().unwrap())
        );
        let mut known = headers(ACCEPT_ENCODING, "gzip");
        known.insert(IF_NONE_MATCH, tag);
        assert_eq!(asset.respond(&known).status(), StatusCode::NOT_MODIFIED);
        let other = headers(IF_NONE_MATCH, "\"other\"");
        assert_eq!(asset.respond(&other).status(), StatusCode::OK);
    }
}
