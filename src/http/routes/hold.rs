//! `/v1/hold`: an administrator stops all calls that cost or destroy, and confirms unknown calls.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::desk::{HoldAuthor, HoldReason};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::Input;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, JsonBody, NoQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, HoldsView};

/// Get holds
///
/// The holds in force, and the calls that wait for a person.
#[utoipa::path(
    get, path = "/v1/hold", tag = "orders", operation_id = "get_hold",
    responses((status = 200, description = "The holds", body = HoldsView)),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller<needs::NumbersAdmin>,
    _: NoQuery,
) -> Result<Json<HoldsView>, Problem> {
    let author = HoldAuthor::administrator(caller.call())?;
    Ok(Json(view::holds(http.desk.hold_control.state(&author).await?)))
}

/// Change holds
///
/// While one is in force, nothing that costs or destroys is sent to Close.
#[utoipa::path(
    put, path = "/v1/hold", tag = "orders", operation_id = "set_hold",
    request_body(content = HoldRequest, example = json!({"on": true, "reason": "restoring the database"})),
    responses((status = 200, description = "The holds", body = HoldsView)),
)]
pub(in crate::http) async fn set(
    State(http): State<Http>,
    caller: Caller<needs::NumbersAdmin>,
    _: NoQuery,
    JsonBody(body): JsonBody<HoldRequest>,
) -> Result<Json<HoldsView>, Problem> {
    let author = HoldAuthor::administrator(caller.call())?;
    let control = &http.desk.hold_control;
    match body.on {
        Some(true) => control.turn_on(&author, body.reason).await?,
        Some(false) => control.turn_off(&author).await?,
        None => {}
    }
    // Last, so that nothing is sent between the end of one hold and the begin of the other.
    if body.confirm == Some(true) {
        control.confirm(&author).await?;
    }
    Ok(Json(view::holds(control.state(&author).await?)))
}

/// `on`, `confirm`, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct HoldRequest {
    /// Turns the operators' hold on or off. While it is on, new orders get 503.
    on: Option<bool>,
    /// Why it is on; callers see it.
    reason: Option<HoldReason>,
    /// `true` confirms all unknown calls, which ends their hold. Look at the numbers in Close first.
    confirm: Option<bool>,
}

impl Input for HoldRequest {
    fn check(body: &Value, faults: &mut Vec<Fault>) {
        let has = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
        if !body.is_object() {
            return;
        }
        if !has("on") && !has("confirm") {
            faults.push(Fault {
                pointer: String::new(),
                message: "must have `on`, `confirm`, or both".to_owned(),
            });
        }
        if has("reason") && body.get("on") != Some(&Value::Bool(true)) {
            faults.push(Fault {
                pointer: "/reason".to_owned(),
                message: "must be left out unless `on` is true".to_owned(),
            });
        }
    }
}
