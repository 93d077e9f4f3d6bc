//! Copies a whole database into an empty one, for the way from SQLite to PostgreSQL.
//!
//! The source is read in one snapshot. The target is written and verified in one transaction, so it has everything or
//! nothing, and a copy that failed is simply started again.

mod run;
mod table;
mod verify;

pub use run::Copied;
pub use table::{CopyError, Progress};
