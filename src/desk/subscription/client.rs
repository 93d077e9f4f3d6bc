//! Finds, creates, repairs and deletes the webhook subscriptions in Close that deliver to this service.
//!
//! There should be one. If there are several, the newest stays. So creating another subscription rotates the key.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::close::{CloseClient, Error as CloseError, Subscription};
use crate::domain::close_event::WEBHOOK_PATH;
use crate::domain::id::SubscriptionId;
use crate::domain::loopback::is_loopback;
use crate::domain::odd_record::OddRecord;

/// The number of subscriptions that Close allows an organization.
pub const ALLOWED: usize = 40;
/// The age of a subscription at which every replica knows its key, so that older ones can be deleted.
pub const OVERLAP: Duration = Duration::from_mins(10);

/// Manages the subscriptions to one URL, for the running service and for the command line.
#[derive(Clone)]
pub struct Subscriber {
    close: CloseClient,
    url: Url,
}

/// The subscriptions in Close.
#[derive(Debug)]
pub struct Found {
    /// Those that deliver to this service, newest first.
    pub own: Vec<Subscription>,
    /// How many the organization has in total.
    pub used: usize,
    /// Those that can't be read.
    pub odd: Vec<OddRecord>,
    /// Whether one of those may deliver to this service.
    pub odd_may_be_own: bool,
}

/// Why there is no usable subscription.
#[derive(Debug, thiserror::Error)]
pub enum Unsubscribed {
    /// The organization has as many as Close allows.
    #[error(
        "Close allows an organization {ALLOWED} webhook subscriptions, and this one has {used}: delete an unused one \
         in Close, or change one of them to deliver to {url} and write its key to the file of \
         close.webhook_signature_key_file; until then, only complete listings (inventory.full_sync) detect changes"
    )]
    Full {
        /// How many it has.
        used: usize,
        /// The URL that the service's own subscription would deliver to.
        url: Url,
    },
    /// Close delivers, but its signatures cannot be verified.
    #[error(
        "Close does not show the signature key of the webhook subscription {id}: replace the subscription with \
         `numberdesk webhooks rotate`, or write its key to the file of close.webhook_signature_key_file"
    )]
    KeyHidden {
        /// The subscription.
        id: SubscriptionId,
    },
    /// Close lists a subscription that can't be read and that may be this one.
    #[error(
        "Close lists a webhook subscription in an unexpected form, which may be the one that delivers to {url}, so none \
         is created: see `numberdesk doctor` for the record, and Close's webhook settings"
    )]
    Odd {
        /// The URL that the service's own subscription delivers to.
        url: Url,
    },
    /// Close refused, or did not answer.
    #[error("{}", WithReason(.0))]
    Close(#[source] Box<CloseError>),
}

impl From<CloseError> for Unsubscribed {
    fn from(failure: CloseError) -> Self {
        Self::Close(Box::new(failure))
    }
}

/// A failure with the reason that Close gave, if it gave one.
struct WithReason<'a>(&'a CloseError);

impl fmt::Display for WithReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        if let CloseError::Refused {
            reason, close_errors, ..
        } = self.0
        {
            if let Some(reason) = reason {
                write!(f, ": {reason}")?;
            }
            for (field, error) in close_errors.iter().flatten() {
                write!(f, "; {field}: {error}")?;
            }
        }
        Ok(())
    }
}

/// The URL to which Close delivers for a service at `public_url`. `None`: Close cannot reach it.
pub fn delivery_url(public_url: &Url, close: &Url) -> Option<Url> {
    let unreachable = is_loopback(public_url) && !is_loopback(close);
    if unreachable || public_url.port() == Some(0) {
        return None;
    }
    let mut url = public_url.clone();
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(WEBHOOK_PATH.split('/').skip(1));
    Some(url)
}

impl Subscriber {
    /// Creates a client for subscriptions to `url`, see [`delivery_url`]. Makes no call.
    pub fn new(close: CloseClient, url: Url) -> Self {
        Self { close, url }
    }

    /// The URL to which Close delivers.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The subscriptions in Close.
    pub async fn find(&self) -> Result<Found, Unsubscribed> {
        let all = self.close.subscriptions().await?;
        let used = all.known.len() + all.odd.len();
        let is_own = |url: &str| url.parse().is_ok_and(|url: Url| url == self.url);
        let own = all.known.into_iter();
        let mut own: Vec<_> = own.filter(|subscription| is_own(&subscription.url)).collect();
        own.sort_by(|one, other| age_key(other).cmp(&age_key(one)));
        let mut odd_urls = all.odd_urls.iter();
        let odd_may_be_own = odd_urls.any(|url| url.as_deref().is_none_or(is_own));
        Ok(Found {
            own,
            used,
            odd: all.odd,
            odd_may_be_own,
        })
    }

    /// The current state of a known subscription.
    pub(in crate::desk::subscription) async fn read(
        &self,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, Unsubscribed> {
        Ok(self.close.subscription(id).await?)
    }

    /// Creates a subscription. The organization already has `used` subscriptions.
    pub async fn create(&self, used: usize) -> Result<Subscription, Unsubscribed> {
        match self.close.subscribe(self.url.as_str()).await {
            Err(CloseError::Refused { status: 400, .. }) if used >= ALLOWED => Err(Unsubscribed::Full {
                used,
                url: self.url.clone(),
            }),
            created => Ok(created?),
        }
    }

    /// Adds missing event types, and resumes the subscription if Close paused it.
    pub async fn repair(&self, known: Subscription) -> Result<Subscription, Unsubscribed> {
        let mut repaired = known;
        if !repaired.complete {
            repaired = self.close.complete(&repaired.id).await?;
        }
        if repaired.is_paused() {
            repaired = self.close.resume(&repaired.id).await?;
        }
        Ok(repaired)
    }

    /// Deletes a subscription.
    pub async fn delete(&self, id: &SubscriptionId) -> Result<(), Unsubscribed> {
        Ok(self.close.unsubscribe(id).await?)
    }
}

/// The sort key by age, the same on every replica.
pub(in crate::desk::subscription) fn age_key(subscription: &Subscription) -> impl Ord + '_ {
    (subscription.created_at, &subscription.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_delivers_only_to_a_url_that_it_can_reach() {
        let real = "https://api.close.com/api/v1";
        let simulated = "http://127.0.0.1:8081/api/v1";
        for (public, close, expected) in [
            (
                "https://desk.example",
                real,
                Some("https://desk.example/webhooks/close"),
            ),
            (
                "https://desk.example/a/",
                real,
                Some("https://desk.example/a/webhooks/close"),
            ),
            (
                "https://desk.example/a",
                simulated,
                Some("https://desk.example/a/webhooks/close"),
            ),
            (
                "http://127.0.0.1:8080",
                simulated,
                Some("http://127.0.0.1:8080/webhooks/close"),
            ),
            ("http://127.0.0.1:8080", real, None),
            ("https://localhost", real, None),
            ("http://[::1]:8080", real, None),
            ("http://127.0.0.1:0", simulated, None),
        ] {
            let url = delivery_url(&public.parse().unwrap(), &close.parse().unwrap());
            assert_eq!(url.as_ref().map(Url::as_str), expected, "{public} {close}");
        }
    }
}
