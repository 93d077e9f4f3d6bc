//! Builds SELECT statements for lists from literal conditions, and reads them page by page.

use crate::domain::page::{Limit, Page};
use crate::domain::scope::Scope;
use crate::error::Error;
use crate::store::sql::db::{Db, Statement};
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;

/// A SELECT under construction. Conditions are literals; values are always parameters.
pub(in crate::store) struct Select {
    text: String,
    args: Vec<Param>,
}

impl Select {
    /// Starts with the rows of `scope`; every list needs a scope.
    pub(in crate::store) fn within(scope: &Scope, from: &'static str) -> Self {
        Self::within_by(scope, from, "team IN (?)")
    }

    /// Starts with the rows of `scope`, where `condition` decides which team a row belongs to.
    ///
    /// `?` in it, and in `from`, is replaced by the teams.
    pub(in crate::store) fn within_by(scope: &Scope, from: &'static str, condition: &'static str) -> Self {
        let mut select = Self {
            text: from.to_owned(),
            args: Vec::new(),
        };
        match scope.teams() {
            None => select.text.push_str(" WHERE 1 = 1"),
            Some([]) => {
                select.text = from.replace('?', "NULL");
                select.text.push_str(" WHERE 1 = 0");
            }
            Some(teams) => {
                let placeholders: Vec<String> = teams
                    .iter()
                    .map(|team| select.placeholder(team.as_str()))
                    .collect();
                let placeholders = placeholders.join(", ");
                select.text = from.replace('?', &placeholders);
                select.text.push_str(" WHERE ");
                select.text.push_str(&condition.replace('?', &placeholders));
            }
        }
        select
    }

    /// Adds a condition; each `?` in it is replaced by `value`.
    pub(in crate::store) fn and(&mut self, condition: &'static str, value: impl Into<Param>) {
        let placeholder = self.placeholder(value);
        self.text.push_str(" AND ");
        self.text.push_str(&condition.replace('?', &placeholder));
    }

    /// Adds a condition with a list of values, never empty; `?` in it is replaced by the list.
    pub(in crate::store) fn and_one_of(
        &mut self,
        condition: &'static str,
        values: impl Iterator<Item = impl Into<Param>>,
    ) {
        let placeholders: Vec<String> = values.map(|value| self.placeholder(value)).collect();
        self.text.push_str(" AND ");
        self.text
            .push_str(&condition.replace('?', &placeholders.join(", ")));
    }

    /// Adds a condition when there is a value for it.
    pub(in crate::store) fn and_some(&mut self, condition: &'static str, value: Option<impl Into<Param>>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// Adds a condition without a value.
    pub(in crate::store) fn and_just(&mut self, condition: &'static str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    /// The finished statement.
    pub(in crate::store) fn statement(self) -> Statement {
        Statement {
            text: self.text,
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
        let placeholder = self.placeholder(i64::from(limit.rows()) + 1);
        self.text.push_str(" ORDER BY id DESC LIMIT ");
        self.text.push_str(&placeholder);
        let mut found = db.long_rows(self.statement()).await?;
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

    /// One row for each value of these columns of the result.
    pub(in crate::store) fn grouped(mut self, columns: &'static str) -> Statement {
        self.text.push_str(" GROUP BY ");
        self.text.push_str(columns);
        self.statement()
    }

    /// The first rows in the order of these columns.
    pub(in crate::store) fn first(mut self, columns: &'static str, limit: u32) -> Statement {
        let placeholder = self.placeholder(i64::from(limit));
        self.text.push_str(" ORDER BY ");
        self.text.push_str(columns);
        self.text.push_str(" LIMIT ");
        self.text.push_str(&placeholder);
        self.statement()
    }

    fn placeholder(&mut self, value: impl Into<Param>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }
}
