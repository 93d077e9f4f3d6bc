//! `POST /v1/orders/validate`: the decision that Numberdesk would make about an order.

use axum::Json;
use axum::extract::State;

use crate::domain::order::request::OrderRequest;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, JsonBody, NoQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, ValidationView};

/// Validate an order
///
/// Returns whether Numberdesk would accept the order, which rule decides, and what is left of quota and budget.
/// Numberdesk stores nothing and sends nothing to Close. The request needs no `Idempotency-Key`.
#[utoipa::path(
    post, path = "/v1/orders/validate", tag = "orders", operation_id = "validate_order",
    request_body(content = OrderRequest, example = json!({"country": "DE", "prefix": "30", "carrier_type": "local"})),
    responses((status = 200, description = "The decision of the policy", body = ValidationView)),
)]
pub(in crate::http) async fn validate(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRent>,
    _: NoQuery,
    JsonBody(body): JsonBody<OrderRequest>,
) -> Result<Json<ValidationView>, Problem> {
    let (team, request) = body.into_parts();
    let validation = http
        .desk
        .orders
        .validate(caller.call(), team.as_ref(), &request)
        .await?;
    Ok(Json(view::validation(validation)))
}
