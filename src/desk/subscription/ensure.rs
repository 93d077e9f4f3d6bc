//! Ensures that Close delivers webhooks to this service: one active subscription whose key is known.
//!
//! The step is idempotent, and any number of replicas can run it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::close::{SignatureKey, Subscription};
use crate::desk::core::SignatureKeySource;
use crate::desk::subscription::client::{ALLOWED, OVERLAP, Subscriber, Unsubscribed, age_key};
use crate::desk::subscription::{CloseSubscription, State};
use crate::domain::odd_record::{OddKind, OddRecord};
use crate::telemetry::metrics::{CLOSE_SUBSCRIPTIONS, WEBHOOK_SUBSCRIPTION_ACTIVE};

/// The shortest pause between two requests for keys because of an unknown signature.
const RECHECK: Duration = Duration::from_mins(1);

impl State {
    fn set_health(&self, health: &'static str) {
        self.health.store(Arc::new(health));
        if health != "unknown" {
            // A subscription whose deliveries fail stays active in Close for three days, but it is of no use.
            metrics::gauge!(WEBHOOK_SUBSCRIPTION_ACTIVE).set(f64::from(u8::from(health == "ok")));
        }
    }

    /// Records how many subscriptions the organization has, and warns if Close allows no more.
    fn set_used(&self, used: usize) {
        metrics::gauge!(CLOSE_SUBSCRIPTIONS).set(f64::from(u32::try_from(used).unwrap_or(u32::MAX)));
        if used >= ALLOWED && self.used.load(Ordering::Relaxed) != used {
            tracing::warn!(
                used,
                allowed = ALLOWED,
                "webhook subscriptions of the organization used up; a lost one can't be created again"
            );
        }
        self.used.store(used, Ordering::Relaxed);
    }

    fn set_keys_of(&self, own: &[Subscription]) {
        let keys = own
            .iter()
            .filter_map(|subscription| self.key(subscription))
            .collect();
        self.keys.store(Arc::new(keys));
    }

    fn key(&self, subscription: &Subscription) -> Option<SignatureKey> {
        subscription.key.clone().or_else(|| {
            let created = self.created.load_full()?;
            created.key.clone().filter(|_| created.id == subscription.id)
        })
    }
}

impl CloseSubscription {
    /// The keys that may sign Close's webhooks now.
    pub fn keys(&self) -> Arc<Vec<SignatureKey>> {
        self.state.keys.load_full()
    }

    /// Uses keys from the configuration, from the next webhook on.
    pub fn set_keys(&self, keys: Vec<SignatureKey>) {
        self.state.keys.store(Arc::new(keys));
    }

    /// The state of the subscription, as the readiness report shows it.
    pub(in crate::desk) fn health(&self) -> &'static str {
        **self.state.health.load()
    }

    /// Requests the keys again, at most once a minute, because no known key matches a signature.
    ///
    /// Another replica or a person may have rotated the key.
    pub fn recheck_keys(&self) {
        let (now, rechecked) = (self.core.clock.steady(), &self.state.rechecked);
        if !rechecked.is_active(now) {
            rechecked.start(now.plus(RECHECK));
            self.core.signals.subscription.notify_one();
        }
    }

    /// One step: creates or repairs the service's own subscription, and deletes replaced ones.
    ///
    /// Wakes [`crate::desk::Signals::catch_up`] if webhooks may have been missed.
    pub async fn ensure(&self) -> Result<(), Unsubscribed> {
        let SignatureKeySource::Subscription(url) = &self.core.settings.signature_keys else {
            return Ok(());
        };
        let (state, subscriber) = (&self.state, Subscriber::new(self.core.close.clone(), url.clone()));
        let (own, used, odd_may_be_own) = self
            .find_own(&subscriber)
            .await
            .inspect_err(|_| state.set_health("unknown"))?;
        state.set_used(used);
        state.set_keys_of(&own);
        let Some(newest) = own.first() else {
            // Another one at each check would use up what Close allows.
            if odd_may_be_own {
                state.set_health("unknown");
                return Err(Unsubscribed::Odd { url: url.clone() });
            }
            state.set_health("none");
            let created = subscriber.create(used).await?;
            tracing::info!(subscription_id = %created.id, %url, "webhook subscription created in Close");
            state.created.store(Some(Arc::new(created.clone())));
            state.set_keys_of(std::slice::from_ref(&created));
            state.set_used(used + 1);
            self.core.signals.catch_up.notify_one();
            return self.check_key(&created);
        };
        let newest = self.repair(&subscriber, newest).await?;
        // One that can't be deleted must keep neither the others nor the health of the newest waiting.
        let mut deleted = Ok(());
        for older in own
            .iter()
            .skip(1)
            .filter(|_| self.key_is_known_everywhere(&newest))
        {
            if let Err(failure) = subscriber.delete(&older.id).await {
                deleted = Err(failure);
                continue;
            }
            tracing::info!(
                subscription_id = %older.id,
                replaced_by = %newest.id,
                "replaced webhook subscription deleted in Close"
            );
            state.set_keys_of(std::slice::from_ref(&newest));
        }
        self.check_key(&newest).and(deleted)
    }

    /// The service's own subscriptions, newest first, how many the organization has, and whether one of those that can't
    /// be read may be the service's own.
    async fn find_own(
        &self,
        subscriber: &Subscriber,
    ) -> Result<(Vec<Subscription>, usize, bool), Unsubscribed> {
        let found = subscriber.find().await?;
        self.note_odd(&found.odd).await;
        let (mut own, mut used) = (found.own, found.used);
        let created = &self.state.created;
        if let Some(unlisted) = created
            .load_full()
            .filter(|created| !own.iter().any(|listed| listed.id == created.id))
        {
            match subscriber.read(&unlisted.id).await? {
                Some(subscription) => {
                    own.push(subscription);
                    own.sort_by(|one, other| age_key(other).cmp(&age_key(one)));
                    used += 1;
                }
                None => created.store(None),
            }
        }
        Ok((own, used, found.odd_may_be_own))
    }

    /// Notes the subscriptions that can't be read. The others are used even if the database is away.
    async fn note_odd(&self, odd: &[OddRecord]) {
        let noted = async {
            self.account.note_odd(odd).await?;
            self.account.forget_odd(OddKind::Subscription, odd).await
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "odd webhook subscriptions not noted");
        }
    }

    async fn repair(
        &self,
        subscriber: &Subscriber,
        known: &Subscription,
    ) -> Result<Subscription, Unsubscribed> {
        if !known.is_active() && !known.is_paused() {
            tracing::warn!(
                subscription_id = %known.id,
                status = known.status,
                "webhook subscription has an unknown status; it stays as it is, and polling finds missed changes"
            );
        }
        if known.is_paused() {
            self.state.set_health("paused");
            tracing::warn!(
                subscription_id = %known.id,
                reason = known.pause_reason,
                error = known.latest_error,
                "webhook subscription paused by Close; resuming the subscription and polling for missed changes"
            );
        }
        let repaired = subscriber.repair(known.clone()).await?;
        if known.is_paused() || !known.complete {
            tracing::info!(subscription_id = %repaired.id, "webhook subscription repaired in Close");
            self.core.signals.catch_up.notify_one();
        }
        Ok(repaired)
    }

    /// Whether the subscription is old enough that every replica knows its key.
    fn key_is_known_everywhere(&self, newest: &Subscription) -> bool {
        let (close_now, _) = self.account.close_now();
        newest.is_active()
            && newest
                .created_at
                .is_none_or(|created| close_now.since(created) >= OVERLAP)
    }

    fn check_key(&self, subscription: &Subscription) -> Result<(), Unsubscribed> {
        let state = &self.state;
        let healthy = subscription
            .health
            .as_deref()
            .is_none_or(|health| health == "healthy");
        let known = state.key(subscription).is_some();
        state.set_health(match (known, healthy) {
            _ if subscription.is_paused() => "paused",
            _ if !subscription.is_active() => "status unknown",
            (false, _) => "key unknown",
            (true, false) => "failing",
            (true, true) => "ok",
        });
        if known {
            Ok(())
        } else {
            let id = subscription.id.clone();
            Err(Unsubscribed::KeyHidden { id })
        }
    }
}
