//! A list of numbers as SQL would answer it: what the inventory in memory is held against, and measured against.

use numberdesk::domain::caller::Scope;
use numberdesk::domain::id::UserId;
use numberdesk::domain::page::Limit;
use numberdesk::inventory::NumberFilter;

/// A statement for either database, and its arguments, all of them texts.
pub(crate) struct Listing {
    pub(crate) text: String,
    pub(crate) args: Vec<String>,
}

impl Listing {
    /// One page by id, after the id `after`, with one row more when another page follows. The first columns are `id`
    /// and `facts`.
    pub(crate) fn new(scope: &Scope, filter: &NumberFilter, limit: Limit, after: Option<&str>) -> Self {
        let mut listing = Self {
            text: "SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at FROM numbers \
                WHERE gone_at IS NULL"
                .to_owned(),
            args: Vec::new(),
        };
        match scope {
            Scope::All => {}
            Scope::Teams(teams) if teams.is_empty() => listing.text.push_str(" AND 1 = 0"),
            Scope::Teams(teams) => {
                let places: Vec<_> = teams.iter().map(|team| listing.place(team.as_str())).collect();
                listing
                    .text
                    .push_str(&format!(" AND team IN ({})", places.join(", ")));
            }
        }
        let label = filter.label.as_deref().map(pattern);
        for (condition, value) in [
            (
                "country = ",
                filter.country.as_ref().map(|country| country.as_str()),
            ),
            ("number = ", filter.number.as_deref()),
            ("kind = ", filter.kind.as_deref()),
            ("label_folded LIKE ", label.as_deref()),
            ("id > ", after),
        ] {
            if let Some(value) = value {
                let place = listing.place(value);
                listing.text.push_str(&format!(" AND {condition}{place}"));
                if condition.ends_with("LIKE ") {
                    listing.text.push_str(" ESCAPE '!'");
                }
            }
        }
        if let Some(user) = filter.participant.as_ref().map(UserId::as_str) {
            let place = listing.place(user);
            listing.text.push_str(&format!(
                " AND id IN (SELECT number_id FROM number_participants WHERE user_id = {place})"
            ));
        }
        match filter.orphan {
            Some(true) => listing.text.push_str(" AND team IS NULL"),
            Some(false) => listing.text.push_str(" AND team IS NOT NULL"),
            None => {}
        }
        let rows = limit.rows() + 1;
        listing.text.push_str(&format!(" ORDER BY id LIMIT {rows}"));
        listing
    }

    fn place(&mut self, value: &str) -> String {
        self.args.push(value.to_owned());
        format!("${}", self.args.len())
    }
}

/// A LIKE pattern for labels that have `text` in them, as it stands.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
