//! Asking what policy would say to an order, with nothing stored and nothing sent.

use crate::desk::{By, Desk};
use crate::domain::caller::{Permission, Team};
use crate::domain::decision::{Caps, Decision, Explanation, Usage};
use crate::domain::money::Money;
use crate::domain::order::Request;
use crate::error::Error;
use crate::policy;

/// What policy would say.
#[derive(Debug, Clone)]
pub struct Validation {
    /// For which team.
    pub team: Team,
    /// What it would say, and why.
    pub decision: Decision,
    /// Why a second person would have to agree first, if one would have to.
    pub approval: Option<Explanation>,
    /// The team's caps.
    pub caps: Caps,
    /// What is used of them.
    pub usage: Usage,
    /// What the number would cost a month, if the policy knows a price.
    pub estimated_monthly_price: Option<Money>,
}

impl Desk {
    /// Decides as an order would be decided. Close is not called.
    pub async fn validate(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        request: &Request,
    ) -> Result<Validation, Error> {
        let team = by.caller.team(team)?;
        by.caller.need(Permission::NumbersRent)?;
        let policy = self.0.policy.load_full();
        let usage = self.0.store.usage(&team, self.now()).await?;
        let members = self.0.members.load_full();
        let ruling = policy::decide_rent(&policy, by.caller, &team, request, &usage, &members);
        Ok(Validation {
            decision: ruling.decision,
            approval: ruling.approval,
            caps: policy.caps(&team),
            usage,
            estimated_monthly_price: policy.estimate(Some(request.country)),
            team,
        })
    }
}
