//! One issuer's keys over time: fetched when needed, looked up again at a bounded rate, kept while the issuer is
//! down. Knows when to ask, not how keys are read or where they come from.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use crate::auth::Rejection;
use crate::auth::issuer::Algorithm;
use crate::auth::jwk::{Key, KeySet, Pick};
use crate::auth::jwt::invalid;
use crate::auth::source::Source;
use crate::domain::time::{Clock, Timestamp};
use crate::error::chain;
use crate::telemetry::metrics::{JWKS_AGE_SECONDS, JWKS_FETCH_TOTAL};

/// Age at which [`Keys::refresh`] asks again. With a worker that calls every minute, keys get 4 minutes old at most.
const REFRESH_AFTER: Duration = Duration::from_mins(3);
/// Age at which a token does not get by without asking first, worker or not: what an issuer removed is gone in 5 minutes.
const STALE_AFTER: Duration = Duration::from_mins(4);
/// The same for a file, which costs nothing to read.
const STALE_FILE_AFTER: Duration = Duration::from_secs(20);
/// How long the last good keys of an issuer that is down are believed.
const DEAD_AFTER: Duration = Duration::from_hours(24);
/// Between two fetches that unknown keys ask for.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);
/// Between two fetches of any kind after one failed.
const FAILED_PAUSE: Duration = Duration::from_secs(2);
/// While stale keys can serve, callers wait for an issuer that just failed this seldom; in between it is asked in
/// the background.
const PATIENCE: Duration = Duration::from_secs(90);

/// The keys of one issuer.
pub(super) struct Keys {
    issuer: String,
    source: Source,
    allowed: Vec<Algorithm>,
    clock: Clock,
    /// Since when keys have been wanted.
    opened: Timestamp,
    state: Mutex<State>,
    /// Held while fetching: one at a time.
    flight: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    good: Option<Arc<Good>>,
    attempts: u64,
    last_attempt: Option<Timestamp>,
    last_error: Option<String>,
    last_for_unknown: Option<Timestamp>,
}

/// The last keys that could be read.
pub(super) struct Good {
    set: Arc<KeySet>,
    /// When the document was asked for.
    at: Timestamp,
    document: [u8; 32],
    /// Changes with the keys.
    pub(super) generation: u64,
}

/// How the keys of an issuer stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReport {
    /// The issuer's name.
    pub issuer: String,
    /// `url`, `file` or `discovery`.
    pub source: &'static str,
    /// How many keys can verify tokens.
    pub keys: usize,
    /// How long ago they were read; `None` before the first success.
    pub age: Option<Duration>,
    /// What went wrong the last time, if it did. Holds no secret.
    pub last_error: Option<String>,
    /// Whether tokens of this issuer can be checked now.
    pub usable: bool,
}

enum Need {
    Nothing,
    Wait,
    Background,
}

impl Keys {
    /// A file is read at once, and must be good; an address is asked when first needed.
    pub(super) fn open(
        issuer: String,
        source: Source,
        allowed: Vec<Algorithm>,
        clock: Clock,
    ) -> anyhow::Result<Arc<Self>> {
        let (mut state, opened) = (State::default(), clock.now());
        if let Some(document) = source.at_hand() {
            let document = document.context("its file of keys")?;
            let set = KeySet::parse(&document, &allowed).context("its file of keys is no JWKS")?;
            anyhow::ensure!(set.len() > 0, "its file of keys has no key that can be used");
            state.accept(&document, Some(set), opened);
        }
        let (state, flight) = (Mutex::new(state), Arc::default());
        Ok(Arc::new(Self {
            issuer,
            source,
            allowed,
            clock,
            opened,
            state,
            flight,
        }))
    }

    /// The keys to verify with now.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<Good>, Rejection> {
        match self.need() {
            Need::Nothing => {}
            Need::Wait => self.fetch(|keys| !matches!(keys.need(), Need::Nothing)).await,
            Need::Background => {
                if let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() {
                    drop(self.take_off(flight));
                }
            }
        }
        self.usable().ok_or(Rejection::KeysUnavailable)
    }

    /// The key for a token, and the generation it belongs to. One that is unknown is looked for once more.
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
            self.fetch(Self::may_look_for_unknown).await;
        } else {
            // The keys came after the token did, and don't have it: that was the look it may cause.
            self.may_look_for_unknown();
        }
        let good = self.usable().ok_or(Rejection::KeysUnavailable)?;
        let key = good.pick(kid, algorithm)?;
        key.map(|key| (key, good.generation))
            .ok_or(invalid("the token's key is not one of its issuer's"))
    }

    /// Reads a file; fetches what is older than its refresh time.
    pub(super) async fn refresh(self: &Arc<Self>) {
        self.fetch(|keys| {
            let (state, now) = (keys.state(), keys.clock.now());
            let old = state
                .good
                .as_ref()
                .is_none_or(|good| due(Some(good.at), REFRESH_AFTER, now));
            keys.source.is_file() || (old && due(state.last_attempt, FAILED_PAUSE, now))
        })
        .await;
        self.tell_age();
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
            usable: good.is_some_and(|good| !self.is_dead(good, now)),
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
                if !self.is_dead(good, now) && !due(state.last_attempt, PATIENCE.min(stale_after), now) =>
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

    /// Takes the turn of unknown keys, if it has come.
    fn may_look_for_unknown(&self) -> bool {
        let (mut state, now) = (self.state(), self.clock.now());
        let may = due(state.last_for_unknown, UNKNOWN_KEY_PAUSE, now);
        if may {
            state.last_for_unknown = Some(now);
        }
        may
    }

    fn usable(&self) -> Option<Arc<Good>> {
        let now = self.clock.now();
        self.state().good.clone().filter(|good| !self.is_dead(good, now))
    }

    /// A file that can't be read keeps its last good keys for as long as it takes; an issuer's are bounded in time.
    fn is_dead(&self, good: &Good, now: Timestamp) -> bool {
        !self.source.is_file() && now.since(good.at) >= DEAD_AFTER
    }

    /// Waits for a fetch that is under way; then fetches if that is still wanted.
    async fn fetch(self: &Arc<Self>, wanted: impl Fn(&Self) -> bool) {
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if wanted(self) {
            // A panic in there has been reported by the runtime, and leaves the last good keys in place.
            let _ = self.take_off(flight).await;
        }
    }

    /// Fetches on a task of its own: a caller that hangs up takes nothing from those who wait as well.
    fn take_off(self: &Arc<Self>, flight: tokio::sync::OwnedMutexGuard<()>) -> tokio::task::JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            keys.load().await;
            drop(flight);
        })
    }

    async fn load(&self) {
        let asked = self.clock.now();
        let loaded = self.source.load().await.map_err(|fault| chain(&fault));
        let read = loaded.and_then(|document| {
            let known = self
                .state()
                .good
                .as_ref()
                .is_some_and(|good| good.document == digest(&document));
            if known {
                return Ok((document, None));
            }
            let set = KeySet::parse(&document, &self.allowed).map_err(|fault| format!("no JWKS: {fault}"))?;
            Ok((document, Some(set)))
        });
        let outcome = if read.is_ok() { "ok" } else { "failed" };
        {
            let mut state = self.state();
            match read {
                Ok((document, set)) => state.accept(&document, set, asked),
                Err(fault) => {
                    tracing::warn!(
                        issuer = self.issuer,
                        error = fault,
                        "jwks not refreshed; the last good keys stay"
                    );
                    state.last_error = Some(fault);
                }
            }
            state.attempts += 1;
            state.last_attempt = Some(self.clock.now());
        }
        metrics::counter!(JWKS_FETCH_TOTAL, "issuer" => self.issuer.clone(), "outcome" => outcome)
            .increment(1);
        self.tell_age();
    }

    /// Also where none could be read yet: an issuer that is away during a rollout must not be silence.
    fn tell_age(&self) {
        let never = || self.clock.now().since(self.opened);
        let age = self.report().age.unwrap_or_else(never);
        metrics::gauge!(JWKS_AGE_SECONDS, "issuer" => self.issuer.clone()).set(age.as_secs_f64());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Takes a document that was read: its keys, or `None` when it is the one at hand.
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
    /// The key, or `None` when a newer set might have it.
    fn pick(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Option<Key>, Rejection> {
        match self.set.pick(kid, algorithm) {
            Pick::Key(key) => Ok(Some(key.clone())),
            Pick::Unknown => Ok(None),
            Pick::OtherAlgorithm => Err(invalid("the token's algorithm is not that of its key")),
            Pick::Ambiguous => Err(invalid(
                "the token must name its key (`kid`): its issuer has several",
            )),
        }
    }
}

/// Whether `pause` has passed since `last`. A `last` in the future means that the clock was set back: that is due too.
fn due(last: Option<Timestamp>, pause: Duration, now: Timestamp) -> bool {
    last.is_none_or(|last| last > now || now.since(last) >= pause)
}

fn digest(document: &[u8]) -> [u8; 32] {
    Sha256::digest(document).into()
}
