//! Pages of a list.

use serde::Deserialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema as _, ToSchema};

use crate::domain::input::values::Whole;
use crate::domain::schema::ComposeSchema;

/// The maximum number of rows of a page: 1 to 200, by default 50.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "Whole<1, 200>")]
pub struct Limit(u32);

impl From<Whole<1, 200>> for Limit {
    fn from(Whole(rows): Whole<1, 200>) -> Self {
        Self(u32::try_from(rows).expect("a number from 1 to 200 fits"))
    }
}

impl ComposeSchema for Limit {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let mut schema = Whole::<1, 200>::schema();
        if let RefOr::T(Schema::Object(schema)) = &mut schema {
            schema.default = Some(Self::default().0.into());
        }
        schema
    }
}
impl ToSchema for Limit {}

impl Limit {
    /// Creates a limit; `None` outside 1 to 200.
    pub fn new(rows: u32) -> Option<Self> {
        (1..=200).contains(&rows).then_some(Self(rows))
    }
    /// Returns the number of rows.
    pub const fn rows(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

/// One page of a list, in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// The sort key of the last row, if more rows follow. The next page starts after it.
    pub next: Option<String>,
}
