//! `/v1/orders/{id}/settle`: settles an order in review with the finding of a person.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::desk::Finding;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::Input;
use crate::domain::permission::needs;
use crate::domain::schema::ComposeSchema;
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
    params(("id" = OrderId, Path)),
    request_body(content = SettleRequest, examples(
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
    JsonBody(body): JsonBody<SettleRequest>,
) -> Result<Json<OrderView>, Problem> {
    let finding = body.finding();
    let order = http
        .desk
        .orders
        .settle_review(caller.call(), &id, &finding)
        .await?;
    Ok(Json(view::order(order)))
}

/// The finding of a person: the rented number, or that no number was rented.
///
/// Exactly one member is required.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SettleRequest {
    /// The number that was rented for the order.
    phone_number_id: Option<PhoneNumberId>,
    /// `true`: no number was rented.
    absent: Option<True>,
}

impl Input for SettleRequest {
    fn check(body: &Value, faults: &mut Vec<Fault>) {
        let has = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
        if body.is_object() && has("phone_number_id") == has("absent") {
            faults.push(Fault {
                pointer: String::new(),
                message: "must have either `phone_number_id` or `absent: true`".to_owned(),
            });
        }
    }
}

impl SettleRequest {
    /// Returns the finding. `check` ensures that exactly one member is present.
    fn finding(self) -> Finding {
        match (self.phone_number_id, self.absent) {
            (Some(number), _) => Finding::Number(number),
            (None, Some(True) | None) => Finding::Absent,
        }
    }
}

/// The value `true`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "bool")]
struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;
    fn try_from(value: bool) -> Result<Self, &'static str> {
        if value {
            Ok(Self)
        } else {
            Err("must be true, or left out")
        }
    }
}
impl ComposeSchema for True {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .enum_values(Some([true]))
            .into()
    }
}
impl ToSchema for True {}
