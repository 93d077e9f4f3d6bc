//! The policy: the rights of each team, from the reviewed policy file, and the decisions that follow from them.
//!
//! This module is pure: no I/O and no clock. Its callers pass in the usage, the members of Close groups and the
//! identity of the requester. The policy denies everything that the file does not allow. Each check of a decision
//! (country, kind of line, group, assignee, caps, forwarding, approval) has a file of its own.

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
