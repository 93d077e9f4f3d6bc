//! `/v1/spend`: the cost of a month, as JSON or as CSV.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use crate::domain::input::fields::Fields;
use crate::domain::month::Month;
use crate::domain::permission::needs;
use crate::domain::spend::{GroupBy, Spend};
use crate::domain::team::Team;
use crate::error::Error;
use crate::http::extract::{Caller, Query, QueryFields, WantsCsv};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, FormatEnum, GroupByEnum, SpendView};

/// Get the cost of a month
///
/// Close bills a number once for every month (UTC) in which a team held it. The report counts each number once,
/// with its last price of that month, for the team that was the first in that month to hold it. Until Close has billed
/// the number, the price is the policy's estimate.
#[utoipa::path(
    get, path = "/v1/spend", tag = "spend", operation_id = "get_spend", params(Params),
    responses((status = 200, description = "The cost of the month, sorted by the group, `null` first", content(
        (SpendView = "application/json"),
        (String = "text/csv", example = json!("month,team,numbers,amount,currency\n2026-11,sales-emea,4,12.30,USD\n")),
    ))),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller<needs::SpendRead>,
    Query(query): Query<SpendQuery>,
    WantsCsv(wants_csv): WantsCsv,
) -> Result<Response, Problem> {
    let spend = http
        .desk
        .spend
        .of_month(caller.call(), query.team.as_ref(), query.month, query.group_by)
        .await?;
    let mut response = if query.csv.unwrap_or(wants_csv) {
        csv_file(&spend)?
    } else {
        Json(view::spend(&spend)).into_response()
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn csv_file(spend: &Spend) -> Result<Response, Error> {
    let rows = view::spend_csv(spend).map_err(|error| Error::Internal(error.into()))?;
    let name = format!(
        "attachment; filename=\"spend-{}-by-{}.csv\"",
        spend.month, spend.by
    );
    let name = HeaderValue::from_str(&name).expect("a month and a word are plain ASCII");
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(([(CONTENT_TYPE, csv), (CONTENT_DISPOSITION, name)], rows).into_response())
}

/// The query of the report.
pub(in crate::http) struct SpendQuery {
    team: Option<Team>,
    month: Month,
    group_by: GroupBy,
    /// Whether `format` asks for CSV. With `None`, the header `Accept` decides.
    csv: Option<bool>,
}

impl QueryFields for SpendQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let team = fields.optional("team", |node| node.parse());
        let month = fields.required("month", |node| node.parse());
        let group_by = fields.optional("group_by", |node| node.parse());
        let csv = fields.optional("format", |node| match node.string()? {
            "json" => Some(false),
            "csv" => Some(true),
            _ => node.fault("must be one of json, csv"),
        });
        Some(Self {
            team: team?,
            month: month?,
            group_by: group_by?.unwrap_or(GroupBy::Team),
            csv: csv?,
        })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `SpendQuery` reads")]
struct Params {
    /// The month, in UTC, such as `2026-11`.
    #[param(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$", example = "2026-11")]
    month: String,
    /// How the report groups the cost. `team` by default.
    #[param(value_type = Option<GroupByEnum>)]
    group_by: Option<String>,
    /// Only the cost of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// The format of the response. `format=csv` has the same effect as the header `Accept: text/csv`.
    #[param(value_type = Option<FormatEnum>)]
    format: Option<String>,
}
