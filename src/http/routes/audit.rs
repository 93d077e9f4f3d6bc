//! `/v1/audit`: the audit trail, as a paged list or as an export with its hash chain.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;
use utoipa::IntoParams;

use crate::desk::{AuditFilter, Export, Period};
use crate::domain::audit_chain::Link;
use crate::domain::id::RequestId;
use crate::domain::input::fields::Fields;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::error::Error;
use crate::http::extract::{Caller, Filter, List, Query, QueryFields, flag};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, ActionEnum, AuditView, PageView};

/// List the audit trail
///
/// Every decision and every change, newest first: actor, team, action, the rule that decided, and the outcome.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "list_audit", params(ListParams),
    responses((status = 200, description = "A page of the audit trail", body = PageView<AuditView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::AuditRead>,
    list: List<AuditFilter>,
) -> Result<Json<PageView<AuditView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let team = list.team.as_ref();
    let page = http
        .desk
        .audit
        .list(caller.call(), team, &list.filter, list.limit, after.as_deref())
        .await?;
    Ok(list.page(&http, &caller, page, view::audit_row))
}

/// The header with the head of the chain, in the format that `numberdesk audit verify --head` accepts.
const HEAD: HeaderName = HeaderName::from_static("audit-head");

/// Export the audit trail
///
/// Every row in the order of the hash chain, as one JSON document per line. Each row has its position in `seq`, its
/// hash in `hash`, and the hash of the previous row in `prev`. `numberdesk audit verify --export` verifies the export
/// without the service. If the export fails before its end, the connection ends with an error. An administrator gets
/// the whole chain, any other caller the rows of its teams.
#[utoipa::path(
    get, path = "/v1/audit/export", tag = "audit", operation_id = "export_audit", params(ExportParams),
    responses((
        status = 200, description = "The rows, one JSON document per line",
        headers(("Audit-Head" = String, description = "The head of the whole chain, as `SEQ:HASH`. Store it outside the service")),
        content_type = "application/x-ndjson", body = String,
        example = json!("{\"seq\":1,\"prev\":\"numberdesk-audit-1\",\"hash\":\"9c1a…\",\"id\":\"aud_01KATV8ZJ3E0T9C4M6N2P5Q7RS\",…}\n"),
    )),
)]
pub(in crate::http) async fn export(
    State(http): State<Http>,
    caller: Caller<needs::AuditRead>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let export = http
        .desk
        .audit
        .export(caller.call(), query.team.as_ref(), query.period)
        .await?;
    let head =
        HeaderValue::from_str(&export.head().to_string()).map_err(|fault| Error::Internal(fault.into()))?;
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    let lines = lines(export, caller.call().request_id.clone());
    Ok(([(CONTENT_TYPE, ndjson), (HEAD, head)], lines).into_response())
}

/// Streams the lines of an export.
///
/// An error aborts the connection, so that a client cannot mistake an incomplete export for a complete one.
fn lines(export: Export, request_id: RequestId) -> Body {
    Body::from_stream(stream::try_unfold(export, move |mut export| {
        let request_id = request_id.clone();
        async move {
            match next(&mut export).await {
                Ok(lines) => Ok((!lines.is_empty()).then_some((lines, export))),
                Err(error) => {
                    let cause = Problem::from(error).chain();
                    tracing::error!(%request_id, error = cause, "audit export failed");
                    Err("the export failed")
                }
            }
        }
    }))
}

async fn next(export: &mut Export) -> Result<Bytes, Error> {
    let mut lines = String::new();
    for link in export.next().await? {
        lines += &Link::to_line(&link).map_err(|fault| Error::Internal(fault.into()))?;
        lines.push('\n');
    }
    Ok(lines.into())
}

/// The query of an export.
pub(in crate::http) struct ExportQuery {
    team: Option<Team>,
    period: Period,
}

impl QueryFields for ExportQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let team = fields.optional("team", |node| node.parse());
        let since = fields.optional("since", |node| node.parse());
        let until = fields.optional("until", |node| node.parse());
        let (since, until) = (since?, until?);
        Some(Self {
            team: team?,
            period: Period { since, until },
        })
    }
}

impl QueryFields for AuditFilter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let actor = fields.optional("actor", |node| node.text(255));
        let action = fields.optional("action", |node| node.parse());
        let order_id = fields.optional("order_id", |node| node.parse());
        let phone_number_id = fields.optional("phone_number_id", |node| node.parse());
        let since = fields.optional("since", |node| node.parse());
        let until = fields.optional("until", |node| node.parse());
        let allowed = fields.optional("allowed", |node| flag(&node));
        Some(Self {
            actor: actor?,
            action: action?,
            order_id: order_id?,
            phone_number_id: phone_number_id?,
            since: since?,
            until: until?,
            allowed: allowed?,
        })
    }
}
impl Filter for AuditFilter {
    const LIST: &'static str = "audit";
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `AuditFilter` reads")]
struct ListParams {
    /// Only rows of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only rows of this subject.
    #[param(max_length = 255)]
    actor: Option<String>,
    /// Only this action.
    #[param(value_type = Option<ActionEnum>)]
    action: Option<String>,
    /// Only rows about this order.
    #[param(pattern = "^ord_[A-Za-z0-9]{1,64}$")]
    order_id: Option<String>,
    /// Only rows about this number.
    #[param(pattern = "^phon_[A-Za-z0-9]{1,64}$")]
    phone_number_id: Option<String>,
    /// Only rows at or after this time, such as `2026-11-23T00:00:00Z`.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only rows before this time.
    #[param(format = DateTime)]
    until: Option<String>,
    /// Only rows that the policy allowed (`true`) or denied (`false`).
    allowed: Option<bool>,
    /// Maximum number of rows in a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `ExportQuery` reads")]
struct ExportParams {
    /// Only rows of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only rows at or after this time, such as `2026-11-23T00:00:00Z`.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only rows before this time.
    #[param(format = DateTime)]
    until: Option<String>,
}
