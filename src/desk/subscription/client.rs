//! The webhook subscriptions that deliver to this desk: found, made, mended and ended, one call each. There is to be
//! one; of several the newest stays, so that a key is rotated by making another.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::close::{Close, Subscription, Trouble};
use crate::domain::close_event::WEBHOOK_PATH;
use crate::domain::id::SubscriptionId;
use crate::domain::loopback::is_loopback;

/// Subscriptions that Close allows an organization.
pub const ALLOWED: usize = 40;
/// When another subscription has been there for so long, every replica knows its key, and the older ones can go.
pub const OVERLAP: Duration = Duration::from_mins(10);

/// Looks after the subscriptions to one URL: for a desk that is running, and for the command line.
#[derive(Clone)]
pub struct Subscriber {
    close: Close,
    url: Url,
}

/// What there is at Close.
#[derive(Debug)]
pub struct Found {
    /// Those that deliver to this desk, the newest first.
    pub own: Vec<Subscription>,
    /// How many the organization has in all.
    pub used: usize,
}

/// Why there is no subscription, or none that is of use.
#[derive(Debug, thiserror::Error)]
pub enum Unsubscribed {
    /// Close would make no more.
    #[error(
        "Close allows an organization {ALLOWED} webhook subscriptions, and this one has {used}: end one in Close that \
         nobody needs any more, or have one of them deliver to {url} and write its key to the file of \
         close.webhook_signature_key_file; until then changes are noticed by complete listings alone \
         (inventory.full_sync)"
    )]
    Full {
        /// How many there are.
        used: usize,
        /// Where the desk's would deliver.
        url: Url,
    },
    /// Close delivers, and nobody can tell whether it is Close.
    #[error(
        "Close does not show the signature key of {id}: `numberdesk webhooks rotate` makes another subscription, or \
         write its key to the file of close.webhook_signature_key_file"
    )]
    KeyHidden {
        /// The subscription.
        id: SubscriptionId,
    },
    /// Close said no, or did not answer.
    #[error("{}", Said(.0))]
    Close(#[source] Box<Trouble>),
}

impl From<Trouble> for Unsubscribed {
    fn from(trouble: Trouble) -> Self {
        Self::Close(Box::new(trouble))
    }
}

/// Trouble with Close's own words, where it has any.
struct Said<'a>(&'a Trouble);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        if let Trouble::Refused {
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

/// Where Close is to deliver, for a desk that others reach at `public_url`; `None` when Close can't reach that.
pub fn delivery_url(public_url: &Url, close: &Url) -> Option<Url> {
    let here = is_loopback(public_url) && !is_loopback(close);
    if here || public_url.port() == Some(0) {
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
    /// For deliveries to `url`, see [`delivery_url`]. Asks nobody.
    pub fn new(close: Close, url: Url) -> Self {
        Self { close, url }
    }

    /// Where Close is to deliver.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What there is.
    pub async fn find(&self) -> Result<Found, Unsubscribed> {
        let all = self.close.subscriptions().await?;
        let used = all.len();
        let ours = |it: &Subscription| it.url.parse().is_ok_and(|url: Url| url == self.url);
        let mut own: Vec<_> = all.into_iter().filter(ours).collect();
        own.sort_by(|one, other| place(other).cmp(&place(one)));
        Ok(Found { own, used })
    }

    /// One that is known, as it is now.
    pub(in crate::desk) async fn read(
        &self,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, Unsubscribed> {
        Ok(self.close.subscription(id).await?)
    }

    /// Makes one where `used` are there already.
    pub async fn make(&self, used: usize) -> Result<Subscription, Unsubscribed> {
        match self.close.subscribe(self.url.as_str()).await {
            Err(Trouble::Refused { status: 400, .. }) if used >= ALLOWED => Err(Unsubscribed::Full {
                used,
                url: self.url.clone(),
            }),
            made => Ok(made?),
        }
    }

    /// Has it tell of everything that the desk wants to hear of, and deliver again if it was paused.
    pub async fn mend(&self, known: Subscription) -> Result<Subscription, Unsubscribed> {
        let mut mended = known;
        if !mended.complete {
            mended = self.close.complete(&mended.id).await?;
        }
        if !mended.active {
            mended = self.close.resume(&mended.id).await?;
        }
        Ok(mended)
    }

    /// Ends one.
    pub async fn end(&self, id: &SubscriptionId) -> Result<(), Unsubscribed> {
        Ok(self.close.unsubscribe(id).await?)
    }
}

/// What orders subscriptions by age, on every replica alike.
pub(in crate::desk) fn place(subscription: &Subscription) -> impl Ord + '_ {
    (subscription.created_at, &subscription.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_delivers_where_it_can_reach_the_desk() {
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
