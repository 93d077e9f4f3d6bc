//! Calls that may be sent again: a few tries with pauses between them, all within one deadline.
//! Nothing here is for the paid call.

use std::time::Duration;

use aws_lc_rs::rand;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::close::Trouble;
use crate::close::client::Client;
use crate::close::endpoint::Endpoint;
use crate::close::response::{Outcome, Reply};
use crate::domain::backoff::Backoff;
use crate::telemetry::metrics::CLOSE_WAITING;

/// How often a call is sent at most.
const TRIES: u32 = 4;

impl Client {
    /// Sends a call until `read` understands the answer, Close refuses, or the deadline is reached.
    pub(super) async fn ask<T>(
        &self,
        endpoint: Endpoint<'_>,
        body: Option<&Value>,
        read: impl Fn(Reply) -> Option<T>,
    ) -> Result<T, Trouble> {
        let deadline = Instant::now() + self.timeout;
        let mut trouble = Trouble::Unavailable {
            reason: format!("no answer within {:?}", self.timeout),
        };
        for attempt in 0..TRIES {
            if attempt > 0 && matches!(trouble, Trouble::Unavailable { .. }) {
                let pause = self.pause(attempt);
                if pause >= left(deadline) {
                    break;
                }
                sleep(pause).await;
            }
            self.wait_for_limit(endpoint, deadline).await?;
            if attempt > 0 && self.breaker.is_open(self.clock.now()) {
                break;
            }
            // A try that hangs leaves room for another one.
            let share = if attempt + 1 < TRIES {
                left(deadline).min(self.timeout / 2)
            } else {
                left(deadline)
            };
            if share.is_zero() {
                break;
            }
            let refused = self.breaker.is_open(self.clock.now());
            trouble = match self.exchange(endpoint, body, share).await {
                Outcome::Done(reply) => {
                    let status = reply.status;
                    if let Some(value) = read(reply) {
                        return Ok(value);
                    }
                    let reason = format!("the answer was not what was asked for ({status})");
                    Trouble::Unavailable { reason }
                }
                Outcome::Refused(refusal) if refusal.status == 404 => return Err(Trouble::NotFound),
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::Unauthorized => return Err(Trouble::Unauthorized),
                Outcome::RateLimited { until } => Trouble::RateLimited { until },
                // Nobody waits for a Close that is left alone.
                Outcome::NotSent { reason } if refused => return Err(Trouble::Unavailable { reason }),
                Outcome::NotSent { reason } | Outcome::Unclear { reason } => Trouble::Unavailable { reason },
            };
        }
        Err(trouble)
    }

    /// Waits until the endpoint's group has calls left, if that is before the deadline.
    async fn wait_for_limit(&self, endpoint: Endpoint<'_>, deadline: Instant) -> Result<(), Trouble> {
        loop {
            let now = self.clock.now();
            let Some(until) = self.limits.held_for(endpoint, now) else {
                return Ok(());
            };
            let wait = until.since(now);
            if wait >= left(deadline) {
                return Err(Trouble::RateLimited { until });
            }
            let _waiting = Waiting::begin(endpoint.class());
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// The pause before the next try: a hundredth of the deadline, doubling, of which a random half is left out so that
    /// many callers don't come back together.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let whole = Backoff::new(self.timeout / 100, self.timeout).pause_after(attempt);
        let mut random = [0_u8; 4];
        rand::fill(&mut random).expect("the system has randomness once TLS was set up");
        let share = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        whole.mul_f64(0.5 + share / 2.0)
    }
}

/// A call that waits for the rate limit, as long as this exists.
struct Waiting(&'static str);

impl Waiting {
    fn begin(class: &'static str) -> Self {
        metrics::gauge!(CLOSE_WAITING, "class" => class).increment(1.0);
        Self(class)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!(CLOSE_WAITING, "class" => self.0).decrement(1.0);
    }
}

/// Time left until the deadline.
pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
