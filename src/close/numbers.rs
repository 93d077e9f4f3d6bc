//! The numbers of the Close organization: read, list, change and release.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::close::endpoint::Endpoint;
use crate::close::response::{Outcome, Refusal, Reply};
use crate::close::retry::left;
use crate::close::{Close, Trouble, json};
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Facts;
use crate::domain::time::Timestamp;

/// The most pages of one listing.
const PAGES: usize = 5_000;
/// The most that one listing may bring, in bytes: more than a hundred thousand numbers.
const LISTING: usize = 256 << 20;
/// How often a release is tried that never left the machine.
const TRIES: u32 = 4;

/// What is known after a release.
#[derive(Debug, Clone, PartialEq)]
pub enum ReleaseAnswer {
    /// Released.
    Released,
    /// Close does not know the number (any more).
    AlreadyGone,
    /// Not released: Close said no.
    Refused {
        /// The HTTP status, 400 to 499.
        status: u16,
        /// Close's word; `error` when it names none.
        close_status: String,
        /// Close's message, at most 1,000 characters.
        reason: Option<String>,
        /// Close's field errors, by field.
        close_errors: Option<Map<String, Value>>,
    },
    /// Not released: for certain nothing left this machine.
    NotSent {
        /// Why.
        reason: String,
    },
    /// Not released: the rate limit is used up, or Close said 429.
    RateLimited {
        /// When it resets.
        until: Timestamp,
    },
    /// Not released: Close does not accept the key.
    Unauthorized,
    /// Close may or may not have released it: nobody knows yet.
    Unknown {
        /// What happened instead of an answer.
        reason: String,
    },
}

impl Close {
    /// One number; `None` when Close says that it does not exist.
    pub async fn number(&self, id: &PhoneNumberId) -> Result<Option<Facts>, Trouble> {
        let found = self.0.ask(Endpoint::Read(id), None, |reply| this(id, reply.body));
        match found.await {
            Ok(facts) => Ok(Some(facts)),
            Err(Trouble::NotFound) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// All numbers: every page, each of them whole, or an error. Each page has the settings' timeout for itself.
    pub async fn numbers(&self) -> Result<Vec<Facts>, Trouble> {
        let unavailable = |reason: &str| {
            Err(Trouble::Unavailable {
                reason: reason.to_owned(),
            })
        };
        let (mut numbers, mut seen) = (Vec::new(), HashSet::new());
        let (mut skip, mut size) = (0, 0);
        for _ in 0..PAGES {
            let read = |reply: Reply| Some((reply.size, json::page(reply)?));
            let page = self.0.ask(Endpoint::List { skip }, None, read).await;
            let (bytes, page) = match page {
                // A listing exists: whoever says that it does not is not Close as it is known.
                Err(Trouble::NotFound) => {
                    return unavailable("close does not know the list of numbers (404)");
                }
                other => other?,
            };
            skip += page.numbers.len();
            size += bytes;
            let before = numbers.len();
            numbers.extend(
                page.numbers
                    .into_iter()
                    .filter(|facts| seen.insert(facts.id.clone())),
            );
            if !page.has_more {
                return Ok(numbers);
            }
            if numbers.len() == before {
                return unavailable("a page of the listing brought nothing new, and more was promised");
            }
            if size > LISTING {
                return unavailable("the listing was larger than 256 MiB");
            }
        }
        unavailable("the listing had no end")
    }

    /// Changes a number: only the members of `changes`. May be sent more than once, with the same effect.
    pub async fn update(&self, id: &PhoneNumberId, changes: &Map<String, Value>) -> Result<Facts, Trouble> {
        let body = Value::Object(changes.clone());
        self.0
            .ask(Endpoint::Update(id), Some(&body), |reply| this(id, reply.body))
            .await
    }

    /// Releases a number. Sent at most once; repeated only while for certain nothing left this machine.
    pub async fn release(&self, id: &PhoneNumberId) -> ReleaseAnswer {
        let (client, endpoint) = (&self.0, Endpoint::Release(id));
        if let Some(until) = client.limits.held(endpoint.group(), client.clock.now()) {
            return ReleaseAnswer::RateLimited { until };
        }
        let deadline = Instant::now() + client.timeout;
        let mut attempt = 1;
        loop {
            let answer = released(client.exchange(endpoint, None, left(deadline)).await);
            let pause = client.pause(attempt);
            if attempt == TRIES || pause >= left(deadline) || !matches!(answer, ReleaseAnswer::NotSent { .. })
            {
                return answer;
            }
            sleep(pause).await;
            attempt += 1;
        }
    }
}

fn released(outcome: Outcome) -> ReleaseAnswer {
    match outcome {
        Outcome::Done(_) => ReleaseAnswer::Released,
        Outcome::Refused(Refusal { status: 404, .. }) => ReleaseAnswer::AlreadyGone,
        Outcome::Refused(refusal) => ReleaseAnswer::Refused {
            status: refusal.status,
            close_status: refusal.close_status.unwrap_or_else(|| "error".to_owned()),
            reason: refusal.reason,
            close_errors: refusal.close_errors,
        },
        Outcome::NotSent { reason } => ReleaseAnswer::NotSent { reason },
        Outcome::RateLimited { until } => ReleaseAnswer::RateLimited { until },
        Outcome::Unauthorized => ReleaseAnswer::Unauthorized,
        Outcome::Unclear { reason } => ReleaseAnswer::Unknown { reason },
    }
}

/// The number that was asked for, and no other.
fn this(id: &PhoneNumberId, body: Value) -> Option<Facts> {
    json::facts(body).filter(|facts| facts.id == *id)
}
