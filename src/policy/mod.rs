//! The policy: what each team may do, as the reviewed policy file says, and the decisions that follow from it.
//!
//! Everything here is pure: no I/O and no clock. The caller passes in the usage, the members of Close groups and the
//! identity of the requester. The policy denies everything that the file does not allow. Each question that a
//! decision asks (country, line, group, assignee, caps, forwarding, approval) has a file of its own.

mod approval;
mod assignees;
mod caps;
mod carriers;
mod countries;
mod decide;
mod denial;
mod explain;
mod file;
mod forwarding;
mod groups;
mod read;
mod rules;
#[cfg(test)]
mod sample;
mod service_accounts;

pub use decide::{Ruling, decide_receive, decide_rent, decide_update};
pub use explain::explain;
pub use file::Policy;
pub use rules::{AllowedCountries, ApprovalRule, Assignees, GroupRule, Members, ReleaseDelay, TeamRules};
pub use service_accounts::Grant;
