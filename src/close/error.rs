//! The error of calls that cost nothing.

use serde_json::{Map, Value};

use crate::domain::time::Timestamp;

/// Why a call that costs nothing has no result.
///
/// No text in it contains a URL, the key or the body of a response, except for Close's messages for people.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Close refused.
    #[error("close refused with {status} ({close_status})")]
    Refused {
        /// The HTTP status, 400 to 499.
        status: u16,
        /// Close's status word; `error` if there is none.
        close_status: String,
        /// Close's message, at most 1,000 characters.
        reason: Option<String>,
        /// Close's field errors, by field.
        close_errors: Option<Map<String, Value>>,
    },
    /// Close answered that it does not exist.
    #[error("not found in close")]
    NotFound,
    /// The rate limit is used up until after the deadline.
    #[error("close's rate limit is used up until {until}")]
    RateLimited {
        /// When it resets.
        until: Timestamp,
    },
    /// Close rejects the API key.
    #[error("close does not accept the API key")]
    Unauthorized,
    /// No response, or an unreadable one.
    #[error("close is unavailable: {reason}")]
    Unavailable {
        /// What happened instead of a usable response.
        reason: String,
    },
}
