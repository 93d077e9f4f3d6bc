//! `/v1/audit`: the audit trail, as a paged list or as an export with its hash chain.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::desk::{AuditFilter, Export, Period};
use crate::domain::audit::Action;
use crate::domain::audit_chain::Link;
use crate::domain::id::{OrderId, PhoneNumberId, RequestId};
use crate::domain::input::values::{Text, Whole};
use crate::domain::page::Limit;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::http::extract::{Caller, List, ListQuery, Query};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, AuditView, PageView};

/// List the audit trail
///
/// Every decision and every change, newest first: actor, team, action, the rule that decided, and the outcome.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "list_audit", params(ListAudit),
    responses((status = 200, description = "A page of the audit trail", body = PageView<AuditView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::AuditRead>,
    list: List<ListAudit>,
) -> Result<Json<PageView<AuditView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let query = &list.query;
    check_period(query.since, query.until)?;
    let filter = AuditFilter {
        actor: query.actor.clone().map(String::from),
        action: query.action,
        order_id: query.order_id.clone(),
        phone_number_id: query.phone_number_id.clone(),
        since: query.since,
        until: query.until,
        allowed: query.allowed,
    };
    let page = http
        .desk
        .audit
        .list(
            caller.call(),
            query.team.as_ref(),
            &filter,
            query.limit,
            after.as_deref(),
        )
        .await?;
    Ok(list.page(&http, &caller, page, view::audit_row))
}

/// Refuses a period that ends before it starts.
fn check_period(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), Problem> {
    match (since, until) {
        (Some(since), Some(until)) if until < since => {
            Err(Problem::fault("/query/until", "must not be earlier than `since`"))
        }
        _ => Ok(()),
    }
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
    get, path = "/v1/audit/export", tag = "audit", operation_id = "export_audit", params(ExportQuery),
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
    check_period(query.since, query.until)?;
    let period = Period {
        since: query.since,
        until: query.until,
    };
    let after = query.after.map_or(0, |Whole(after)| after);
    let export = http
        .desk
        .audit
        .export(caller.call(), query.team.as_ref(), period, after)
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
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ExportQuery {
    /// Only rows of this team.
    team: Option<Team>,
    /// Only rows at or after this time, such as `2026-11-23T00:00:00Z`.
    since: Option<Timestamp>,
    /// Only rows before this time.
    until: Option<Timestamp>,
    /// Only rows after the one with this `seq`, to continue an export.
    after: Option<Whole<0, 9_007_199_254_740_991>>,
}

/// The query of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListAudit {
    /// Only rows of this team.
    team: Option<Team>,
    /// Only rows of this subject.
    actor: Option<Text<255>>,
    /// Only this action.
    action: Option<Action>,
    /// Only rows about this order.
    order_id: Option<OrderId>,
    /// Only rows about this number.
    phone_number_id: Option<PhoneNumberId>,
    /// Only rows at or after this time, such as `2026-11-23T00:00:00Z`.
    since: Option<Timestamp>,
    /// Only rows before this time.
    until: Option<Timestamp>,
    /// Only rows that the policy allowed (`true`) or denied (`false`).
    allowed: Option<bool>,
    /// Maximum number of rows in a page.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}

impl ListQuery for ListAudit {
    const LIST: &'static str = "audit";
    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}
