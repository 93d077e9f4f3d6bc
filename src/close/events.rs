//! Close's event log, as far as it tells where numbers come from. It says what Close says, and believes nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::close::answer::Reply;
use crate::close::endpoint::Endpoint;
use crate::close::{Close, Trouble, wire};
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::number::Facts;
use crate::domain::time::Timestamp;

/// The most pages of the log that are read at once: more numbers than anybody rents between two looks.
const PAGES: usize = 100;

/// How a number came into the organization, by the event log.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// When, by Close's clock.
    pub at: Timestamp,
    /// Whose doing it was.
    pub user: Option<UserId>,
    /// The API key that did it; `None` when it was none, or Close does not say.
    pub api_key: Option<String>,
    /// Whether it came by the call that rents; `None` when Close does not say.
    pub by_renting: Option<bool>,
    /// The number as it was then, if the log has it.
    pub facts: Option<Facts>,
}

impl Close {
    /// Creations of numbers, by number: the newest fifty in any case, and all since `since`. Every page that was needed,
    /// each of them whole, or an error.
    pub async fn creations(&self, since: Timestamp) -> Result<BTreeMap<PhoneNumberId, Creation>, Trouble> {
        let unavailable = |reason: &str| {
            Err(Trouble::Unavailable {
                reason: reason.to_owned(),
            })
        };
        let (mut found, mut cursor) = (BTreeMap::new(), None::<String>);
        for _ in 0..PAGES {
            let endpoint = Endpoint::Creations {
                cursor: cursor.as_deref(),
            };
            let page = match self.0.ask(endpoint, None, page).await {
                Err(Trouble::NotFound) => return unavailable("close does not know the event log (404)"),
                other => other?,
            };
            let oldest = page.events.last().map(|event| event.1.at);
            found.extend(page.events);
            match page.next {
                Some(next)
                    if oldest.is_some_and(|oldest| oldest >= since) && cursor.as_ref() != Some(&next) =>
                {
                    cursor = Some(next);
                }
                _ => return Ok(found),
            }
        }
        unavailable("the event log had no end")
    }
}

struct Page {
    events: Vec<(PhoneNumberId, Creation)>,
    next: Option<String>,
}

/// A page is whole or it is none: 200, a list, and in every row what says which number and when.
fn page(reply: Reply) -> Option<Page> {
    if reply.status != 200 {
        return None;
    }
    let Value::Object(mut body) = reply.body else {
        return None;
    };
    let next = match body.remove("cursor_next") {
        None | Some(Value::Null) => None,
        Some(Value::String(cursor)) => Some(cursor),
        Some(_) => return None,
    };
    let Value::Array(rows) = body.remove("data")? else {
        return None;
    };
    let events = rows.into_iter().map(creation).collect::<Option<Vec<_>>>()?;
    Some(Page { events, next })
}

fn creation(row: Value) -> Option<(PhoneNumberId, Creation)> {
    let Value::Object(mut event) = row else {
        return None;
    };
    let facts = event.remove("data").and_then(wire::facts);
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let id: PhoneNumberId = text("object_id")?.parse().ok()?;
    let path = event
        .get("meta")
        .and_then(|meta| meta.get("request_path"))
        .and_then(Value::as_str);
    let creation = Creation {
        at: text("date_created")?.parse().ok()?,
        user: text("user_id").and_then(|user| user.parse().ok()),
        api_key: text("api_key_id").map(str::to_owned),
        by_renting: path.map(|path| {
            path.trim_end_matches('/')
                .ends_with("phone_number/request/internal")
        }),
        facts: facts.filter(|facts| facts.id == id),
    };
    Some((id, creation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Option<Page> {
        page(Reply {
            status: 200,
            body,
            size: 0,
        })
    }

    #[test]
    fn an_event_tells_who_made_a_number_and_how() {
        let event = json!({
            "id": "ev_1", "object_type": "phone_number", "object_id": "phon_1", "action": "created",
            "date_created": "2026-11-23T10:05:00.123000", "user_id": "user_1", "api_key_id": "api_1",
            "data": {"id": "phon_1", "number": "+493012345678", "country": "DE"},
            "meta": {"request_method": "POST", "request_path": "/api/v1/phone_number/request/internal/"},
        });
        let page = read(json!({"data": [event], "cursor_next": "x", "cursor_previous": null})).unwrap();
        assert_eq!(page.next.as_deref(), Some("x"));
        let (id, creation) = &page.events[0];
        assert_eq!(id.as_str(), "phon_1");
        assert_eq!(creation.at, "2026-11-23T10:05:00.123Z".parse().unwrap());
        assert_eq!(creation.user.as_ref().unwrap().as_str(), "user_1");
        assert_eq!(creation.api_key.as_deref(), Some("api_1"));
        assert_eq!(creation.by_renting, Some(true));
        assert_eq!(creation.facts.as_ref().unwrap().number, "+493012345678");
    }

    #[test]
    fn what_close_leaves_out_is_not_known_and_what_it_garbles_is_no_page() {
        let bare = json!({"object_id": "phon_1", "date_created": "2026-11-23T10:05:00"});
        let page = read(json!({"data": [bare]})).unwrap();
        let creation = &page.events[0].1;
        assert_eq!(
            (
                &creation.user,
                &creation.api_key,
                creation.by_renting,
                &creation.facts
            ),
            (&None, &None, None, &None)
        );
        let other = json!({"object_id": "phon_1", "date_created": "2026-11-23T10:05:00",
            "data": {"id": "phon_2", "number": "+1"}, "meta": {"request_path": "/api/v1/phone_number/"}});
        let page = read(json!({"data": [other]})).unwrap();
        assert_eq!(
            (&page.events[0].1.facts, page.events[0].1.by_renting),
            (&None, Some(false))
        );
        for bad in [
            json!([]),
            json!({}),
            json!({"data": {}}),
            json!({"data": [1]}),
            json!({"data": [{"object_id": "x", "date_created": "2026-11-23T10:05:00"}]}),
            json!({"data": [{"object_id": "phon_1"}]}),
            json!({"data": [], "cursor_next": 5}),
        ] {
            assert!(read(bad.clone()).is_none(), "{bad}");
        }
    }
}
