//! Keeps one issuer's keys: decides when to load them again, and how long to use the last good ones.
//!
//! A key that the issuer removed stops working within five minutes. While the issuer is down, the service uses its last
//! good keys for a day. Tokens can't make the service fetch more often than the pauses below allow. One load runs at a
//! time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use crate::auth::algorithm::Algorithm;
use crate::auth::jwk::{Key, KeySet, Pick};
use crate::auth::rejection::{Rejection, invalid};
use crate::auth::source::Source;
use crate::domain::time::{Clock, Timestamp};
use crate::error::chain;
use crate::telemetry::metrics::{JWKS_AGE_SECONDS, JWKS_FETCH_TOTAL, JWKS_GOOD};

/// The age at which [`Keys::refresh`] loads the keys again.
///
/// A worker that calls it every minute keeps the keys younger than 4 minutes.
const REFRESH_AFTER: Duration = Duration::from_mins(3);
/// The age at which the service loads the keys before it verifies a token.
///
/// A removed key therefore stops working within 5 minutes, even without a worker.
const STALE_AFTER: Duration = Duration::from_mins(4);
/// [`STALE_AFTER`] for a file, which is cheap to read.
const STALE_FILE_AFTER: Duration = Duration::from_secs(20);
/// How long the service uses the last good keys of an issuer that is down.
const EXPIRED_AFTER: Duration = Duration::from_hours(24);
/// The minimum time between two loads because of unknown keys.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);
/// The minimum time between a failed load and the next one.
const FAILED_PAUSE: Duration = Duration::from_secs(2);
/// How often a caller waits for a load while the issuer is down and its stale keys are still usable.
///
/// Other callers use the stale keys, and start a load in the background.
const BLOCKING_RETRY_PAUSE: Duration = Duration::from_secs(90);

/// The keys of one issuer.
pub(super) struct Keys {
    issuer: String,
    source: Source,
    allowed: Vec<Algorithm>,
    clock: Clock,
    /// The start of the age that metrics report before the first load.
    opened: Timestamp,
    state: Mutex<State>,
    /// Locked during a load, so that only one runs at a time.
    refresh_lock: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    good: Option<Arc<Good>>,
    attempts: u64,
    last_attempt: Option<Timestamp>,
    last_error: Option<String>,
    last_for_unknown: Option<Timestamp>,
}

/// The keys of the last successful load.
pub(super) struct Good {
    set: Arc<KeySet>,
    /// When the load of the document began.
    at: Timestamp,
    /// The SHA-256 of the document. An unchanged document is not parsed again.
    document: [u8; 32],
    /// A number that grows with every change of the keys.
    pub(super) generation: u64,
}

/// The state of an issuer's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReport {
    /// The issuer's name.
    pub issuer: String,
    /// `url`, `file` or `discovery`.
    pub source: &'static str,
    /// The number of keys that can verify tokens.
    pub keys: usize,
    /// The time since the keys were loaded; `None` before the first successful load.
    pub age: Option<Duration>,
    /// The error of the last load, if it failed. Contains no secret.
    pub last_error: Option<String>,
    /// Whether tokens of this issuer can be verified now.
    pub usable: bool,
}

/// Whether the keys must be loaded before use.
enum Need {
    Nothing,
    /// Start a load, and wait for it.
    Wait,
    /// Start a load, and use the present keys.
    Background,
}

impl Keys {
    /// Opens the keys. Loads a file now; keys at an address are loaded when they are first needed.
    ///
    /// A file without usable keys is an error.
    pub(super) fn open(
        issuer: String,
        source: Source,
        allowed: Vec<Algorithm>,
        clock: Clock,
    ) -> anyhow::Result<Arc<Self>> {
        let (mut state, opened) = (State::default(), clock.now());
        if let Some(document) = source.load_file() {
            let document = document.context("its `jwks_file` can't be loaded")?;
            let set = KeySet::parse(&document, &allowed).context("its `jwks_file` is not a usable JWKS")?;
            state.accept(&document, Some(set), opened);
        }
        let (state, refresh_lock) = (Mutex::new(state), Arc::default());
        for outcome in ["ok", "failed"] {
            // At 0 from the start, so that rates count the first attempt.
            metrics::counter!(JWKS_FETCH_TOTAL, "issuer" => issuer.clone(), "outcome" => outcome)
                .increment(0);
        }
        Ok(Arc::new(Self {
            issuer,
            source,
            allowed,
            clock,
            opened,
            state,
            refresh_lock,
        }))
    }

    /// Returns the current keys. Loads them first if they are too old.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<Good>, Rejection> {
        match self.need() {
            Need::Nothing => {}
            Need::Wait => self.load_if(|keys| !matches!(keys.need(), Need::Nothing)).await,
            Need::Background => {
                if let Ok(guard) = Arc::clone(&self.refresh_lock).try_lock_owned() {
                    drop(self.spawn_load(guard));
                }
            }
        }
        self.usable().ok_or(Rejection::KeysUnavailable)
    }

    /// Finds the key for a token, and its generation.
    ///
    /// Loads the keys again for an unknown key, unless the pause after such a load is not over.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Key, u64), Rejection> {
        let attempts = self.state().attempts;
        let good = self.current().await?;
        let picked = good.pick(kid, algorithm)?;
        if let Some(key) = picked {
            return Ok((key, good.generation));
        }
        if self.state().attempts == attempts {
            self.load_if(Self::may_load_for_unknown).await;
        } else {
            // `current` has just loaded: that load counts as the one for this unknown key.
            self.may_load_for_unknown();
        }
        let good = self.usable().ok_or(Rejection::KeysUnavailable)?;
        let key = good.pick(kid, algorithm)?;
        key.map(|key| (key, good.generation)).ok_or(invalid(
            "the issuer has no key that fits the token's `kid` and algorithm",
        ))
    }

    /// Loads the keys again: those of a file always, those at an address if they are due.
    pub(super) async fn refresh(self: &Arc<Self>) {
        self.load_if(|keys| {
            let (state, now) = (keys.state(), keys.clock.now());
            let old = state
                .good
                .as_ref()
                .is_none_or(|good| due(Some(good.at), REFRESH_AFTER, now));
            keys.source.is_file() || (old && due(state.last_attempt, FAILED_PAUSE, now))
        })
        .await;
        self.report_metrics();
    }

    pub(super) fn report(&self) -> KeyReport {
        let (state, now) = (self.state(), self.clock.now());
        let good = state.good.as_ref();
        KeyReport {
            issuer: self.issuer.clone(),
            source: self.source.kind(),
            keys: good.map_or(0, |good| good.set.len()),
            age: good.map(|good| now.since(good.at)),
            last_error: state.last_error.clone(),
            usable: good.is_some_and(|good| !self.is_expired(good, now)),
        }
    }

    fn need(&self) -> Need {
        let (state, now) = (self.state(), self.clock.now());
        let may_retry = due(state.last_attempt, FAILED_PAUSE, now);
        let stale_after = if self.source.is_file() {
            STALE_FILE_AFTER
        } else {
            STALE_AFTER
        };
        match &state.good {
            Some(good) if !due(Some(good.at), stale_after, now) => Need::Nothing,
            Some(good)
                if !self.is_expired(good, now)
                    && !due(state.last_attempt, BLOCKING_RETRY_PAUSE.min(stale_after), now) =>
            {
                if may_retry {
                    Need::Background
                } else {
                    Need::Nothing
                }
            }
            _ if may_retry => Need::Wait,
            _ => Need::Nothing,
        }
    }

    /// Whether a load because of an unknown key is allowed now. If so, the next pause begins.
    fn may_load_for_unknown(&self) -> bool {
        let (mut state, now) = (self.state(), self.clock.now());
        let allowed = due(state.last_for_unknown, UNKNOWN_KEY_PAUSE, now);
        if allowed {
            state.last_for_unknown = Some(now);
        }
        allowed
    }

    fn usable(&self) -> Option<Arc<Good>> {
        let now = self.clock.now();
        self.state()
            .good
            .clone()
            .filter(|good| !self.is_expired(good, now))
    }

    /// Whether the keys are too old to use.
    ///
    /// Only keys from an address expire. If a file becomes unusable, its last good keys stay in use.
    fn is_expired(&self, good: &Good, now: Timestamp) -> bool {
        !self.source.is_file() && now.since(good.at) >= EXPIRED_AFTER
    }

    /// Waits for a load that is in progress; then loads if `wanted` still holds.
    async fn load_if(self: &Arc<Self>, wanted: impl Fn(&Self) -> bool) {
        let guard = Arc::clone(&self.refresh_lock).lock_owned().await;
        if wanted(self) {
            // If the task panics, the runtime reports it and the last good keys stay.
            let _ = self.spawn_load(guard).await;
        }
    }

    /// Loads on a task of its own, so that a caller that disconnects does not stop the load for others.
    fn spawn_load(self: &Arc<Self>, guard: tokio::sync::OwnedMutexGuard<()>) -> tokio::task::JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            keys.load().await;
            drop(guard);
        })
    }

    async fn load(&self) {
        let started = self.clock.now();
        let loaded = self.source.load().await.map_err(|error| chain(&error));
        let read = loaded.and_then(|document| {
            let known = self
                .state()
                .good
                .as_ref()
                .is_some_and(|good| good.document == digest(&document));
            if known {
                return Ok((document, None));
            }
            let set = KeySet::parse(&document, &self.allowed)
                .map_err(|error| format!("not a usable JWKS: {error}"))?;
            Ok((document, Some(set)))
        });
        let outcome = if read.is_ok() { "ok" } else { "failed" };
        {
            let mut state = self.state();
            match read {
                Ok((document, set)) => state.accept(&document, set, started),
                Err(error) => {
                    tracing::warn!(
                        issuer = self.issuer,
                        error,
                        "jwks not refreshed; the last good keys stay in use"
                    );
                    state.last_error = Some(error);
                }
            }
            state.attempts += 1;
            state.last_attempt = Some(self.clock.now());
        }
        metrics::counter!(JWKS_FETCH_TOTAL, "issuer" => self.issuer.clone(), "outcome" => outcome)
            .increment(1);
        self.report_metrics();
    }

    /// Sets the metrics of the keys' age, and of the success of the last load.
    ///
    /// Before the first load, the age is the time since the start, so that an issuer that is down from the start raises
    /// the alert too.
    fn report_metrics(&self) {
        let since_start = || self.clock.now().since(self.opened);
        let (report, issuer) = (self.report(), self.issuer.clone());
        let good = report.age.is_some() && report.last_error.is_none();
        let age = report.age.unwrap_or_else(since_start);
        metrics::gauge!(JWKS_GOOD, "issuer" => issuer.clone()).set(if good { 1.0 } else { 0.0 });
        metrics::gauge!(JWKS_AGE_SECONDS, "issuer" => issuer).set(age.as_secs_f64());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Records a loaded document: its keys, or `None` if the document is unchanged.
    fn accept(&mut self, document: &[u8], set: Option<KeySet>, at: Timestamp) {
        self.last_error = None;
        let before = self.good.take();
        let (old_set, old_generation) =
            before.map_or((None, 0), |good| (Some(Arc::clone(&good.set)), good.generation));
        let (set, generation) = match (set, old_set) {
            (None, Some(old)) => (old, old_generation),
            (Some(new), Some(old)) if new == *old => (old, old_generation),
            (new, _) => (Arc::new(new.unwrap_or_default()), old_generation + 1),
        };
        self.good = Some(Arc::new(Good {
            set,
            at,
            document: digest(document),
            generation,
        }));
    }
}

impl Good {
    /// Finds the key; `None` if a newer set can have it.
    fn pick(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Option<Key>, Rejection> {
        match self.set.pick(kid, algorithm) {
            Pick::Key(key) => Ok(Some(key.clone())),
            Pick::Unknown => Ok(None),
            Pick::OtherAlgorithm => Err(invalid("the token's algorithm does not fit its key")),
            Pick::Ambiguous => Err(invalid(
                "the token must name its key (`kid`), because its issuer has several",
            )),
        }
    }
}

/// Whether `pause` has passed since `last`.
///
/// Also true if `last` is in the future, because then the clock was set back.
fn due(last: Option<Timestamp>, pause: Duration, now: Timestamp) -> bool {
    last.is_none_or(|last| last > now || now.since(last) >= pause)
}

fn digest(document: &[u8]) -> [u8; 32] {
    Sha256::digest(document).into()
}
