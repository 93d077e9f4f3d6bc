//! Lists numbers by SQL: the reference for tests and benchmarks of the inventory in memory.

use numberdesk::domain::country::Country;
use numberdesk::domain::id::UserId;
use numberdesk::domain::page::Limit;
use numberdesk::domain::scope::Scope;
use numberdesk::inventory::NumberFilter;

/// A query for either database, and its arguments, which are all text.
pub(crate) struct Listing {
    pub(crate) text: String,
    pub(crate) args: Vec<String>,
}

impl Listing {
    /// Returns the query for one page in the order of ids, starting after the id `after`.
    ///
    /// It selects one row more if another page follows. The first columns are `id` and `facts`.
    pub(crate) fn new(scope: &Scope, filter: &NumberFilter, limit: Limit, after: Option<&str>) -> Self {
        let mut args = Vec::new();
        let mut bind = |value: &str| {
            args.push(value.to_owned());
            format!("${}", args.len())
        };
        let mut conditions = vec!["gone_at IS NULL".to_owned()];
        match scope.teams() {
            None => {}
            Some([]) => conditions.push("1 = 0".to_owned()),
            Some(teams) => {
                let placeholders: Vec<_> = teams.iter().map(|team| bind(team.as_str())).collect();
                conditions.push(format!("team IN ({})", placeholders.join(", ")));
            }
        }
        let label = filter.label.as_deref().map(like_pattern);
        for (condition, value) in [
            ("country = ?", filter.country.as_ref().map(Country::as_str)),
            ("number = ?", filter.number.as_deref()),
            ("kind = ?", filter.kind.as_deref()),
            ("label_folded LIKE ? ESCAPE '!'", label.as_deref()),
            (
                "id IN (SELECT number_id FROM number_participants WHERE user_id = ?)",
                filter.participant.as_ref().map(UserId::as_str),
            ),
            ("id > ?", after),
        ] {
            conditions.extend(value.map(|value| condition.replace('?', &bind(value))));
        }
        match filter.orphan {
            Some(true) => conditions.push("team IS NULL".to_owned()),
            Some(false) => conditions.push("team IS NOT NULL".to_owned()),
            None => {}
        }
        let text = format!(
            "SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at FROM numbers \
             WHERE {} ORDER BY id LIMIT {}",
            conditions.join(" AND "),
            limit.rows() + 1
        );
        Self { text, args }
    }
}

/// Returns a LIKE pattern for labels that contain `text` literally.
fn like_pattern(text: &str) -> String {
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
