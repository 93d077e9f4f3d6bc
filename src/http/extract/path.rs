//! Ids in a path. What is not an id at all answers as an id that does not exist.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::http::Http;
use crate::http::kind::Kind;
use crate::http::problem::Problem;

/// The one id in the path.
pub(in crate::http) struct Id<T>(pub(in crate::http) T);

impl<T: FromStr> FromRequestParts<Http> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, http).await.ok();
        let id = text.and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| Problem::new(Kind::NotFound))
    }
}
