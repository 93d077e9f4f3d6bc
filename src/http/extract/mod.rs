//! Extractors: each reads and checks one part of a request, or rejects the request with a problem.

mod body;
mod caller;
pub(super) mod conditional;
pub(super) mod cursor;
mod header;
pub(super) mod negotiation;
mod path;
mod query;

pub(super) use body::{JsonBody, OptionalBody, PatchBody};
pub(super) use caller::Caller;
pub(super) use header::{IfMatch, IfNoneMatch, Key, Wait, WantsCsv};
pub(super) use path::{Id, TwoIds};
pub(super) use query::{List, ListQuery, NoQuery, Query};
