//! The reasons for which a token is not accepted.

use std::time::Duration;

use crate::domain::time::Span;

/// Why a token could not be authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The token is not valid, which is the caller's fault.
    #[error("{reason}")]
    Invalid {
        /// A text that is safe to show, because it never repeats text of the token.
        reason: &'static str,
    },
    /// The token is valid for too long, which its issuer can change.
    #[error(
        "the token is valid for longer than {}, the longest life that the setting `max_lifetime` of its issuer allows",
        Span(*.longest)
    )]
    LivesTooLong {
        /// The longest accepted life.
        longest: Duration,
    },
    /// The issuer is unreachable, and no valid keys of it are cached. This is not the caller's fault.
    #[error("the keys of the token's issuer are not available now")]
    KeysUnavailable,
}

/// Returns a rejection with a reason that is safe to show to the caller.
pub(super) const fn invalid(reason: &'static str) -> Rejection {
    Rejection::Invalid { reason }
}
