//! A second person's word on an order: why it is asked for, what was said and by whom, and the request that it is
//! bound to. Which orders need one is the policy's to say.

use serde::{Deserialize, Serialize};

use crate::domain::audit::Actor;
use crate::domain::caller::Caller;
use crate::domain::id::UserId;
use crate::domain::order::{Order, State, Terms, WrongState};
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// What became of the question.
    Verdict {
        /// Nobody has said anything yet.
        Pending = "pending",
        /// Somebody agreed.
        Approved = "approved",
        /// Somebody did not.
        Rejected = "rejected",
        /// Nobody said anything in time.
        Expired = "expired",
    }
}

/// What is known of a second person's word on one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The rule of the policy that asks for it, such as `teams.sales.approval.countries`.
    pub rule: String,
    /// Why it is asked for, in a sentence.
    pub why: String,
    /// The fingerprint of the request it is about: nothing else is rented under it.
    pub fingerprint: String,
    /// The terms it is about.
    pub terms: Terms,
    /// The user in Close of who ordered, if the token named one.
    pub close_user: Option<UserId>,
    /// What became of it.
    pub decision: Verdict,
    /// Who said so.
    pub by: Option<Actor>,
    /// When.
    pub at: Option<Timestamp>,
    /// What was said about it.
    pub comment: Option<String>,
    /// Until when it can be given. It has a column of its own, by which the desk finds what is over.
    #[serde(skip, default = "never")]
    pub expires_at: Timestamp,
}

/// What is read without its column can't be given any more.
const fn never() -> Timestamp {
    Timestamp::from_micros(0)
}

impl Order {
    /// Whether this caller ordered it: the same subject, whatever the issuer, or the same user in Close.
    pub fn is_own_of(&self, caller: &Caller) -> bool {
        let user = self
            .approval
            .as_ref()
            .and_then(|approval| approval.close_user.as_ref());
        self.created_by == caller.subject || (user.is_some() && user == caller.close_user.as_ref())
    }

    /// Whether the time to approve it is over, and nobody has.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let over = |approval: &Approval| approval.expires_at <= now;
        self.state == State::AwaitingApproval && self.approval.as_ref().is_some_and(over)
    }

    /// Whether it may be sent as it is: it needed nobody's approval, or is what was approved.
    pub fn is_as_approved(&self) -> bool {
        self.approval.as_ref().is_none_or(|approval| {
            approval.decision == Verdict::Approved
                && approval.fingerprint == self.request.fingerprint()
                && approval.terms == self.terms
        })
    }

    /// Writes down what became of the question. In time only a person says so, afterwards only the clock.
    pub(in crate::domain) fn decided(
        mut self,
        decision: Verdict,
        by: Option<Actor>,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<Self, WrongState> {
        let fits =
            self.state == State::AwaitingApproval && self.is_overdue(now) == (decision == Verdict::Expired);
        match &mut self.approval {
            Some(approval) if fits => {
                approval.decision = decision;
                approval.by = by;
                approval.at = Some(now);
                approval.comment = comment;
                Ok(self)
            }
            _ => Err(WrongState(self.state)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;
    use crate::domain::order::Request;
    use serde_json::{Value, json};

    const END: Timestamp = Timestamp::from_seconds(1_795_000_000);

    /// An order of Alice, user `user_A` in Close, for the same request at every call.
    fn waiting() -> Order {
        let request: Request =
            serde_json::from_value(json!({"country": "DE", "sharing": "personal"})).unwrap();
        let terms = Terms {
            carrier_type: None,
            assign_to: None,
            monthly: Money::from_cents(500),
        };
        Order {
            id: "ord_1".parse().unwrap(),
            team: "sales".parse().unwrap(),
            issuer: "https://idp.example.com/".into(),
            created_by: "alice".into(),
            idempotency_key: "key".parse().unwrap(),
            approval: Some(Approval {
                rule: "teams.sales.approval.countries".into(),
                why: "someone else has to".into(),
                fingerprint: request.fingerprint(),
                terms: terms.clone(),
                close_user: Some("user_A".parse().unwrap()),
                decision: Verdict::Pending,
                by: None,
                at: None,
                comment: None,
                expires_at: END,
            }),
            request,
            terms,
            state: State::AwaitingApproval,
            attempt: 0,
            sent_at: None,
            absent_since: None,
            not_before: None,
            phone_number_id: None,
            close_status: None,
            reason: None,
            close_errors: None,
            evidence: None,
            created_at: END,
            updated_at: END,
            finished_at: None,
        }
    }

    fn caller(subject: &str, issuer: &str, close_user: Option<&str>) -> Caller {
        Caller {
            issuer: issuer.into(),
            subject: subject.into(),
            teams: Vec::new(),
            permissions: std::collections::BTreeSet::new(),
            close_user: close_user.map(|user| user.parse().unwrap()),
            claims: Value::Null,
        }
    }

    #[test]
    fn before_the_end_a_person_decides_and_from_then_on_only_the_clock_does() {
        let before = Timestamp::from_micros(END.as_micros() - 1);
        assert!(waiting().approved(Actor::desk(), None, before).is_ok());
        assert!(waiting().rejected(Actor::desk(), None, before).is_ok());
        assert_eq!(
            waiting().expired(before),
            Err(WrongState(State::AwaitingApproval))
        );
        assert!(waiting().approved(Actor::desk(), None, END).is_err());
        assert!(waiting().rejected(Actor::desk(), None, END).is_err());
        assert_eq!(waiting().expired(END).unwrap().state, State::Cancelled);
    }

    #[test]
    fn an_order_is_decided_once() {
        let now = Timestamp::from_micros(0);
        let approved = waiting().approved(Actor::desk(), None, now).unwrap();
        assert_eq!(
            approved.clone().rejected(Actor::desk(), None, now),
            Err(WrongState(State::Queued))
        );
        assert_eq!(approved.expired(END), Err(WrongState(State::Queued)));
        let rejected = waiting().rejected(Actor::desk(), None, now).unwrap();
        assert_eq!(
            rejected.approved(Actor::desk(), None, now),
            Err(WrongState(State::Refused))
        );
    }

    #[test]
    fn an_order_is_one_s_own_by_subject_or_by_user_in_close_where_both_are_known() {
        let order = waiting();
        for own in [
            caller("alice", "https://idp.example.com/", None),
            caller("alice", "https://other.example.com/", Some("user_B")),
            caller("app", "https://idp.example.com/", Some("user_A")),
        ] {
            assert!(order.is_own_of(&own), "{own:?}");
        }
        let mut unknown = waiting();
        unknown.approval.as_mut().unwrap().close_user = None;
        for (order, other) in [
            (
                &order,
                caller("petra", "https://idp.example.com/", Some("user_B")),
            ),
            (&order, caller("petra", "https://idp.example.com/", None)),
            (&unknown, caller("petra", "https://idp.example.com/", None)),
            (
                &unknown,
                caller("petra", "https://idp.example.com/", Some("user_A")),
            ),
        ] {
            assert!(!order.is_own_of(&other), "{other:?}");
        }
    }

    #[test]
    fn nothing_but_what_was_approved_is_sent() {
        assert!(!waiting().is_as_approved());
        let approved = waiting()
            .approved(Actor::desk(), None, Timestamp::from_micros(0))
            .unwrap();
        assert!(approved.is_as_approved());
        let mut other = approved.clone();
        other.request.prefix = Some("30".into());
        assert!(!other.is_as_approved());
        let mut other = approved.clone();
        other.terms.monthly = Money::ZERO;
        assert!(!other.is_as_approved());
        let free = Order {
            approval: None,
            ..approved
        };
        assert!(free.is_as_approved());
    }
}
