//! `GET /v1/orders`: lists orders.

use axum::Json;
use axum::extract::State;
use utoipa::IntoParams;

use crate::desk::OrderFilter;
use crate::domain::input::fields::Fields;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, Filter, List, QueryFields};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, OrderView, PageView, StateEnum};

/// List orders
///
/// Newest first, for all your teams or for the team in `team`.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", operation_id = "list_orders", params(ListParams),
    responses((status = 200, description = "A page of orders", body = PageView<OrderView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    list: List<OrderFilter>,
) -> Result<Json<PageView<OrderView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let team = list.team.as_ref();
    let page = http
        .desk
        .orders
        .list(caller.call(), team, &list.filter, list.limit, after.as_deref())
        .await?;
    Ok(list.page(&http, &caller, page, view::order))
}

impl QueryFields for OrderFilter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let state = fields.optional("state", |node| node.parse());
        let idempotency_key = fields.optional("idempotency_key", |node| node.parse());
        Some(Self {
            state: state?,
            idempotency_key: idempotency_key?,
        })
    }
}
impl Filter for OrderFilter {
    const LIST: &'static str = "orders";
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `OrderFilter` reads")]
struct ListParams {
    /// Only orders of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only orders in this state.
    #[param(value_type = Option<StateEnum>)]
    state: Option<String>,
    /// Only the order with this key. An administrator can get several orders, one of each team.
    #[param(min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
    /// Maximum number of rows in a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}
