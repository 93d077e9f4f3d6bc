//! `/v1/me`: who you are, and where your teams stand.

use axum::Json;
use axum::extract::State;

use crate::http::extract::{Caller, NoQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, MeView};

/// Who am I
///
/// Your teams and permissions, as the token has them or the policy gives them to a service account, and each team's
/// policy, what it has and what is left.
#[utoipa::path(
    get, path = "/v1/me", tag = "me", operation_id = "me",
    responses((status = 200, description = "You", body = MeView)),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<MeView>, Problem> {
    let standings = http.desk.standing(caller.by()).await?;
    Ok(Json(view::me(caller.who(), standings)))
}
