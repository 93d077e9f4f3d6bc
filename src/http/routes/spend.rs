//! `/v1/spend`: what a month cost, for people and for spreadsheets.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use crate::domain::caller::Team;
use crate::domain::input::fields::Fields;
use crate::domain::month::Month;
use crate::domain::spend::{GroupBy, Spend};
use crate::error::Error;
use crate::http::extract::{Caller, Query, QueryFields, WantsCsv};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, FormatEnum, GroupByEnum, SpendView};

/// What a month cost
///
/// A number counts once in every month (UTC) in which a team held it at any moment, as Close bills it: at the price last in
/// force in that month, for the team that held it first. Until Close has billed, that is the policy's estimate.
#[utoipa::path(
    get, path = "/v1/spend", tag = "spend", operation_id = "get_spend", params(Params),
    responses((status = 200, description = "The month's cost, sorted by what it is told by, `null` first", content(
        (SpendView = "application/json"),
        (String = "text/csv", example = json!("month,team,numbers,amount,currency\n2026-11,sales-emea,4,12.30,USD\n")),
    ))),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller,
    Query(asked): Query<Asked>,
    WantsCsv(wants_csv): WantsCsv,
) -> Result<Response, Problem> {
    let spend = http
        .desk
        .spend(caller.by(), asked.team.as_ref(), asked.month, asked.group_by)
        .await?;
    let mut response = if asked.csv.unwrap_or(wants_csv) {
        file(&spend)?
    } else {
        Json(view::spend(&spend)).into_response()
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn file(spend: &Spend) -> Result<Response, Error> {
    let rows = view::spend_csv(spend).map_err(|fault| Error::Internal(fault.into()))?;
    let name = format!(
        "attachment; filename=\"spend-{}-by-{}.csv\"",
        spend.month, spend.by
    );
    let name = HeaderValue::from_str(&name).expect("a month and a word are plain ASCII");
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(([(CONTENT_TYPE, csv), (CONTENT_DISPOSITION, name)], rows).into_response())
}

/// What the query may say.
pub(in crate::http) struct Asked {
    team: Option<Team>,
    month: Month,
    group_by: GroupBy,
    /// The format, where one is named.
    csv: Option<bool>,
}

impl QueryFields for Asked {
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
#[expect(dead_code, reason = "describes what `Asked` reads")]
struct Params {
    /// The month, in UTC.
    #[param(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$", example = "2026-11")]
    month: String,
    /// By what it is told.
    #[param(value_type = Option<GroupByEnum>)]
    group_by: Option<String>,
    /// Only what this team spent.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// `csv` for a file; `Accept: text/csv` asks for the same.
    #[param(value_type = Option<FormatEnum>)]
    format: Option<String>,
}
