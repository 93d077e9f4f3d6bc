//! `GET /v1/orders/{id}`: reads an order.

use axum::Json;
use axum::extract::State;

use crate::domain::id::OrderId;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, Id, NoQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, OrderView};

/// Get an order
///
/// If the order is not final, read it again later. Alternatively, send the order again under the same key.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", operation_id = "get_order",
    params(("id" = OrderId, Path)),
    responses((status = 200, description = "The order in its current state", body = OrderView)),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    Id(id): Id<OrderId>,
    _: NoQuery,
) -> Result<Json<OrderView>, Problem> {
    Ok(Json(view::order(
        http.desk.orders.find(caller.call(), &id).await?,
    )))
}
