//! `/v1/orders/{id}/approve` and `/reject`: a second person's word on an order.

use axum::Json;
use axum::extract::State;

use crate::domain::id::OrderId;
use crate::domain::input::fields::Node;
use crate::http::extract::{Caller, Id, NoQuery, OptionalBody};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, CommentBody, OrderView};

const MAX_COMMENT: usize = 500;

/// Approve an order
///
/// For an order that awaits approval, by someone else than who ordered. It is sent at once; the answer is the order
/// as it stands. Approving it again changes nothing.
#[utoipa::path(
    post, path = "/v1/orders/{id}/approve", tag = "orders", operation_id = "approve_order",
    params(("id" = String, Path, description = "The order's id", pattern = "^ord_[A-Za-z0-9]{1,64}$", example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body(content = Option<CommentBody>, description = "Optional, as are its members", example = json!({"comment": "For the fair in Berlin"})),
    responses((status = 200, description = "The order, approved", body = OrderView)),
)]
pub(in crate::http) async fn approve(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<OrderId>,
    _: NoQuery,
    body: OptionalBody,
) -> Result<Json<OrderView>, Problem> {
    let comment = body.read(comment)?.flatten();
    Ok(Json(view::order(
        http.desk.approve(caller.by(), &id, comment).await?,
    )))
}

/// Reject an order
///
/// For an order that awaits approval, by someone else than who ordered. What was reserved is given back, and who
/// ordered is told your comment. Rejecting it again changes nothing.
#[utoipa::path(
    post, path = "/v1/orders/{id}/reject", tag = "orders", operation_id = "reject_order",
    params(("id" = String, Path, description = "The order's id", pattern = "^ord_[A-Za-z0-9]{1,64}$", example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body(content = Option<CommentBody>, description = "Optional, as are its members", example = json!({"comment": "Use the line that the team has"})),
    responses((status = 200, description = "The order, refused", body = OrderView)),
)]
pub(in crate::http) async fn reject(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<OrderId>,
    _: NoQuery,
    body: OptionalBody,
) -> Result<Json<OrderView>, Problem> {
    let comment = body.read(comment)?.flatten();
    Ok(Json(view::order(
        http.desk.reject(caller.by(), &id, comment).await?,
    )))
}

/// What is said about it; `null` and an empty comment are none.
#[expect(
    clippy::option_option,
    reason = "outside: whether it was read without a fault; inside: whether it is there"
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
