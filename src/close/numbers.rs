//! The numbers of the Close organization: read, list, change and release.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::close::client::CloseClient;
use crate::close::endpoint::Endpoint;
use crate::close::error::Error;
use crate::close::json;
use crate::close::odd::Listed;
use crate::close::response::{Outcome, Refusal, Reply};
use crate::close::retry::left;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Facts;
use crate::domain::odd_record::OddRecord;
use crate::domain::time::Timestamp;

/// The most pages of one listing.
const PAGES: usize = 5_000;
/// The largest listing, in bytes: more than a hundred thousand numbers.
const LISTING: usize = 256 << 20;
/// The most attempts of a release that was not sent.
const ATTEMPTS: u32 = 4;

/// What Close shows under the id of a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// The number.
    Number(Box<Facts>),
    /// A record with this id that can't be read as a number. The number exists.
    Odd(OddRecord),
    /// Close has no such number.
    Missing,
}

/// The outcome of a release.
#[derive(Debug, Clone, PartialEq)]
pub enum ReleaseOutcome {
    /// Released.
    Released,
    /// Close does not know the number, or no longer.
    AlreadyGone,
    /// Not released: Close refused.
    Refused {
        /// The HTTP status, 400 to 499.
        status: u16,
        /// Close's status word; `error` if there is none.
        close_status: String,
        /// Close's message, at most 1,000 characters.
        reason: Option<String>,
        /// Close's field errors, by field.
        close_errors: Option<Map<String, Value>>,
    },
    /// Not released: nothing was sent.
    NotSent {
        /// Why.
        reason: String,
    },
    /// Not released: the rate limit is used up, or Close answered 429.
    RateLimited {
        /// When it resets.
        until: Timestamp,
    },
    /// Not released: Close rejects the API key.
    Unauthorized,
    /// Close may or may not have released the number.
    Unknown {
        /// What happened instead of a usable response.
        reason: String,
    },
}

impl CloseClient {
    /// Reads one number.
    pub async fn number(&self, id: &PhoneNumberId) -> Result<Shown, Error> {
        let read = |reply: Reply| {
            let is_this = reply.body.get("id")?.as_str()? == id.as_str();
            is_this.then(|| match json::number(reply.body) {
                Ok(facts) => Shown::Number(Box::new(facts)),
                Err(odd) => Shown::Odd(odd),
            })
        };
        match self.0.ask(Endpoint::Read(id), None, read).await {
            Err(Error::NotFound) => Ok(Shown::Missing),
            shown => shown,
        }
    }

    /// Lists all numbers, and the rows that can't be read: all pages complete, or an error.
    ///
    /// The deadline holds for each page.
    pub async fn numbers(&self) -> Result<Listed<Facts>, Error> {
        let unavailable = |reason: &str| {
            Err(Error::Unavailable {
                reason: reason.to_owned(),
            })
        };
        let (mut numbers, mut seen) = (Listed::default(), HashMap::new());
        let (mut skip, mut size) = (0, 0);
        for nth in 0..PAGES {
            let read = |reply: Reply| Some((reply.size, json::page(reply)?));
            let page = self.0.ask(Endpoint::List { skip }, None, read).await;
            let (bytes, page) = match page {
                // The listing always exists, so a 404 is not an answer about numbers.
                Err(Error::NotFound) => {
                    return unavailable("close does not know the list of numbers (404)");
                }
                other => other?,
            };
            skip += page.numbers.len();
            size += bytes;
            let before = numbers.len();
            numbers.add_page(page.numbers, &mut seen, nth);
            if !page.has_more {
                return Ok(numbers);
            }
            if numbers.len() == before {
                return unavailable("a page of the listing had no new rows, but Close announced more pages");
            }
            if size > LISTING {
                return unavailable("the listing was larger than 256 MiB");
            }
        }
        unavailable("the listing had too many pages")
    }

    /// Reads the first page of the list of numbers, to see whether Close's objects still have their known shape.
    pub async fn sample(&self) -> Result<Listed<Facts>, Error> {
        let read = |reply: Reply| Some(json::page(reply)?.numbers);
        self.0.ask(Endpoint::List { skip: 0 }, None, read).await
    }

    /// Changes the members of a number that are in `changes`. Idempotent, so it may be sent more than once.
    pub async fn update(&self, id: &PhoneNumberId, changes: &Map<String, Value>) -> Result<Facts, Error> {
        let body = Value::Object(changes.clone());
        self.0
            .ask(Endpoint::Update(id), Some(&body), |reply| this(id, reply.body))
            .await
    }

    /// Releases a number. Sent at most once: an attempt is repeated only if nothing was sent.
    pub async fn release(&self, id: &PhoneNumberId) -> ReleaseOutcome {
        let (transport, endpoint) = (&self.0, Endpoint::Release(id));
        if let Some(until) = transport.limits.held(endpoint.group(), transport.clock.steady()) {
            return ReleaseOutcome::RateLimited { until };
        }
        let deadline = Instant::now() + transport.timeout;
        let mut attempt = 1;
        loop {
            let outcome = released(transport.exchange(endpoint, None, left(deadline)).await);
            let pause = transport.pause(attempt);
            if attempt == ATTEMPTS
                || pause >= left(deadline)
                || !matches!(outcome, ReleaseOutcome::NotSent { .. })
            {
                return outcome;
            }
            sleep(pause).await;
            attempt += 1;
        }
    }
}

fn released(outcome: Outcome) -> ReleaseOutcome {
    match outcome {
        Outcome::Done(_) => ReleaseOutcome::Released,
        Outcome::Refused(Refusal { status: 404, .. }) => ReleaseOutcome::AlreadyGone,
        Outcome::Refused(refusal) => ReleaseOutcome::Refused {
            status: refusal.status,
            close_status: refusal.close_status.unwrap_or_else(|| "error".to_owned()),
            reason: refusal.reason,
            close_errors: refusal.close_errors,
        },
        Outcome::NotSent { reason } => ReleaseOutcome::NotSent { reason },
        Outcome::RateLimited { until } => ReleaseOutcome::RateLimited { until },
        Outcome::Unauthorized => ReleaseOutcome::Unauthorized,
        Outcome::Unclear { reason } => ReleaseOutcome::Unknown { reason },
    }
}

/// Reads this number; `None` for another one.
fn this(id: &PhoneNumberId, body: Value) -> Option<Facts> {
    json::facts(body).filter(|facts| facts.id == *id)
}
