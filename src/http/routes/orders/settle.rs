//! `/v1/orders/{id}/settle`: settles an order in review with the finding of a person.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use crate::desk::Finding;
use crate::domain::id::OrderId;
use crate::domain::input::fields::Node;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, Id, JsonBody, NoQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, OrderView};

/// Settle an order in review
///
/// Settles an order in the state `needs_review`: Close did not respond to its rent request, and the evidence is
/// ambiguous. `reason` names the numbers in question. Check in Close which number was rented for the order, or that
/// none was rented. Send this finding. Numberdesk verifies the finding against Close before it settles the order.
#[utoipa::path(
    post, path = "/v1/orders/{id}/settle", tag = "orders", operation_id = "settle_order",
    params(("id" = String, Path, description = "The id of the order", pattern = "^ord_[A-Za-z0-9]{1,64}$", example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body(content = FindingDoc, examples(
        ("This number is the order's" = (value = json!({"phone_number_id": "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe"}))),
        ("Nothing was rented" = (value = json!({"absent": true}))),
    )),
    responses((status = 200, description = "The settled order, `fulfilled` or `refused`, with the evidence `settled-by-person`", body = OrderView)),
)]
pub(in crate::http) async fn settle(
    State(http): State<Http>,
    caller: Caller<needs::NumbersAdmin>,
    Id(id): Id<OrderId>,
    _: NoQuery,
    body: JsonBody,
) -> Result<Json<OrderView>, Problem> {
    let finding = body.read(finding)?;
    let placed = http
        .desk
        .orders
        .settle_review(caller.call(), &id, &finding)
        .await?;
    Ok(Json(view::order(placed)))
}

fn finding(node: Node<'_>) -> Option<Finding> {
    let mut fields = node.fields()?;
    let number = fields.nullable("phone_number_id", |node| node.parse());
    let absent = fields.nullable("absent", |node| {
        if node.boolean()? {
            Some(true)
        } else {
            node.fault("must be true, or left out")
        }
    });
    let whole = fields.node().clone();
    fields.finish()?;
    match (number?, absent?) {
        (Some(number), None) => Some(Finding::Number(number)),
        (None, Some(_)) => Some(Finding::Absent),
        _ => whole.fault("must have either `phone_number_id` or `absent: true`"),
    }
}

/// The finding of a person: the rented number, or that no number was rented.
///
/// Exactly one member is required.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = Finding)]
#[expect(dead_code, reason = "describes what the handler reads")]
struct FindingDoc {
    /// The number that was rented for the order.
    #[schema(
        pattern = "^phon_[A-Za-z0-9]{1,64}$",
        example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe"
    )]
    phone_number_id: Option<String>,
    /// `true`: no number was rented.
    absent: Option<bool>,
}
