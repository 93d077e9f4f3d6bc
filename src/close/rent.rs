//! The paid call: one POST, on a connection of its own, never repeated.

use serde_json::{Map, Value};

use crate::close::client::CloseClient;
use crate::close::endpoint::Endpoint;
use crate::close::json;
use crate::close::response::{Outcome, Reply};
use crate::domain::number::Facts;
use crate::domain::order::{Request, Terms};
use crate::domain::time::Timestamp;

/// The outcome of the paid call.
#[derive(Debug, Clone, PartialEq)]
pub enum RentOutcome {
    /// Rented: 200 or 201 with the number.
    Rented(Box<Facts>),
    /// Not rented: Close refused with a 4xx in a form of its errors.
    Refused {
        /// Close's status word, if any.
        close_status: Option<String>,
        /// Close's message, at most 1,000 characters.
        reason: Option<String>,
        /// Close's field errors, by field.
        close_errors: Option<Map<String, Value>>,
        /// Whether it was a 403: the user of the key lacks a permission.
        forbidden: bool,
    },
    /// Not rented: nothing was sent.
    NotSent {
        /// Why.
        reason: String,
    },
    /// Not rented: the rate limit is used up, or Close answered 429.
    RateLimited {
        /// When it resets.
        until: Timestamp,
    },
    /// Not rented: Close rejects the API key.
    Unauthorized,
    /// Close may or may not have rented the number.
    Unknown {
        /// What happened instead of a usable response.
        reason: String,
    },
}

impl CloseClient {
    /// Rents one number: sends exactly one POST, or none if the outcome says so.
    ///
    /// Takes [`crate::close::Settings::timeout`] at most.
    pub async fn rent(&self, request: &Request, terms: &Terms) -> RentOutcome {
        let transport = &self.0;
        if let Some(until) = transport
            .limits
            .held(Endpoint::Rent.group(), transport.clock.now())
        {
            return RentOutcome::RateLimited { until };
        }
        let body = json::rent(request, terms);
        match transport
            .exchange(Endpoint::Rent, Some(&body), transport.timeout)
            .await
        {
            Outcome::Done(reply) => rented(reply),
            Outcome::Refused(refusal) => RentOutcome::Refused {
                close_status: refusal.close_status,
                reason: refusal.reason,
                close_errors: refusal.close_errors,
                forbidden: refusal.status == 403,
            },
            Outcome::NotSent { reason } => RentOutcome::NotSent { reason },
            Outcome::RateLimited { until } => RentOutcome::RateLimited { until },
            Outcome::Unauthorized => RentOutcome::Unauthorized,
            Outcome::Unclear { reason } => RentOutcome::Unknown { reason },
        }
    }
}

fn rented(reply: Reply) -> RentOutcome {
    let Reply { status, body, .. } = reply;
    match json::facts(body) {
        Some(facts) if matches!(status, 200 | 201) => RentOutcome::Rented(Box::new(facts)),
        _ => RentOutcome::Unknown {
            reason: format!("the answer did not name a number ({status})"),
        },
    }
}
