//! `/v1/events`: the event log, as a paged list or as a stream that clients can resume.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::IntoParams;

use crate::desk::{EventFilter, EventStream};
use crate::domain::event_kind::EventKind;
use crate::domain::id::{EventId, RequestId};
use crate::domain::input::fault::Fault;
use crate::domain::input::values::Text;
use crate::domain::page::Limit;
use crate::domain::permission::needs;
use crate::domain::schema::string_schema;
use crate::domain::team::Team;
use crate::domain::webhook::TypePattern;
use crate::error::Error;
use crate::http::extract::{Caller, Query};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, EventView, PageView};

/// Interval between the comments that keep an idle stream open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits before it connects again: `retry` of the stream, with which it begins.
const RECONNECT: Duration = Duration::from_secs(3);
/// The headers that make proxies pass events on at once.
///
/// nginx collects a response in its buffer, unless `X-Accel-Buffering` forbids it. Other proxies compress it, unless
/// `no-transform` forbids that.
const UNBUFFERED: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("x-accel-buffering"), "no"),
    (CACHE_CONTROL, "no-cache, no-transform"),
];
/// Maximum number of events buffered for one client.
///
/// While the buffer is full, its task does not read the log.
const BUFFER: usize = 64;

/// The JSON pointers of the inputs that name an event.
const AFTER: &str = "/query/after";
const CURSOR: &str = "/query/cursor";
const LAST_EVENT_ID: &str = "/headers/Last-Event-ID";

/// List events
///
/// Changes that concern your teams, oldest first. To continue later, set `after` to the `id` of your last event. If a
/// page has fewer than `limit` rows, no more events exist yet. Events are kept for 30 days, unless the operator
/// configured another time.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events", params(ListEvents),
    responses((status = 200, description = "A page of events. If more events follow, `next_cursor` is the id of the last event; send it as `cursor`, or as `after`", body = PageView<EventView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    Query(query): Query<ListEvents>,
) -> Result<Json<PageView<EventView>>, Problem> {
    let (pointer, after) = query.position()?;
    let filter = EventFilter {
        after,
        team: query.team,
        kinds: query.r#type.0,
    };
    let page = http.desk.events.list(caller.call(), &filter, query.limit).await;
    let page = page.map_err(|error| point_to(pointer, error))?;
    let rows = page.rows.into_iter().map(view::event).collect();
    Ok(Json(PageView::new(rows, page.next)))
}

/// Follow events
///
/// Streams events as server-sent events: `id` is the event's id, `event` its type, and `data` the event as JSON. The
/// stream begins after the event in the header `Last-Event-ID` or in `after`. Without either, it begins with the next
/// new event; a first message without data then has the `id` of the event before, so that a client can resume at once.
/// An idle stream gets a comment every 15 seconds. The stream ends when your token expires, when the replica stops, or
/// when you read too slowly. Connect again to any replica, with the `id` of your last event: you get every event, and
/// none twice.
#[utoipa::path(
    get, path = "/v1/events/stream", tag = "events", operation_id = "follow_events",
    params(FollowEvents, ("Last-Event-ID" = Option<String>, Header, description = "The `id` of your last event. Overrides `after`")),
    responses((status = 200, description = "Events as they happen", content_type = "text/event-stream", body = String,
        example = json!("id: evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS\nevent: order.fulfilled\ndata: {\"id\":\"evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS\",…}\n\n"))),
)]
pub(in crate::http) async fn follow(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    LastEventId(last): LastEventId,
    Query(query): Query<FollowEvents>,
) -> Result<impl IntoResponse, Problem> {
    let pointer = if last.is_some() { LAST_EVENT_ID } else { AFTER };
    let filter = EventFilter {
        team: query.team,
        kinds: query.r#type.0,
        after: last.or(query.after),
    };
    let following = http.desk.events.stream(caller.call(), &filter).await;
    let following = following.map_err(|error| point_to(pointer, error))?;
    let position = following
        .begins_after()
        .map(|last| Ok(sse::Event::default().id(last.as_str())));
    let stream = event_stream(
        following,
        caller.call().request_id.clone(),
        http.limits.send_timeout,
    );
    let retry = stream::once(async { Ok(sse::Event::default().retry(RECONNECT)) });
    let stream = retry.chain(stream::iter(position)).chain(stream);
    Ok((
        UNBUFFERED,
        Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)),
    ))
}

/// Names the part of the request that had an event which is not kept.
fn point_to(pointer: &str, error: Error) -> Problem {
    match error {
        Error::EventNotKept => Problem::event_not_kept(pointer),
        error => error.into(),
    }
}

/// Reads the log on a separate task, at most one buffer ahead of the client.
///
/// A client that stops reading occupies one buffer. If that stays full for `patience`, the task ends the stream, which
/// the client can resume.
fn event_stream(
    mut following: EventStream,
    request_id: RequestId,
    patience: Duration,
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
            let Ok(Ok(())) = timeout(patience, sender.send(event)).await else {
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
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListEvents {
    /// Only events of this team.
    team: Option<Team>,
    /// Only events of these types, separated by commas, such as `order.fulfilled,phone_number.*`.
    #[serde(default)]
    r#type: EventTypes,
    /// Only events after the event with this id.
    after: Option<EventId>,
    /// The `next_cursor` of the previous page. Unlike other cursors, it is the id of an event, so `after` takes it too.
    cursor: Option<EventId>,
    /// Maximum number of rows in a page.
    #[serde(default)]
    limit: Limit,
}

impl ListEvents {
    /// Returns the event after which the page starts, and the pointer of the parameter that names it.
    fn position(&self) -> Result<(&'static str, Option<EventId>), Problem> {
        match (&self.after, &self.cursor) {
            (Some(_), Some(_)) => Err(Problem::fault(
                CURSOR,
                "must not appear together with `after`: both name the event after which the page starts",
            )),
            (None, Some(cursor)) => Ok((CURSOR, Some(cursor.clone()))),
            (after, None) => Ok((AFTER, after.clone())),
        }
    }
}

/// The query of a stream.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FollowEvents {
    /// Only events of this team.
    team: Option<Team>,
    /// Only events of these types, separated by commas, such as `order.fulfilled,phone_number.*`.
    #[serde(default)]
    r#type: EventTypes,
    /// Only events after the event with this id.
    after: Option<EventId>,
}

/// Event types and groups of types, separated by commas. Empty: all types.
#[derive(Default, Deserialize)]
#[serde(try_from = "Text<1_024>")]
pub(in crate::http) struct EventTypes(Vec<EventKind>);

impl TryFrom<Text<1_024>> for EventTypes {
    type Error = String;
    fn try_from(text: Text<1_024>) -> Result<Self, String> {
        let (mut kinds, mut faults) = (Vec::new(), Vec::new());
        for pattern in String::from(text).split(',') {
            if pattern.is_empty() {
                faults.push("must have no empty item, such as after a comma at its end".to_owned());
                continue;
            }
            match pattern.parse::<TypePattern>() {
                Ok(pattern) => {
                    let matching = EventKind::ALL.iter();
                    kinds.extend(matching.filter(|kind| pattern.matches(kind.as_str())));
                }
                Err(fault) => faults.push(format!("each item {fault}")),
            }
        }
        if faults.is_empty() {
            Ok(Self(kinds))
        } else {
            faults.dedup();
            Err(faults.join("; "))
        }
    }
}
string_schema! {
    EventTypes: "Event types and groups of types, separated by commas.", max_length: 1_024, example: "order.fulfilled,phone_number.*"
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
                pointer: LAST_EVENT_ID.to_owned(),
                message: "must be the id of one event, like `evt_…`".to_owned(),
            }])),
        }
    }
}
