//! The client of Close: its key and the state of the connection. The other files of this folder add the calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::close::connection::Settings;
use crate::close::last_call::CallFailure;
use crate::close::server_clock::CloseTime;
use crate::close::transport::Transport;
use crate::domain::time::Clock;
use crate::egress::TrustError;

/// Makes the calls to Close. Clones share key, connections, rate limits and circuit breaker.
#[derive(Clone)]
pub struct CloseClient(pub(super) Arc<Transport>);

impl CloseClient {
    /// Prepares the client, and calls nothing. Fails if the base URL is unusable, or TLS can't be set up.
    pub fn new(settings: Settings, key: SecretString, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Transport::new(settings, key, clock)?)))
    }

    /// How far Close's clock is ahead of ours by its responses, in microseconds; negative if it is behind.
    ///
    /// Exact to a second or two. `None` before the first response.
    pub fn clock_skew(&self) -> Option<i64> {
        let theirs = self.0.server_clock.now()?.at;
        Some(theirs.as_micros().saturating_sub(self.0.clock.now().as_micros()))
    }

    /// Close's time now, by its answers so far; `None` before the first one. The clock of this machine plays no part.
    pub fn server_time(&self) -> Option<CloseTime> {
        self.0.server_clock.now()
    }

    /// Whether the circuit breaker is open: Close does not answer, and calls fail at once.
    pub fn circuit_open(&self) -> bool {
        self.0.breaker.is_open(self.0.clock.steady())
    }

    /// Whether the last call showed that no call has an effect now: no connection is made, or Close refuses the key.
    pub fn is_unusable(&self) -> bool {
        self.0.is_unusable()
    }

    /// The last call without a usable answer, also if later calls had one.
    pub fn last_failure(&self) -> Option<CallFailure> {
        self.0.last_calls.failure().map(Arc::unwrap_or_clone)
    }

    /// How long ago the last call ended, or the client was made.
    pub fn idle(&self) -> Duration {
        self.0.last_calls.idle()
    }

    /// Uses another key from the next call on; calls in progress end with the old one.
    pub fn replace_key(&self, key: SecretString) {
        self.0.replace_key(key);
    }

    /// Whether this is the key in use.
    pub fn uses(&self, key: &SecretString) -> bool {
        self.0.uses(key)
    }

    /// A client of the same Close with another key; it shares nothing.
    pub fn with_key(&self, key: SecretString) -> anyhow::Result<Self> {
        Self::new(self.0.settings.clone(), key, self.0.clock.clone())
    }

    /// Whether Close's event log shows an API key that this process uses or has used by this id.
    ///
    /// The id is the public part of a key, before the dot. Nobody can make calls with it.
    pub fn has_used_key(&self, id: &str) -> bool {
        self.0.has_used_key(id)
    }

    /// Reads the file of authorities again. With an unusable one, the last good authorities stay.
    pub fn reload_authorities(&self) -> Result<(), TrustError> {
        self.0.clients.reload_authorities()
    }

    /// Marks the key in use, for [`Self::still_uses`].
    pub fn key(&self) -> KeyInUse {
        KeyInUse(self.0.key())
    }

    /// Whether all calls since the mark used that key.
    pub fn still_uses(&self, key: &KeyInUse) -> bool {
        Arc::ptr_eq(&key.0, &self.0.key())
    }
}

/// A mark of a key that is or was in use. It does not show the key. Two marks are equal if no other key was used between.
pub struct KeyInUse(Arc<SecretString>);

impl PartialEq for KeyInUse {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for CloseClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseClient").finish_non_exhaustive()
    }
}
