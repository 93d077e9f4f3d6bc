//! `/v1/spend`: the cost of a month, as JSON or as CSV.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::month::Month;
use crate::domain::permission::needs;
use crate::domain::spend::{GroupBy, ReportFormat, Spend};
use crate::domain::team::Team;
use crate::error::Error;
use crate::http::extract::{Caller, Query, WantsCsv};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, SpendView};

/// Get the cost of a month
///
/// Close bills a number once for every month (UTC) in which a team held it. The report counts each number once,
/// with its last price of that month, for the team that was the first in that month to hold it. Until Close has billed
/// the number, the price is the policy's estimate.
#[utoipa::path(
    get, path = "/v1/spend", tag = "spend", operation_id = "get_spend", params(SpendQuery),
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
        .of_month(
            caller.call(),
            query.team.as_ref(),
            query.month,
            query.group_by.unwrap_or(GroupBy::Team),
        )
        .await?;
    let mut response = if query
        .format
        .map_or(wants_csv, |format| format == ReportFormat::Csv)
    {
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
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct SpendQuery {
    /// The month, in UTC.
    month: Month,
    /// How the report groups the cost. `team` by default.
    group_by: Option<GroupBy>,
    /// Only the cost of this team.
    team: Option<Team>,
    /// The format of the response. `format=csv` has the same effect as the header `Accept: text/csv`.
    format: Option<ReportFormat>,
}
