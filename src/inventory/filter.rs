//! The filter of a list of numbers. The scope limits the list to the caller's teams.

use crate::domain::country::Country;
use crate::domain::id::UserId;
use crate::domain::number::Number;

/// A filter of numbers. A condition that is `None` matches every number.
#[derive(Debug, Clone, Default)]
pub struct NumberFilter {
    /// The country.
    pub country: Option<Country>,
    /// The phone number in E.164.
    pub number: Option<String>,
    /// The kind: `internal`, `external`, `virtual`, …
    pub kind: Option<String>,
    /// A part of the label, in any case.
    pub label: Option<String>,
    /// A participant, or the only user.
    pub participant: Option<UserId>,
    /// `true` for numbers without a team, `false` for numbers with one.
    pub orphan: Option<bool>,
}

impl NumberFilter {
    /// Returns a predicate that is true for the numbers that match.
    pub(super) fn test(&self) -> impl Fn(&Number) -> bool {
        let label = self.label.as_deref().map(str::to_lowercase);
        move |number| {
            let facts = &number.facts;
            self.country.is_none_or(|country| facts.country == Some(country))
                && self.number.as_ref().is_none_or(|number| facts.number == *number)
                && self.kind.as_ref().is_none_or(|kind| facts.kind == *kind)
                && self.participant.as_ref().is_none_or(|user| facts.involves(user))
                && self.orphan.is_none_or(|orphan| number.team.is_none() == orphan)
                && label
                    .as_ref()
                    .is_none_or(|text| contains(facts.label.as_deref().unwrap_or_default(), text))
        }
    }
}

/// Whether the label contains the text, which must be in lower case.
fn contains(label: &str, text: &str) -> bool {
    label.to_lowercase().contains(text)
}
