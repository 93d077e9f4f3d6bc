//! The spend report of a month, as JSON and as CSV.

use serde::Serialize;
use utoipa::ToSchema;

use super::csv;
use crate::domain::money::Money;
use crate::domain::month::Month;
use crate::domain::spend::{GroupBy, Spend, Sum};

const CURRENCY: &str = "USD";

/// Renders the report as JSON.
pub(in crate::http) fn spend(spend: &Spend) -> SpendView {
    let group = |(key, sum): (&Option<String>, &Sum)| {
        let named = |by: GroupBy| (spend.by == by).then(|| key.clone());
        GroupView {
            team: named(GroupBy::Team),
            country: named(GroupBy::Country),
            user: named(GroupBy::User),
            numbers: sum.numbers,
            amount: sum.amount,
        }
    };
    let total = spend.total();
    SpendView {
        month: spend.month,
        group_by: spend.by,
        currency: CURRENCY,
        data: spend.groups.iter().map(group).collect(),
        total: TotalView {
            numbers: total.numbers,
            amount: total.amount,
        },
    }
}

/// Renders the report as CSV with a header line.
pub(in crate::http) fn spend_csv(spend: &Spend) -> Result<Vec<u8>, csv::Error> {
    let month = spend.month.to_string();
    let header = ["month", spend.by.as_str(), "numbers", "amount", "currency"].map(str::to_owned);
    let rows = spend.groups.iter().map(|(key, sum)| {
        [
            month.clone(),
            key.clone().unwrap_or_default(),
            sum.numbers.to_string(),
            sum.amount.to_string(),
            CURRENCY.to_owned(),
        ]
    });
    csv::table(std::iter::once(header).chain(rows))
}

/// The cost of a month.
#[derive(Serialize, ToSchema)]
#[schema(as = Spend, example = json!({
    "month": "2026-11", "group_by": "team", "currency": "USD",
    "data": [{"team": "sales-emea", "numbers": 4, "amount": "12.30"}, {"team": "support", "numbers": 1, "amount": "1.15"}],
    "total": {"numbers": 5, "amount": "13.45"},
}))]
pub(in crate::http) struct SpendView {
    /// The month, in UTC, such as `2026-11`.
    month: Month,
    /// The group of each row: team, country or user.
    group_by: GroupBy,
    /// The currency of every amount.
    currency: &'static str,
    /// The cost of each group, sorted by the group.
    data: Vec<GroupView>,
    /// The sum of all groups.
    total: TotalView,
}

/// The sum of all groups.
#[derive(Serialize, ToSchema)]
#[schema(as = SpendTotal)]
struct TotalView {
    /// How many phone numbers the cost includes.
    numbers: u64,
    /// The cost of these numbers, in US dollars.
    #[schema(example = "13.45")]
    amount: Money,
}

/// The cost of one team, country or user. Only the member that `group_by` names is present.
#[derive(Serialize, ToSchema)]
#[schema(as = SpendGroup)]
#[expect(
    clippy::option_option,
    reason = "outer: whether it is the group; inner: whether the group has a name"
)]
struct GroupView {
    /// The team that was the first in the month to hold the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    team: Option<Option<String>>,
    /// The country of the numbers. `null` if Close gives no country.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    country: Option<Option<String>>,
    /// The subject that ordered the numbers.
    ///
    /// `null` for numbers that the team adopted or got from another team.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    user: Option<Option<String>>,
    /// How many phone numbers the cost includes.
    numbers: u64,
    /// The cost of these numbers, in US dollars.
    amount: Money,
}
