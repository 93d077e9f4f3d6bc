//! Transfers a number to a team: adopts an orphan, or moves a number from one team to another.

use serde_json::json;

use crate::desk::errors::denied;
use crate::desk::numbers::Numbers;
use crate::desk::numbers::precondition::Precondition;
use crate::domain::audit::Action;
use crate::domain::authority::CallContext;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::error::Error;
use crate::policy;
use crate::store::Transferred;

impl Numbers {
    /// Transfers the number to the team `to`, within the quota and budget of that team.
    pub async fn transfer(
        &self,
        ctx: CallContext<'_, needs::NumbersAdmin>,
        id: &PhoneNumberId,
        to: &Team,
        expected: Option<&Precondition>,
    ) -> Result<Number, Error> {
        let (number, authority) = self.find_authorized(ctx, id).await?;
        authority.also_in(to)?;
        Precondition::check(expected, &number)?;
        if number.team.as_ref() == Some(to) {
            return Ok(number);
        }
        let claim = self.claims.claim(id).await?;
        // The claim keeps other callers' changes away, but not an order whose number this turns out to be: then the
        // number is read again, and what the caller may do with it is decided again.
        let done = loop {
            let done = self.transfer_claimed(ctx, id, to, expected).await;
            if let Some(done) = done.transpose() {
                break done;
            }
        };
        claim.release().await;
        done
    }

    /// Transfers the number; `None` if another team got it meanwhile. The caller holds its claim.
    async fn transfer_claimed(
        &self,
        ctx: CallContext<'_, needs::NumbersAdmin>,
        id: &PhoneNumberId,
        to: &Team,
        expected: Option<&Precondition>,
    ) -> Result<Option<Number>, Error> {
        let (number, authority) = self.find_authorized(ctx, id).await?;
        authority.also_in(to)?;
        Precondition::check(expected, &number)?;
        if number.team.as_ref() == Some(to) {
            return Ok(Some(number));
        }
        let now = self.core.now();
        let policy = self.core.policy.load_full();
        let (caps, usage) = (policy.caps(to), self.core.store.usage(to, now).await?);
        let decision = policy::decide_receive(&policy, to, &number, &usage);
        let row = |outcome: &str, decision| {
            authority
                .row(now, Action::NumberTransfer, outcome, Some(to))
                .number(id)
                .decision(decision)
                .detail(json!({ "from": number.team, "to": to }))
        };
        let (decision, usage) = if decision.allowed() {
            match self
                .core
                .store
                .transfer(&number, to, &caps, now, &row("transferred", &decision))
                .await?
            {
                Transferred::Done(number) => return Ok(Some(number)),
                Transferred::Moved => return Ok(None),
                Transferred::NotFound => return Err(Error::NotFound),
                // Concurrent changes used up the caps. Deciding again names the reason.
                Transferred::Capped { usage, .. } => {
                    (policy::decide_receive(&policy, to, &number, &usage), usage)
                }
            }
        } else {
            (decision, usage)
        };
        self.core.store.record_audit(&row("denied", &decision)).await?;
        Err(denied(decision, caps, usage))
    }
}
