//! The caller and the request that a use case works for.

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::Caller;
use crate::domain::id::RequestId;
use crate::domain::time::Timestamp;

/// The caller and the request that a use case works for: every audit row names both.
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    /// The authenticated caller.
    pub caller: &'a Caller,
    /// The id of the request.
    pub request_id: &'a RequestId,
}

impl CallContext<'_> {
    /// An audit row of this caller and request.
    pub(in crate::desk) fn row(&self, now: Timestamp, action: Action, outcome: &str) -> AuditRow {
        AuditRow::new(now, Actor::from(self.caller), action, outcome).request(Some(self.request_id))
    }
}
