//! `/v1/orders/{id}/approve` and `/reject`: the decision of a second person.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::id::OrderId;
use crate::domain::input::read::Input;
use crate::domain::input::values::Text;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, Id, NoQuery, OptionalBody};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, OrderView};

/// Approve an order
///
/// Approves an order in the state `awaiting_approval`. You cannot approve your own order. Numberdesk sends the order to
/// Close at once, and the response has the current state of the order. If the order is already approved, nothing
/// changes.
#[utoipa::path(
    post, path = "/v1/orders/{id}/approve", tag = "orders", operation_id = "approve_order",
    params(("id" = OrderId, Path)),
    request_body(content = Option<DecisionRequest>, description = "The body is optional, and `comment` too", example = json!({"comment": "For the fair in Berlin"})),
    responses((status = 200, description = "The approved order", body = OrderView)),
)]
pub(in crate::http) async fn approve(
    State(http): State<Http>,
    caller: Caller<needs::OrdersApprove>,
    Id(id): Id<OrderId>,
    _: NoQuery,
    OptionalBody(body): OptionalBody<Option<DecisionRequest>>,
) -> Result<Json<OrderView>, Problem> {
    let comment = body.flatten().and_then(DecisionRequest::comment);
    Ok(Json(view::order(
        http.desk.orders.approve(caller.call(), &id, comment).await?,
    )))
}

/// Reject an order
///
/// Rejects an order in the state `awaiting_approval`. You cannot reject your own order, but you can cancel it. The
/// order no longer reserves quota and budget, and its `reason` contains your comment. If the order is already rejected,
/// nothing changes.
#[utoipa::path(
    post, path = "/v1/orders/{id}/reject", tag = "orders", operation_id = "reject_order",
    params(("id" = OrderId, Path)),
    request_body(content = Option<DecisionRequest>, description = "The body is optional, and `comment` too", example = json!({"comment": "Use the line that the team has"})),
    responses((status = 200, description = "The rejected order, in state `refused`", body = OrderView)),
)]
pub(in crate::http) async fn reject(
    State(http): State<Http>,
    caller: Caller<needs::OrdersApprove>,
    Id(id): Id<OrderId>,
    _: NoQuery,
    OptionalBody(body): OptionalBody<Option<DecisionRequest>>,
) -> Result<Json<OrderView>, Problem> {
    let comment = body.flatten().and_then(DecisionRequest::comment);
    Ok(Json(view::order(
        http.desk.orders.reject(caller.call(), &id, comment).await?,
    )))
}

/// The comment on a decision. It is optional.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DecisionRequest {
    /// A comment for the person who ordered, and for the audit trail. Control characters are not allowed.
    #[schema(example = "For the fair in Berlin")]
    comment: Option<Text<500>>,
}

impl Input for DecisionRequest {}

impl DecisionRequest {
    /// Returns the comment. A blank comment counts as absent.
    fn comment(self) -> Option<String> {
        let comment = String::from(self.comment?);
        Some(comment).filter(|comment| !comment.trim().is_empty())
    }
}
