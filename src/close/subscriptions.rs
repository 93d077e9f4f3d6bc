//! Webhook subscriptions of the organization.
//!
//! Responses contain signature keys, also those of other subscriptions, and URLs with secrets. So nothing here is
//! logged, and texts of Close are passed on only without anything that could be a key.

use serde_json::{Value, json};

use crate::close::client::CloseClient;
use crate::close::endpoint::Endpoint;
use crate::close::error::Error;
use crate::close::odd::{self, Listed, text_fault};
use crate::close::redact::{redacted, without_keys};
use crate::close::response::{Outcome, Reply};
use crate::close::webhook::SignatureKey;
use crate::domain::id::SubscriptionId;
use crate::domain::odd_record::{OddKind, OddRecord};
use crate::domain::time::Timestamp;

/// The events that the service subscribes to.
const WANTED: [(&str, &str); 6] = [
    ("phone_number", "created"),
    ("phone_number", "updated"),
    ("phone_number", "deleted"),
    ("group", "created"),
    ("group", "updated"),
    ("group", "deleted"),
];
/// The status of a subscription to which Close delivers.
const ACTIVE: &str = "active";
/// The status of a subscription to which Close delivers nothing.
const PAUSED: &str = "paused";
/// The most pages of one listing. Close allows 40 subscriptions, or 500 to some.
const PAGES: usize = 50;

/// A subscription as Close shows it.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Close's id, `whsub_…`.
    pub id: SubscriptionId,
    /// Where Close delivers. URLs of other subscriptions may contain secrets.
    pub url: String,
    /// Close's word for the status: `active`, `paused`, or one that this version does not know.
    pub status: String,
    /// The events that it covers, such as `phone_number.created`.
    pub events: Vec<String>,
    /// Whether it covers all events that the service needs, without a filter.
    pub complete: bool,
    /// The key that signs its deliveries; `None` if Close shows no valid one.
    pub key: Option<SignatureKey>,
    /// Close's word for the state of deliveries, such as `healthy`.
    pub health: Option<String>,
    /// Close's text about the last failure.
    pub latest_error: Option<String>,
    /// Close's text about why it is paused.
    pub pause_reason: Option<String>,
    /// When it was created, by Close's clock.
    pub created_at: Option<Timestamp>,
}

/// The subscriptions that Close lists.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// Those that could be read.
    pub known: Vec<Subscription>,
    /// Those that could not.
    pub odd: Vec<OddRecord>,
    /// The URLs of those that could not be read; `None`: not even the URL.
    pub odd_urls: Vec<Option<String>>,
}

impl Subscription {
    /// Whether Close delivers.
    pub fn is_active(&self) -> bool {
        self.status == ACTIVE
    }

    /// Whether Close delivers nothing until somebody resumes it. An unknown status is not taken for this one.
    pub fn is_paused(&self) -> bool {
        self.status == PAUSED
    }
}

impl CloseClient {
    /// Lists all subscriptions that the key may see: all pages complete, or an error.
    pub async fn subscriptions(&self) -> Result<Subscriptions, Error> {
        let unavailable = |reason: &str| {
            Err(Error::Unavailable {
                reason: reason.to_owned(),
            })
        };
        let (mut found, mut odd) = (Subscriptions::default(), Listed::<()>::default());
        let mut skip = 0;
        for _ in 0..PAGES {
            let page = match self
                .0
                .ask(Endpoint::Subscriptions { skip }, None, |reply| page(&reply))
                .await
            {
                Err(Error::NotFound) => {
                    return unavailable("close does not know the list of webhooks (404)");
                }
                other => other.map_err(without_keys)?,
            };
            skip += page.rows.len() + page.odd.len();
            let before = found.known.len() + odd.len();
            for row in page.rows {
                if !found.known.iter().any(|known| known.id == row.id) {
                    found.known.push(row);
                }
            }
            for (record, url) in page.odd {
                odd.push_odd(record);
                found.odd_urls.push(url);
            }
            if !page.has_more {
                found.odd = odd.odd;
                return Ok(found);
            }
            if found.known.len() + odd.len() == before {
                return unavailable("a page of the webhooks had no new rows, but Close announced more pages");
            }
        }
        unavailable("the list of webhooks had too many pages")
    }

    /// Reads one subscription; `None` if it does not exist.
    pub async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, Error> {
        let read = |reply: Reply| this(id, &reply);
        match self.0.ask(Endpoint::Subscription(id), None, read).await {
            Ok(subscription) => Ok(Some(subscription)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(without_keys(error)),
        }
    }

    /// Creates a subscription of all needed events that delivers to `url`.
    ///
    /// Sent at most once: after an error the subscription may exist, and [`Self::subscriptions`] shows it.
    pub async fn subscribe(&self, url: &str) -> Result<Subscription, Error> {
        let (transport, endpoint) = (&self.0, Endpoint::Subscribe);
        if let Some(until) = transport.limits.held(endpoint.group(), transport.clock.steady()) {
            return Err(Error::RateLimited { until });
        }
        let body = json!({"url": url, "events": wanted()});
        match transport.exchange(endpoint, Some(&body), transport.timeout).await {
            Outcome::Done(reply) => read(&reply.body).ok_or_else(|| Error::Unavailable {
                reason: format!("the answer was not a webhook subscription ({})", reply.status),
            }),
            Outcome::Refused(refusal) => Err(without_keys(refusal.into())),
            Outcome::RateLimited { until } => Err(Error::RateLimited { until }),
            Outcome::Unauthorized => Err(Error::Unauthorized),
            Outcome::NotSent { reason } | Outcome::Unclear { reason } => Err(Error::Unavailable { reason }),
        }
    }

    /// Resumes a paused subscription. Its key stays; Close does not deliver the events of the pause later.
    pub async fn resume(&self, id: &SubscriptionId) -> Result<Subscription, Error> {
        self.change_subscription(id, &json!({"status": ACTIVE})).await
    }

    /// Sets the events of a subscription to those that the service needs, and no others.
    pub async fn complete(&self, id: &SubscriptionId) -> Result<Subscription, Error> {
        self.change_subscription(id, &json!({"events": wanted()})).await
    }

    async fn change_subscription(&self, id: &SubscriptionId, body: &Value) -> Result<Subscription, Error> {
        let read = |reply: Reply| this(id, &reply);
        self.0
            .ask(Endpoint::ChangeSubscription(id), Some(body), read)
            .await
            .map_err(without_keys)
    }

    /// Deletes a subscription. One that does not exist is not an error.
    pub async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), Error> {
        match self.0.ask(Endpoint::Unsubscribe(id), None, |_| Some(())).await {
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(without_keys(error)),
        }
    }
}

fn wanted() -> Vec<Value> {
    WANTED
        .iter()
        .map(|(object, action)| json!({"object_type": object, "action": action}))
        .collect()
}

struct Page {
    rows: Vec<Subscription>,
    odd: Vec<(OddRecord, Option<String>)>,
    has_more: bool,
}

/// Reads a page row by row; `None` unless the status is 200, and it is a page.
///
/// Close does not document this list. Without `has_more` the page is the last.
fn page(reply: &Reply) -> Option<Page> {
    if reply.status != 200 {
        return None;
    }
    let has_more = match reply.body.get("has_more") {
        None => false,
        Some(more) => more.as_bool()?,
    };
    let (mut rows, mut odd) = (Vec::new(), Vec::new());
    for row in reply.body.get("data")?.as_array()? {
        match fault(row) {
            None => rows.extend(read(row)),
            Some(fault) => {
                let url = row.get("url").and_then(Value::as_str).map(str::to_owned);
                let name = redacted(&odd::name(row));
                odd.push((OddRecord::new(OddKind::Subscription, name, fault), url));
            }
        }
    }
    Some(Page { rows, odd, has_more })
}

/// Why a row of the list is not a subscription; `None` if it is one.
fn fault(row: &Value) -> Option<String> {
    let Value::Object(object) = row else {
        return Some("it is not a JSON object".to_owned());
    };
    text_fault(object, "id", |id| id.parse::<SubscriptionId>().is_ok())
        .or_else(|| text_fault(object, "url", |_| true))
}

/// Reads this subscription; `None` for another one.
fn this(id: &SubscriptionId, reply: &Reply) -> Option<Subscription> {
    read(&reply.body).filter(|subscription| subscription.id == *id)
}

/// Reads a subscription; `None` without an id.
fn read(body: &Value) -> Option<Subscription> {
    let object = body.as_object()?;
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let message = |name: &str| match object.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(redacted(text)),
        other => Some(redacted(&other.to_string())),
    };
    let selectors = object.get("events").and_then(Value::as_array);
    let selectors = selectors.map_or(&[][..], Vec::as_slice);
    let whole = |object: &str, action: &str| {
        selectors.iter().any(|selector| {
            selector["object_type"] == object
                && selector["action"] == action
                && selector.get("extra_filter").is_none_or(Value::is_null)
        })
    };
    let named = |selector: &Value| {
        let (object, action) = (selector.get("object_type")?, selector.get("action")?);
        Some(redacted(&format!("{}.{}", object.as_str()?, action.as_str()?)))
    };
    Some(Subscription {
        id: text("id")?.parse().ok()?,
        url: text("url").unwrap_or_default().to_owned(),
        status: redacted(text("status").unwrap_or(PAUSED)),
        events: selectors.iter().filter_map(named).collect(),
        complete: WANTED.iter().all(|(object, action)| whole(object, action)),
        key: text("signature_key").and_then(|key| key.parse().ok()),
        health: message("health_status"),
        latest_error: message("latest_error"),
        pause_reason: message("pause_reason"),
        created_at: text("date_created").and_then(|time| time.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn subscription() -> Value {
        json!({
            "id": "whsub_1", "url": "https://desk.example/webhooks/close", "status": "active",
            "events": wanted(), "signature_key": KEY, "date_created": "2026-11-23T10:05:00.123000",
            "health_status": "healthy", "latest_error": null, "pause_reason": null,
        })
    }

    fn reply(body: Value) -> Reply {
        Reply {
            status: 200,
            body,
            size: 0,
        }
    }

    #[test]
    fn a_subscription_is_read_and_its_key_is_not_shown() {
        let read = read(&subscription()).unwrap();
        assert!(read.is_active() && read.complete);
        assert_eq!(read.key, Some(KEY.parse().unwrap()));
        assert_eq!(read.events[5], "group.deleted");
        assert_eq!(read.created_at, Some("2026-11-23T10:05:00.123Z".parse().unwrap()));
        assert_eq!((&read.latest_error, &read.pause_reason), (&None, &None));
        assert!(!format!("{read:?}").contains(&KEY[..24]));
    }

    #[test]
    fn missing_or_filtered_events_make_it_incomplete_and_further_events_do_not() {
        for change in [
            json!([]),
            json!(null),
            json!([{"object_type": "phone_number", "action": "created"}]),
            json!({"a": 1}),
        ] {
            let mut odd = subscription();
            odd["events"] = change;
            assert!(!read(&odd).unwrap().complete, "{odd}");
        }
        let mut narrowed = subscription();
        narrowed["events"][2]["extra_filter"] = json!({"type": "is_null"});
        assert!(!read(&narrowed).unwrap().complete);
        let mut more = subscription();
        more["events"][2]["extra_filter"] = json!(null);
        let lead = json!({"object_type": "lead", "action": "created"});
        more["events"].as_array_mut().unwrap().insert(0, lead);
        assert!(read(&more).unwrap().complete);
    }

    #[test]
    fn an_unknown_status_is_kept_and_is_neither_active_nor_paused() {
        for (status, active, paused) in [
            (json!("active"), true, false),
            (json!("paused"), false, true),
            (json!(null), false, true),
            (json!("throttled"), false, false),
        ] {
            let mut changed = subscription();
            changed["status"] = status.clone();
            let read = read(&changed).unwrap();
            assert_eq!((read.is_active(), read.is_paused()), (active, paused), "{status}");
            assert_eq!(read.status, status.as_str().unwrap_or("paused"));
        }
    }

    #[test]
    fn no_text_of_close_passes_a_key_on() {
        let mut echo = subscription();
        echo["status"] = json!("paused");
        echo["latest_error"] = json!({"sent": format!("close-sig {KEY}")});
        echo["pause_reason"] = json!(format!("key={},\u{1b}[2J", KEY.to_uppercase()));
        echo["health_status"] = json!(&KEY[..40]);
        echo["events"][0]["action"] = json!(KEY);
        let shown = read(&echo).unwrap();
        assert!(shown.is_paused());
        assert_eq!(shown.pause_reason.as_deref(), Some("key=…,[2J"));
        let refused = without_keys(Error::Refused {
            status: 400,
            close_status: KEY.to_owned(),
            reason: Some(format!("no: {KEY}")),
            close_errors: json!({KEY: [format!("x{KEY}")]}).as_object().cloned(),
        });
        let texts = format!("{shown:?} {refused:?}").to_lowercase();
        assert!(!texts.contains(&KEY[..24]), "{texts}");
        assert!(texts.contains("no: …"), "{texts}");
    }

    #[test]
    fn a_page_of_subscriptions_is_complete_or_an_error() {
        assert_eq!(page(&reply(json!({"data": []}))).unwrap().rows.len(), 0);
        let one = page(&reply(json!({"data": [subscription()], "has_more": true}))).unwrap();
        assert!(one.has_more && one.rows.len() == 1);
        for bad in [
            json!([]),
            json!({}),
            json!({"data": {}}),
            json!({"data": [], "has_more": "no"}),
        ] {
            assert!(page(&reply(bad.clone())).is_none(), "{bad}");
        }
        for (odd, url) in [
            (json!(1), None),
            (json!({"url": "https://x"}), Some("https://x")),
            (json!({"id": "../x"}), None),
            (json!({"id": "whsub_A", "url": 5}), None),
        ] {
            let page = page(&reply(json!({"data": [odd, subscription()]}))).unwrap();
            assert_eq!((page.rows.len(), page.odd.len()), (1, 1), "{odd}");
            assert_eq!(page.odd[0].1.as_deref(), url);
        }
    }
}
