//! Copies the rows of one table.

use futures::TryStreamExt as _;

use crate::error::Error;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;

/// The most arguments of one INSERT: SQLite allows 32,766, PostgreSQL 65,535.
const MAX_ARGUMENTS: usize = 16_000;
/// The most bytes of text in one INSERT.
const MAX_BYTES: usize = 1 << 20;

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The table, or what is being verified.
    pub step: &'static str,
    /// Rows done.
    pub done: u64,
    /// Rows in total.
    pub total: u64,
}

/// Why a database was not copied. The target is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source or the target does not suit.
    #[error("{0}")]
    Refused(String),
    /// The copy differs from the source.
    #[error("the copy differs from its source, so it was undone: {0}")]
    Differs(String),
    /// A database failed.
    #[error("the {which} failed")]
    Failed {
        /// `source` or `target`.
        which: &'static str,
        /// The error of the database.
        #[source]
        cause: Box<Error>,
    },
}

pub(super) fn source(cause: Error) -> CopyError {
    CopyError::Failed {
        which: "source",
        cause: Box::new(cause),
    }
}

pub(super) fn target(cause: Error) -> CopyError {
    CopyError::Failed {
        which: "target",
        cause: Box::new(cause),
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    name: String,
    is_text: bool,
}

/// The columns of a table, by name.
pub(super) async fn columns(tx: &mut Tx, table: &'static str) -> Result<Vec<Column>, Error> {
    let columns = if tx.on_postgres() {
        "SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY 1"
    } else {
        "SELECT name, type FROM pragma_table_info($1) ORDER BY 1"
    };
    let rows = tx.rows(sql!(columns, table)).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        columns.push(Column {
            name: row.text("name")?,
            is_text: row.text("type")?.eq_ignore_ascii_case("text"),
        });
    }
    // Each database sorts by its own locale.
    columns.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(columns)
}

/// The number of rows of a table.
pub(super) async fn count(tx: &mut Tx, table: &str) -> Result<u64, Error> {
    let statement = Statement {
        text: format!("SELECT COUNT(*) AS rows FROM {table}"),
        args: Vec::new(),
    };
    let row = tx.row(statement).await?;
    let rows = row.map(|row| row.int("rows")).transpose()?.unwrap_or_default();
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// Copies all rows of a table; returns how many.
pub(super) async fn copy(
    from: &mut Tx,
    to: &mut Tx,
    table: &'static str,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<u64, CopyError> {
    let columns = {
        let columns = columns(to, table).await.map_err(target)?;
        if self::columns(from, table).await.map_err(source)? != columns {
            return Err(CopyError::Refused(format!(
                "the table {table} has other columns in the source"
            )));
        }
        columns
    };
    let total = count(from, table).await.map_err(source)?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let select = Statement {
        text: format!("SELECT {} FROM {table}", names.join(", ")),
        args: Vec::new(),
    };
    let (mut done, mut batch) = (0, Batch::new(table, &columns));
    let mut rows = from.stream(select);
    while let Some(row) = rows.try_next().await.map_err(source)? {
        batch.add(&row).map_err(source)?;
        if batch.is_full() {
            done += batch.insert(to).await.map_err(target)?;
            progress(Progress {
                step: table,
                done,
                total,
            });
        }
    }
    done += batch.insert(to).await.map_err(target)?;
    progress(Progress {
        step: table,
        done,
        total,
    });
    Ok(done)
}

/// Rows for one INSERT.
struct Batch<'a> {
    table: &'static str,
    columns: &'a [Column],
    args: Vec<Param>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(table: &'static str, columns: &'a [Column]) -> Self {
        Self {
            table,
            columns,
            args: Vec::new(),
            bytes: 0,
        }
    }

    fn add(&mut self, row: &Row) -> Result<(), Error> {
        for column in self.columns {
            self.args.push(if column.is_text {
                let text = row.text_opt(&column.name)?;
                self.bytes += text.as_ref().map_or(0, String::len);
                text.into()
            } else {
                Param::Int(row.int_opt(&column.name)?)
            });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.args.len() + self.columns.len() > MAX_ARGUMENTS || self.bytes > MAX_BYTES
    }

    /// Inserts the rows, and returns how many they were.
    async fn insert(&mut self, to: &mut Tx) -> Result<u64, Error> {
        if self.args.is_empty() {
            return Ok(0);
        }
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let width = names.len();
        let tuples: Vec<String> = (0..self.args.len() / width)
            .map(|row| {
                let places: Vec<String> = (1..=width)
                    .map(|place| format!("${}", row * width + place))
                    .collect();
                format!("({})", places.join(", "))
            })
            .collect();
        let text = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table,
            names.join(", "),
            tuples.join(", ")
        );
        self.bytes = 0;
        let args = std::mem::take(&mut self.args);
        to.execute(Statement { text, args }).await
    }
}
