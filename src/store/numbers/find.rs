//! Reads numbers by id.

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::numbers::row::{SELECT, read};
use crate::store::sql::select::Select;

/// Ids in one statement.
const BATCH: usize = 500;
/// Numbers in one page of all.
const PAGE: u32 = 1_000;

/// What the store still knows about a number that may be gone.
#[derive(Debug, Clone)]
pub struct NumberRecord {
    /// The id of the number.
    pub id: PhoneNumberId,
    /// The number in E.164.
    pub number: String,
    /// The team that has it, or that had it last.
    pub team: Option<Team>,
    /// When it was gone from Close.
    pub gone_at: Option<Timestamp>,
}

impl Store {
    /// The number, if it exists in this scope and is not gone.
    ///
    /// Unassigned numbers are visible only to a scope of all teams.
    pub async fn number(&self, scope: &Scope, id: &PhoneNumberId) -> Result<Option<Number>, Error> {
        let mut select = Select::within(scope, SELECT);
        select.and_just("gone_at IS NULL");
        select.and("id = ?", id.as_str());
        let row = self.db.row(select.statement()).await?;
        row.as_ref().map(read).transpose()
    }

    /// The numbers with these ids that are not gone, of any team.
    pub async fn numbers_by_id(&self, ids: &[PhoneNumberId]) -> Result<Vec<Number>, Error> {
        let mut found = Vec::new();
        for some in ids.chunks(BATCH) {
            let mut select = Select::within(&Scope::system("numbers by id"), SELECT);
            select.and_just("gone_at IS NULL");
            select.and_one_of("id IN (?)", some.iter().map(PhoneNumberId::as_str));
            let rows = self.db.rows(select.statement()).await?;
            found.extend(rows.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// The records of the numbers with these ids, of any team, also of numbers that are gone.
    pub async fn number_records(&self, ids: &[PhoneNumberId]) -> Result<Vec<NumberRecord>, Error> {
        let mut found = Vec::new();
        for some in ids.chunks(BATCH) {
            let text = "SELECT id, number, team, gone_at FROM numbers";
            let mut select = Select::within(&Scope::system("number records"), text);
            select.and_one_of("id IN (?)", some.iter().map(PhoneNumberId::as_str));
            for row in self.db.rows(select.statement()).await? {
                found.push(NumberRecord {
                    id: row.parsed("id")?,
                    number: row.text("number")?,
                    team: row.parsed_opt("team")?,
                    gone_at: row.time_opt("gone_at")?,
                });
            }
        }
        Ok(found)
    }

    /// Whether a number that is not gone belongs to this organization, as Close showed it.
    ///
    /// Reads all numbers, so it is for rare questions.
    pub async fn has_numbers_of(&self, organization: &str) -> Result<bool, Error> {
        let mut last = None;
        loop {
            let numbers = self.numbers_after(last.as_ref(), PAGE).await?;
            let Some(number) = numbers.last() else {
                return Ok(false);
            };
            last = Some(number.facts.id.clone());
            let is_of = |number: &Number| number.facts.organization.as_deref() == Some(organization);
            if numbers.iter().any(is_of) {
                return Ok(true);
            }
        }
    }
}
