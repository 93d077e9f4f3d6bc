//! Types that all checks share: a team's rules with their path in the file, and the denial.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::decision::{Decision, Explanation, Refusal};
use crate::domain::input::document::bare_or_quoted;
use crate::domain::team::Team;
use crate::policy::file::Policy;
use crate::policy::rules::TeamRules;

/// The rules of one team, with their path in the policy file.
pub(super) struct TeamPolicy<'a> {
    /// The path of the rules, such as `teams.sales`.
    pub(super) path: String,
    pub(super) rules: &'a TeamRules,
    pub(super) team: &'a Team,
}

impl<'a> TeamPolicy<'a> {
    /// Finds the rules of a team. A team without rules is denied everything.
    pub(super) fn of(policy: &'a Policy, team: &'a Team) -> Result<Self, Denial> {
        let Some((path, rules)) = policy.rules(team) else {
            let rule = format!("teams.{}", bare_or_quoted(team.as_str()));
            let hint = format!(
                "ask the platform team to add [{rule}] to the policy: a team without rules is denied everything"
            );
            return Err(Denial::new(
                Refusal::Policy,
                rule,
                Value::Null,
                json!({"team": team}),
                hint,
            ));
        };
        Ok(Self { path, rules, team })
    }

    /// Returns the path of one of the rules.
    pub(super) fn rule(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// Creates a denial that does not depend on usage.
    pub(super) fn deny(&self, key: &str, have: impl Serialize, need: impl Serialize, hint: String) -> Denial {
        Denial::new(Refusal::Policy, self.rule(key), have, need, hint)
    }
}

/// A denial. It is boxed to keep `Result`s small.
#[derive(Debug)]
pub(super) struct Denial(Box<(Refusal, Explanation)>);

impl Denial {
    pub(super) fn new(
        refusal: Refusal,
        rule: String,
        have: impl Serialize,
        need: impl Serialize,
        hint: String,
    ) -> Self {
        Self(Box::new((
            refusal,
            Explanation {
                rule,
                have: value(have),
                need: value(need),
                hint,
            },
        )))
    }
}

impl From<Denial> for Decision {
    fn from(denial: Denial) -> Self {
        let (refusal, explanation) = *denial.0;
        Self::Denied(refusal, explanation)
    }
}

/// Converts a name, a list of names or an amount to JSON.
pub(super) fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).expect("names, lists and amounts are always JSON")
}

/// Returns the items separated by commas, such as `DE, FR, GB`, or `none`.
pub(super) fn listed<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        "none".to_owned()
    } else {
        items
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }
}
