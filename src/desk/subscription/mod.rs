//! The webhook subscription in Close that delivers to this desk.

pub mod client;
mod ensure;

use std::sync::Arc;

use crate::desk::account::Account;
use crate::desk::core::Core;
use crate::desk::subscription::ensure::State;

/// The webhook subscription in Close that delivers to this desk.
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
