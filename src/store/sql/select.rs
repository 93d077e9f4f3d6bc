//! Builds SELECT statements for lists from literal conditions, and reads them page by page.

use crate::domain::page::{Limit, Page};
use crate::domain::scope::Scope;
use crate::error::Error;
use crate::store::sql::db::{Db, Statement};
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;

/// The most branches of a statement that reads the first rows of several groups.
const BRANCHES: usize = 48;

/// A SELECT under construction. Conditions are literals; values are always parameters.
pub(in crate::store) struct Select {
    from: &'static str,
    /// The teams of the scope, as placeholders; `None`: all teams.
    teams: Option<Group>,
    /// Further columns of which each row has one of several values.
    groups: Vec<Group>,
    conditions: String,
    args: Vec<Param>,
}

/// A column of which each row of the result has one of several values.
struct Group {
    /// The condition; `?` is replaced by the placeholders.
    condition: &'static str,
    placeholders: Vec<String>,
}

impl Group {
    fn condition(&self, placeholders: &[String]) -> String {
        self.condition.replace('?', &placeholders.join(", "))
    }
}

impl Select {
    /// Starts with the rows of `scope`; every list needs a scope.
    pub(in crate::store) fn within(scope: &Scope, from: &'static str) -> Self {
        let mut select = Self {
            from,
            teams: None,
            groups: Vec::new(),
            conditions: String::new(),
            args: Vec::new(),
        };
        select.teams = scope.teams().map(|teams| Group {
            condition: "team IN (?)",
            placeholders: teams
                .iter()
                .map(|team| select.placeholder(team.as_str()))
                .collect(),
        });
        select
    }

    /// Adds a condition; each `?` in it is replaced by `value`.
    pub(in crate::store) fn and(&mut self, condition: &'static str, value: impl Into<Param>) {
        let placeholder = self.placeholder(value);
        self.conditions.push_str(" AND ");
        self.conditions.push_str(&condition.replace('?', &placeholder));
    }

    /// Adds a condition with a list of values, never empty; `?` in it is replaced by the list, or by a part of it.
    pub(in crate::store) fn and_one_of(
        &mut self,
        condition: &'static str,
        values: impl Iterator<Item = impl Into<Param>>,
    ) {
        let placeholders = values.map(|value| self.placeholder(value)).collect();
        self.groups.push(Group {
            condition,
            placeholders,
        });
    }

    /// Adds a condition when there is a value for it.
    pub(in crate::store) fn and_some(&mut self, condition: &'static str, value: Option<impl Into<Param>>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// Adds a condition without a value.
    pub(in crate::store) fn and_just(&mut self, condition: &'static str) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
    }

    /// The finished statement.
    pub(in crate::store) fn statement(self) -> Statement {
        let text = self.text(|group| vec![group.placeholders.clone()]).join("");
        Statement {
            text,
            args: self.args,
        }
    }

    /// One page of the rows after the id `after`, newest first: ids sort by time.
    ///
    /// Rows inserted meanwhile neither repeat nor hide others.
    pub(in crate::store) async fn page<T>(
        mut self,
        db: &Db,
        limit: Limit,
        after: Option<&str>,
        read: impl Fn(&Row) -> Result<T, Error>,
    ) -> Result<Page<T>, Error> {
        self.and_some("id < ?", after);
        // One row more than the limit shows whether another page follows.
        let mut found = db.long_rows(self.first("id DESC", limit.rows() + 1)).await?;
        let wanted = limit.rows() as usize;
        let next = if found.len() > wanted {
            found.truncate(wanted);
            found.last().map(|row| row.text("id")).transpose()?
        } else {
            None
        };
        let rows = found.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page { rows, next })
    }

    /// The first rows in the order of these columns, which the result has.
    ///
    /// With several teams, or several values of a column, it reads the first rows of each of them and merges these. So an
    /// index that begins with the team gives all rows in their order, and the cost does not grow with the table.
    pub(in crate::store) fn first(mut self, columns: &'static str, limit: u32) -> Statement {
        let limit = self.placeholder(i64::from(limit));
        let end = format!(" ORDER BY {columns} LIMIT {limit}");
        let single = |group: &Group| group.placeholders.iter().map(|one| vec![one.clone()]).collect();
        let whole = |group: &Group| vec![group.placeholders.clone()];
        let mut branches = self.text(single);
        if branches.len() > BRANCHES {
            branches = self.text(whole);
        }
        let text = match branches.as_slice() {
            [only] => format!("{only}{end}"),
            several => {
                let several = several.iter().enumerate();
                let several: Vec<String> = several
                    .map(|(nth, branch)| format!("SELECT * FROM ({branch}{end}) AS branch{nth}"))
                    .collect();
                format!("{}{end}", several.join(" UNION ALL "))
            }
        };
        Statement {
            text,
            args: self.args,
        }
    }

    /// The statement without its order: one text for each combination of the parts into which `split` divides the groups.
    fn text(&self, split: impl Fn(&Group) -> Vec<Vec<String>>) -> Vec<String> {
        let Some(teams) = &self.teams else {
            return self.with_groups(vec![format!("{} WHERE 1 = 1", self.from)], split);
        };
        if teams.placeholders.is_empty() {
            return self.with_groups(
                vec![format!("{} WHERE 1 = 0", self.from.replace('?', "NULL"))],
                split,
            );
        }
        let from = self.from.replace('?', &teams.placeholders.join(", "));
        let parts = split(teams).into_iter();
        let starts = parts.map(|part| format!("{from} WHERE {}", teams.condition(&part)));
        self.with_groups(starts.collect(), split)
    }

    fn with_groups(&self, starts: Vec<String>, split: impl Fn(&Group) -> Vec<Vec<String>>) -> Vec<String> {
        let mut texts = starts;
        for text in &mut texts {
            text.push_str(&self.conditions);
        }
        for group in &self.groups {
            let parts: Vec<String> = split(group).iter().map(|part| group.condition(part)).collect();
            let with_parts = texts
                .iter()
                .flat_map(|text| parts.iter().map(move |part| format!("{text} AND {part}")));
            texts = with_parts.collect();
        }
        texts
    }

    fn placeholder(&mut self, value: impl Into<Param>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::team::Team;

    fn select(teams: &[&str], kinds: &[&str]) -> Select {
        let teams: Vec<Team> = teams.iter().map(|team| team.parse().unwrap()).collect();
        let scope = Scope::system("test").only(&teams);
        let mut select = Select::within(&scope, "SELECT id FROM events");
        select.and("seq > ?", 7);
        if !kinds.is_empty() {
            select.and_one_of("kind IN (?)", kinds.iter().copied());
        }
        select
    }

    #[test]
    fn the_first_rows_of_several_teams_are_merged_from_the_first_rows_of_each() {
        assert_eq!(
            select(&["a"], &[]).first("seq", 5).text,
            "SELECT id FROM events WHERE team IN ($1) AND seq > $2 ORDER BY seq LIMIT $3"
        );
        assert_eq!(
            select(&["a", "b"], &["k"]).first("seq", 5).text,
            "SELECT * FROM (SELECT id FROM events WHERE team IN ($1) AND seq > $3 AND kind IN ($4) \
             ORDER BY seq LIMIT $5) AS branch0 UNION ALL \
             SELECT * FROM (SELECT id FROM events WHERE team IN ($2) AND seq > $3 AND kind IN ($4) \
             ORDER BY seq LIMIT $5) AS branch1 ORDER BY seq LIMIT $5"
        );
    }

    #[test]
    fn a_statement_has_no_more_branches_than_it_may() {
        let kinds: Vec<String> = (0..BRANCHES).map(|nth| format!("k{nth}")).collect();
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        assert_eq!(
            select(&["a"], &kinds)
                .first("seq", 5)
                .text
                .matches("UNION")
                .count(),
            BRANCHES - 1
        );
        let whole = select(&["a", "b"], &kinds).first("seq", 5);
        assert_eq!(whole.text.matches("UNION").count(), 0);
        assert_eq!(whole.args.len(), 2 + 1 + kinds.len() + 1);
    }

    #[test]
    fn a_scope_without_teams_has_no_rows() {
        assert_eq!(
            select(&[], &[]).statement().text,
            "SELECT id FROM events WHERE 1 = 0 AND seq > $1"
        );
    }
}
