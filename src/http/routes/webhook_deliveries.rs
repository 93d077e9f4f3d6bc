//! The deliveries of a webhook endpoint: lists and replays them, and sends test events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa::IntoParams;

use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::input::fields::{Fields, Node};
use crate::domain::permission::needs;
use crate::domain::time::Timestamp;
use crate::http::extract::{Caller, Filter, Id, JsonBody, List, NoQuery, QueryFields, TwoIds};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, DeliveryStateEnum, DeliveryView, PageView, QueuedView, ReplayBodyDoc};

/// List the deliveries of an endpoint
///
/// Newest first. The service keeps deliveries for 30 days. Of the endpoint's response, it keeps only the status.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}/deliveries", tag = "webhooks", operation_id = "list_webhook_deliveries",
    params(
        ("id" = String, Path, description = "The id of the endpoint", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS"),
        ListParams,
    ),
    responses((status = 200, description = "A page of deliveries", body = PageView<DeliveryView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    list: List<DeliveryFilter>,
) -> Result<Json<PageView<DeliveryView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let (team, state) = (list.team.as_ref(), list.filter.0);
    let page = http
        .desk
        .webhooks
        .list_deliveries(caller.call(), &id, team, state, list.limit, after.as_deref())
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
        ("id" = String, Path, description = "The id of the endpoint", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS"),
        ("delivery" = String, Path, description = "The id of the delivery", pattern = "^dlv_[A-Za-z0-9]{1,64}$", example = "dlv_01KATV8ZJ3E0T9C4M6N2P5Q7RS"),
    ),
    responses((status = 202, description = "The pending delivery", body = DeliveryView)),
)]
pub(in crate::http) async fn replay(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    TwoIds(id, delivery): TwoIds<EndpointId, DeliveryId>,
    _: NoQuery,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let again = http.desk.webhooks.replay(caller.call(), &id, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(view::delivery(again))))
}

/// Replay the events of a period
///
/// Sends the team's events that occurred from `since` on and before `until`, if the endpoint subscribes to their types.
/// This includes events that the endpoint never received, for example because it was disabled. At most 10000 events;
/// each keeps its `webhook-id`.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/replay", tag = "webhooks", operation_id = "replay_webhooks",
    params(("id" = String, Path, description = "The id of the endpoint", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body = ReplayBodyDoc,
    responses((status = 202, description = "The number of queued events", body = QueuedView)),
)]
pub(in crate::http) async fn replay_events(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
    body: JsonBody,
) -> Result<(StatusCode, Json<QueuedView>), Problem> {
    let (since, until) = body.read(period)?;
    let queued = http
        .desk
        .webhooks
        .replay_events(caller.call(), &id, since, until)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(view::queued(queued))))
}

/// Test an endpoint
///
/// Sends an event of the type `webhook_endpoint.test` to this endpoint, regardless of the types that it subscribes to.
/// The list of deliveries shows the result.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/test", tag = "webhooks", operation_id = "test_webhook_endpoint",
    params(("id" = String, Path, description = "The id of the endpoint", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 202, description = "The pending delivery", body = DeliveryView)),
)]
pub(in crate::http) async fn test(
    State(http): State<Http>,
    caller: Caller<needs::WebhooksManage>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let trial = http.desk.webhooks.test(caller.call(), &id).await?;
    Ok((StatusCode::ACCEPTED, Json(view::delivery(trial))))
}

fn period(node: Node<'_>) -> Option<(Timestamp, Option<Timestamp>)> {
    let mut fields = node.fields()?;
    let since = fields.required("since", |node| node.parse::<Timestamp>());
    let until = fields.nullable("until", |node| {
        let until = node.parse::<Timestamp>()?;
        match since {
            Some(since) if until <= since => node.fault("must be later than `since`"),
            _ => Some(until),
        }
    });
    fields.finish()?;
    Some((since?, until?))
}

/// The filter of the list.
pub(in crate::http) struct DeliveryFilter(Option<DeliveryState>);

impl QueryFields for DeliveryFilter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.optional("state", |node| node.parse()).map(Self)
    }
}
impl Filter for DeliveryFilter {
    const LIST: &'static str = "webhook-deliveries";
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `DeliveryFilter` reads")]
struct ListParams {
    /// Only deliveries of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only deliveries in this state.
    #[param(value_type = Option<DeliveryStateEnum>)]
    state: Option<String>,
    /// Maximum number of rows in a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}
