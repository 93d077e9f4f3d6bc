//! The section `[policy]`. The [policy](crate::policy) itself is a file of its own.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::config::values::FilePath;

/// The file with the rules of teams.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// The policy file. Without one, Numberdesk denies everything.
    ///
    /// Numberdesk reads it every 5 s. A file with faults changes nothing: the last valid policy stays in force.
    pub file: Option<FilePath>,
}
