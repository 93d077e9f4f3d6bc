//! Close's event log: how numbers were created, and what changed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::close::client::CloseClient;
use crate::close::endpoint::{Change, Endpoint, Events};
use crate::close::error::Error;
use crate::close::event_json;
use crate::close::json;
use crate::close::odd::{self, Listed};
use crate::close::response::Reply;
use crate::domain::close_event::CloseEvent;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::number::Facts;
use crate::domain::odd_record::OddRecord;
use crate::domain::time::Timestamp;

/// The most pages of the log that are read at once: more events than happen between two reads.
const PAGES: usize = 100;

/// How a number came into the organization, or left it, according to the event log.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// When, by Close's clock.
    pub at: Timestamp,
    /// The user who did it.
    pub user: Option<UserId>,
    /// The API key that did it; `None` if no key did, or Close does not say.
    pub api_key: Option<String>,
    /// Whether it came by the call that rents; `None` if Close does not say.
    pub by_renting: Option<bool>,
    /// The number at that time, if the log has it.
    pub facts: Option<Facts>,
    /// The organization of the event.
    pub organization: Option<String>,
}

/// How numbers came into the organization, and the events that can't be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Creations {
    /// By number.
    pub known: BTreeMap<PhoneNumberId, Creation>,
    /// The events that can't be read.
    pub odd: Vec<OddRecord>,
}

impl CloseClient {
    /// Reads creations of numbers, by number: the newest fifty, and all since `since` by Close's clock.
    ///
    /// All pages that are needed are complete, or it is an error.
    pub async fn creations(&self, since: Timestamp) -> Result<Creations, Error> {
        let (change, bound) = (Change::Created, None);
        let of = Events::Changes { change, since: bound };
        let found = self.log(of, since, creation).await?;
        Ok(Creations {
            known: found.items.into_iter().map(|(_, creation)| creation).collect(),
            odd: found.odd,
        })
    }

    /// Reads releases of numbers, by number: the newest fifty, and all since `since` by Close's clock.
    ///
    /// All pages that are needed are complete, or it is an error.
    pub async fn deletions(&self, since: Timestamp) -> Result<BTreeMap<PhoneNumberId, Creation>, Error> {
        let (change, bound) = (Change::Deleted, None);
        let of = Events::Changes { change, since: bound };
        let found = self.log(of, since, creation).await?;
        Ok(found.items.into_iter().map(|(_, deletion)| deletion).collect())
    }

    /// Reads one kind of change to numbers since `since` by Close's clock, newest first: all pages complete, or an
    /// error.
    ///
    /// Changes that happen meanwhile may be missing, so the next read should start some minutes earlier.
    pub async fn changes(&self, change: Change, since: Timestamp) -> Result<Listed<CloseEvent>, Error> {
        let bound = Some(since);
        let of = Events::Changes { change, since: bound };
        let found = self.log(of, since, |event| change_of(change, &event)).await?;
        let recent = found.items.into_iter().filter(|(at, _)| *at >= since);
        Ok(Listed {
            items: recent.map(|(_, event)| event).collect(),
            odd: found.odd,
        })
    }

    /// Reads how a number was created; `None` if the log does not say, no longer, or not in a readable form.
    pub async fn creation_of(&self, id: &PhoneNumberId) -> Result<Option<Creation>, Error> {
        let of = Events::CreationOf(id);
        let found = self
            .log(of, Timestamp::from_micros(i64::MIN), |event| {
                creation(event).filter(|(_, (of, _))| of == id)
            })
            .await?;
        Ok(found.items.into_iter().next().map(|(_, (_, creation))| creation))
    }

    /// Reads the log back to `since`, each event with its time.
    async fn log<T>(
        &self,
        of: Events<'_>,
        since: Timestamp,
        read: impl Fn(Map<String, Value>) -> Option<(Timestamp, T)>,
    ) -> Result<Listed<(Timestamp, T)>, Error> {
        let unavailable = |reason: &str| {
            Err(Error::Unavailable {
                reason: reason.to_owned(),
            })
        };
        let (mut found, mut cursor) = (Listed::default(), None::<String>);
        for _ in 0..PAGES {
            let endpoint = Endpoint::Events {
                of,
                cursor: cursor.as_deref(),
            };
            let page = match self.0.ask(endpoint, None, |reply| page(reply, &read)).await {
                Err(Error::NotFound) => return unavailable("close does not know the event log (404)"),
                other => other?,
            };
            let oldest = page.events.items.last().map(|(at, _)| *at);
            let is_empty = page.events.len() == 0;
            found.items.extend(page.events.items);
            for odd in page.events.odd {
                found.push_odd(odd);
            }
            match page.next {
                // A page of which nothing can be read does not show how far back the log was read.
                Some(next)
                    if oldest.map_or(!is_empty, |oldest| oldest >= since)
                        && cursor.as_ref() != Some(&next) =>
                {
                    cursor = Some(next);
                }
                _ => return Ok(found),
            }
        }
        unavailable("the event log had too many pages")
    }
}

struct Page<T> {
    events: Listed<(Timestamp, T)>,
    next: Option<String>,
}

/// Reads a page event by event; `None` unless the status is 200, and it is a page.
fn page<T>(reply: Reply, read: impl Fn(Map<String, Value>) -> Option<(Timestamp, T)>) -> Option<Page<T>> {
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
    let events = Listed::read(rows, |row| {
        let odd = odd::event(&row);
        match row {
            Value::Object(event) => read(event).ok_or(odd),
            _ => Err(odd),
        }
    });
    Some(Page { events, next })
}

/// Reads a change of this kind to a number, with the time of the event's last change.
fn change_of(change: Change, object: &Map<String, Value>) -> Option<(Timestamp, CloseEvent)> {
    let event = event_json::event(object)?;
    let number = event.object_id.as_ref()?.parse::<PhoneNumberId>().is_ok();
    let requested = event.object_type == "phone_number" && event.action == change.as_str();
    (number && requested).then_some((event.updated?, event))
}

/// Reads which number was created, and how, with the time of the event.
fn creation(mut event: Map<String, Value>) -> Option<(Timestamp, (PhoneNumberId, Creation))> {
    let facts = event.remove("data").and_then(json::facts);
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
        organization: text("organization_id").map(str::to_owned),
    };
    Some((creation.at, (id, creation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(body: Value) -> Reply {
        Reply {
            status: 200,
            body,
            size: 0,
        }
    }

    fn read(body: Value) -> Option<Page<(PhoneNumberId, Creation)>> {
        page(reply(body), creation)
    }

    #[test]
    fn an_event_has_the_creator_of_a_number_and_the_way() {
        let event = json!({
            "id": "ev_1", "object_type": "phone_number", "object_id": "phon_1", "action": "created",
            "date_created": "2026-11-23T10:05:00.123000", "user_id": "user_1", "api_key_id": "api_1",
            "data": {"id": "phon_1", "number": "+493012345678", "country": "DE"},
            "meta": {"request_method": "POST", "request_path": "/api/v1/phone_number/request/internal/"},
        });
        let page = read(json!({"data": [event], "cursor_next": "x", "cursor_previous": null})).unwrap();
        assert_eq!(page.next.as_deref(), Some("x"));
        let (_, (id, creation)) = &page.events.items[0];
        assert_eq!(id.as_str(), "phon_1");
        assert_eq!(creation.at, "2026-11-23T10:05:00.123Z".parse().unwrap());
        assert_eq!(creation.user.as_ref().unwrap().as_str(), "user_1");
        assert_eq!(creation.api_key.as_deref(), Some("api_1"));
        assert_eq!(creation.by_renting, Some(true));
        assert_eq!(creation.facts.as_ref().unwrap().number, "+493012345678");
    }

    #[test]
    fn missing_members_are_unknown_and_an_invalid_page_is_rejected() {
        let bare = json!({"object_id": "phon_1", "date_created": "2026-11-23T10:05:00"});
        let page = read(json!({"data": [bare]})).unwrap();
        let creation = &page.events.items[0].1.1;
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
            (
                &page.events.items[0].1.1.facts,
                page.events.items[0].1.1.by_renting
            ),
            (&None, Some(false))
        );
        for bad in [
            json!([]),
            json!({}),
            json!({"data": {}}),
            json!({"data": [], "cursor_next": 5}),
        ] {
            assert!(read(bad.clone()).is_none(), "{bad}");
        }
        let good = json!({"object_id": "phon_1", "date_created": "2026-11-23T10:05:00"});
        for (odd, fault) in [
            (json!(1), "it is not a JSON object"),
            (
                json!({"object_id": "x", "date_created": "2026-11-23T10:05:00"}),
                "`object_id` has an unexpected form",
            ),
            (json!({"object_id": "phon_2"}), "`date_created` is missing"),
        ] {
            let page = read(json!({"data": [odd, good]})).unwrap().events;
            assert_eq!((page.items.len(), page.odd.len()), (1, 1), "{odd}");
            assert_eq!(page.odd[0].fault, fault);
        }
    }

    #[test]
    fn a_page_of_changes_has_only_the_requested_changes_of_numbers() {
        let event = |change: Value| {
            let mut event = json!({"id": "ev_1", "object_type": "phone_number", "object_id": "phon_1",
                "action": "updated", "date_updated": "2026-11-23T10:05:00.123000"});
            for (name, value) in change.as_object().unwrap() {
                event[name] = value.clone();
            }
            page(reply(json!({"data": [event]})), |event| {
                change_of(Change::Updated, &event)
            })
        };
        let good = event(json!({})).unwrap();
        let (at, change) = &good.events.items[0];
        assert_eq!(Some(*at), change.updated);
        assert_eq!(change.object_id.as_deref(), Some("phon_1"));
        for odd in [
            json!({"object_type": "group"}),
            json!({"object_type": null}),
            json!({"object_id": "group_1"}),
            json!({"object_id": null}),
            json!({"action": "created"}),
            json!({"date_updated": null}),
            json!({"date_updated": "soon"}),
        ] {
            let page = event(odd.clone()).unwrap().events;
            assert_eq!((page.items.len(), page.odd.len()), (0, 1), "{odd}");
        }
    }
}
