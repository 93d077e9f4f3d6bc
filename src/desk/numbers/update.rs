//! Changing a number: what Close lets be written, as far as the team's policy lets it.

use serde_json::{Value, json};

use crate::close::Trouble;
use crate::desk::{By, Desk, denied, troubled};
use crate::domain::audit::{Action, AuditRow};
use crate::domain::caller::{Permission, Team};
use crate::domain::decision::{Caps, Decision, Explanation, Refusal, Usage};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::input::fields;
use crate::domain::number::Number;
use crate::domain::number_patch::NumberPatch;
use crate::error::Error;
use crate::policy;

/// What must be true of the number for the change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// It exists.
    Exists,
    /// Its version is one of these.
    OneOf(Vec<String>),
}

impl Precondition {
    fn holds(&self, number: &Number) -> bool {
        match self {
            Self::Exists => true,
            Self::OneOf(versions) => versions.contains(&number.version()),
        }
    }
}

impl Desk {
    /// Applies a JSON merge patch (RFC 7396) of the fields that Close lets be written.
    pub async fn update(
        &self,
        by: By<'_>,
        id: &PhoneNumberId,
        patch: &Value,
        expected: Option<&Precondition>,
    ) -> Result<Number, Error> {
        let number = self.reach(by, id).await?;
        by.caller.need(Permission::NumbersUpdate)?;
        if expected.is_some_and(|expected| !expected.holds(&number)) {
            return Err(Error::PreconditionFailed);
        }
        let changes = fields::read(patch, NumberPatch::read)?;
        let team = number.team.clone();
        let decision = self.decide_update(by, team.as_ref(), &number, &changes).await;
        let asked = by
            .row(self.now(), Action::NumberUpdate, "updating")
            .team(team.as_ref())
            .number(id)
            .decision(&decision)
            .detail(json!({ "changes": changes.object(), "why": decision.explanation() }));
        if !decision.allowed() {
            self.0.store.record_audit(&asked.then(asked.at, "denied")).await?;
            return Err(denied(decision, Caps::default(), Usage::default()));
        }
        let (desk, order_id) = (self.clone(), number.order_id);
        let work = async move { desk.change(&asked, &changes, order_id.as_ref()).await };
        self.outlive(work).await?;
        self.reach(by, id).await
    }

    /// Tells Close, and writes down what came of it. That it was tried is written before.
    async fn change(
        &self,
        asked: &AuditRow,
        changes: &NumberPatch,
        order_id: Option<&OrderId>,
    ) -> Result<(), Error> {
        let Some(id) = &asked.phone_number_id else {
            return Err(Error::NotFound);
        };
        self.0.store.record_audit(asked).await?;
        let trouble = match self.0.close.update(id, &changes.object()).await {
            Ok(facts) => {
                let now = self.now();
                let seen = self.observation(facts, now);
                self.0
                    .store
                    .observe_change(&seen, &asked.then(now, "updated"))
                    .await?;
                // Whoever labels it now has the last word over the order's label.
                if let (Some(order_id), true) = (order_id, changes.label.is_some()) {
                    self.0.store.finish_label(order_id).await?;
                }
                return Ok(());
            }
            Err(trouble) => trouble,
        };
        let outcome = if matches!(trouble, Trouble::Refused { .. }) {
            "refused"
        } else {
            "failed"
        };
        let said = json!({ "changes": changes.object(), "close": trouble.to_string() });
        self.0
            .store
            .record_audit(&asked.then(self.now(), outcome).detail(said))
            .await?;
        Err(troubled(trouble))
    }

    async fn decide_update(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        number: &Number,
        changes: &NumberPatch,
    ) -> Decision {
        match team {
            Some(team) => {
                let members = self.members_for(team).await;
                let policy = self.0.policy.load_full();
                policy::decide_update(&policy, by.caller, team, number, changes, &members)
            }
            None => Decision::Denied(
                Refusal::Policy,
                Explanation {
                    rule: "orphan".to_owned(),
                    have: Value::Null,
                    need: json!("a team"),
                    hint: "give the number to a team first: PUT /v1/phone-numbers/{id}/team".to_owned(),
                },
            ),
        }
    }
}
