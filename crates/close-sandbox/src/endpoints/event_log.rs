//! Reading the event log: the combinations of filters that Close takes, time bounds, cursors.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::events::Event;
use crate::json::parse_time;
use crate::numbers::number::has_passed;
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::state::World;

/// `GET /event/`: newest first, 50 at most, cursors both ways.
pub(crate) fn list(world: &World, call: &Call) -> Outcome {
    check_combination(call)?;
    let limit = call.count("_limit", 50, 50)?.max(1);
    let bounds = bounds(call)?;
    let cursor = call.param("_cursor").map(Cursor::read).transpose()?;
    let mut found: Vec<&Event> = world
        .visible_events()
        .filter(|event| matches(event, call) && bounds.iter().all(|bound| bound.holds(event.updated)))
        .collect();
    found.sort_by_key(|event| std::cmp::Reverse(place(event)));

    // The page is `found[start..end]`, of what is newer or older than the cursor.
    let (start, end) = match cursor {
        None => (0, limit.min(found.len())),
        Some(Cursor { newer: false, at }) => {
            let start = found.partition_point(|event| place(event) >= at);
            (start, (start + limit).min(found.len()))
        }
        Some(Cursor { newer: true, at }) => {
            let end = found.partition_point(|event| place(event) > at);
            (end.saturating_sub(limit), end)
        }
    };
    let edge = |newer: bool, event: Option<&&Event>| {
        event.map(|event| {
            Cursor {
                newer,
                at: place(event),
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
        .map(|event| call.select(event.view(&world.organization_id)))
        .collect();
    Ok(Answer::json(
        200,
        &json!({ "data": data, "cursor_next": cursor_next, "cursor_previous": cursor_previous }),
    ))
}

/// `GET /event/{id}/`.
pub(crate) fn read(world: &World, call: &Call, id: &str) -> Outcome {
    let found = world
        .visible_events()
        .find(|event| event.id == id)
        .ok_or_else(|| Answer::unknown("Event"))?;
    Ok(Answer::json(
        200,
        &call.select(found.view(&world.organization_id)),
    ))
}

const FILTERS: [&str; 6] = [
    "object_type",
    "object_id",
    "action",
    "lead_id",
    "user_id",
    "request_id",
];

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

fn check_combination(call: &Call) -> Result<(), Answer> {
    let given: Vec<&str> = FILTERS
        .into_iter()
        .filter(|name| call.param(name).is_some())
        .collect();
    if ALLOWED.contains(&given.as_slice()) {
        return Ok(());
    }
    Err(Answer::invalid(&format!(
        "This combination of filters is not supported: {}.",
        given.join(", ")
    )))
}

fn matches(event: &Event, call: &Call) -> bool {
    let is = |name: &str, value: Option<&str>| call.param(name).is_none_or(|wanted| value == Some(wanted));
    is("object_type", Some(event.change.object_type))
        && is("object_id", Some(&event.change.object_id))
        && is("action", Some(event.change.action))
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

fn bounds(call: &Call) -> Result<Vec<Bound>, Answer> {
    let known: [(&str, Comparison); 4] = [
        ("date_updated__lt", Timestamp::lt),
        ("date_updated__lte", Timestamp::le),
        ("date_updated__gt", Timestamp::gt),
        ("date_updated__gte", Timestamp::ge),
    ];
    let mut bounds = Vec::new();
    for (name, allows) in known {
        if let Some(text) = call.param(name) {
            let at = parse_time(text)
                .ok_or_else(|| Answer::invalid_field(name, "Input should be a valid datetime"))?;
            bounds.push(Bound { allows, at });
        }
    }
    Ok(bounds)
}

fn place(event: &Event) -> (i64, u64) {
    (event.updated.as_microsecond(), event.seq)
}

/// A place in the log and the direction to read from it.
struct Cursor {
    newer: bool,
    at: (i64, u64),
}

impl Cursor {
    fn write(&self) -> String {
        let direction = if self.newer { 'n' } else { 'o' };
        URL_SAFE_NO_PAD.encode(format!("{direction}:{}:{}", self.at.0, self.at.1))
    }

    fn read(text: &str) -> Result<Self, Answer> {
        let parse = || {
            let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let mut parts = plain.split(':');
            let newer = parts.next()? == "n";
            let at = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Self { newer, at })
        };
        parse().ok_or_else(|| Answer::invalid_field("_cursor", "Invalid cursor."))
    }
}

impl World {
    /// What has come through by now and is not forgotten yet.
    fn visible_events(&self) -> impl Iterator<Item = &Event> {
        let now = self.now();
        let lag = self.settings.event_lag;
        let oldest = now
            .checked_sub(SignedDuration::from_hours(30 * 24))
            .unwrap_or(Timestamp::MIN);
        self.events
            .iter()
            .filter(move |event| event.updated >= oldest && has_passed(event.updated, lag, now))
    }
}
