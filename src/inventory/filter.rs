//! Which numbers a list shows. It does not know whose they are: that comes by the scope.

use crate::domain::country::Country;
use crate::domain::id::UserId;
use crate::domain::number::Number;

/// Which numbers; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct NumberFilter {
    /// Of this country.
    pub country: Option<Country>,
    /// This number, E.164.
    pub number: Option<String>,
    /// Of this kind: `internal`, `external`, `virtual`, …
    pub kind: Option<String>,
    /// With this text in the label, whatever the case.
    pub label: Option<String>,
    /// Whose participant, or whose only user, this is.
    pub participant: Option<UserId>,
    /// Only those of no team, or only those of some team.
    pub orphan: Option<bool>,
}

impl NumberFilter {
    /// Tells, number by number, whether the filter lets it through.
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

/// Whether the label has the text, which is in lower case, in it.
fn contains(label: &str, text: &str) -> bool {
    label.to_lowercase().contains(text)
}
