//! `/v1/webhook-endpoints`: where a team's apps are told of its events.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use crate::domain::id::EndpointId;
use crate::domain::input::fields::Fields;
use crate::domain::webhook::NewEndpoint;
use crate::http::extract::{Caller, Filter, Id, JsonBody, List, NoQuery, PatchBody, QueryFields};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{
    self, EndpointBodyDoc, EndpointPatchDoc, EndpointView, NewEndpointView, PageView, SecretView,
};

/// Register an endpoint
///
/// From then on the team's events are sent there, signed as Standard Webhooks has it. Which hosts may be called is the
/// operator's to say: `webhooks.hosts` and `webhooks.networks`. Keep the `secret`. A team has at most 20 endpoints.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "create_webhook_endpoint",
    request_body = EndpointBodyDoc,
    responses((status = 201, description = "The endpoint, with its secret", body = NewEndpointView, headers(("Location" = String, description = "Where the endpoint is")))),
)]
pub(in crate::http) async fn create(
    State(http): State<Http>,
    caller: Caller,
    _: NoQuery,
    body: JsonBody,
) -> Result<Response, Problem> {
    let body = body.read(NewEndpoint::read)?;
    let (endpoint, secret) = http.desk.register_endpoint(caller.by(), body).await?;
    let place = format!("/v1/webhook-endpoints/{}", endpoint.id);
    let place = HeaderValue::try_from(place).expect("an id is plain ASCII");
    let shown = Json(view::new_endpoint(endpoint, &secret));
    Ok((StatusCode::CREATED, [(LOCATION, place)], shown).into_response())
}

/// List endpoints
///
/// Newest first; those of all your teams, or of the one you name.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "list_webhook_endpoints", params(ListParams),
    responses((status = 200, description = "A page of endpoints", body = PageView<EndpointView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller,
    list: List<Unfiltered>,
) -> Result<Json<PageView<EndpointView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let team = list.team.as_ref();
    let page = http
        .desk
        .list_endpoints(caller.by(), team, list.limit, after.as_deref())
        .await?;
    Ok(list.page(&http, &caller, page, view::endpoint))
}

/// Get an endpoint
///
/// `disabled_reason` says why it is told of nothing, if so.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "get_webhook_endpoint",
    params(("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 200, description = "The endpoint", body = EndpointView)),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(view::endpoint(
        http.desk.find_endpoint(caller.by(), &id).await?,
    )))
}

/// Change an endpoint
///
/// A JSON merge patch. `{"state": "active"}` takes an endpoint up again that is disabled: what waits for it is sent at
/// once; what happened meanwhile is sent by a replay.
#[utoipa::path(
    patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "update_webhook_endpoint",
    params(("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body(content(
        (EndpointPatchDoc = "application/merge-patch+json"),
        (EndpointPatchDoc = "application/json"),
    )),
    responses((status = 200, description = "The endpoint as it is now", body = EndpointView)),
)]
pub(in crate::http) async fn update(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoQuery,
    PatchBody(patch): PatchBody,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(view::endpoint(
        http.desk.change_endpoint(caller.by(), &id, &patch).await?,
    )))
}

/// Remove an endpoint
///
/// Nothing more is sent there, not even what is on its way.
#[utoipa::path(
    delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "delete_webhook_endpoint",
    params(("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 204, description = "Removed")),
)]
pub(in crate::http) async fn remove(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    http.desk.remove_endpoint(caller.by(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get an endpoint's secret
///
/// That it was asked for stands in the audit trail.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}/secret", tag = "webhooks", operation_id = "get_webhook_secret",
    params(("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 200, description = "The secret", body = SecretView)),
)]
pub(in crate::http) async fn secret(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<Json<SecretView>, Problem> {
    Ok(Json(view::secret(
        &http.desk.reveal_secret(caller.by(), &id).await?,
    )))
}

/// Rotate an endpoint's secret
///
/// The endpoint gets another secret. Until `previous_until` everything that is sent carries two signatures, one by each
/// secret, so that the receiver can change over in its own time.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/rotate-secret", tag = "webhooks", operation_id = "rotate_webhook_secret",
    params(("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 200, description = "The new secret", body = SecretView)),
)]
pub(in crate::http) async fn rotate(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<Json<SecretView>, Problem> {
    Ok(Json(view::secret(
        &http.desk.rotate_secret(caller.by(), &id).await?,
    )))
}

/// A list without filters of its own.
pub(in crate::http) struct Unfiltered;

impl QueryFields for Unfiltered {
    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}
impl Filter for Unfiltered {
    const LIST: &'static str = "webhook-endpoints";
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `List` reads")]
struct ListParams {
    /// Only endpoints of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}
