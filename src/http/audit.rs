//! `/v1/audit`: who did what.

use axum::Json;
use axum::extract::State;
use utoipa::IntoParams;

use crate::desk::AuditFilter;
use crate::domain::fields::Fields;
use crate::http::Http;
use crate::http::extract::{Caller, Filter, List, QueryFields, flag};
use crate::http::problem::Problem;
use crate::http::view::{self, ActionWord, AuditView, PageView};

/// List the audit trail
///
/// Every decision and every effect, newest first: who, for which team, what, which rule decided, how it ended.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "list_audit", params(ListParams),
    responses((status = 200, description = "A page of the audit trail", body = PageView<AuditView>)),
)]
pub(super) async fn list(
    State(http): State<Http>,
    caller: Caller,
    list: List<AuditFilter>,
) -> Result<Json<PageView<AuditView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let team = list.team.as_ref();
    let page = http
        .desk
        .list_audit(caller.by(), team, &list.filter, list.limit, after.as_deref())
        .await?;
    Ok(list.page(&http, &caller, page, view::audit_row))
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
    /// Only what this subject did.
    #[param(max_length = 255)]
    actor: Option<String>,
    /// Only this action.
    #[param(value_type = Option<ActionWord>)]
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
    /// Only what policy allowed (`true`) or denied (`false`).
    allowed: Option<bool>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}
