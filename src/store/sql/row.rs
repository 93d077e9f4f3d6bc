//! Reads columns of a row as values of the domain.
//!
//! Only the service writes to the database. So a value that does not parse is an internal error. It names the column.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::domain::later_word::StoredWord;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::sql::error::{corrupt, store_error};

/// One row of either database.
pub(in crate::store) enum Row {
    /// A row of SQLite.
    Sqlite(SqliteRow),
    /// A row of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// A nullable text.
    pub(in crate::store) fn text_opt(&self, column: &str) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(store_error)
    }
    /// A text.
    pub(in crate::store) fn text(&self, column: &str) -> Result<String, Error> {
        present(self.text_opt(column)?, column)
    }
    /// A nullable integer.
    pub(in crate::store) fn int_opt(&self, column: &str) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(store_error)
    }
    /// An integer.
    pub(in crate::store) fn int(&self, column: &str) -> Result<i64, Error> {
        present(self.int_opt(column)?, column)
    }
    /// A nullable flag.
    pub(in crate::store) fn flag_opt(&self, column: &str) -> Result<Option<bool>, Error> {
        Ok(self.int_opt(column)?.map(|int| int != 0))
    }
    /// A nullable point in time.
    pub(in crate::store) fn time_opt(&self, column: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.int_opt(column)?.map(Timestamp::from_micros))
    }
    /// A point in time.
    pub(in crate::store) fn time(&self, column: &str) -> Result<Timestamp, Error> {
        Ok(Timestamp::from_micros(self.int(column)?))
    }
    /// An amount of money.
    pub(in crate::store) fn money(&self, column: &str) -> Result<Money, Error> {
        Ok(Money::from_cents(self.int(column)?))
    }
    /// A nullable id or enum value.
    pub(in crate::store) fn parsed_opt<T: FromStr<Err: Display>>(
        &self,
        column: &str,
    ) -> Result<Option<T>, Error> {
        self.text_opt(column)?
            .map(|text| {
                text.parse().map_err(|cause: T::Err| {
                    corrupt(
                        format!("column {column} can't be read"),
                        Some(cause.to_string().into()),
                    )
                })
            })
            .transpose()
    }
    /// An id or enum value.
    pub(in crate::store) fn parsed<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, Error> {
        present(self.parsed_opt(column)?, column)
    }
    /// A nullable word, which may be one of a later version.
    pub(in crate::store) fn word_opt<T: StoredWord>(&self, column: &str) -> Result<Option<T>, Error> {
        Ok(self.text_opt(column)?.map(|text| T::stored(&text)))
    }
    /// A word, which may be one of a later version.
    pub(in crate::store) fn word<T: StoredWord>(&self, column: &str) -> Result<T, Error> {
        present(self.word_opt(column)?, column)
    }
    /// Nullable JSON.
    pub(in crate::store) fn json_opt<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, Error> {
        self.text_opt(column)?
            .map(|text| {
                serde_json::from_str(&text)
                    .map_err(|cause| corrupt(format!("column {column} can't be read"), Some(cause.into())))
            })
            .transpose()
    }
    /// JSON.
    pub(in crate::store) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        present(self.json_opt(column)?, column)
    }
}

fn present<T>(value: Option<T>, column: &str) -> Result<T, Error> {
    value.ok_or_else(|| corrupt(format!("column {column} is empty"), None))
}

/// Writes a value as JSON, for a column.
pub(in crate::store) fn json<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|cause| corrupt("a value can't be written as JSON", Some(cause.into())))
}
