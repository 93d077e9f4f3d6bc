//! What handlers take out of a request: each extractor checks one part of it, and its rejection is a problem.
//! Put the caller first: whoever has no valid token learns nothing else.

mod body;
mod caller;
pub(super) mod conditional;
pub(super) mod cursor;
mod header;
mod path;
mod query;

pub(super) use body::{JsonBody, OptionalBody, PatchBody};
pub(super) use caller::Caller;
pub(super) use header::{
    IfMatch, IfMatchHeader, IfNoneMatch, IfNoneMatchHeader, Key, OrderHeaders, Wait, WantsCsv,
};
pub(super) use path::{Id, TwoIds};
pub(super) use query::{Filter, List, NoQuery, Query, QueryFields, flag, limit};
