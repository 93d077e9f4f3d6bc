//! The rules, caps and usage of the caller's teams.

use serde_json::Value;

use crate::desk::core::Core;
use crate::domain::authority::CallContext;
use crate::domain::decision::{Caps, Usage};
use crate::domain::team::Team;
use crate::error::Error;

/// Reports the teams of a caller.
#[derive(Clone)]
pub struct Me {
    core: Core,
}

/// The rules of a team, its caps, and its usage.
#[derive(Debug, Clone)]
pub struct TeamUsage {
    /// The team.
    pub team: Team,
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
        let mut teams = Vec::with_capacity(ctx.caller.teams.len());
        for team in &ctx.caller.teams {
            let (rule, rules) = policy.rules(team).unzip();
            teams.push(TeamUsage {
                team: team.clone(),
                rule,
                rules: rules.map_or(Value::Null, |rules| serde_json::json!(rules)),
                caps: policy.caps(team),
                usage: self.core.store.usage(team, self.core.now()).await?,
            });
        }
        Ok(teams)
    }
}
