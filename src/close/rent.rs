//! The paid call: one POST, on a connection of its own, never repeated.

use serde_json::{Map, Value};

use crate::close::client::CloseClient;
use crate::close::endpoint::Endpoint;
use crate::close::json;
use crate::close::pace::RentPermit;
use crate::close::response::{Outcome, Reply};
use crate::close::sharing::{self, Lesson};
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
    /// Not rented: Close does not accept the fields of the call. The next call for the order has other fields.
    OtherFields {
        /// What Close does not accept.
        reason: &'static str,
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

/// Why no paid call may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RentHold {
    /// Close does not respond.
    CircuitOpen,
    /// The rate limit is used up until then.
    Limited(Timestamp),
    /// The calls in progress may use up the rate limit.
    CallsInProgress,
}

impl CloseClient {
    /// Until when the rate limit of renting is used up; `None` if it is not.
    pub fn rent_limited_until(&self) -> Option<Timestamp> {
        let transport = &self.0;
        transport
            .limits
            .held(Endpoint::Rent.group(), transport.clock.steady())
            .map(|until| transport.time_of_day(until))
    }

    /// Permits one paid call, by the circuit breaker and the rate limit.
    ///
    /// An order is claimed only with a permit, so that it is not claimed for a call that would not be made.
    pub async fn admit_rent(&self) -> Result<RentPermit, RentHold> {
        let transport = &self.0;
        if let Some(until) = self.rent_limited_until() {
            return Err(RentHold::Limited(until));
        }
        if !transport.is_ready(transport.timeout).await {
            return Err(RentHold::CircuitOpen);
        }
        let permit = transport.pace.admit(transport.clock.steady()).await;
        // The wait for the first response may have shown a limit.
        match self.rent_limited_until() {
            Some(until) => Err(RentHold::Limited(until)),
            None => permit.ok_or(RentHold::CallsInProgress),
        }
    }

    /// Rents one number: sends exactly one POST, or none if the outcome says so.
    ///
    /// Takes [`crate::close::Settings::timeout`] at most.
    pub async fn rent(&self, request: &Request, terms: &Terms) -> RentOutcome {
        let transport = &self.0;
        if let Some(until) = transport
            .limits
            .held(Endpoint::Rent.group(), transport.clock.steady())
        {
            return RentOutcome::RateLimited {
                until: transport.time_of_day(until),
            };
        }
        let with_sharing = transport.sharing.is_sent(request, transport.clock.steady());
        let fields = json::rent(request, terms, with_sharing);
        let body = Value::Object(fields.clone());
        let outcome = transport
            .exchange(Endpoint::Rent, Some(&body), transport.timeout)
            .await;
        if let Outcome::Refused(refusal) = &outcome
            && let Some(lesson) = transport
                .sharing
                .learn(request, &fields, refusal, transport.clock.steady())
        {
            if lesson != Lesson::Required {
                transport.radar.retired(sharing::FIELD);
            }
            return RentOutcome::OtherFields {
                reason: match lesson {
                    Lesson::Retired => "Close no longer knows the field `sharing`",
                    Lesson::Refused => "Close does not accept the field `sharing`",
                    Lesson::Required => "Close requires the field `sharing`",
                },
            };
        }
        match outcome {
            Outcome::Done(reply) => rented(reply),
            Outcome::Refused(refusal) => RentOutcome::Refused {
                close_status: refusal.close_status,
                reason: refusal.reason,
                close_errors: refusal.close_errors,
                forbidden: refusal.status == 403,
            },
            Outcome::NotSent { reason } => RentOutcome::NotSent { reason },
            Outcome::RateLimited { until } => RentOutcome::RateLimited {
                until: transport.time_of_day(until),
            },
            Outcome::Unauthorized => RentOutcome::Unauthorized,
            Outcome::Unclear { reason } => RentOutcome::Unknown { reason },
        }
    }

    /// The field that [`Self::rent`] leaves out of the call for this request, because Close has retired it.
    pub fn retired_field(&self, request: &Request) -> Option<&'static str> {
        let transport = &self.0;
        let left_out = transport.sharing.is_left_out(request, transport.clock.steady());
        left_out.then_some(sharing::FIELD)
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
