//! `GET /v1/orders`: lists orders.

use axum::Json;
use axum::extract;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::desk::OrderFilter;
use crate::domain::order::{IdempotencyKey, State};
use crate::domain::page::Limit;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::http::extract::{Caller, List, ListQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, OrderView, PageView};

/// List orders
///
/// Newest first, for all your teams or for the team in `team`.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", operation_id = "list_orders", params(ListOrders),
    responses((status = 200, description = "A page of orders", body = PageView<OrderView>)),
)]
pub(in crate::http) async fn list(
    extract::State(http): extract::State<Http>,
    caller: Caller<needs::NumbersRead>,
    list: List<ListOrders>,
) -> Result<Json<PageView<OrderView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let query = &list.query;
    let filter = OrderFilter {
        state: query.state,
        idempotency_key: query.idempotency_key.clone(),
    };
    let page = http
        .desk
        .orders
        .list(
            caller.call(),
            query.team.as_ref(),
            &filter,
            query.limit,
            after.as_deref(),
        )
        .await?;
    Ok(list.page(&http, &caller, page, view::order))
}

/// The query of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListOrders {
    /// Only orders of this team.
    team: Option<Team>,
    /// Only orders in this state.
    state: Option<State>,
    /// Only the order with this key. An administrator can get several orders, one of each team.
    idempotency_key: Option<IdempotencyKey>,
    /// Maximum number of rows in a page.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}

impl ListQuery for ListOrders {
    const LIST: &'static str = "orders";
    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}
