//! Calls that may be repeated: a few attempts with pauses between them, within one deadline.
//!
//! The paid call does not use this.

use std::time::Duration;

use aws_lc_rs::rand;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::close::endpoint::Endpoint;
use crate::close::error::Error;
use crate::close::response::{Outcome, Reply};
use crate::close::transport::{Transport, in_seconds};
use crate::domain::backoff::Backoff;
use crate::telemetry::metrics::CLOSE_WAITING;

/// The most attempts of one call.
const ATTEMPTS: u32 = 4;

impl Transport {
    /// Sends a call until `read` can read the response, Close refuses, or the deadline is reached.
    pub(super) async fn ask<T>(
        &self,
        endpoint: Endpoint<'_>,
        body: Option<&Value>,
        read: impl Fn(Reply) -> Option<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.timeout;
        let mut error = Error::Unavailable {
            reason: format!("no answer within {}", in_seconds(self.timeout)),
        };
        for attempt in 0..ATTEMPTS {
            if attempt > 0 && matches!(error, Error::Unavailable { .. }) {
                let pause = self.pause(attempt);
                if pause >= left(deadline) {
                    break;
                }
                sleep(pause).await;
            }
            self.wait_for_limit(endpoint, deadline).await?;
            if attempt > 0 && self.breaker.is_open(self.clock.steady()) {
                break;
            }
            // An attempt that hangs leaves time for another one.
            let limit = if attempt + 1 < ATTEMPTS {
                left(deadline).min(self.timeout / 2)
            } else {
                left(deadline)
            };
            if limit.is_zero() {
                break;
            }
            let circuit_open = self.breaker.is_open(self.clock.steady());
            error = match self.exchange(endpoint, body, limit).await {
                Outcome::Done(reply) => {
                    let status = reply.status;
                    if let Some(value) = read(reply) {
                        return Ok(value);
                    }
                    let reason = format!("the answer did not have the expected content ({status})");
                    Error::Unavailable { reason }
                }
                Outcome::Refused(refusal) if refusal.status == 404 => return Err(Error::NotFound),
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::Unauthorized => return Err(Error::Unauthorized),
                Outcome::RateLimited { until } => Error::RateLimited { until },
                // While the circuit is open, waiting does not help.
                Outcome::NotSent { reason } if circuit_open => return Err(Error::Unavailable { reason }),
                Outcome::NotSent { reason } | Outcome::Unclear { reason } => Error::Unavailable { reason },
            };
        }
        Err(error)
    }

    /// Waits until the endpoint's group has calls left, if that is before the deadline.
    async fn wait_for_limit(&self, endpoint: Endpoint<'_>, deadline: Instant) -> Result<(), Error> {
        loop {
            let now = self.clock.steady();
            let Some(until) = self.limits.held_for(endpoint, now) else {
                return Ok(());
            };
            let wait = until.since(now);
            if wait >= left(deadline) {
                return Err(Error::RateLimited { until });
            }
            let _waiting = Waiting::begin(endpoint.class());
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// The pause before an attempt: a hundredth of the deadline, doubled each time, and shortened by up to a half.
    ///
    /// The random part keeps many callers from coming back together.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let whole = Backoff::new(self.timeout / 100, self.timeout).pause_after(attempt);
        let mut random = [0_u8; 4];
        rand::fill(&mut random).expect("the system has randomness once TLS was set up");
        let share = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        whole.mul_f64(0.5 + share / 2.0)
    }
}

/// Counts a call in the metric of waiting calls until it is dropped.
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
