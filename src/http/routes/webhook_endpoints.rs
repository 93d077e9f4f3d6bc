//! `/v1/webhook-endpoints`: the endpoints that receive a team's events, and their secrets.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::id::EndpointId;
use crate::domain::page::Limit;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::domain::webhook::{EndpointPatch, NewEndpoint};
use crate::http::extract::{Caller, Id, JsonBody, List, ListQuery, NoQuery, PatchBody};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, EndpointView, NewEndpointView, PageView, SecretView};

/// Register an endpoint
///
/// The service sends the team's new events to the endpoint, signed as Standard Webhooks specifies. The settings
/// `webhooks.hosts` and `webhooks.networks` define which hosts the service may call. Store the `secret`: it verifies
/// the signatures. A team can have 20 endpoints.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "create_webhook_endpoint",
    request_body = NewEndpoint,
    responses((status = 201, description = "The endpoint with its secret", body = NewEndpointView, headers(("Location")))),
)]
pub(in crate::http) async fn create(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    _: NoQuery,
    JsonBody(body): JsonBody<NewEndpoint>,
) -> Result<Response, Problem> {
    let (endpoint, secret) = http.desk.webhooks.register(caller.call(), body).await?;
    let location = format!("/v1/webhook-endpoints/{}", endpoint.id);
    let location = HeaderValue::try_from(location).expect("an id is plain ASCII");
    let body = Json(view::new_endpoint(endpoint, &secret));
    Ok((StatusCode::CREATED, [(LOCATION, location)], body).into_response())
}

/// List endpoints
///
/// Newest first, for all your teams or for the team in `team`.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "list_webhook_endpoints", params(ListEndpoints),
    responses((status = 200, description = "A page of endpoints", body = PageView<EndpointView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    list: List<ListEndpoints>,
) -> Result<Json<PageView<EndpointView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let query = &list.query;
    let page = http
        .desk
        .webhooks
        .list(caller.call(), query.team.as_ref(), query.limit, after.as_deref())
        .await?;
    Ok(list.page(&http, &caller, page, view::endpoint))
}

/// Get an endpoint
///
/// If the endpoint is disabled, it receives no events, and `disabled_reason` is the reason.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "get_webhook_endpoint",
    params(("id" = EndpointId, Path)),
    responses((status = 200, description = "The endpoint", body = EndpointView)),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(view::endpoint(
        http.desk.webhooks.find(caller.call(), &id).await?,
    )))
}

/// Change an endpoint
///
/// A JSON merge patch. `{"state": "active"}` enables a disabled endpoint: the service sends its pending deliveries at
/// once. To send events that occurred while the endpoint was disabled, replay them.
#[utoipa::path(
    patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "update_webhook_endpoint",
    params(("id" = EndpointId, Path)),
    request_body(content = EndpointPatch, description = "The members to change (RFC 7396). The service takes `application/merge-patch+json` too"),
    responses((status = 200, description = "The changed endpoint", body = EndpointView)),
)]
pub(in crate::http) async fn update(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
    PatchBody(patch): PatchBody,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(view::endpoint(
        http.desk.webhooks.update(caller.call(), &id, &patch).await?,
    )))
}

/// Remove an endpoint
///
/// The service sends nothing more to the endpoint, and drops its pending deliveries.
#[utoipa::path(
    delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "delete_webhook_endpoint",
    params(("id" = EndpointId, Path)),
    responses((status = 204, description = "Removed")),
)]
pub(in crate::http) async fn remove(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    http.desk.webhooks.remove(caller.call(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get an endpoint's secret
///
/// The secret verifies the signatures of the endpoint's events. The audit trail records this request.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}/secret", tag = "webhooks", operation_id = "get_webhook_secret",
    params(("id" = EndpointId, Path)),
    responses((status = 200, description = "The secret", body = SecretView)),
)]
pub(in crate::http) async fn secret(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<Json<SecretView>, Problem> {
    Ok(Json(view::secret(
        &http.desk.webhooks.reveal_secret(caller.call(), &id).await?,
    )))
}

/// Rotate an endpoint's secret
///
/// The endpoint gets a new secret. Until `previous_until`, every delivery has two signatures, one for each secret, so
/// that the receiver can change its secret at any time before.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/rotate-secret", tag = "webhooks", operation_id = "rotate_webhook_secret",
    params(("id" = EndpointId, Path)),
    responses((status = 200, description = "The new secret", body = SecretView)),
)]
pub(in crate::http) async fn rotate(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<Json<SecretView>, Problem> {
    Ok(Json(view::secret(
        &http.desk.webhooks.rotate_secret(caller.call(), &id).await?,
    )))
}

/// The query of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListEndpoints {
    /// Only endpoints of this team.
    team: Option<Team>,
    /// Maximum number of rows in a page.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}

impl ListQuery for ListEndpoints {
    const LIST: &'static str = "webhook-endpoints";
    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}
