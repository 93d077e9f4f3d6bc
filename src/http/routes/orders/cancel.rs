//! `POST /v1/orders/{id}/cancel`: cancels an order that the service has not sent to Close yet.

use axum::Json;
use axum::extract::State;

use crate::domain::id::OrderId;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, Id, NoQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, OrderView};

/// Cancel an order
///
/// You can cancel an order until Numberdesk sends it to Close, also while it awaits approval. A cancelled order no
/// longer reserves quota and budget.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", operation_id = "cancel_order",
    params(("id" = OrderId, Path)),
    responses((status = 200, description = "The cancelled order", body = OrderView)),
)]
pub(in crate::http) async fn cancel(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRent>,
    Id(id): Id<OrderId>,
    _: NoQuery,
) -> Result<Json<OrderView>, Problem> {
    Ok(Json(view::order(
        http.desk.orders.cancel(caller.call(), &id).await?,
    )))
}
