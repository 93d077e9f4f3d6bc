//! Pages of a list.

/// The maximum number of rows of a page: 1 to 200, by default 50.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// Creates a limit; `None` outside 1 to 200.
    pub fn new(rows: i64) -> Option<Self> {
        u32::try_from(rows)
            .ok()
            .filter(|rows| (1..=200).contains(rows))
            .map(Self)
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
