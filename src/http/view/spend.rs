//! The spend report of a month, as JSON and as CSV.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::csv;
use crate::domain::money::Money;
use crate::domain::spend::{GroupBy, Spend, Sum};
use crate::http::view::enums::GroupByEnum;

const CURRENCY: &str = "USD";

/// Renders the report as JSON.
pub(in crate::http) fn spend(spend: &Spend) -> SpendView {
    let group = |(key, sum): (&Option<String>, &Sum)| {
        Map::from_iter([
            (spend.by.to_string(), json!(key)),
            ("numbers".to_owned(), json!(sum.numbers)),
            ("amount".to_owned(), json!(sum.amount)),
        ])
    };
    let total = spend.total();
    SpendView {
        month: spend.month.to_string(),
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
    month: String,
    /// The group of each row: team, country or user.
    #[schema(value_type = GroupByEnum)]
    group_by: GroupBy,
    /// The currency of every amount.
    currency: &'static str,
    /// The cost of each group, sorted by the group.
    #[schema(value_type = Vec<GroupDoc>)]
    data: Vec<Map<String, Value>>,
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
    #[schema(value_type = String, example = "13.45")]
    amount: Money,
}

/// The cost of one team, country or user. Only the member that `group_by` names is present.
#[derive(ToSchema)]
#[schema(as = SpendGroup)]
#[expect(dead_code, reason = "describes how a group is written")]
struct GroupDoc {
    /// The team that was the first in the month to hold the numbers.
    team: Option<String>,
    /// The country of the numbers. `null` if Close gives no country.
    country: Option<String>,
    /// The subject that ordered the numbers.
    ///
    /// `null` for numbers that the team adopted or got from another team.
    user: Option<String>,
    /// How many phone numbers the cost includes.
    numbers: u64,
    /// The cost of these numbers, in US dollars.
    #[schema(example = "12.30")]
    amount: String,
}
