//! Where a caller's teams stand, and what an order would be answered, as JSON.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::desk::{Standing, Validation};
use crate::domain::caller::{Caller, Team};
use crate::domain::decision::{Caps, Decision, Explanation, Refusal, Usage};
use crate::domain::id::UserId;
use crate::domain::money::Money;

/// The caller and where each team stands.
pub(in crate::http) fn me(caller: &Caller, standings: Vec<Standing>) -> MeView {
    MeView {
        issuer: caller.issuer.clone(),
        subject: caller.subject.clone(),
        close_user: caller.close_user.clone(),
        permissions: caller.permissions.iter().cloned().collect(),
        teams: standings.into_iter().map(standing).collect(),
    }
}

/// What an order would be answered.
pub(in crate::http) fn validation(validation: Validation) -> ValidationView {
    let refusal = match &validation.decision {
        Decision::Allowed(_) => None,
        Decision::Denied(refusal, _) => Some(*refusal),
    };
    ValidationView {
        allowed: validation.decision.allowed(),
        team: validation.team,
        refusal,
        decision: validation.decision.explanation().clone(),
        approval: validation.approval,
        estimated_monthly_price: validation.estimated_monthly_price,
        limits: limits(&validation.caps),
        usage: validation.usage,
        left: left(&validation.caps, &validation.usage),
    }
}

fn standing(standing: Standing) -> StandingView {
    StandingView {
        limits: limits(&standing.caps),
        left: left(&standing.caps, &standing.usage),
        team: standing.team,
        rule: standing.rule,
        policy: standing.rules,
        usage: standing.usage,
    }
}

fn limits(caps: &Caps) -> LimitsView {
    LimitsView {
        max_numbers: caps.max_numbers,
        max_orders_per_day: caps.max_orders_per_day,
        monthly_budget: caps.monthly_budget,
    }
}

/// Never below nothing: a price that rose or a cap that was lowered takes nothing away.
fn left(caps: &Caps, usage: &Usage) -> LeftView {
    let taken = usage.numbers_held.saturating_add(usage.numbers_reserved);
    let spent = usage.monthly_held.plus(usage.monthly_reserved);
    LeftView {
        numbers: caps.max_numbers.map(|max| max.saturating_sub(taken).max(0)),
        orders_today: caps
            .max_orders_per_day
            .map(|max| max.saturating_sub(usage.orders_last_day).max(0)),
        monthly_budget: caps
            .monthly_budget
            .map(|budget| budget.minus(spent).max(Money::ZERO)),
    }
}

/// Who the token says you are, and where your teams stand.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(in crate::http) struct MeView {
    /// The token's issuer.
    #[schema(example = "https://idp.example.com/")]
    issuer: String,
    /// The token's subject.
    #[schema(example = "alice@example.com")]
    subject: String,
    /// Your own user in Close, if the token names it, or the policy does for a service account.
    #[schema(required, value_type = Option<String>)]
    close_user: Option<UserId>,
    /// What you may do, as the token says, or the policy for a service account.
    #[schema(example = json!(["numbers:read", "numbers:rent"]))]
    permissions: Vec<String>,
    /// Your teams.
    teams: Vec<StandingView>,
}

/// One of your teams.
#[derive(Serialize, ToSchema)]
#[schema(as = Standing)]
struct StandingView {
    /// Its name.
    #[schema(value_type = String, example = "sales-emea")]
    team: Team,
    /// Where its rules stand in the policy; `null` when there are none and nothing is allowed.
    #[schema(required, example = "teams.sales-emea")]
    rule: Option<String>,
    /// Its rules, as the policy has them.
    #[schema(value_type = Option<Object>, required)]
    policy: Value,
    /// What it may have at most.
    limits: LimitsView,
    /// What it has.
    #[schema(value_type = UsageDoc)]
    usage: Usage,
    /// What it may still have.
    left: LeftView,
}

/// What policy would say to an order. Nothing was stored and Close was not asked.
#[derive(Serialize, ToSchema)]
#[schema(as = Validation)]
pub(in crate::http) struct ValidationView {
    /// Whether the order would be accepted.
    allowed: bool,
    /// For which team.
    #[schema(value_type = String, example = "sales-emea")]
    team: Team,
    /// What says no: `policy`, `quota` or `budget`.
    #[schema(required, value_type = Option<String>)]
    refusal: Option<Refusal>,
    /// Why.
    #[schema(value_type = DecisionDoc)]
    decision: Explanation,
    /// Why a second person would have to approve it first; `null` when nobody would have to.
    #[schema(required, value_type = Option<DecisionDoc>)]
    approval: Option<Explanation>,
    /// What the number would cost a month, in US dollars, if the policy knows a price.
    #[schema(required, value_type = Option<String>, example = "1.15")]
    estimated_monthly_price: Option<Money>,
    /// What the team may have at most.
    limits: LimitsView,
    /// What the team has.
    #[schema(value_type = UsageDoc)]
    usage: Usage,
    /// What the team may still have, without this order.
    left: LeftView,
}

/// What a team may have at most; `null` is unlimited.
#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsView {
    /// Numbers held at the same time, those on order included.
    #[schema(required, example = 50)]
    max_numbers: Option<i64>,
    /// Orders in 24 hours.
    #[schema(required, example = 10)]
    max_orders_per_day: Option<i64>,
    /// Monthly price of all numbers, in US dollars, those on order included.
    #[schema(required, value_type = Option<String>, example = "120.00")]
    monthly_budget: Option<Money>,
}

/// What a team may still have; `null` is unlimited.
#[derive(Serialize, ToSchema)]
#[schema(as = Left)]
struct LeftView {
    /// Numbers.
    #[schema(required, example = 46)]
    numbers: Option<i64>,
    /// Orders, now.
    #[schema(required, example = 8)]
    orders_today: Option<i64>,
    /// US dollars a month.
    #[schema(required, value_type = Option<String>, example = "115.40")]
    monthly_budget: Option<Money>,
}

/// What a team has.
#[derive(ToSchema)]
#[schema(as = Usage)]
#[expect(dead_code, reason = "describes how usage is written")]
struct UsageDoc {
    /// Numbers held.
    #[schema(example = 3)]
    numbers_held: i64,
    /// Numbers that open orders hold a place for.
    #[schema(example = 1)]
    numbers_reserved: i64,
    /// Orders of the last 24 hours, without refused and cancelled ones.
    #[schema(example = 2)]
    orders_last_day: i64,
    /// Monthly price of the numbers held, in US dollars.
    #[schema(example = "3.45")]
    monthly_held: String,
    /// Monthly price that open orders reserve, in US dollars.
    #[schema(example = "1.15")]
    monthly_reserved: String,
}

/// The rule that decided, what you have, what it needs, and what to do.
#[derive(ToSchema)]
#[schema(as = Decision, example = json!({
    "rule": "teams.sales-emea.countries", "have": "US", "need": ["DE", "FR", "GB"],
    "hint": "order in one of the countries the team may have",
}))]
#[expect(dead_code, reason = "describes how a decision is written")]
struct DecisionDoc {
    /// The rule's path in the policy.
    rule: String,
    /// What was asked for, or what you have.
    #[schema(value_type = Value)]
    have: Value,
    /// What the rule needs.
    #[schema(value_type = Value)]
    need: Value,
    /// What to do.
    hint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_is_neither_held_nor_reserved_and_never_below_nothing() {
        let usage = Usage {
            numbers_held: 3,
            numbers_reserved: 1,
            orders_last_day: 9,
            monthly_held: Money::from_cents(345),
            monthly_reserved: Money::from_cents(115),
        };
        let caps = |numbers, cents| Caps {
            max_numbers: Some(numbers),
            max_orders_per_day: None,
            monthly_budget: Some(Money::from_cents(cents)),
        };
        let roomy = left(&caps(50, 12_000), &usage);
        assert_eq!((roomy.numbers, roomy.orders_today), (Some(46), None));
        assert_eq!(roomy.monthly_budget, Some(Money::from_cents(11_540)));
        let tight = left(&caps(2, 100), &usage);
        assert_eq!(
            (tight.numbers, tight.monthly_budget),
            (Some(0), Some(Money::ZERO))
        );
    }
}
