//! The webhook subscription in Close that delivers to this service.

pub mod client;
mod ensure;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::close::{SignatureKey, Subscription};
use crate::desk::account::Account;
use crate::desk::cooldown::Cooldown;
use crate::desk::core::{Core, SignatureKeySource};

/// The webhook subscription in Close that delivers to this service.
#[derive(Clone)]
pub struct CloseSubscription {
    core: Core,
    account: Account,
    /// The subscription as this process knows it.
    state: Arc<State>,
}

impl CloseSubscription {
    pub(in crate::desk) fn new(core: Core, account: Account) -> Self {
        let state = Arc::new(State::new(&core.settings.signature_keys));
        Self { core, account, state }
    }
}

/// The subscription as this process knows it.
struct State {
    /// The keys that may sign Close's webhooks now.
    keys: ArcSwap<Vec<SignatureKey>>,
    /// The subscription that this process created. Listings may lag behind, and may not show its key.
    created: ArcSwapOption<Subscription>,
    /// The state of the subscription, as the readiness report shows it.
    health: ArcSwap<&'static str>,
    /// How many subscriptions the organization has.
    used: AtomicUsize,
    /// The pause after the keys were requested again because of an unknown signature.
    rechecked: Cooldown,
}

impl State {
    fn new(source: &SignatureKeySource) -> Self {
        let health = match source {
            SignatureKeySource::Configured => "key configured",
            SignatureKeySource::Subscription(_) => "not checked yet",
            SignatureKeySource::Missing => "not configured",
        };
        Self {
            keys: ArcSwap::default(),
            created: ArcSwapOption::empty(),
            health: ArcSwap::from_pointee(health),
            used: AtomicUsize::new(0),
            rechecked: Cooldown::default(),
        }
    }
}
