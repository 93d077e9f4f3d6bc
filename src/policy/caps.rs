//! Checks whether the caps on numbers, orders and money allow one more number.

use serde_json::json;

use crate::domain::decision::{Refusal, Usage};
use crate::domain::money::Money;
use crate::policy::denial::{Denial, TeamPolicy};

/// Checks whether the team may hold one more number, reservations included.
pub(super) fn one_more_number(team_policy: &TeamPolicy<'_>, usage: &Usage) -> Result<(), Denial> {
    let Some(max) = team_policy.rules.caps().max_numbers else {
        return Ok(());
    };
    if taken(usage) < max {
        return Ok(());
    }
    let rule = team_policy.rule("max_numbers");
    let hint =
        format!("release a number, wait until open orders end, or ask the platform team to raise {rule}");
    let have = json!({"held": usage.numbers_held, "reserved": usage.numbers_reserved});
    Err(Denial::new(Refusal::Quota, rule, have, max, hint))
}

/// Checks whether the team may place one more order within 24 hours.
pub(super) fn one_more_order(team_policy: &TeamPolicy<'_>, usage: &Usage) -> Result<(), Denial> {
    let Some(max) = team_policy.rules.caps().max_orders_per_day else {
        return Ok(());
    };
    if usage.orders_last_day < max {
        return Ok(());
    }
    let rule = team_policy.rule("max_orders_per_day");
    let hint =
        format!("wait until the oldest order is 24 hours old, or ask the platform team to raise {rule}");
    let have = json!({"orders_last_24h": usage.orders_last_day});
    Err(Denial::new(Refusal::Quota, rule, have, max, hint))
}

/// Checks whether so many orders of the team were refused within the hour that the next one must wait.
pub(super) fn few_refused(team_policy: &TeamPolicy<'_>, usage: &Usage) -> Result<(), Denial> {
    let Some(max) = team_policy.rules.caps().max_refused_per_hour else {
        return Ok(());
    };
    if usage.refused_last_hour < max {
        return Ok(());
    }
    let rule = team_policy.rule("max_refused_per_hour");
    let hint = format!(
        "find out why Close refuses the team's orders, and wait until fewer than {max} were refused within an hour"
    );
    let have = json!({"refused_last_hour": usage.refused_last_hour});
    Err(Denial::new(Refusal::Rate, rule, have, max, hint))
}

/// Checks whether the budget allows a number at this monthly price, and returns the price to reserve.
///
/// Without a budget, an unknown price counts as zero. With a budget, an unknown price is denied.
pub(super) fn money_for(
    team_policy: &TeamPolicy<'_>,
    usage: &Usage,
    price: Option<Money>,
) -> Result<Money, Denial> {
    let Some(budget) = team_policy.rules.caps().monthly_budget else {
        return Ok(price.unwrap_or(Money::ZERO));
    };
    let Some(price) = price else {
        let hint = "ask the platform team to add the country, or `default`, to [prices]: \
                    the budget can't be checked without a price";
        let rule = "prices".to_owned();
        return Err(Denial::new(
            Refusal::Policy,
            rule,
            json!(null),
            json!({"monthly_budget": budget}),
            hint.into(),
        ));
    };
    if spent(usage).plus(price) <= budget {
        return Ok(price);
    }
    let rule = team_policy.rule("monthly_budget");
    let hint =
        format!("release a number, wait until open orders end, or ask the platform team to raise {rule}");
    let have = json!({"held": usage.monthly_held, "reserved": usage.monthly_reserved, "price": price});
    Err(Denial::new(Refusal::Budget, rule, have, budget, hint))
}

/// Returns a sentence about the remaining caps after one more number at this price.
pub(super) fn left_after(team_policy: &TeamPolicy<'_>, usage: &Usage, price: Money, order: bool) -> String {
    let caps = team_policy.rules.caps();
    let mut left = Vec::new();
    if let Some(max) = caps.max_numbers {
        left.push(format!(
            "{} of {max} numbers",
            max.saturating_sub(taken(usage)).saturating_sub(1)
        ));
    }
    if let Some(max) = caps.max_orders_per_day.filter(|_| order) {
        left.push(format!(
            "{} of {max} orders in 24 hours",
            max.saturating_sub(usage.orders_last_day).saturating_sub(1)
        ));
    }
    if let Some(budget) = caps.monthly_budget {
        left.push(format!(
            "{} of {budget} USD a month",
            budget.minus(spent(usage)).minus(price)
        ));
    }
    if left.is_empty() {
        format!("{} has no limit on numbers, orders or money", team_policy.team)
    } else {
        format!(
            "remaining for {} after this: {}",
            team_policy.team,
            left.join(", ")
        )
    }
}

fn taken(usage: &Usage) -> i64 {
    usage.numbers_held.saturating_add(usage.numbers_reserved)
}

fn spent(usage: &Usage) -> Money {
    usage.monthly_held.plus(usage.monthly_reserved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Decision;
    use crate::policy::sample::{policy, sales};
    use proptest::prelude::*;

    const RULES: &str = "max_numbers = 3\nmax_orders_per_day = 2\nmonthly_budget = \"10.00\"";

    fn usage(held: i64, reserved: i64, orders: i64, held_cents: i64, reserved_cents: i64) -> Usage {
        Usage {
            numbers_held: held,
            numbers_reserved: reserved,
            orders_last_day: orders,
            refused_last_hour: 0,
            refused_wait_seconds: 0,
            monthly_held: Money::from_cents(held_cents),
            monthly_reserved: Money::from_cents(reserved_cents),
        }
    }

    #[test]
    fn a_cap_can_be_reached_and_not_exceeded() {
        let (policy, team) = (policy(RULES), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        let five = Some(Money::from_cents(500));
        assert!(one_more_number(&team_policy, &usage(1, 1, 0, 0, 0)).is_ok());
        assert!(one_more_number(&team_policy, &usage(2, 1, 0, 0, 0)).is_err());
        assert!(one_more_order(&team_policy, &usage(0, 0, 1, 0, 0)).is_ok());
        assert!(one_more_order(&team_policy, &usage(0, 0, 2, 0, 0)).is_err());
        assert!(money_for(&team_policy, &usage(0, 0, 0, 300, 200), five).is_ok());
        assert!(money_for(&team_policy, &usage(0, 0, 0, 300, 201), five).is_err());
    }

    #[test]
    fn each_cap_denies_with_its_own_refusal() {
        let (policy, team) = (policy(RULES), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        let full = usage(3, 0, 2, 1_000, 0);
        let family = |denial: Denial| match Decision::from(denial) {
            Decision::Denied(refusal, why) => (refusal, why.rule),
            Decision::Allowed(_) => unreachable!("a denial never allows"),
        };
        let number = family(one_more_number(&team_policy, &full).unwrap_err());
        assert_eq!(number, (Refusal::Quota, "teams.sales.max_numbers".into()));
        let order = family(one_more_order(&team_policy, &full).unwrap_err());
        assert_eq!(order, (Refusal::Quota, "teams.sales.max_orders_per_day".into()));
        let money = family(money_for(&team_policy, &full, Some(Money::from_cents(1))).unwrap_err());
        assert_eq!(money, (Refusal::Budget, "teams.sales.monthly_budget".into()));
        let unknown = family(money_for(&team_policy, &full, None).unwrap_err());
        assert_eq!(unknown, (Refusal::Policy, "prices".into()));
    }

    #[test]
    fn refused_orders_are_bounded_by_default_and_by_the_entry_of_the_team() {
        let refused = |refused| Usage {
            refused_last_hour: refused,
            ..usage(0, 0, 0, 0, 0)
        };
        for (rules, max) in [
            ("", 60),
            ("max_refused_per_hour = 2", 2),
            ("max_refused_per_hour = 0", 0),
        ] {
            let (policy, team) = (policy(rules), sales());
            let team_policy = TeamPolicy::of(&policy, &team).unwrap();
            assert!(few_refused(&team_policy, &refused(max - 1)).is_ok(), "{rules}");
            let denial = few_refused(&team_policy, &refused(max)).unwrap_err();
            let Decision::Denied(refusal, why) = Decision::from(denial) else {
                panic!("a denial never allows")
            };
            assert_eq!(
                (refusal, why.rule.as_str()),
                (Refusal::Rate, "teams.sales.max_refused_per_hour")
            );
        }
    }

    #[test]
    fn an_exceeded_budget_denies_even_a_free_number() {
        let (policy, team) = (policy(RULES), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        assert!(money_for(&team_policy, &usage(0, 0, 0, 1_001, 0), Some(Money::ZERO)).is_err());
    }

    #[test]
    fn without_caps_every_usage_is_allowed_and_an_unknown_price_counts_as_zero() {
        let (policy, team) = (policy(""), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        let huge = usage(i64::MAX, i64::MAX, i64::MAX, i64::MAX, i64::MAX);
        assert!(one_more_number(&team_policy, &huge).is_ok() && one_more_order(&team_policy, &huge).is_ok());
        assert_eq!(money_for(&team_policy, &huge, None).unwrap(), Money::ZERO);
    }

    proptest! {
        #[test]
        fn no_sum_overflows(held in 0..=i64::MAX, reserved in 0..=i64::MAX, price in 0..=i64::MAX) {
            let (policy, team) = (policy(RULES), sales());
            let team_policy = TeamPolicy::of(&policy, &team).unwrap();
            let usage = usage(held, reserved, held, held, reserved);
            let allowed = one_more_number(&team_policy, &usage).is_ok();
            prop_assert_eq!(allowed, i128::from(held) + i128::from(reserved) < 3);
            let price = Money::from_cents(price);
            let affordable = money_for(&team_policy, &usage, Some(price)).is_ok();
            let sum = i128::from(held) + i128::from(reserved) + i128::from(price.cents());
            prop_assert_eq!(affordable, sum <= 1_000);
            left_after(&team_policy, &usage, price, true);
        }
    }
}
