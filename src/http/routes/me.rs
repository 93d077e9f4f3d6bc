//! `/v1/me`: the caller, its teams and their usage.

use axum::Json;
use axum::extract::State;

use crate::http::extract::{Caller, NoQuery};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, MeView};

/// Get the caller
///
/// Your teams and permissions, from the token or, for a service account, from the policy. For each team: its policy,
/// its usage, and what is left of its limits.
#[utoipa::path(
    get, path = "/v1/me", tag = "me", operation_id = "me",
    responses((status = 200, description = "The caller", body = MeView)),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<MeView>, Problem> {
    let teams = http.desk.me.teams(caller.call()).await?;
    Ok(Json(view::me(caller.identity(), teams)))
}
