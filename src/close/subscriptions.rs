//! Webhook subscriptions: who is told what happens in the organization. The answers hold signature keys, of others too,
//! and URLs with secrets in them: nothing here is logged, and no text of Close's is passed on that could hold a key.

use serde_json::{Map, Value, json};

use crate::close::endpoint::Endpoint;
use crate::close::response::{Outcome, Reply};
use crate::close::{Close, SignatureKey, Trouble};
use crate::domain::id::SubscriptionId;
use crate::domain::time::Timestamp;

/// What the desk wants to hear of.
const WANTED: [(&str, &str); 6] = [
    ("phone_number", "created"),
    ("phone_number", "updated"),
    ("phone_number", "deleted"),
    ("group", "created"),
    ("group", "updated"),
    ("group", "deleted"),
];
/// The most pages of one listing. Close allows 40 subscriptions, or 500 to some.
const PAGES: usize = 50;
/// The longest text that is taken over, in characters.
const TEXT: usize = 300;
/// So many hexadecimal digits in a row may be a key, or most of one.
const KEY_LIKE: usize = 24;

/// A subscription as Close shows it.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Close's id, `whsub_…`.
    pub id: SubscriptionId,
    /// Where Close delivers. Others' may hold secrets.
    pub url: String,
    /// Whether Close delivers; else it is paused.
    pub active: bool,
    /// What it is told of, such as `phone_number.created`.
    pub events: Vec<String>,
    /// Whether all that the desk wants is among it, without a filter.
    pub complete: bool,
    /// Signs its deliveries; `None` when Close shows none that can be one.
    pub key: Option<SignatureKey>,
    /// Close's word on how deliveries go, such as `healthy`.
    pub health: Option<String>,
    /// What went wrong last, in Close's words.
    pub latest_error: Option<String>,
    /// Why it is paused, in Close's words.
    pub pause_reason: Option<String>,
    /// When it was made, by Close's clock.
    pub created_at: Option<Timestamp>,
}

impl Close {
    /// All subscriptions of the organization that the key may see: every page, each of them whole, or an error.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, Trouble> {
        let unavailable = |reason: &str| {
            Err(Trouble::Unavailable {
                reason: reason.to_owned(),
            })
        };
        let mut found: Vec<Subscription> = Vec::new();
        let mut skip = 0;
        for _ in 0..PAGES {
            let page = match self
                .0
                .ask(Endpoint::Subscriptions { skip }, None, |reply| page(&reply))
                .await
            {
                Err(Trouble::NotFound) => {
                    return unavailable("close does not know the list of webhooks (404)");
                }
                other => other.map_err(without_keys)?,
            };
            skip += page.rows.len();
            let before = found.len();
            for row in page.rows {
                if !found.iter().any(|known| known.id == row.id) {
                    found.push(row);
                }
            }
            if !page.has_more {
                return Ok(found);
            }
            if found.len() == before {
                return unavailable("a page of the webhooks brought nothing new, and more was promised");
            }
        }
        unavailable("the list of webhooks had no end")
    }

    /// One subscription; `None` when Close says that it does not exist.
    pub async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, Trouble> {
        let read = |reply: Reply| this(id, &reply);
        match self.0.ask(Endpoint::Subscription(id), None, read).await {
            Ok(subscription) => Ok(Some(subscription)),
            Err(Trouble::NotFound) => Ok(None),
            Err(trouble) => Err(without_keys(trouble)),
        }
    }

    /// Has Close deliver to `url` all that the desk wants to hear of. Sent once: without an answer it may have been made
    /// or not, and the list tells.
    pub async fn subscribe(&self, url: &str) -> Result<Subscription, Trouble> {
        let (client, endpoint) = (&self.0, Endpoint::Subscribe);
        if let Some(until) = client.limits.held(endpoint.group(), client.clock.now()) {
            return Err(Trouble::RateLimited { until });
        }
        let body = json!({"url": url, "events": wanted()});
        match client.exchange(endpoint, Some(&body), client.timeout).await {
            Outcome::Done(reply) => read(&reply.body).ok_or_else(|| Trouble::Unavailable {
                reason: format!("the answer was not a webhook subscription ({})", reply.status),
            }),
            Outcome::Refused(refusal) => Err(without_keys(refusal.into())),
            Outcome::RateLimited { until } => Err(Trouble::RateLimited { until }),
            Outcome::Unauthorized => Err(Trouble::Unauthorized),
            Outcome::NotSent { reason } | Outcome::Unclear { reason } => Err(Trouble::Unavailable { reason }),
        }
    }

    /// Has Close deliver again. Its key stays; what happened since it was paused is not delivered later.
    pub async fn resume(&self, id: &SubscriptionId) -> Result<Subscription, Trouble> {
        self.change_subscription(id, &json!({"status": "active"})).await
    }

    /// Has Close tell of all that the desk wants to hear of, and of nothing else.
    pub async fn complete(&self, id: &SubscriptionId) -> Result<Subscription, Trouble> {
        self.change_subscription(id, &json!({"events": wanted()})).await
    }

    async fn change_subscription(&self, id: &SubscriptionId, body: &Value) -> Result<Subscription, Trouble> {
        let read = |reply: Reply| this(id, &reply);
        self.0
            .ask(Endpoint::ChangeSubscription(id), Some(body), read)
            .await
            .map_err(without_keys)
    }

    /// Ends a subscription. One that is gone already is no error.
    pub async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), Trouble> {
        match self.0.ask(Endpoint::Unsubscribe(id), None, |_| Some(())).await {
            Ok(()) | Err(Trouble::NotFound) => Ok(()),
            Err(trouble) => Err(without_keys(trouble)),
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
    has_more: bool,
}

/// A page is whole or it is none: 200, and every row a subscription. That more follows is said or it is not so: the
/// documentation does not show this list.
fn page(reply: &Reply) -> Option<Page> {
    if reply.status != 200 {
        return None;
    }
    let has_more = match reply.body.get("has_more") {
        None => false,
        Some(more) => more.as_bool()?,
    };
    let rows = reply.body.get("data")?.as_array()?;
    let rows = rows.iter().map(read).collect::<Option<Vec<_>>>()?;
    Some(Page { rows, has_more })
}

/// The subscription that was asked for, and no other.
fn this(id: &SubscriptionId, reply: &Reply) -> Option<Subscription> {
    read(&reply.body).filter(|subscription| subscription.id == *id)
}

/// A subscription; `None` without an id.
fn read(body: &Value) -> Option<Subscription> {
    let object = body.as_object()?;
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let said = |name: &str| match object.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(hidden(text)),
        other => Some(hidden(&other.to_string())),
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
        Some(hidden(&format!("{}.{}", object.as_str()?, action.as_str()?)))
    };
    Some(Subscription {
        id: text("id")?.parse().ok()?,
        url: text("url").unwrap_or_default().to_owned(),
        active: text("status") == Some("active"),
        events: selectors.iter().filter_map(named).collect(),
        complete: WANTED.iter().all(|(object, action)| whole(object, action)),
        key: text("signature_key").and_then(|key| key.parse().ok()),
        health: said("health_status"),
        latest_error: said("latest_error"),
        pause_reason: said("pause_reason"),
        created_at: text("date_created").and_then(|time| time.parse().ok()),
    })
}

/// Trouble whose words are taken from an answer that may repeat what it was about.
fn without_keys(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused {
            status,
            close_status,
            reason,
            close_errors,
        } => Trouble::Refused {
            status,
            close_status: hidden(&close_status),
            reason: reason.as_deref().map(hidden),
            close_errors: close_errors.map(|errors| match hidden_all(Value::Object(errors)) {
                Value::Object(errors) => errors,
                _ => Map::new(),
            }),
        },
        other => other,
    }
}

fn hidden_all(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(hidden(&text)),
        Value::Array(items) => items.into_iter().map(hidden_all).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (hidden(&name), hidden_all(value)))
            .collect(),
        other => other,
    }
}

/// A short text for people, without control characters, and with anything that could be a key left out.
fn hidden(text: &str) -> String {
    let mut kept = String::new();
    let mut digits = String::new();
    for c in text.chars().filter(|c| !c.is_control()).chain(['\0']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        if digits.len() < KEY_LIKE {
            kept.push_str(&digits);
        } else {
            kept.push('…');
        }
        digits.clear();
        if c != '\0' {
            kept.push(c);
        }
    }
    kept.chars().take(TEXT).collect()
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
    fn a_subscription_is_read_and_its_key_shows_nowhere() {
        let read = read(&subscription()).unwrap();
        assert!(read.active && read.complete);
        assert_eq!(read.key, Some(KEY.parse().unwrap()));
        assert_eq!(read.events[5], "group.deleted");
        assert_eq!(read.created_at, Some("2026-11-23T10:05:00.123Z".parse().unwrap()));
        assert_eq!((&read.latest_error, &read.pause_reason), (&None, &None));
        assert!(!format!("{read:?}").contains(&KEY[..24]));
    }

    #[test]
    fn what_is_missing_or_narrowed_makes_it_incomplete_and_more_does_not() {
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
    fn whatever_close_says_of_it_no_key_is_passed_on() {
        let mut echo = subscription();
        echo["status"] = json!("paused");
        echo["latest_error"] = json!({"sent": format!("close-sig {KEY}")});
        echo["pause_reason"] = json!(format!("key={},\u{1b}[2J", KEY.to_uppercase()));
        echo["health_status"] = json!(&KEY[..40]);
        echo["events"][0]["action"] = json!(KEY);
        let said = read(&echo).unwrap();
        assert!(!said.active);
        assert_eq!(said.pause_reason.as_deref(), Some("key=…,[2J"));
        let refused = without_keys(Trouble::Refused {
            status: 400,
            close_status: KEY.to_owned(),
            reason: Some(format!("no: {KEY}")),
            close_errors: json!({KEY: [format!("x{KEY}")]}).as_object().cloned(),
        });
        let shown = format!("{said:?} {refused:?}").to_lowercase();
        assert!(!shown.contains(&KEY[..24]), "{shown}");
        assert!(shown.contains("no: …"), "{shown}");
    }

    #[test]
    fn a_page_of_subscriptions_is_whole_or_none() {
        assert_eq!(page(&reply(json!({"data": []}))).unwrap().rows.len(), 0);
        let one = page(&reply(json!({"data": [subscription()], "has_more": true}))).unwrap();
        assert!(one.has_more && one.rows.len() == 1);
        for bad in [
            json!([]),
            json!({}),
            json!({"data": {}}),
            json!({"data": [1]}),
            json!({"data": [{"url": "https://x"}]}),
            json!({"data": [{"id": "../x"}]}),
            json!({"data": [], "has_more": "no"}),
        ] {
            assert!(page(&reply(bad.clone())).is_none(), "{bad}");
        }
    }
}
