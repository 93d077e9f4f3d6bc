//! The JSON of the caller with its teams, and of the result of a validation.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::desk::{TeamUsage, Validation};
use crate::domain::caller::Caller;
use crate::domain::decision::{Caps, Decision, Explanation, Refusal, Usage};
use crate::domain::id::UserId;
use crate::domain::money::Money;
use crate::domain::rights::Permissions;
use crate::domain::team::Team;
use crate::http::view::ignored_team::{IgnoredTeamView, ignored_team};

/// Renders the caller and the usage of its teams.
pub(in crate::http) fn me(caller: &Caller, teams: Vec<TeamUsage>) -> MeView {
    MeView {
        issuer: caller.issuer().to_owned(),
        subject: caller.subject().to_owned(),
        name: caller.name().to_owned(),
        close_user: caller.close_user().cloned(),
        permissions: caller.rights().all().into_iter().map(str::to_owned).collect(),
        everywhere: given(caller.rights().everywhere()),
        teams: teams.into_iter().map(|team| team_usage(caller, team)).collect(),
        ignored_teams: caller.ignored_teams().iter().map(ignored_team).collect(),
        group_overage: caller.has_group_overage().then_some(OVERAGE),
    }
}

/// The meaning of a group overage, and the remedy.
pub(in crate::http) const OVERAGE: &str = "The identity provider left groups out of the token, because you belong to too many. Your \
    administrator can limit the claim to the groups that are assigned to the application, or send roles instead.";

fn given(permissions: &Permissions) -> Vec<GivenView> {
    let by_source = permissions.by_source().into_iter();
    by_source
        .map(|(source, permissions)| GivenView {
            source: source.to_string(),
            permissions: permissions.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

/// Renders the result of a validation.
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

fn team_usage(caller: &Caller, team: TeamUsage) -> TeamUsageView {
    let rights = caller.rights();
    let holds = |permission: &&str| rights.hold(permission, Some(&team.team));
    TeamUsageView {
        permissions: rights
            .all()
            .into_iter()
            .filter(holds)
            .map(str::to_owned)
            .collect(),
        given: given(&team.permissions),
        limits: limits(&team.caps),
        left: left(&team.caps, &team.usage),
        team: team.team,
        rule: team.rule,
        policy: team.rules,
        usage: team.usage,
    }
}

fn limits(caps: &Caps) -> LimitsView {
    LimitsView {
        max_numbers: caps.max_numbers,
        max_orders_per_day: caps.max_orders_per_day,
        max_refused_per_hour: caps.max_refused_per_hour,
        monthly_budget: caps.monthly_budget,
    }
}

/// Returns what is left of each cap, at least 0.
///
/// The usage can exceed a cap: an operator can lower the cap, and Close can raise a price.
fn left(caps: &Caps, usage: &Usage) -> LeftView {
    let taken = usage.numbers_held.saturating_add(usage.numbers_reserved);
    let spent = usage.monthly_held.plus(usage.monthly_reserved);
    LeftView {
        numbers: caps.max_numbers.map(|max| max.saturating_sub(taken).max(0)),
        orders_today: caps
            .max_orders_per_day
            .map(|max| max.saturating_sub(usage.orders_last_day).max(0)),
        refused_this_hour: caps
            .max_refused_per_hour
            .map(|max| max.saturating_sub(usage.refused_last_hour).max(0)),
        monthly_budget: caps
            .monthly_budget
            .map(|budget| budget.minus(spent).max(Money::ZERO)),
    }
}

/// The caller and its teams.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(in crate::http) struct MeView {
    /// The issuer of the token.
    #[schema(example = "https://idp.example.com/")]
    issuer: String,
    /// The subject of the token.
    #[schema(example = "alice@example.com")]
    subject: String,
    /// Your name in orders and in the audit trail: the subject, or the claim that the operator chose.
    #[schema(example = "alice@example.com")]
    name: String,
    /// Your user in Close, from the token or, for a service account, from the policy.
    ///
    /// `null` if neither names a user.
    #[schema(required)]
    close_user: Option<UserId>,
    /// The permissions that you have in at least one team, or everywhere.
    ///
    /// A permission holds only in some teams: `permissions` of each team has those of the team.
    #[schema(example = json!(["numbers:read", "numbers:rent"]))]
    permissions: Vec<String>,
    /// The permissions that hold in all teams, by source.
    everywhere: Vec<GivenView>,
    /// Your teams.
    teams: Vec<TeamUsageView>,
    /// Names in the token, at the claim for teams, that give you no team.
    ignored_teams: Vec<IgnoredTeamView>,
    /// The reason why groups are missing in the token, and the remedy. `null` if none are known to be missing.
    #[schema(required)]
    group_overage: Option<&'static str>,
}

/// Permissions from one source.
#[derive(Serialize, ToSchema)]
#[schema(as = GivenPermissions)]
struct GivenView {
    /// The source: `token`, or the entry of the policy, such as `grants[2]` or `service_accounts[0]`.
    #[schema(example = "grants[2]")]
    source: String,
    /// The permissions from this source.
    #[schema(example = json!(["numbers:read", "numbers:rent"]))]
    permissions: Vec<String>,
}

/// One of your teams.
#[derive(Serialize, ToSchema)]
#[schema(as = TeamUsage)]
struct TeamUsageView {
    /// The name of the team.
    #[schema(example = "sales-emea")]
    team: Team,
    /// Your permissions in the team, those that hold everywhere included.
    #[schema(example = json!(["numbers:read", "numbers:rent"]))]
    permissions: Vec<String>,
    /// The permissions that you were given in this team, by source.
    given: Vec<GivenView>,
    /// The path of the team's rules in the policy.
    ///
    /// `null` if the policy has no rules for the team: it may do nothing then.
    #[schema(required, example = "teams.sales-emea")]
    rule: Option<String>,
    /// The rules of the team, as in the policy.
    #[schema(value_type = Option<Object>, required)]
    policy: Value,
    /// The caps of the team.
    limits: LimitsView,
    /// The usage of the team.
    usage: Usage,
    /// What is left of each cap.
    left: LeftView,
}

/// The decision that Numberdesk would make about an order.
///
/// Numberdesk stored nothing and sent nothing to Close.
#[derive(Serialize, ToSchema)]
#[schema(as = Validation)]
pub(in crate::http) struct ValidationView {
    /// Whether Numberdesk would accept the order.
    allowed: bool,
    /// The team of the order.
    #[schema(example = "sales-emea")]
    team: Team,
    /// The kind of rule that denies the order: `policy`, `quota` or `budget`.
    ///
    /// `null` if the order is allowed.
    #[schema(required)]
    refusal: Option<Refusal>,
    /// The decision of the policy, with its rule.
    decision: Explanation,
    /// The rule that requires an approval by a second person. `null` if no rule does.
    #[schema(required)]
    approval: Option<Explanation>,
    /// The estimated monthly price in US dollars. `null` if the policy has no price for the number.
    #[schema(required, example = "1.15")]
    estimated_monthly_price: Option<Money>,
    /// The caps of the team.
    limits: LimitsView,
    /// The usage of the team.
    usage: Usage,
    /// What is left of each cap, before this order.
    left: LeftView,
}

/// The caps of a team. `null` means unlimited.
#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsView {
    /// Maximum of numbers held at the same time, including open orders.
    #[schema(required, example = 50)]
    max_numbers: Option<i64>,
    /// Maximum of orders in 24 hours.
    #[schema(required, example = 10)]
    max_orders_per_day: Option<i64>,
    /// Maximum of orders that may be refused within an hour, before further orders must wait.
    #[schema(required, example = 60)]
    max_refused_per_hour: Option<i64>,
    /// Maximum monthly price of all numbers in US dollars, including open orders.
    #[schema(required, example = "120.00")]
    monthly_budget: Option<Money>,
}

/// What is left of a team's caps. `null` means unlimited.
#[derive(Serialize, ToSchema)]
#[schema(as = RemainingLimits)]
struct LeftView {
    /// Numbers that the team can still rent.
    #[schema(required, example = 46)]
    numbers: Option<i64>,
    /// Orders that the team can send now.
    #[schema(required, example = 8)]
    orders_today: Option<i64>,
    /// Orders that may still be refused within this hour.
    #[schema(required, example = 60)]
    refused_this_hour: Option<i64>,
    /// What is left of the monthly budget, in US dollars.
    #[schema(required, example = "115.40")]
    monthly_budget: Option<Money>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_excludes_reservations_and_is_never_negative() {
        let usage = Usage {
            numbers_held: 3,
            numbers_reserved: 1,
            orders_last_day: 9,
            refused_last_hour: 0,
            refused_wait_seconds: 0,
            monthly_held: Money::from_cents(345),
            monthly_reserved: Money::from_cents(115),
        };
        let caps = |numbers, cents| Caps {
            max_numbers: Some(numbers),
            max_orders_per_day: None,
            max_refused_per_hour: None,
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
