//! The JSON of a name in a token that gives no team.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::identity::IgnoredTeam;

/// Renders a name at a teams claim that gives no team.
pub(in crate::http) fn ignored_team(ignored: &IgnoredTeam) -> IgnoredTeamView {
    IgnoredTeamView {
        name: ignored.shown(),
        reason: ignored.reason.as_str(),
    }
}

/// A name in the token that gives no team.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = IgnoredTeam)]
pub(in crate::http) struct IgnoredTeamView {
    /// The name.
    #[schema(example = "/sales/emea")]
    name: String,
    /// The reason, and the remedy.
    #[schema(example = "a group inside another group; a grant in the policy can give it a team")]
    reason: &'static str,
}
