//! The policy: the rights of each team, from the reviewed policy file, and the decisions that follow from them.
//!
//! This module is pure: no I/O and no clock. Its callers pass in the usage, the members of Close groups and the
//! identity of the requester. The policy denies everything that the file does not allow. Each check of a decision
//! (country, kind of line, group, assignee, caps, forwarding, approval) has a file of its own.

mod amount;
mod approval;
mod assignees;
mod caps;
mod carriers;
mod check;
mod choices;
mod countries;
mod decide;
mod denial;
mod explain;
mod file;
mod forwarding;
mod grant_entry;
mod grants;
mod groups;
mod issuers;
mod permission_name;
mod read;
mod rights;
mod rules;
#[cfg(test)]
mod sample;
mod service_accounts;
mod warnings;

pub use amount::Amount;
pub use choices::{AllowedCountries, Assignees, ClaimedCountries, GroupRule};
pub use decide::{Ruling, decide_receive, decide_rent, decide_update};
pub use explain::explain;
pub use file::Policy;
pub use grants::{Grant, Reach};
pub use issuers::Issuers;
pub use read::schema;
pub use rules::{ApprovalRule, Members, ReleaseDelay, TeamRules};
pub use service_accounts::AccountEntry;
