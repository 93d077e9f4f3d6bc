//! Evaluates an order against the policy without storing or sending anything.

use crate::desk::orders::Orders;
use crate::domain::authority::CallContext;
use crate::domain::decision::{Caps, Decision, Explanation, Usage};
use crate::domain::money::Money;
use crate::domain::order::Request;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::error::Error;
use crate::policy;

/// The decision that an order would get, with the caps and usage behind it.
#[derive(Debug, Clone)]
pub struct Validation {
    /// The team that would own the number.
    pub team: Team,
    /// The decision and the rule behind it.
    pub decision: Decision,
    /// Why the order would need a second person's approval, if it would.
    pub approval: Option<Explanation>,
    /// The team's caps.
    pub caps: Caps,
    /// How much of the caps is used.
    pub usage: Usage,
    /// The monthly price of the number, if the policy knows one.
    pub estimated_monthly_price: Option<Money>,
}

impl Orders {
    /// Decides about an order by the policy and the usage of this moment, without calling Close.
    ///
    /// The decision of [`Orders::create`] can differ in one case: the team's rule names a Close group whose members
    /// this process has not fetched yet. `create` then fetches the members first. This function treats the group as
    /// unknown, which denies the order.
    pub async fn validate(
        &self,
        ctx: CallContext<'_, needs::NumbersRent>,
        team: Option<&Team>,
        request: &Request,
    ) -> Result<Validation, Error> {
        let (team, authority) = ctx.authorize_team(team)?;
        request.check_new().map_err(Error::Invalid)?;
        let policy = self.core.policy.load_full();
        let usage = self.core.store.usage(&team, self.core.now()).await?;
        let members = self.account.known_members();
        let ruling = policy::decide_rent(&policy, authority.caller(), &team, request, &usage, &members);
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
