//! Sees to it that Close tells this desk what happens: one subscription, active, its key known. One idempotent step,
//! for any number of replicas.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use url::Url;

use crate::close::{SignatureKey, Subscription};
use crate::desk::Desk;
use crate::desk::health::Hold;
use crate::desk::subscription::client::{ALLOWED, OVERLAP, Subscriber, Unsubscribed, place};
use crate::telemetry::metrics::{CLOSE_SUBSCRIPTIONS, WEBHOOK_SUBSCRIPTION_ACTIVE};

/// How often keys are asked for because of a signature that none of them made.
const DOUBT: Duration = Duration::from_mins(1);

/// Where the keys come from that Close's deliveries are checked with.
#[derive(Debug, Clone)]
pub enum Webhooks {
    /// From the configuration, by [`Desk::adopt_webhook_keys`]. Close is not asked.
    Configured,
    /// From a subscription of the desk's own, which delivers to this URL.
    Own(Url),
    /// From nowhere: deliveries are not expected.
    Nowhere,
}

/// What is known of the desk's own subscription.
pub(in crate::desk) struct Watch {
    keys: ArcSwap<Vec<SignatureKey>>,
    /// The one that this process made: listings may lag behind, and may not show its key.
    made: ArcSwapOption<Subscription>,
    health: ArcSwap<&'static str>,
    used: AtomicUsize,
    doubted: Hold,
}

impl Watch {
    pub(in crate::desk) fn new(webhooks: &Webhooks) -> Self {
        let health = match webhooks {
            Webhooks::Configured => "key configured",
            Webhooks::Own(_) => "not asked yet",
            Webhooks::Nowhere => "not configured",
        };
        Self {
            keys: ArcSwap::default(),
            made: ArcSwapOption::empty(),
            health: ArcSwap::from_pointee(health),
            used: AtomicUsize::new(0),
            doubted: Hold::default(),
        }
    }

    /// In a word or two, for people.
    pub(in crate::desk) fn health(&self) -> &'static str {
        **self.health.load()
    }

    fn is(&self, health: &'static str) {
        self.health.store(Arc::new(health));
        if health != "unknown" {
            // One whose deliveries fail tells nobody anything, for three days, before Close pauses it.
            metrics::gauge!(WEBHOOK_SUBSCRIPTION_ACTIVE).set(f64::from(u8::from(health == "ok")));
        }
    }

    /// How many subscriptions the organization has; told when there is no room for another.
    fn counted(&self, used: usize) {
        metrics::gauge!(CLOSE_SUBSCRIPTIONS).set(f64::from(u32::try_from(used).unwrap_or(u32::MAX)));
        if used >= ALLOWED && self.used.load(Ordering::Relaxed) != used {
            tracing::warn!(
                used,
                allowed = ALLOWED,
                "the Close organization has used up its webhook subscriptions: should this desk's be lost, it can't make another"
            );
        }
        self.used.store(used, Ordering::Relaxed);
    }

    fn learn(&self, own: &[Subscription]) {
        let keys = own.iter().filter_map(|it| self.key(it)).collect();
        self.keys.store(Arc::new(keys));
    }

    fn key(&self, subscription: &Subscription) -> Option<SignatureKey> {
        subscription.key.clone().or_else(|| {
            let made = self.made.load_full()?;
            made.key.clone().filter(|_| made.id == subscription.id)
        })
    }
}

impl Desk {
    /// The keys that Close's deliveries may be signed with, now.
    pub fn webhook_keys(&self) -> Arc<Vec<SignatureKey>> {
        self.0.webhooks.keys.load_full()
    }

    /// Puts keys from the configuration in force, from the next delivery on.
    pub fn adopt_webhook_keys(&self, keys: Vec<SignatureKey>) {
        self.0.webhooks.keys.store(Arc::new(keys));
    }

    /// Something came whose signature none of the keys made: another replica or a person may have rotated them. Has them
    /// asked for anew, at most once a minute.
    pub fn doubt_keys(&self) {
        let (now, doubted) = (self.now(), &self.0.webhooks.doubted);
        if !doubted.hold(now) {
            doubted.until(now.plus(DOUBT));
            self.0.wakes.subscription.notify_one();
        }
    }

    /// Finds the desk's own subscription, and makes, completes or resumes it; ends those that another one has replaced.
    /// Wakes [`crate::desk::Wakes::missed`] when deliveries may have been missed.
    pub async fn keep_subscription(&self) -> Result<(), Unsubscribed> {
        let Webhooks::Own(url) = &self.0.settings.webhooks else {
            return Ok(());
        };
        let (watch, subscriber) = (
            &self.0.webhooks,
            Subscriber::new(self.0.close.clone(), url.clone()),
        );
        let (own, used) = self.own(&subscriber).await.inspect_err(|_| watch.is("unknown"))?;
        watch.counted(used);
        watch.learn(&own);
        let Some(newest) = own.first() else {
            watch.is("none");
            let made = subscriber.make(used).await?;
            tracing::info!(id = %made.id, %url, "made a webhook subscription in Close");
            watch.made.store(Some(Arc::new(made.clone())));
            watch.learn(std::slice::from_ref(&made));
            watch.counted(used + 1);
            self.0.wakes.missed.notify_one();
            return self.kept(&made);
        };
        let newest = self.mended(&subscriber, newest).await?;
        for older in own.iter().skip(1).filter(|_| self.is_settled(&newest)) {
            subscriber.end(&older.id).await?;
            tracing::info!(id = %older.id, successor = %newest.id, "ended a webhook subscription that another has replaced");
            watch.learn(std::slice::from_ref(&newest));
        }
        self.kept(&newest)
    }

    /// The desk's own subscriptions, newest first, and how many the organization has.
    async fn own(&self, subscriber: &Subscriber) -> Result<(Vec<Subscription>, usize), Unsubscribed> {
        let found = subscriber.find().await?;
        let (mut own, mut used) = (found.own, found.used);
        let made = &self.0.webhooks.made;
        if let Some(unlisted) = made
            .load_full()
            .filter(|made| !own.iter().any(|it| it.id == made.id))
        {
            match subscriber.read(&unlisted.id).await? {
                Some(it) => {
                    own.push(it);
                    own.sort_by(|one, other| place(other).cmp(&place(one)));
                    used += 1;
                }
                None => made.store(None),
            }
        }
        Ok((own, used))
    }

    async fn mended(
        &self,
        subscriber: &Subscriber,
        known: &Subscription,
    ) -> Result<Subscription, Unsubscribed> {
        if !known.active {
            self.0.webhooks.is("paused");
            tracing::warn!(
                id = %known.id,
                reason = known.pause_reason,
                latest_error = known.latest_error,
                "Close has paused the webhook subscription: it is resumed, and what was missed is looked for"
            );
        }
        let mended = subscriber.mend(known.clone()).await?;
        if !(known.active && known.complete) {
            tracing::info!(id = %mended.id, "mended the webhook subscription in Close");
            self.0.wakes.missed.notify_one();
        }
        Ok(mended)
    }

    /// Whether every replica has had the time to learn its key.
    fn is_settled(&self, newest: &Subscription) -> bool {
        let (theirs, _) = self.at_close(self.now());
        newest.active
            && newest
                .created_at
                .is_none_or(|created| theirs.since(created) >= OVERLAP)
    }

    fn kept(&self, subscription: &Subscription) -> Result<(), Unsubscribed> {
        let watch = &self.0.webhooks;
        let well = subscription
            .health
            .as_deref()
            .is_none_or(|word| word == "healthy");
        let known = watch.key(subscription).is_some();
        watch.is(match (subscription.active, known, well) {
            (false, _, _) => "paused",
            (true, false, _) => "key unknown",
            (true, true, false) => "failing",
            (true, true, true) => "ok",
        });
        if known {
            Ok(())
        } else {
            let id = subscription.id.clone();
            Err(Unsubscribed::KeyHidden { id })
        }
    }
}
