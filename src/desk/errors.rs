//! Converts denials by the policy and failures of Close to errors of a use case.

use crate::close::Error as CloseError;
use crate::domain::decision::Refusal;
use crate::domain::decision::{Caps, Decision, Usage};
use crate::error::Error;

/// The error for a denied decision. It carries caps and usage when they are the reason.
///
/// An allowed decision is possible here: concurrent requests used up the caps after the first decision, and freed them
/// before the second one. The caller can then try again.
pub(in crate::desk) fn denied(decision: Decision, caps: Caps, usage: Usage) -> Error {
    match decision {
        Decision::Denied(refusal, explanation) => Error::Denied {
            refusal,
            explanation: Box::new(explanation),
            caps: (refusal != Refusal::Policy).then(|| Box::new((caps, usage))),
        },
        Decision::Allowed(_) => {
            Error::StoreUnavailable("the team's usage changes too quickly to decide".into())
        }
    }
}

/// The error for a failed call to Close about one number.
pub(in crate::desk) fn map_close_error(failure: CloseError) -> Error {
    match failure {
        CloseError::Refused {
            close_status,
            reason,
            close_errors,
            ..
        } => Error::CloseRefused {
            close_status,
            message: reason,
            errors: close_errors,
        },
        CloseError::NotFound => Error::NotFound,
        CloseError::RateLimited { .. } => unavailable("Close's rate limit is used up"),
        CloseError::Unauthorized => unavailable("Close does not accept the API key"),
        CloseError::Unavailable { reason } => unavailable(reason),
    }
}

/// The error for calls that Close can't execute now.
pub(in crate::desk) fn unavailable(reason: impl Into<String>) -> Error {
    Error::CloseUnavailable {
        reason: reason.into(),
    }
}
