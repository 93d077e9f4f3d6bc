//! Giving a number to a team: adopting an orphan, or moving it from one team to another.

use serde_json::json;

use crate::desk::{By, Desk, denied};
use crate::domain::audit::Action;
use crate::domain::caller::{Permission, Team};
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::error::Error;
use crate::policy;
use crate::store::Transferred;

impl Desk {
    /// Gives the number to the team `to`, under its quota and budget.
    pub async fn transfer(&self, by: By<'_>, id: &PhoneNumberId, to: &Team) -> Result<Number, Error> {
        let number = self.reach(by, id).await?;
        by.caller.need(Permission::NumbersAdmin)?;
        if number.team.as_ref() == Some(to) {
            return Ok(number);
        }
        let now = self.now();
        let policy = self.0.policy.load_full();
        let (caps, usage) = (policy.caps(to), self.0.store.usage(to, now).await?);
        let decision = policy::decide_receive(&policy, to, &number, &usage);
        let row = |outcome: &str, decision| {
            by.row(now, Action::NumberTransfer, outcome)
                .team(Some(to))
                .number(id)
                .decision(decision)
                .detail(json!({ "from": number.team, "to": to }))
        };
        let (decision, usage) = if decision.allowed() {
            match self
                .0
                .store
                .transfer(id, to, &caps, now, &row("transferred", &decision))
                .await?
            {
                Transferred::Done(number) => return Ok(number),
                Transferred::NotFound => return Err(Error::NotFound),
                // Others were quicker: the same rule, asked again, says why.
                Transferred::Capped { usage, .. } => {
                    (policy::decide_receive(&policy, to, &number, &usage), usage)
                }
            }
        } else {
            (decision, usage)
        };
        self.0.store.record_audit(&row("denied", &decision)).await?;
        Err(denied(decision, caps, usage))
    }
}
