//! A statement with its arguments, and its form for a driver.

use crate::store::sql::param::Param;

/// A statement with its arguments. Made by `sql!` or [`crate::store::sql::select::Select`].
#[derive(Debug)]
pub(in crate::store) struct Statement {
    /// The text: built from literals of the store, never from input of a user.
    pub(in crate::store) text: String,
    /// The arguments of `$1`, `$2` and so on.
    pub(in crate::store) args: Vec<Param>,
}

impl Statement {
    /// The text with the arguments in it.
    pub(in crate::store) fn example(&self) -> String {
        let mut text = self.text.clone();
        // From the last one, so that `$1` is not found in `$12`.
        for (index, arg) in self.args.iter().enumerate().rev() {
            let literal = match arg {
                Param::Text(Some(text)) => format!("'{}'::text", text.replace('\'', "''")),
                Param::Text(None) => "NULL::text".to_owned(),
                Param::Int(Some(int)) => format!("({int})::bigint"),
                Param::Int(None) => "NULL::bigint".to_owned(),
            };
            text = text.replace(&format!("${}", index + 1), &literal);
        }
        text
    }
}

/// Builds a statement: `sql!("… $1 …", value)`.
macro_rules! sql {
    ($text:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::sql::statement::Statement {
            text: ($text).to_owned(),
            args: vec![$($crate::store::sql::param::Param::from($arg)),*],
        }
    };
}
pub(in crate::store) use sql;

/// The query of the driver, with its arguments.
macro_rules! bound {
    ($statement:expr) => {{
        let $crate::store::sql::statement::Statement { text, args } = $statement;
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
        for arg in args {
            query = match arg {
                $crate::store::sql::param::Param::Text(text) => query.bind(text),
                $crate::store::sql::param::Param::Int(int) => query.bind(int),
            };
        }
        query
    }};
}
pub(in crate::store) use bound;
