//! Telling callers where their teams stand.

use serde_json::Value;

use super::{By, Desk};
use crate::domain::caller::Team;
use crate::domain::decision::{Caps, Usage};
use crate::error::Error;

/// Where a team stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The team.
    pub team: Team,
    /// The path of its entry in the policy; `None` when there is none and nothing is allowed.
    pub rule: Option<String>,
    /// The entry as the policy file has it.
    pub rules: Value,
    /// Its caps.
    pub caps: Caps,
    /// What is used of them.
    pub usage: Usage,
}

impl Desk {
    /// Each of the caller's teams with its rules, its caps and what is used of them.
    pub async fn standing(&self, by: By<'_>) -> Result<Vec<Standing>, Error> {
        let policy = self.0.policy.load_full();
        let mut standings = Vec::with_capacity(by.caller.teams.len());
        for team in &by.caller.teams {
            let (rule, rules) = policy.rules(team).unzip();
            standings.push(Standing {
                team: team.clone(),
                rule,
                rules: rules.map_or(Value::Null, |rules| serde_json::json!(rules)),
                caps: policy.caps(team),
                usage: self.0.store.usage(team, self.now()).await?,
            });
        }
        Ok(standings)
    }
}
