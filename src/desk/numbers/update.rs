//! Changes the writable fields of a number, within the team's policy.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::close::Error as CloseError;
use crate::desk::errors::{denied, map_close_error};
use crate::desk::numbers::Numbers;
use crate::desk::numbers::precondition::Precondition;
use crate::domain::audit::{Action, AuditRow};
use crate::domain::authority::{Authority, CallContext};
use crate::domain::decision::{Caps, Decision, Explanation, Refusal, Usage};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::input::read::read;
use crate::domain::number::Number;
use crate::domain::number_patch::NumberPatch;
use crate::domain::permission::needs;
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::error::Error;
use crate::policy;

impl Numbers {
    /// Applies a JSON merge patch (RFC 7396) of the fields that are writable in Close.
    pub async fn update(
        &self,
        ctx: CallContext<'_, needs::NumbersUpdate>,
        id: &PhoneNumberId,
        patch: &Value,
        expected: Option<&Precondition>,
    ) -> Result<Number, Error> {
        let (number, _) = self.find_authorized(ctx, id).await?;
        Precondition::check(expected, &number)?;
        let changes: NumberPatch = read(patch)?;
        let claim = self.claims.claim(id).await?;
        // Again, because other changes may have come first.
        let (number, authority) = self.find_authorized(ctx, id).await?;
        Precondition::check(expected, &number)?;
        let team = number.team.clone();
        let decision = self
            .decide_update(&authority, team.as_ref(), &number, &changes)
            .await?;
        let attempt = authority
            .row(self.core.now(), Action::NumberUpdate, "updating", team.as_ref())
            .number(id)
            .decision(&decision)
            .detail(json!({ "changes": changes.object(), "why": decision.explanation() }));
        if !decision.allowed() {
            self.core
                .store
                .record_audit(&attempt.then(attempt.at, "denied"))
                .await?;
            return Err(denied(decision, Caps::default(), Usage::default()));
        }
        let (numbers, order_id) = (self.clone(), number.order_id);
        let work = async move {
            let done = numbers.change(&attempt, &changes, order_id.as_ref()).await;
            claim.release().await;
            done
        };
        self.core.spawn_detached(work).await
    }

    /// Sends the change to Close, and writes the outcome. Returns the number after the change.
    ///
    /// The attempt is written before the call. The caller holds the claim of the number.
    async fn change(
        &self,
        attempt: &AuditRow,
        changes: &NumberPatch,
        order_id: Option<&OrderId>,
    ) -> Result<Number, Error> {
        let Some(id) = &attempt.phone_number_id else {
            return Err(Error::NotFound);
        };
        self.core.store.record_audit(attempt).await?;
        let asked_at = self.account.observation_time(id).await?;
        let failure = match self.core.close.update(id, &changes.object()).await {
            Ok(facts) => {
                let now = self.core.now();
                let seen = self.core.observation(facts, now.max(asked_at));
                self.core
                    .store
                    .observe_change(&seen, &attempt.then(now, "updated"))
                    .await?;
                // The label of this change replaces the one that the order requested.
                if let (Some(order_id), true) = (order_id, changes.label.is_some()) {
                    self.core.store.finish_label(order_id).await?;
                }
                let scope = Scope::system("changed number");
                return self.core.store.number(&scope, id).await?.ok_or(Error::NotFound);
            }
            Err(failure) => failure,
        };
        if let CloseError::Refused { status: 403, .. } = failure {
            tracing::warn!(number_id = %id, "number change refused: the API key's user lacks Close's permission for it");
        }
        let outcome = if matches!(failure, CloseError::Refused { .. }) {
            "refused"
        } else {
            "failed"
        };
        let detail = json!({ "changes": changes.object(), "close": failure.to_string() });
        self.core
            .store
            .record_audit(&attempt.then(self.core.now(), outcome).detail(detail))
            .await?;
        Err(map_close_error(failure))
    }

    async fn decide_update(
        &self,
        authority: &Authority<'_, needs::NumbersUpdate>,
        team: Option<&Team>,
        number: &Number,
        changes: &NumberPatch,
    ) -> Result<Decision, Error> {
        Ok(match team {
            Some(team) => {
                let members = self.account.members_for(team).await;
                let number = self.as_ordered(number).await?;
                let policy = self.core.policy.load_full();
                policy::decide_update(&policy, authority.caller(), team, &number, changes, &members)
            }
            None => Decision::Denied(
                Refusal::Policy,
                Explanation {
                    rule: "orphan".to_owned(),
                    have: Value::Null,
                    need: json!("a team"),
                    hint: "ask a person with the permission `numbers:admin` to transfer the number to a team first"
                        .to_owned(),
                },
            ),
        })
    }

    /// The number as the policy must see it: one that was ordered for several people is theirs.
    ///
    /// While such a number has one user, Close shows no difference to a number of one person.
    async fn as_ordered<'a>(&self, number: &'a Number) -> Result<Cow<'a, Number>, Error> {
        let Some(order_id) = number.order_id.as_ref().filter(|_| !number.facts.group) else {
            return Ok(Cow::Borrowed(number));
        };
        let scope = Scope::system("policy of a change");
        let order = self.core.store.order(&scope, order_id).await?;
        if !order.is_some_and(|order| order.request.several_people()) {
            return Ok(Cow::Borrowed(number));
        }
        let mut shared = number.clone();
        shared.facts.group = true;
        Ok(Cow::Owned(shared))
    }
}
