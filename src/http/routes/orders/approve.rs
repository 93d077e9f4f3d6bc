//! `/v1/orders/{id}/approve` and `/reject`: the decision of a second person.

use axum::Json;
use axum::extract::State;

use crate::domain::id::OrderId;
use crate::domain::input::fields::Node;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, Id, NoQuery, OptionalBody};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, CommentBody, OrderView};

const MAX_COMMENT: usize = 500;

/// Approve an order
///
/// Approves an order in the state `awaiting_approval`. You cannot approve your own order. Numberdesk sends the order to
/// Close at once, and the response has the current state of the order. If the order is already approved, nothing
/// changes.
#[utoipa::path(
    post, path = "/v1/orders/{id}/approve", tag = "orders", operation_id = "approve_order",
    params(("id" = String, Path, description = "The id of the order", pattern = "^ord_[A-Za-z0-9]{1,64}$", example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body(content = Option<CommentBody>, description = "The body is optional, and `comment` too", example = json!({"comment": "For the fair in Berlin"})),
    responses((status = 200, description = "The approved order", body = OrderView)),
)]
pub(in crate::http) async fn approve(
    State(http): State<Http>,
    caller: Caller<needs::OrdersApprove>,
    Id(id): Id<OrderId>,
    _: NoQuery,
    body: OptionalBody,
) -> Result<Json<OrderView>, Problem> {
    let comment = body.read(comment)?.flatten();
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
    params(("id" = String, Path, description = "The id of the order", pattern = "^ord_[A-Za-z0-9]{1,64}$", example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body(content = Option<CommentBody>, description = "The body is optional, and `comment` too", example = json!({"comment": "Use the line that the team has"})),
    responses((status = 200, description = "The rejected order, in state `refused`", body = OrderView)),
)]
pub(in crate::http) async fn reject(
    State(http): State<Http>,
    caller: Caller<needs::OrdersApprove>,
    Id(id): Id<OrderId>,
    _: NoQuery,
    body: OptionalBody,
) -> Result<Json<OrderView>, Problem> {
    let comment = body.read(comment)?.flatten();
    Ok(Json(view::order(
        http.desk.orders.reject(caller.call(), &id, comment).await?,
    )))
}

/// Parses the comment. `null` and a blank comment count as absent.
#[expect(
    clippy::option_option,
    reason = "outer: whether the body is valid; inner: whether it has a comment"
)]
fn comment(node: Node<'_>) -> Option<Option<String>> {
    if node.value().is_null() {
        return Some(None);
    }
    let mut fields = node.fields()?;
    let comment = fields.nullable("comment", |node| node.text(MAX_COMMENT));
    fields.finish()?;
    comment.map(|comment| comment.filter(|comment| !comment.trim().is_empty()))
}
