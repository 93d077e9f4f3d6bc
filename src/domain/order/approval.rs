//! The approval of an order: the reason for it, the verdict of a second person, and the request that it covers.
//!
//! The policy decides which orders need one.

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::audit::Actor;
use crate::domain::id::UserId;
use crate::domain::later_word::StoredWord as _;
use crate::domain::order::request::Terms;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// The verdict on an order that needs an approval.
    Verdict: stored {
        /// Nobody has decided yet.
        Pending = "pending",
        /// A second person approved the order.
        Approved = "approved",
        /// A second person rejected the order.
        Rejected = "rejected",
        /// Nobody decided in time.
        Expired = "expired",
    }
}

/// The approval that one order needs, with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The policy rule that requires it, such as `teams.sales.approval.countries`.
    pub rule: String,
    /// The reason for the approval, in a sentence.
    pub why: String,
    /// The fingerprint of the approved request; the approval covers no other.
    pub fingerprint: String,
    /// The terms that the approval covers.
    pub terms: Terms,
    /// The `sub` of the creator's token; `None` in orders of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The creator's user in Close, if the token named one.
    pub close_user: Option<UserId>,
    /// The verdict.
    #[serde(deserialize_with = "stored_verdict")]
    pub decision: Verdict,
    /// The person who decided.
    pub by: Option<Actor>,
    /// When the person decided.
    pub at: Option<Timestamp>,
    /// The person's comment.
    pub comment: Option<String>,
    /// The deadline for a verdict.
    ///
    /// It has a column of its own, so that the store can select the orders that are overdue.
    #[serde(skip, default = "long_ago")]
    pub expires_at: Timestamp,
}

/// Reads a verdict that may be one of a later version.
fn stored_verdict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
    String::deserialize(deserializer).map(|text| Verdict::stored(&text))
}

/// Returns a deadline in the past, for an approval that was read without its column.
const fn long_ago() -> Timestamp {
    Timestamp::from_micros(0)
}
