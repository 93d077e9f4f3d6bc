//! What every question needs: whose rules are asked and where they stand in the file, and the shape of a no.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::caller::Team;
use crate::domain::decision::{Decision, Explanation, Refusal};
use crate::policy::rules::TeamRules;
use crate::policy::{Policy, bare_or_quoted};

/// The rules of the team that is asked about.
pub(super) struct Asked<'a> {
    /// Where they stand, such as `teams.sales`.
    pub(super) path: String,
    pub(super) rules: &'a TeamRules,
    pub(super) team: &'a Team,
}

impl<'a> Asked<'a> {
    /// No rules, no numbers.
    pub(super) fn of(policy: &'a Policy, team: &'a Team) -> Result<Self, Denial> {
        let Some((path, rules)) = policy.rules(team) else {
            let rule = format!("teams.{}", bare_or_quoted(team.as_str()));
            let hint = format!(
                "have the platform team write [{rule}] in the policy: what is not written there is denied"
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

    /// The path of one of its rules.
    pub(super) fn rule(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// A no by the policy, whatever is used up.
    pub(super) fn deny(&self, key: &str, have: impl Serialize, need: impl Serialize, hint: String) -> Denial {
        Denial::new(Refusal::Policy, self.rule(key), have, need, hint)
    }
}

/// A no; boxed, because the way to a yes carries it along.
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

/// As JSON; what is shown here are names, lists of names and amounts.
pub(super) fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).expect("names, lists and amounts are always JSON")
}

/// "DE, FR, GB", or "none".
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
