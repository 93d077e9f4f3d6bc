//! The closed list of calls to Close: code can't express any other method and path.

use reqwest::Method;
use url::Url;

use crate::domain::id::{GroupId, PhoneNumberId, SubscriptionId};
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

/// The rows of one page of a listing: Close's default.
const ROWS: &str = "100";
/// The events of one page of the log: Close's maximum.
const EVENTS: &str = "50";

string_enum! {
    /// A change to a number, as the event log names it.
    Change {
        /// The number was added.
        Created = "created",
        /// The number was changed.
        Updated = "updated",
        /// The number was removed.
        Deleted = "deleted",
    }
}

/// One call that the service may make.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint<'a> {
    /// `POST phone_number/request/internal/`, the paid one.
    Rent,
    /// `GET phone_number/`, from this row on.
    List { skip: usize },
    /// `GET phone_number/{id}/`.
    Read(&'a PhoneNumberId),
    /// `PUT phone_number/{id}/`.
    Update(&'a PhoneNumberId),
    /// `DELETE phone_number/{id}/`.
    Release(&'a PhoneNumberId),
    /// `GET event/`, newest first, from this cursor on.
    Events { of: Events<'a>, cursor: Option<&'a str> },
    /// `GET me/`.
    Me,
    /// `GET group/{id}/`.
    Members(&'a GroupId),
    /// `GET webhook/`, from this row on.
    Subscriptions { skip: usize },
    /// `GET webhook/{id}/`.
    Subscription(&'a SubscriptionId),
    /// `POST webhook/`.
    Subscribe,
    /// `PUT webhook/{id}/`.
    ChangeSubscription(&'a SubscriptionId),
    /// `DELETE webhook/{id}/`.
    Unsubscribe(&'a SubscriptionId),
}

/// A query of the event log: a combination of filters that Close accepts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Events<'a> {
    /// One kind of change to any number, since a moment by Close's clock, or without a bound.
    Changes {
        change: Change,
        since: Option<Timestamp>,
    },
    /// The creation of one number.
    CreationOf(&'a PhoneNumberId),
}

impl Endpoint<'_> {
    /// The name in metrics and logs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rent => "rent",
            Self::List { .. } => "list",
            Self::Read(_) => "read",
            Self::Update(_) => "update",
            Self::Release(_) => "release",
            Self::Events { .. } => "events",
            Self::Me => "me",
            Self::Members(_) => "group",
            Self::Subscriptions { .. } | Self::Subscription(_) => "subscriptions",
            Self::Subscribe => "subscribe",
            Self::ChangeSubscription(_) => "change_subscription",
            Self::Unsubscribe(_) => "unsubscribe",
        }
    }

    pub(super) const fn method(self) -> Method {
        match self {
            Self::Rent | Self::Subscribe => Method::POST,
            Self::List { .. }
            | Self::Read(_)
            | Self::Events { .. }
            | Self::Me
            | Self::Members(_)
            | Self::Subscriptions { .. }
            | Self::Subscription(_) => Method::GET,
            Self::Update(_) | Self::ChangeSubscription(_) => Method::PUT,
            Self::Release(_) | Self::Unsubscribe(_) => Method::DELETE,
        }
    }

    /// The group of its rate limit.
    pub(super) const fn group(self) -> Group {
        match self {
            Self::Rent => Group::Rent,
            Self::List { .. } | Self::Read(_) => Group::Read,
            Self::Update(_) => Group::Update,
            Self::Release(_) => Group::Release,
            Self::Events { .. } => Group::Events,
            Self::Me => Group::Me,
            Self::Members(_) => Group::Members,
            Self::Subscriptions { .. } | Self::Subscription(_) => Group::ReadSubscriptions,
            Self::Subscribe => Group::Subscribe,
            Self::ChangeSubscription(_) => Group::ChangeSubscription,
            Self::Unsubscribe(_) => Group::Unsubscribe,
        }
    }

    /// How urgent it is, as a label value in metrics.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Rent | Self::Release(_) | Self::Update(_) => "change",
            Self::List { .. } | Self::Events { .. } => "listing",
            _ => "read_back",
        }
    }

    /// Whether it leaves the rest of a rate limit to more urgent calls.
    pub(super) const fn can_wait(self) -> bool {
        matches!(self, Self::List { .. } | Self::Events { .. })
    }

    /// Whether a second request does no harm and does not hide the outcome of the first.
    pub(super) const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Rent | Self::Release(_) | Self::Subscribe)
    }

    /// Whether it is about one object that has an id.
    pub(super) const fn is_about_one_object(self) -> bool {
        matches!(
            self,
            Self::Read(_)
                | Self::Update(_)
                | Self::Release(_)
                | Self::Members(_)
                | Self::Subscription(_)
                | Self::ChangeSubscription(_)
                | Self::Unsubscribe(_)
        )
    }

    /// The largest response that is read, in bytes.
    pub(super) const fn cap(self) -> usize {
        match self {
            Self::List { .. } | Self::Events { .. } | Self::Subscriptions { .. } => 8 << 20,
            _ => 1 << 20,
        }
    }

    /// The URL under `base`, built from path segments, with the trailing slash that Close requires.
    pub(super) fn url(self, base: &Url) -> Url {
        let mut url = base.clone();
        {
            let mut path = url
                .path_segments_mut()
                .expect("the base was checked to be http or https");
            path.pop_if_empty();
            match self {
                Self::Rent => path.extend(["phone_number", "request", "internal"]),
                Self::List { .. } => path.push("phone_number"),
                Self::Read(id) | Self::Update(id) | Self::Release(id) => {
                    path.extend(["phone_number", id.as_str()])
                }
                Self::Events { .. } => path.push("event"),
                Self::Me => path.push("me"),
                Self::Members(id) => path.extend(["group", id.as_str()]),
                Self::Subscriptions { .. } | Self::Subscribe => path.push("webhook"),
                Self::Subscription(id) | Self::ChangeSubscription(id) | Self::Unsubscribe(id) => {
                    path.extend(["webhook", id.as_str()])
                }
            };
            path.push("");
        }
        match self {
            Self::List { skip } => {
                url.query_pairs_mut()
                    .append_pair("_limit", ROWS)
                    .append_pair("_skip", &skip.to_string());
            }
            // The page size is not documented, so Close's default holds.
            Self::Subscriptions { skip } if skip > 0 => {
                url.query_pairs_mut().append_pair("_skip", &skip.to_string());
            }
            Self::Events { of, cursor } => {
                let mut query = url.query_pairs_mut();
                match of {
                    Events::Changes { change, since } => {
                        query
                            .append_pair("object_type", "phone_number")
                            .append_pair("action", change.as_str());
                        // Close accepts a cursor with the other filters, but not with bounds of time.
                        if let (Some(since), None) = (since, cursor) {
                            query.append_pair("date_updated__gte", &since.to_shortest());
                        }
                    }
                    Events::CreationOf(id) => {
                        query
                            .append_pair("object_id", id.as_str())
                            .append_pair("action", Change::Created.as_str());
                    }
                }
                query.append_pair("_limit", EVENTS);
                if let Some(cursor) = cursor {
                    query.append_pair("_cursor", cursor);
                }
            }
            _ => {}
        }
        url
    }
}

/// The calls that share a rate limit: same method and first path segment; renting has its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Group {
    Rent,
    Read,
    Update,
    Release,
    Events,
    Me,
    Members,
    ReadSubscriptions,
    Subscribe,
    ChangeSubscription,
    Unsubscribe,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_url_is_under_the_base_and_ends_with_a_slash() {
        let (number, group) = ("phon_A1".parse().unwrap(), "group_B2".parse().unwrap());
        let subscription = "whsub_C3".parse().unwrap();
        let since = Some("2026-11-23T10:00:00Z".parse().unwrap());
        let expected = [
            (Endpoint::Rent, "POST", "phone_number/request/internal/"),
            (
                Endpoint::List { skip: 200 },
                "GET",
                "phone_number/?_limit=100&_skip=200",
            ),
            (Endpoint::Read(&number), "GET", "phone_number/phon_A1/"),
            (Endpoint::Update(&number), "PUT", "phone_number/phon_A1/"),
            (Endpoint::Release(&number), "DELETE", "phone_number/phon_A1/"),
            (
                Endpoint::Events {
                    of: Events::Changes {
                        change: Change::Created,
                        since: None,
                    },
                    cursor: Some("a=b&c"),
                },
                "GET",
                "event/?object_type=phone_number&action=created&_limit=50&_cursor=a%3Db%26c",
            ),
            (
                Endpoint::Events {
                    of: Events::Changes {
                        change: Change::Deleted,
                        since,
                    },
                    cursor: None,
                },
                "GET",
                "event/?object_type=phone_number&action=deleted&date_updated__gte=2026-11-23T10%3A00%3A00Z&_limit=50",
            ),
            (
                Endpoint::Events {
                    of: Events::Changes {
                        change: Change::Updated,
                        since,
                    },
                    cursor: Some("x"),
                },
                "GET",
                "event/?object_type=phone_number&action=updated&_limit=50&_cursor=x",
            ),
            (
                Endpoint::Events {
                    of: Events::CreationOf(&number),
                    cursor: None,
                },
                "GET",
                "event/?object_id=phon_A1&action=created&_limit=50",
            ),
            (Endpoint::Subscriptions { skip: 0 }, "GET", "webhook/"),
            (Endpoint::Subscriptions { skip: 7 }, "GET", "webhook/?_skip=7"),
            (Endpoint::Subscription(&subscription), "GET", "webhook/whsub_C3/"),
            (Endpoint::Subscribe, "POST", "webhook/"),
            (
                Endpoint::ChangeSubscription(&subscription),
                "PUT",
                "webhook/whsub_C3/",
            ),
            (
                Endpoint::Unsubscribe(&subscription),
                "DELETE",
                "webhook/whsub_C3/",
            ),
            (Endpoint::Me, "GET", "me/"),
            (Endpoint::Members(&group), "GET", "group/group_B2/"),
        ];
        for base in [
            "https://api.close.com/api/v1",
            "https://api.close.com/api/v1/",
            "http://127.0.0.1:9",
            "http://127.0.0.1:9/a/b",
        ] {
            let root = base.trim_end_matches('/');
            for (endpoint, method, path) in expected {
                let url = endpoint.url(&Url::parse(base).unwrap());
                assert_eq!(url.as_str(), format!("{root}/{path}"));
                assert_eq!(endpoint.method().as_str(), method);
            }
        }
    }
}
