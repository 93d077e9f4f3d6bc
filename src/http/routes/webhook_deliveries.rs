//! The deliveries of a webhook endpoint: lists and replays them, and sends test events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::Input;
use crate::domain::page::Limit;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::http::extract::{Caller, Id, JsonBody, List, ListQuery, NoQuery, TwoIds};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, DeliveryView, PageView, QueuedView};

/// List the deliveries of an endpoint
///
/// Newest first. The service keeps deliveries for 30 days. Of the endpoint's response, it keeps only the status.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}/deliveries", tag = "webhooks", operation_id = "list_webhook_deliveries",
    params(
        ("id" = EndpointId, Path),
        ListDeliveries,
    ),
    responses((status = 200, description = "A page of deliveries", body = PageView<DeliveryView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    list: List<ListDeliveries>,
) -> Result<Json<PageView<DeliveryView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let query = &list.query;
    let team = query.team.as_ref();
    let page = http
        .desk
        .webhooks
        .list_deliveries(
            caller.call(),
            &id,
            team,
            query.state,
            query.limit,
            after.as_deref(),
        )
        .await?;
    Ok(list.page(&http, &caller, page, view::delivery))
}

/// Replay a delivery
///
/// Sends the event again with the same `webhook-id`, so that the receiver can recognize a duplicate. If the delivery is
/// still pending, nothing changes.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/deliveries/{delivery}/replay", tag = "webhooks", operation_id = "replay_webhook_delivery",
    params(
        ("id" = EndpointId, Path),
        ("delivery" = DeliveryId, Path),
    ),
    responses((status = 202, description = "The pending delivery", body = DeliveryView)),
)]
pub(in crate::http) async fn replay(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    TwoIds(id, delivery): TwoIds<EndpointId, DeliveryId>,
    _: NoQuery,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let delivery = http.desk.webhooks.replay(caller.call(), &id, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(view::delivery(delivery))))
}

/// Replay the events of a period
///
/// Sends the team's events that occurred from `since` on and before `until`, if the endpoint subscribes to their types.
/// This includes events that the endpoint never received, for example because it was disabled. At most 10000 events;
/// each keeps its `webhook-id`.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/replay", tag = "webhooks", operation_id = "replay_webhooks",
    params(("id" = EndpointId, Path)),
    request_body = ReplayRequest,
    responses((status = 202, description = "The number of queued events", body = QueuedView)),
)]
pub(in crate::http) async fn replay_events(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
    JsonBody(body): JsonBody<ReplayRequest>,
) -> Result<(StatusCode, Json<QueuedView>), Problem> {
    let queued = http
        .desk
        .webhooks
        .replay_events(caller.call(), &id, body.since, body.until)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(view::queued(queued))))
}

/// Test an endpoint
///
/// Sends an event of the type `webhook_endpoint.test` to this endpoint, regardless of the types that it subscribes to.
/// The list of deliveries shows the result.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/test", tag = "webhooks", operation_id = "test_webhook_endpoint",
    params(("id" = EndpointId, Path)),
    responses((status = 202, description = "The pending delivery", body = DeliveryView)),
)]
pub(in crate::http) async fn test(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let delivery = http.desk.webhooks.test(caller.call(), &id).await?;
    Ok((StatusCode::ACCEPTED, Json(view::delivery(delivery))))
}

/// The period of the events to send again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"since": "2026-11-23T00:00:00Z", "until": "2026-11-23T12:00:00Z"}))]
pub(in crate::http) struct ReplayRequest {
    /// Events that occurred at this time or later.
    since: Timestamp,
    /// Events that occurred before this time. By default, the current time.
    until: Option<Timestamp>,
}

impl Input for ReplayRequest {
    fn check(body: &Value, faults: &mut Vec<Fault>) {
        let time = |name: &str| body.get(name)?.as_str()?.parse::<Timestamp>().ok();
        if let (Some(since), Some(until)) = (time("since"), time("until"))
            && until <= since
        {
            faults.push(Fault {
                pointer: "/until".to_owned(),
                message: "must be later than `since`".to_owned(),
            });
        }
    }
}

/// The query of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListDeliveries {
    /// Only deliveries of this team.
    team: Option<Team>,
    /// Only deliveries in this state.
    state: Option<DeliveryState>,
    /// Maximum number of rows in a page.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}

impl ListQuery for ListDeliveries {
    const LIST: &'static str = "webhook-deliveries";
    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}
