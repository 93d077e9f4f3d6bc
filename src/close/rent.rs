//! The paid call: one POST, on a connection of its own, never sent again, and told by what is known of it afterwards.

use serde_json::{Map, Value};

use crate::close::endpoint::Endpoint;
use crate::close::response::{Outcome, Reply};
use crate::close::{Close, json};
use crate::domain::number::Facts;
use crate::domain::order::{Request, Terms};
use crate::domain::time::Timestamp;

/// What is known after the paid call.
#[derive(Debug, Clone, PartialEq)]
pub enum RentAnswer {
    /// Rented: 200 or 201 with the number.
    Rented(Box<Facts>),
    /// Not rented: a 4xx in Close's own words.
    Refused {
        /// Close's word, if it gave one.
        close_status: Option<String>,
        /// Close's message, at most 1,000 characters.
        reason: Option<String>,
        /// Close's field errors, by field.
        close_errors: Option<Map<String, Value>>,
        /// It was a 403: the key lacks a permission.
        forbidden: bool,
    },
    /// Not rented: for certain nothing left this machine.
    NotSent {
        /// Why.
        reason: String,
    },
    /// Not rented: the rate limit is used up, or Close said 429.
    RateLimited {
        /// When it resets.
        until: Timestamp,
    },
    /// Not rented: Close does not accept the key.
    Unauthorized,
    /// Close may or may not have rented: nobody knows yet.
    Unknown {
        /// What happened instead of an answer.
        reason: String,
    },
}

impl Close {
    /// Rents one number: exactly one POST on the wire, or none where the answer says so. Takes the settings' timeout
    /// at most.
    pub async fn rent(&self, request: &Request, terms: &Terms) -> RentAnswer {
        let client = &self.0;
        if let Some(until) = client.limits.held(Endpoint::Rent.group(), client.clock.now()) {
            return RentAnswer::RateLimited { until };
        }
        let body = json::rent(request, terms);
        match client.exchange(Endpoint::Rent, Some(&body), client.timeout).await {
            Outcome::Done(reply) => rented(reply),
            Outcome::Refused(refusal) => RentAnswer::Refused {
                close_status: refusal.close_status,
                reason: refusal.reason,
                close_errors: refusal.close_errors,
                forbidden: refusal.status == 403,
            },
            Outcome::NotSent { reason } => RentAnswer::NotSent { reason },
            Outcome::RateLimited { until } => RentAnswer::RateLimited { until },
            Outcome::Unauthorized => RentAnswer::Unauthorized,
            Outcome::Unclear { reason } => RentAnswer::Unknown { reason },
        }
    }
}

fn rented(reply: Reply) -> RentAnswer {
    let Reply { status, body, .. } = reply;
    match json::facts(body) {
        Some(facts) if matches!(status, 200 | 201) => RentAnswer::Rented(Box::new(facts)),
        _ => RentAnswer::Unknown {
            reason: format!("the answer did not name a number ({status})"),
        },
    }
}
