//! `/v1/webhook-endpoints/{id}/deliveries`, `/replay` and `/test`: what was sent to an endpoint, sent again, or tried.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa::IntoParams;

use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::input::fields::{Fields, Node};
use crate::domain::time::Timestamp;
use crate::http::extract::{Caller, Filter, Id, JsonBody, List, NoQuery, QueryFields, TwoIds};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, DeliveryStateEnum, DeliveryView, PageView, QueuedView, ReplayBodyDoc};

/// List what was sent to an endpoint
///
/// Newest first, for 30 days. Of an answer only the status is kept.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}/deliveries", tag = "webhooks", operation_id = "list_webhook_deliveries",
    params(
        ("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS"),
        ListParams,
    ),
    responses((status = 200, description = "A page of deliveries", body = PageView<DeliveryView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    list: List<DeliveryFilter>,
) -> Result<Json<PageView<DeliveryView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let (team, state) = (list.team.as_ref(), list.filter.0);
    let page = http
        .desk
        .list_deliveries(caller.by(), &id, team, state, list.limit, after.as_deref())
        .await?;
    Ok(list.page(&http, &caller, page, view::delivery))
}

/// Send an event again
///
/// Under the same `webhook-id`, so that a receiver who has it can pass over it. One that is on its way goes on.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/deliveries/{delivery}/replay", tag = "webhooks", operation_id = "replay_webhook_delivery",
    params(
        ("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS"),
        ("delivery" = String, Path, description = "The delivery's id", pattern = "^dlv_[A-Za-z0-9]{1,64}$", example = "dlv_01KATV8ZJ3E0T9C4M6N2P5Q7RS"),
    ),
    responses((status = 202, description = "The delivery, on its way", body = DeliveryView)),
)]
pub(in crate::http) async fn replay(
    State(http): State<Http>,
    caller: Caller,
    TwoIds(id, delivery): TwoIds<EndpointId, DeliveryId>,
    _: NoQuery,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let again = http.desk.replay_delivery(caller.by(), &id, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(view::delivery(again))))
}

/// Send events of a time again
///
/// What the endpoint wants of the team's events from `since` and before `until`, also those that it never got, such as
/// while it was disabled; 10000 events at most. Each has the `webhook-id` that it had.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/replay", tag = "webhooks", operation_id = "replay_webhooks",
    params(("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    request_body = ReplayBodyDoc,
    responses((status = 202, description = "How many are on their way", body = QueuedView)),
)]
pub(in crate::http) async fn replay_events(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoQuery,
    body: JsonBody,
) -> Result<(StatusCode, Json<QueuedView>), Problem> {
    let (since, until) = body.read(period)?;
    let queued = http.desk.replay_events(caller.by(), &id, since, until).await?;
    Ok((StatusCode::ACCEPTED, Json(view::queued(queued))))
}

/// Try an endpoint
///
/// Sends an event of the type `webhook_endpoint.test` to this endpoint alone, whichever types it wants. How that ended
/// stands among its deliveries.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/test", tag = "webhooks", operation_id = "test_webhook_endpoint",
    params(("id" = String, Path, description = "The endpoint's id", pattern = "^we_[A-Za-z0-9]{1,64}$", example = "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 202, description = "The delivery, on its way", body = DeliveryView)),
)]
pub(in crate::http) async fn test(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let trial = http.desk.test_endpoint(caller.by(), &id).await?;
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

/// Which deliveries.
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
    /// Only where the endpoint is this team's.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only those in this state.
    #[param(value_type = Option<DeliveryStateEnum>)]
    state: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}
