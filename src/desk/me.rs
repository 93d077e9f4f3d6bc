//! The rules, caps and usage of the caller's teams.

use serde_json::Value;

use crate::desk::core::Core;
use crate::domain::authority::CallContext;
use crate::domain::decision::{Caps, Usage};
use crate::domain::rights::Permissions;
use crate::domain::team::Team;
use crate::error::Error;

/// Reports the teams of a caller.
#[derive(Clone)]
pub struct Me {
    core: Core,
}

/// A team of the caller: the caller's permissions in it, its rules, its caps, and its usage.
#[derive(Debug, Clone)]
pub struct TeamUsage {
    /// The team.
    pub team: Team,
    /// The permissions that the caller was given in the team.
    pub permissions: Permissions,
    /// The path of its entry in the policy. `None`: it has no entry, so nothing is allowed.
    pub rule: Option<String>,
    /// The entry as the policy file has it.
    pub rules: Value,
    /// Its caps.
    pub caps: Caps,
    /// How much of the caps is used.
    pub usage: Usage,
}

impl Me {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Each team of the caller with its rules, caps and usage. The caller needs no permission.
    pub async fn teams(&self, ctx: CallContext<'_>) -> Result<Vec<TeamUsage>, Error> {
        let policy = self.core.policy.load_full();
        let rights = ctx.caller.rights();
        let mut teams = Vec::with_capacity(rights.teams().len());
        for (team, permissions) in rights.by_team() {
            let (rule, rules) = policy.rules(team).unzip();
            teams.push(TeamUsage {
                team: team.clone(),
                permissions: permissions.clone(),
                rule,
                rules: rules.map_or(Value::Null, |rules| serde_json::json!(rules)),
                caps: policy.caps(team),
                usage: self.core.store.usage(team, self.core.now()).await?,
            });
        }
        Ok(teams)
    }
}
