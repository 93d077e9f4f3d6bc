//! Ids in a path. An invalid id results in a 404, like an id that does not exist.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

/// The only id in the path.
pub(in crate::http) struct Id<T>(pub(in crate::http) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = text.and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| Problem::new(ProblemType::NotFound))
    }
}

/// The two ids in the path.
pub(in crate::http) struct TwoIds<A, B>(pub(in crate::http) A, pub(in crate::http) B);

impl<S: Send + Sync, A: FromStr, B: FromStr> FromRequestParts<S> for TwoIds<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let texts = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .ok();
        let ids = texts.and_then(|Path((one, other))| Some(Self(one.parse().ok()?, other.parse().ok()?)));
        ids.ok_or_else(|| Problem::new(ProblemType::NotFound))
    }
}
