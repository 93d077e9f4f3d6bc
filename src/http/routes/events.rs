//! `/v1/events`: the event log, as a paged list or as a stream that clients can resume.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::{Stream, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::IntoParams;

use crate::desk::{EventFilter, EventStream};
use crate::domain::event::EventKind;
use crate::domain::id::{EventId, RequestId};
use crate::domain::input::fields::{Fault, Fields, Node};
use crate::domain::page::Limit;
use crate::domain::permission::needs;
use crate::http::extract::{Caller, Query, QueryFields, limit};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, EventView, PageView};

/// Interval between the comments that keep an idle stream open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Maximum number of events buffered for one client.
///
/// While the buffer is full, its task does not read the log.
const BUFFER: usize = 64;
/// The service disconnects a client that reads nothing for this time. The client can resume its stream.
const SLOW_CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// List events
///
/// Changes that concern your teams, oldest first. To continue, set `after` to the `id` of your last event. If a page
/// has fewer than `limit` rows, no more events exist yet. Events are kept for 30 days, unless the operator configured
/// another time.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events", params(ListParams),
    responses((status = 200, description = "A page of events. If more events follow, `next_cursor` is the id of the last event; send it as `after`", body = PageView<EventView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    Query(query): Query<ListQuery>,
) -> Result<Json<PageView<EventView>>, Problem> {
    let page = http
        .desk
        .events
        .list(caller.call(), &query.filter, query.limit)
        .await?;
    let rows = page.rows.into_iter().map(view::event).collect();
    Ok(Json(PageView::new(rows, page.next)))
}

/// Follow events
///
/// Streams events as server-sent events: `id` is the event's id, `event` its type, and `data` the event as JSON. The
/// stream begins after the event in the header `Last-Event-ID` or in `after`. Without either, it begins with the next
/// new event. An idle stream gets a comment every 15 seconds. The stream ends when your token expires, when the replica
/// stops, or when you read too slowly. Connect again to any replica, with the `id` of your last event: you get every
/// event, and none twice.
#[utoipa::path(
    get, path = "/v1/events/stream", tag = "events", operation_id = "follow_events",
    params(StreamParams, ("Last-Event-ID" = Option<String>, Header, description = "The `id` of your last event. Overrides `after`")),
    responses((status = 200, description = "Events as they happen", content_type = "text/event-stream", body = String,
        example = json!("id: evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS\nevent: order.fulfilled\ndata: {\"id\":\"evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS\",…}\n\n"))),
)]
pub(in crate::http) async fn follow(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    LastEventId(last): LastEventId,
    Query(mut query): Query<StreamQuery>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    query.0.after = last.or(query.0.after);
    let following = http.desk.events.stream(caller.call(), &query.0).await?;
    let stream = event_stream(following, caller.call().request_id.clone());
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Reads the log on a separate task, at most one buffer ahead of the client.
///
/// A client that stops reading occupies one buffer, until the task notices and disconnects it.
fn event_stream(
    mut following: EventStream,
    request_id: RequestId,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let (sender, receiver) = mpsc::channel(BUFFER);
    let end = Instant::now() + following.left();
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = timeout_at(end, following.next()) => next,
                () = sender.closed() => return,
            };
            let event = match next {
                Ok(Ok(Some(event))) => view::event(event),
                Ok(Ok(None)) | Err(_) => return,
                Ok(Err(error)) => {
                    let cause = Problem::from(error).chain();
                    tracing::error!(%request_id, error = cause, "event stream failed");
                    return;
                }
            };
            let Ok(Ok(())) = timeout(SLOW_CLIENT_TIMEOUT, sender.send(event)).await else {
                return;
            };
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok(server_sent(&event)), receiver))
    })
}

fn server_sent(event: &EventView) -> sse::Event {
    let text = serde_json::to_string(event).expect("an event is plain data");
    sse::Event::default()
        .id(event.id())
        .event(event.kind())
        .data(text)
}

/// The query of a page.
pub(in crate::http) struct ListQuery {
    filter: EventFilter,
    limit: Limit,
}

/// The query of a stream.
pub(in crate::http) struct StreamQuery(EventFilter);

impl QueryFields for EventFilter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let team = fields.optional("team", |node| node.parse());
        let kinds = fields.optional("type", |node| kinds(&node));
        let after = fields.optional("after", |node| node.parse());
        Some(Self {
            team: team?,
            kinds: kinds?.unwrap_or_default(),
            after: after?,
        })
    }
}

impl QueryFields for ListQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let filter = EventFilter::read(fields);
        let limit = fields.optional("limit", |node| limit(&node));
        Some(Self {
            filter: filter?,
            limit: limit?.unwrap_or_default(),
        })
    }
}

impl QueryFields for StreamQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        EventFilter::read(fields).map(Self)
    }
}

/// Parses event types, separated by commas.
fn kinds(node: &Node<'_>) -> Option<Vec<EventKind>> {
    let read: Result<Vec<EventKind>, String> = node.text(1_024)?.split(',').map(str::parse).collect();
    read.map_or_else(|error| node.fault(format!("each type {error}")), Some)
}

/// The header `Last-Event-ID`.
///
/// An empty value counts as absent: some clients send it before their first event.
pub(in crate::http) struct LastEventId(Option<EventId>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("last-event-id").iter();
        let Some(value) = values.next().filter(|value| !value.is_empty()) else {
            return Ok(Self(None));
        };
        let id = value.to_str().ok().and_then(|id| id.parse().ok());
        match (id, values.next()) {
            (Some(id), None) => Ok(Self(Some(id))),
            _ => Err(Problem::invalid(&[Fault {
                pointer: "/headers/Last-Event-ID".to_owned(),
                message: "must be the id of one event, like `evt_…`".to_owned(),
            }])),
        }
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `ListQuery` reads")]
struct ListParams {
    /// Only events of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only events of these types, separated by commas, such as `order.fulfilled,order.refused`.
    #[param(max_length = 1024)]
    r#type: Option<String>,
    /// Only events after the event with this id.
    #[param(pattern = "^evt_[A-Za-z0-9]{1,64}$")]
    after: Option<String>,
    /// Maximum number of rows in a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `StreamQuery` reads")]
struct StreamParams {
    /// Only events of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only events of these types, separated by commas, such as `order.fulfilled,order.refused`.
    #[param(max_length = 1024)]
    r#type: Option<String>,
    /// Only events after the event with this id.
    #[param(pattern = "^evt_[A-Za-z0-9]{1,64}$")]
    after: Option<String>,
}
