//! An order: the durable request to rent one number. Its states, and the only ways from one to the next.

pub mod approval;
pub mod matches;
pub mod request;

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::audit::Actor;
use crate::domain::caller::Team;
use crate::domain::country::Country;
use crate::domain::id::{OrderId, PhoneNumberId, UserId};
use crate::domain::money::Money;
use crate::domain::number::{CarrierType, Sharing};
use crate::domain::order::approval::{Approval, Verdict};
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// Where an order stands.
    State {
        /// A second person has to agree.
        AwaitingApproval = "awaiting_approval",
        /// Accepted; nothing has been sent to Close.
        Queued = "queued",
        /// The paid call is, or may be, under way.
        Renting = "renting",
        /// Close may or may not have rented: nobody knows yet.
        Unverified = "unverified",
        /// A person has to look.
        NeedsReview = "needs_review",
        /// Rented.
        Fulfilled = "fulfilled",
        /// Not rented, for certain.
        Refused = "refused",
        /// Withdrawn before anything was sent.
        Cancelled = "cancelled",
    }
}

impl State {
    /// Whether nothing changes any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Fulfilled | Self::Refused | Self::Cancelled)
    }
    /// Whether a reservation is held.
    pub const fn reserves(self) -> bool {
        !self.is_final()
    }
}

string_enum! {
    /// What a final state rests on.
    Evidence {
        /// Close answered 201 with the number.
        Close201 = "close-201",
        /// Close answered that it did not rent.
        CloseRefusal = "close-refusal",
        /// The number was found in Close after an unknown outcome.
        FoundByReconciliation = "found-by-reconciliation",
        /// Close showed nothing for long enough.
        AbsentAfterReconciliation = "absent-after-reconciliation",
        /// A person decided.
        SettledByPerson = "settled-by-person",
    }
}

/// The key that makes a request repeatable: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 visible ASCII characters, such as a UUID")]
pub struct NotAKey;

impl FromStr for IdempotencyKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAKey)
        }
    }
}
impl TryFrom<String> for IdempotencyKey {
    type Error = NotAKey;
    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}
impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> String {
        key.0
    }
}

/// What was asked for, with defaults filled in. Two requests are the same when these are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where the number is to be.
    pub country: Country,
    /// One person's or a group's.
    pub sharing: Sharing,
    /// Area code or prefix without the country code: 1 to 5 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The kind of line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_type: Option<CarrierType>,
    /// Regulatory bundle, where the country asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle_id: Option<String>,
    /// Whether it must (`true`) or need not (`false`) do SMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_sms: Option<bool>,
    /// The same for MMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_mms: Option<bool>,
    /// Users in Close who get it; never empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assign_to: Option<Vec<UserId>>,
    /// What to call it once it is rented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Request {
    /// Whether it asks for a number that several people share.
    pub fn group(&self) -> bool {
        self.sharing == Sharing::Group || self.assign_to.as_ref().is_some_and(|users| users.len() > 1)
    }

    /// What makes two requests the same: the body with its defaults, and nothing of the token.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::to_string(self).expect("a request is plain data");
        hex::encode(Sha256::digest(text))
    }
}

/// What policy made of the request: the gaps it filled and the price it reckons with. Sent to Close as is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The kind of line: asked for, or the only one the team may have.
    pub carrier_type: Option<CarrierType>,
    /// Who gets it: asked for, or the caller's own user; `None` leaves it to Close (the key's owner).
    pub assign_to: Option<Vec<UserId>>,
    /// Estimated monthly price.
    pub monthly: Money,
}

/// One order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub team: Team,
    /// The issuer of the token that asked.
    pub issuer: String,
    /// The subject of the token that asked.
    pub created_by: String,
    /// The key it was sent under.
    pub idempotency_key: IdempotencyKey,
    /// What was asked for.
    pub request: Request,
    /// What policy made of it.
    pub terms: Terms,
    /// A second person's word on it, if it needs one.
    pub approval: Option<Approval>,
    /// Where it stands.
    pub state: State,
    /// How often a send was begun.
    pub attempt: i64,
    /// When the last send was begun.
    pub sent_at: Option<Timestamp>,
    /// Since when Close, asked about an unknown outcome, has shown nothing that fits.
    pub absent_since: Option<Timestamp>,
    /// Queued orders are not sent before this.
    pub not_before: Option<Timestamp>,
    /// The number that was rented.
    pub phone_number_id: Option<PhoneNumberId>,
    /// Close's own word for a refusal.
    pub close_status: Option<String>,
    /// Why it stands where it stands, in a sentence; Close's own message for a refusal.
    pub reason: Option<String>,
    /// Close's field errors, by field.
    pub close_errors: Option<Map<String, Value>>,
    /// What the final state rests on.
    pub evidence: Option<Evidence>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it reached its final state.
    pub finished_at: Option<Timestamp>,
}

/// How a send ended, as far as anyone knows now.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Rented.
    Fulfilled {
        /// Which number.
        phone_number_id: PhoneNumberId,
        /// How we know.
        evidence: Evidence,
    },
    /// Not rented, for certain.
    Refused {
        /// Close's word, if it gave one.
        close_status: Option<String>,
        /// Close's message.
        reason: Option<String>,
        /// Close's field errors.
        close_errors: Option<Map<String, Value>>,
        /// How we know.
        evidence: Evidence,
    },
    /// Nobody knows.
    Unverified {
        /// What happened instead of an answer.
        reason: String,
    },
    /// What Close shows can be read in more than one way: a person has to decide.
    Review {
        /// What it shows.
        reason: String,
    },
    /// Nothing was executed: to be sent again, not before a time.
    Requeued {
        /// The earliest next send.
        not_before: Timestamp,
        /// Why.
        reason: String,
    },
}

/// An order that is not where a step needs it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order is {0}")]
pub struct WrongState(pub State);

impl Order {
    /// The send begins: `queued` to `renting`.
    pub fn claimed(mut self, now: Timestamp) -> Result<Self, WrongState> {
        self.expect(State::Queued)?;
        self.state = State::Renting;
        self.attempt += 1;
        self.sent_at = Some(now);
        self.not_before = None;
        self.reason = None;
        self.updated_at = now;
        Ok(self)
    }

    /// What makes two orders interchangeable: the team, and everything that Close is told. Numbers rented for such
    /// orders can't be told apart, and need not be.
    pub fn shape(&self) -> String {
        let asked = Request {
            label: None,
            ..self.request.clone()
        };
        let told = serde_json::json!([self.team, asked, self.terms.carrier_type, self.terms.assign_to]);
        hex::encode(&Sha256::digest(told.to_string())[..16])
    }

    /// The send ended, or what came of it was found out: `renting` to what is known, `unverified` to what was found,
    /// `needs_review` to what a person decided or a late answer says.
    pub fn settled(mut self, settlement: Settlement, now: Timestamp) -> Result<Self, WrongState> {
        use Settlement::{Fulfilled, Refused, Requeued, Review, Unverified};
        let known = match self.state {
            State::Renting => !matches!(settlement, Review { .. }),
            State::Unverified => !matches!(settlement, Unverified { .. } | Requeued { .. }),
            State::NeedsReview => matches!(settlement, Fulfilled { .. } | Refused { .. }),
            _ => false,
        };
        if !known {
            return Err(WrongState(self.state));
        }
        match settlement {
            Settlement::Fulfilled {
                phone_number_id,
                evidence,
            } => {
                self.state = State::Fulfilled;
                self.reason = None;
                self.phone_number_id = Some(phone_number_id);
                self.evidence = Some(evidence);
            }
            Settlement::Refused {
                close_status,
                reason,
                close_errors,
                evidence,
            } => {
                self.state = State::Refused;
                self.close_status = close_status;
                self.reason = reason;
                self.close_errors = close_errors;
                self.evidence = Some(evidence);
            }
            Settlement::Unverified { reason } => {
                self.state = State::Unverified;
                self.reason = Some(reason);
            }
            Settlement::Review { reason } => {
                self.state = State::NeedsReview;
                self.reason = Some(reason);
            }
            Settlement::Requeued { not_before, reason } => {
                self.state = State::Queued;
                self.not_before = Some(not_before);
                self.reason = Some(reason);
            }
        }
        Ok(self.stamped(now))
    }

    /// The caller withdraws: `queued` or `awaiting_approval` to `cancelled`.
    pub fn cancelled(mut self, now: Timestamp) -> Result<Self, WrongState> {
        if self.state != State::AwaitingApproval {
            self.expect(State::Queued)?;
        }
        self.state = State::Cancelled;
        self.reason = None;
        Ok(self.stamped(now))
    }

    /// A second person agrees: `awaiting_approval` to `queued`.
    pub fn approved(self, by: Actor, comment: Option<String>, now: Timestamp) -> Result<Self, WrongState> {
        let mut order = self.decided(Verdict::Approved, Some(by), comment, now)?;
        order.state = State::Queued;
        order.reason = None;
        Ok(order.stamped(now))
    }

    /// A second person does not agree: `awaiting_approval` to `refused`.
    pub fn rejected(self, by: Actor, comment: Option<String>, now: Timestamp) -> Result<Self, WrongState> {
        let why = comment.as_ref().map(|comment| format!(": {comment}"));
        let reason = format!("rejected by {}{}", by.subject, why.unwrap_or_default());
        let mut order = self.decided(Verdict::Rejected, Some(by), comment, now)?;
        order.state = State::Refused;
        order.reason = Some(reason);
        order.evidence = Some(Evidence::SettledByPerson);
        Ok(order.stamped(now))
    }

    /// The time for a second person is over: `awaiting_approval` to `cancelled`.
    pub fn expired(self, now: Timestamp) -> Result<Self, WrongState> {
        let mut order = self.decided(Verdict::Expired, None, None, now)?;
        order.state = State::Cancelled;
        order.reason = Some("nobody approved it in time".to_owned());
        Ok(order.stamped(now))
    }

    fn stamped(mut self, now: Timestamp) -> Self {
        self.updated_at = now;
        self.finished_at = self.state.is_final().then_some(now);
        self
    }

    fn expect(&self, state: State) -> Result<(), WrongState> {
        if self.state == state {
            Ok(())
        } else {
            Err(WrongState(self.state))
        }
    }
}
