//! `/v1/events`: what changed, page by page or as a stream that can be resumed.

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

use crate::desk::{EventFilter, Following};
use crate::domain::event::EventKind;
use crate::domain::id::{EventId, RequestId};
use crate::domain::input::fields::{Fault, Fields, Node};
use crate::domain::page::Limit;
use crate::http::extract::{Caller, Query, QueryFields, limit};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, EventView, PageView};

/// How often a stream that has nothing to tell says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that are ready to be written; beyond that the feed is not read for a reader.
const AHEAD: usize = 64;
/// A reader that takes nothing for so long is dropped; it resumes where it was.
const SLOW: Duration = Duration::from_secs(30);

/// List events
///
/// What changed for your teams, oldest first. Read on with `after` set to the `id` of the last event you have; a page
/// that is not full is the end for now. Events are kept for a configured time, 30 days unless said otherwise.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events", params(ListParams),
    responses((status = 200, description = "A page of events; `next_cursor` is the last one's id when more follow, to be sent as `after`", body = PageView<EventView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<PageView<EventView>>, Problem> {
    let page = http
        .desk
        .list_events(caller.by(), &asked.filter, asked.limit)
        .await?;
    let rows = page.rows.into_iter().map(view::event).collect();
    Ok(Json(PageView::new(rows, page.next)))
}

/// Follow events
///
/// The same as a stream of server-sent events: `id` is the event's, `event` its type, `data` the event as JSON. It
/// begins after the event that the header `Last-Event-ID` or `after` names, else now. A comment comes every 15 seconds.
/// It ends when your token does, when the replica stops, or when you read too slowly: connect again with the last `id`
/// you have, and you miss nothing and get nothing twice, at whichever replica.
#[utoipa::path(
    get, path = "/v1/events/stream", tag = "events", operation_id = "follow_events",
    params(StreamParams, ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event you have; stronger than `after`")),
    responses((status = 200, description = "Events as they come", content_type = "text/event-stream", body = String,
        example = json!("id: evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS\nevent: order.fulfilled\ndata: {\"id\":\"evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS\",…}\n\n"))),
)]
pub(in crate::http) async fn follow(
    State(http): State<Http>,
    caller: Caller,
    LastEventId(last): LastEventId,
    Query(mut asked): Query<StreamAsked>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    asked.0.after = last.or(asked.0.after);
    let following = http.desk.follow_events(caller.by(), &asked.0).await?;
    let stream = streamed(following, caller.by().request_id.clone());
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Reads for the reader on a task of its own, a little ahead and no further, so that one who takes nothing is noticed
/// and holds nothing but that.
fn streamed(
    mut following: Following,
    request_id: RequestId,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let (ready, taken) = mpsc::channel(AHEAD);
    let end = Instant::now() + following.left();
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = timeout_at(end, following.next()) => next,
                () = ready.closed() => return,
            };
            let event = match next {
                Ok(Ok(Some(event))) => view::event(event),
                Ok(Ok(None)) | Err(_) => return,
                Ok(Err(fault)) => {
                    let cause = Problem::from(fault).chain();
                    tracing::error!(%request_id, cause, "a stream of events broke off");
                    return;
                }
            };
            let Ok(Ok(())) = timeout(SLOW, ready.send(event)).await else {
                return;
            };
        }
    });
    stream::unfold(taken, |mut taken| async move {
        let event = taken.recv().await?;
        Some((Ok(written(&event)), taken))
    })
}

fn written(event: &EventView) -> sse::Event {
    let text = serde_json::to_string(event).expect("an event is plain data");
    sse::Event::default()
        .id(event.id())
        .event(event.kind())
        .data(text)
}

/// What the query of a page may say.
pub(in crate::http) struct Asked {
    filter: EventFilter,
    limit: Limit,
}

/// What the query of a stream may say.
pub(in crate::http) struct StreamAsked(EventFilter);

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

impl QueryFields for Asked {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let filter = EventFilter::read(fields);
        let limit = fields.optional("limit", |node| limit(&node));
        Some(Self {
            filter: filter?,
            limit: limit?.unwrap_or_default(),
        })
    }
}

impl QueryFields for StreamAsked {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        EventFilter::read(fields).map(Self)
    }
}

/// Types with commas between them.
fn kinds(node: &Node<'_>) -> Option<Vec<EventKind>> {
    let read: Result<Vec<EventKind>, String> = node.text(1_024)?.split(',').map(str::parse).collect();
    read.map_or_else(|wrong| node.fault(format!("each type {wrong}")), Some)
}

/// The header `Last-Event-ID`. An empty one is none: that is how a reader says that it has nothing yet.
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
                message: "must be the id of an event, like `evt_…`, once".to_owned(),
            }])),
        }
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Asked` reads")]
struct ListParams {
    /// Only events of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only events of these types, with commas between them, such as `order.fulfilled,order.refused`.
    #[param(max_length = 1024)]
    r#type: Option<String>,
    /// Only what came after this event.
    #[param(pattern = "^evt_[A-Za-z0-9]{1,64}$")]
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `StreamAsked` reads")]
struct StreamParams {
    /// Only events of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only events of these types, with commas between them, such as `order.fulfilled,order.refused`.
    #[param(max_length = 1024)]
    r#type: Option<String>,
    /// Only what came after this event.
    #[param(pattern = "^evt_[A-Za-z0-9]{1,64}$")]
    after: Option<String>,
}
