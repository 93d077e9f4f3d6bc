//! Pages of a list: how many rows, from where, and what came out.

/// How many rows a page may have at most: 1 to 200, 50 when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// `None` outside 1 to 200.
    pub fn new(rows: i64) -> Option<Self> {
        u32::try_from(rows)
            .ok()
            .filter(|rows| (1..=200).contains(rows))
            .map(Self)
    }
    /// The number of rows.
    pub const fn rows(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

/// One page of a list, in the list's own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// The sort key of the last row when more follow: the next page starts after it.
    pub next: Option<String>,
}
