//! `/event/`: reads the event log with the filter combinations, time bounds and cursors of Close.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::events::Event;
use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::state::State;
use crate::time::has_elapsed;
use crate::time::parse_time;

/// `GET /event/`: newest first, at most 50, with cursors in both directions.
pub(crate) fn list(state: &State, request: &Request) -> Outcome {
    check_combination(request)?;
    let limit = request.count("_limit", 50, 50)?.max(1);
    let bounds = bounds(request)?;
    let cursor = request.param("_cursor").map(Cursor::read).transpose()?;
    let mut found: Vec<&Event> = state
        .visible_events()
        .filter(|event| matches(event, request) && bounds.iter().all(|bound| bound.holds(event.updated)))
        .collect();
    found.sort_by_key(|event| std::cmp::Reverse(position(event)));

    // The page is `found[start..end]`: the events next to the cursor, newer or older.
    let (start, end) = match cursor {
        None => (0, limit.min(found.len())),
        Some(Cursor { newer: false, at }) => {
            let start = found.partition_point(|event| position(event) >= at);
            (start, (start + limit).min(found.len()))
        }
        Some(Cursor { newer: true, at }) => {
            let end = found.partition_point(|event| position(event) > at);
            (end.saturating_sub(limit), end)
        }
    };
    let edge = |newer: bool, event: Option<&&Event>| {
        event.map(|event| {
            Cursor {
                newer,
                at: position(event),
            }
            .write()
        })
    };
    let cursor_next = if end < found.len() {
        edge(false, found[..end].last())
    } else {
        None
    };
    let cursor_previous = if start > 0 {
        edge(true, found.get(start))
    } else {
        None
    };
    let data: Vec<Value> = found[start..end]
        .iter()
        .map(|event| request.select(event.view(&state.organization_id)))
        .collect();
    Ok(Response::json(
        200,
        &json!({ "data": data, "cursor_next": cursor_next, "cursor_previous": cursor_previous }),
    ))
}

/// `GET /event/{id}/`.
pub(crate) fn read(state: &State, request: &Request, id: &str) -> Outcome {
    let found = state
        .visible_events()
        .find(|event| event.id == id)
        .ok_or_else(|| Response::not_found("Event"))?;
    Ok(Response::json(
        200,
        &request.select(found.view(&state.organization_id)),
    ))
}

/// All filters, in the order of the combinations below.
const FILTERS: [&str; 6] = [
    "object_type",
    "object_id",
    "action",
    "lead_id",
    "user_id",
    "request_id",
];

/// The filter combinations that Close supports.
const ALLOWED: [&[&str]; 16] = [
    &[],
    &["object_type", "object_id"],
    &["object_type", "action"],
    &["object_id", "action"],
    &["lead_id"],
    &["object_type", "lead_id"],
    &["object_type", "action", "lead_id"],
    &["lead_id", "user_id"],
    &["object_type", "lead_id", "user_id"],
    &["object_type", "action", "lead_id", "user_id"],
    &["user_id"],
    &["object_id", "user_id"],
    &["object_id", "action", "user_id"],
    &["object_type", "user_id"],
    &["object_type", "action", "user_id"],
    &["request_id"],
];

fn check_combination(request: &Request) -> Result<(), Response> {
    let given: Vec<&str> = FILTERS
        .into_iter()
        .filter(|name| request.param(name).is_some())
        .collect();
    if ALLOWED.contains(&given.as_slice()) {
        return Ok(());
    }
    Err(Response::invalid(&format!(
        "This combination of filters is not supported: {}.",
        given.join(", ")
    )))
}

fn matches(event: &Event, request: &Request) -> bool {
    let is = |name: &str, value: Option<&str>| request.param(name).is_none_or(|wanted| value == Some(wanted));
    is("object_type", Some(&event.change.object_type))
        && is("object_id", Some(&event.change.object_id))
        && is("action", Some(&event.change.action))
        && is("lead_id", None)
        && is("user_id", event.actor.user_id.as_deref())
        && is("request_id", event.actor.request_id.as_deref())
}

type Comparison = fn(&Timestamp, &Timestamp) -> bool;

struct Bound {
    allows: Comparison,
    at: Timestamp,
}

impl Bound {
    fn holds(&self, updated: Timestamp) -> bool {
        (self.allows)(&updated, &self.at)
    }
}

fn bounds(request: &Request) -> Result<Vec<Bound>, Response> {
    let known: [(&str, Comparison); 4] = [
        ("date_updated__lt", Timestamp::lt),
        ("date_updated__lte", Timestamp::le),
        ("date_updated__gt", Timestamp::gt),
        ("date_updated__gte", Timestamp::ge),
    ];
    let mut bounds = Vec::new();
    for (name, allows) in known {
        if let Some(text) = request.param(name) {
            let at = parse_time(text)
                .ok_or_else(|| Response::invalid_field(name, "Input should be a valid datetime"))?;
            bounds.push(Bound { allows, at });
        }
    }
    Ok(bounds)
}

fn position(event: &Event) -> (i64, u64) {
    (event.updated.as_microsecond(), event.seq)
}

/// A position in the log, and the direction in which to read from it.
struct Cursor {
    newer: bool,
    at: (i64, u64),
}

impl Cursor {
    fn write(&self) -> String {
        let direction = if self.newer { 'n' } else { 'o' };
        URL_SAFE_NO_PAD.encode(format!("{direction}:{}:{}", self.at.0, self.at.1))
    }

    fn read(text: &str) -> Result<Self, Response> {
        let parse = || {
            let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let mut parts = plain.split(':');
            let newer = parts.next()? == "n";
            let at = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Self { newer, at })
        };
        parse().ok_or_else(|| Response::invalid_field("_cursor", "Invalid cursor."))
    }
}

impl State {
    /// The events of the last 30 days, without those that `event_lag` still delays.
    fn visible_events(&self) -> impl Iterator<Item = &Event> {
        let now = self.now();
        let lag = self.settings.event_lag;
        let oldest = now
            .checked_sub(SignedDuration::from_hours(30 * 24))
            .unwrap_or(Timestamp::MIN);
        self.events
            .iter()
            .filter(move |event| event.updated >= oldest && has_elapsed(event.updated, lag, now))
    }
}
