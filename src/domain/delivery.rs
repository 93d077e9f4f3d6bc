//! A delivery of an event to a webhook endpoint: its content, state and retries.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::event::Event;
use crate::domain::event_data::WebhookTestData;
use crate::domain::event_kind::TEST;
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::string_enum::string_enum;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;

string_enum! {
    /// The state of a delivery.
    DeliveryState: stored {
        /// An attempt is due, now or later.
        Pending = "pending",
        /// The receiver accepted it.
        Delivered = "delivered",
        /// The service gave up the delivery.
        Dead = "dead",
    }
}

/// A delivery of an event to an endpoint.
///
/// Each pair of event and endpoint has one delivery. A replay sends the same delivery again.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The delivery's id.
    pub id: DeliveryId,
    /// The receiving endpoint.
    pub endpoint_id: EndpointId,
    /// The endpoint's team.
    pub team: Team,
    /// The delivered event.
    pub event_id: EventId,
    /// The event's type.
    pub kind: String,
    /// The request body: the event as JSON, the same bytes in every attempt.
    pub body: String,
    /// The delivery's state.
    pub state: DeliveryState,
    /// The number of attempts since the delivery was last queued.
    pub attempts: i64,
    /// When the delivery was last queued.
    pub queued_at: Timestamp,
    /// When the first attempt since then began.
    pub began_at: Option<Timestamp>,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// When the last attempt began.
    pub attempted_at: Option<Timestamp>,
    /// The result of the last attempt: an HTTP status or a short text.
    pub outcome: Option<String>,
    /// When the delivery succeeded or was given up.
    pub finished_at: Option<Timestamp>,
}

impl Delivery {
    /// Creates the delivery of an event, due at once.
    pub fn new(event: &Event, endpoint: &Endpoint, now: Timestamp) -> Self {
        let Event {
            id,
            kind,
            team,
            at,
            data,
            ..
        } = event;
        let body = event_json(id, kind, team.as_ref(), *at, &Value::Object(data.clone()));
        Self::of(id, kind, body, endpoint, now)
    }

    /// Creates a test delivery, whose event is not in the event log.
    pub fn test(endpoint: &Endpoint, now: Timestamp) -> Self {
        let id = EventId::generate(now);
        let data = json!(WebhookTestData {
            webhook_endpoint_id: &endpoint.id,
        });
        let body = event_json(&id, TEST, Some(&endpoint.team), now, &data);
        Self::of(&id, TEST, body, endpoint, now)
    }

    fn of(event: &EventId, kind: &str, body: String, endpoint: &Endpoint, now: Timestamp) -> Self {
        Self {
            id: DeliveryId::generate(now),
            endpoint_id: endpoint.id.clone(),
            team: endpoint.team.clone(),
            event_id: event.clone(),
            kind: kind.to_owned(),
            body,
            state: DeliveryState::Pending,
            attempts: 0,
            queued_at: now,
            began_at: None,
            due_at: now,
            attempted_at: None,
            outcome: None,
            finished_at: None,
        }
    }
}

/// Returns an event as JSON, in the format of `GET /v1/events`.
fn event_json(id: &EventId, kind: &str, team: Option<&Team>, at: Timestamp, data: &Value) -> String {
    json!({ "id": id, "type": kind, "team": team, "occurred_at": at, "data": data }).to_string()
}

/// The pauses before the second attempt, the third, and so on. The last pause repeats.
const PAUSES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
];
/// The longest pause that a receiver can request with `Retry-After`. No pause is longer.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

impl Delivery {
    /// Returns the time of the next attempt after a failure at `now`; `None` to give up the delivery.
    ///
    /// The last attempt is `retry_for` after the first one. `requested` is the time of the receiver's `Retry-After`
    /// header. `share`, from 0 to 1, is the part of the pause to take: the caller passes a random number, so that
    /// deliveries do not come back at the same moment.
    pub fn next_attempt(
        &self,
        now: Timestamp,
        retry_for: Duration,
        requested: Option<Timestamp>,
        share: f64,
    ) -> Option<Timestamp> {
        let end = self.began_at.unwrap_or(now).plus(retry_for);
        if now >= end {
            return None;
        }
        let index = usize::try_from(self.attempts - 1).unwrap_or_default();
        let pause = PAUSES[index.min(PAUSES.len() - 1)].mul_f64(share.clamp(0.0, 1.0));
        let requested = requested.unwrap_or(now).min(now.plus(MAX_RETRY_AFTER));
        Some(now.plus(pause).max(requested).min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event_kind::EventKind;
    use crate::domain::webhook::Types;

    fn delivery(attempts: i64) -> Delivery {
        let at = Timestamp::from_seconds(0);
        let endpoint = Endpoint {
            id: "we_1".parse().unwrap(),
            team: "sales".parse().unwrap(),
            url: "https://hooks.example.com/".parse().unwrap(),
            description: None,
            types: Types::ALL,
            disabled: None,
            generation: 1,
            rotated_at: None,
            created_by: "alice".into(),
            created_at: at,
            updated_at: at,
        };
        let event = Event::new(at, EventKind::OrderFulfilled, Some(&endpoint.team));
        Delivery {
            attempts,
            began_at: Some(at),
            ..Delivery::new(&event, &endpoint, at)
        }
    }

    #[test]
    fn pauses_grow_and_the_last_attempt_is_at_the_end_of_the_retry_period() {
        let (week, day) = (Duration::from_hours(168), Duration::from_hours(24));
        let pause = |attempts, now: u64, share| {
            let now = Timestamp::from_seconds(0).plus(Duration::from_secs(now));
            delivery(attempts)
                .next_attempt(now, week, None, share)
                .map(|at| at.since(now).as_secs())
        };
        let whole: Vec<_> = (1..=9).map(|attempts| pause(attempts, 1, 1.0).unwrap()).collect();
        let (hour, minute) = (3_600, 60);
        assert_eq!(
            whole,
            [
                5,
                5 * minute,
                30 * minute,
                2 * hour,
                5 * hour,
                10 * hour,
                14 * hour,
                14 * hour,
                14 * hour
            ]
        );
        assert_eq!((pause(4, 1, 0.25), pause(1, 1, 0.0)), (Some(1_800), Some(0)));
        let nearly = week.as_secs() - 10;
        assert_eq!(pause(9, nearly, 1.0), Some(10));
        assert_eq!(pause(9, week.as_secs(), 1.0), None);
        // The receiver's `Retry-After` replaces a shorter pause, up to a maximum.
        let with_retry_after = |after| {
            let now = Timestamp::from_seconds(1);
            delivery(2)
                .next_attempt(now, week, Some(now.plus(after)), 0.5)
                .unwrap()
                .since(now)
        };
        assert_eq!(
            with_retry_after(Duration::from_secs(10)),
            Duration::from_secs(150)
        );
        assert_eq!(with_retry_after(Duration::from_hours(1)), Duration::from_hours(1));
        assert_eq!(with_retry_after(week * 2), day);
    }

    #[test]
    fn the_body_of_a_delivery_is_the_event_as_the_api_returns_it() {
        let delivery = delivery(0);
        let body: Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!(
            body,
            json!({
                "id": delivery.event_id, "type": "order.fulfilled", "team": "sales",
                "occurred_at": "1970-01-01T00:00:00.000000Z", "data": {}
            })
        );
    }
}
