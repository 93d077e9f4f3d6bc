//! Verifies a chain row by row, up to the first row that is wrong.
//!
//! The verifier keeps only the last row in memory, so that its memory does not grow with the length of the chain.

use std::fmt;

use crate::domain::audit_chain::link::{GENESIS, Head, Link, hash};

/// A verification in progress.
#[derive(Debug)]
pub struct Verifier {
    /// Whether rows may be missing between the given rows.
    subset: bool,
    /// Heads that the user noted earlier; the chain must still contain them.
    noted: Vec<Head>,
    first: Option<i64>,
    last: Option<Head>,
    rows: u64,
}

/// The result of a successful verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The number of verified rows.
    pub rows: u64,
    /// The position of the first row; `None` without rows.
    pub first: Option<i64>,
    /// The head after the last row.
    pub head: Head,
}

/// The first row that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// The row's position in the chain.
    pub seq: i64,
    /// The row's id, if the row exists.
    pub id: Option<String>,
    /// What is wrong.
    pub why: Break,
}

/// The ways in which a chain can be broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Break {
    /// The row's content does not match its hash.
    Changed,
    /// The row has a position but no hash.
    Unsealed,
    /// The hash of the previous row is unknown.
    NoPrevious,
    /// `prev` is not the hash of the row before it.
    Elsewhere {
        /// The position of the row before it.
        after: i64,
    },
    /// The rows from here up to `last` are missing.
    Missing {
        /// The last missing position.
        last: i64,
        /// The position of the row found instead.
        instead: i64,
    },
    /// The row occurs twice.
    Repeated,
    /// The row comes after a later one.
    OutOfOrder {
        /// The position of the later row.
        after: i64,
    },
    /// The end of the chain is missing: the head, or a noted head, is further on.
    CutOff {
        /// The head that is further on.
        head: Head,
    },
    /// The row lies beyond the head.
    BeyondHead {
        /// The head.
        head: Head,
    },
    /// The head, or a noted head, has another hash for this row.
    OtherHead {
        /// The head that differs.
        head: Head,
    },
    /// A noted head belongs to a row outside the verified rows.
    NotAmong,
}

impl Verifier {
    /// Verifies a whole chain, from its first row.
    pub fn whole(mut noted: Vec<Head>) -> Self {
        // Every chain begins with the head of the empty one.
        noted.retain(|noted| *noted != Head::genesis());
        Self {
            subset: false,
            noted,
            first: None,
            last: None,
            rows: 0,
        }
    }

    /// Verifies some rows of a chain, each of which states the hash before it.
    pub fn subset(noted: Vec<Head>) -> Self {
        Self {
            subset: true,
            ..Self::whole(noted)
        }
    }

    /// Returns the position of the last verified row, 0 at the beginning.
    pub fn at(&self) -> i64 {
        self.last.as_ref().map_or(0, |last| last.seq)
    }

    /// Verifies one row.
    pub fn check(&mut self, link: &Link) -> Result<(), BrokenRow> {
        let broken = |why| BrokenRow {
            seq: link.seq,
            id: Some(link.row.id.clone()),
            why,
        };
        let prev = self.previous(link)?;
        let Some(stated) = &link.hash else {
            return Err(broken(Break::Unsealed));
        };
        if hash(&prev, link.seq, &link.row) != *stated {
            return Err(broken(Break::Changed));
        }
        let other = |noted: &&Head| noted.seq == link.seq && noted.hash != *stated;
        if let Some(noted) = self.noted.iter().find(other) {
            return Err(broken(Break::OtherHead { head: noted.clone() }));
        }
        self.noted.retain(|noted| noted.seq != link.seq);
        self.first.get_or_insert(link.seq);
        self.last = Some(Head {
            seq: link.seq,
            hash: stated.clone(),
        });
        self.rows += 1;
        Ok(())
    }

    /// Ends the verification; `head` is the head that the store knows, if any.
    pub fn finish(self, head: Option<&Head>) -> Result<Verified, BrokenRow> {
        let end = self.last.unwrap_or_else(Head::genesis);
        let missing = |why| BrokenRow {
            seq: end.seq.saturating_add(1),
            id: None,
            why,
        };
        if let Some(head) = head {
            if head.seq > end.seq {
                return Err(missing(Break::CutOff { head: head.clone() }));
            }
            if head != &end {
                let why = Break::OtherHead { head: head.clone() };
                return Err(BrokenRow {
                    seq: end.seq,
                    id: None,
                    why,
                });
            }
        }
        match self.noted.into_iter().max_by_key(|noted| noted.seq) {
            Some(noted) if self.subset => Err(BrokenRow {
                seq: noted.seq,
                id: None,
                why: Break::NotAmong,
            }),
            Some(noted) => Err(missing(Break::CutOff { head: noted })),
            None => Ok(Verified {
                rows: self.rows,
                first: self.first,
                head: end,
            }),
        }
    }

    /// Returns the hash of the previous row, if this row may come next.
    fn previous(&self, link: &Link) -> Result<String, BrokenRow> {
        let broken = |why| BrokenRow {
            seq: link.seq,
            id: Some(link.row.id.clone()),
            why,
        };
        let at = self.at();
        if self.last.is_some() && link.seq == at {
            return Err(broken(Break::Repeated));
        }
        if link.seq <= at {
            return Err(broken(Break::OutOfOrder { after: at }));
        }
        let next = at.saturating_add(1);
        if link.seq == next {
            let known = self.last.as_ref().map_or(GENESIS, |last| last.hash.as_str());
            return match &link.prev {
                Some(stated) if stated != known => Err(broken(Break::Elsewhere { after: at })),
                _ => Ok(known.to_owned()),
            };
        }
        if self.subset {
            return link.prev.clone().ok_or_else(|| broken(Break::NoPrevious));
        }
        Err(BrokenRow {
            seq: next,
            id: None,
            why: Break::Missing {
                last: link.seq - 1,
                instead: link.seq,
            },
        })
    }
}

impl fmt::Display for BrokenRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.seq.saturating_sub(1);
        write!(f, "row {}", self.seq)?;
        if let Some(id) = &self.id {
            write!(f, " ({})", id.escape_debug())?;
        }
        f.write_str(": ")?;
        match &self.why {
            Break::Changed => write!(
                f,
                "changed: its hash does not match its content and the hash of row {before}"
            ),
            Break::Unsealed => f.write_str("changed: its hash was removed"),
            Break::NoPrevious => write!(f, "can't be checked: `prev` is missing, and so is row {before}"),
            Break::Elsewhere { after: 0 } => f.write_str("changed: its `prev` is not the start of a chain"),
            Break::Elsewhere { after } => write!(f, "changed: its `prev` is not the hash of row {after}"),
            Break::Missing { last, instead } if *last == self.seq => {
                write!(f, "missing: row {before} is followed by row {instead}")
            }
            Break::Missing { last, instead } => {
                write!(
                    f,
                    "missing, and all up to row {last}: row {before} is followed by row {instead}"
                )
            }
            Break::Repeated => f.write_str("repeated"),
            Break::OutOfOrder { after } => write!(f, "out of order: it comes after row {after}"),
            Break::CutOff { head } => {
                write!(
                    f,
                    "missing: the tail is cut off after row {before}, but there is a head at row {}",
                    head.seq
                )
            }
            Break::BeyondHead { head } => {
                write!(
                    f,
                    "changed: the head is at row {}, and nothing may come after it",
                    head.seq
                )
            }
            Break::OtherHead { head } => write!(f, "changed: its hash is not that of the head {head}"),
            Break::NotAmong => f.write_str("not among these rows; its noted head can't be checked"),
        }
    }
}
