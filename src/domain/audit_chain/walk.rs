//! Walking along a chain, row by row, until the first that does not hold. It keeps the last row in mind and no other,
//! so that millions take no more room than one.

use std::fmt;

use crate::domain::audit_chain::{GENESIS, Head, Link, hash};

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    /// Rows may be missing between those there are.
    subset: bool,
    noted: Vec<Head>,
    first: Option<i64>,
    last: Option<Head>,
    rows: u64,
}

/// A walk that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// How many rows it passed.
    pub rows: u64,
    /// The first of them; `None` when there was none.
    pub first: Option<i64>,
    /// The last of them, or where the chain begins.
    pub head: Head,
}

/// The first row that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its place in the chain.
    pub seq: i64,
    /// Its id, unless it is not there.
    pub id: Option<String>,
    /// What is wrong with it.
    pub why: Why,
}

/// Why a row does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// What it says is not what was sealed.
    Changed,
    /// It has a place, but no hash.
    Unsealed,
    /// It is not told what hash it comes after.
    NoPrevious,
    /// It comes after another row than the one before it here.
    Elsewhere {
        /// The row before it here.
        after: i64,
    },
    /// It is not there, nor are those up to `last`.
    Missing {
        /// The last one that is missing.
        last: i64,
        /// The row that comes instead.
        instead: i64,
    },
    /// It was there before.
    Repeated,
    /// It comes after a later one.
    OutOfOrder {
        /// The later one.
        after: i64,
    },
    /// It and what follows are not there, although the head, or a noted one, is further on.
    CutOff {
        /// The head that is further on.
        head: Head,
    },
    /// It is there, although the head says that it should not.
    BeyondHead {
        /// The head.
        head: Head,
    },
    /// The head, or a noted one, has another hash for it.
    OtherHead {
        /// That head.
        head: Head,
    },
    /// A noted head is of a row that is not among those walked along.
    NotAmong,
}

impl Walk {
    /// Along a whole chain, from its first row.
    pub fn whole(noted: Vec<Head>) -> Self {
        Self {
            subset: false,
            noted,
            first: None,
            last: None,
            rows: 0,
        }
    }

    /// Along some rows of a chain, each of which tells what it comes after.
    pub fn subset(noted: Vec<Head>) -> Self {
        Self {
            subset: true,
            ..Self::whole(noted)
        }
    }

    /// The place of the last row that was passed, 0 at the beginning.
    pub fn at(&self) -> i64 {
        self.last.as_ref().map_or(0, |last| last.seq)
    }

    /// Passes one row, if it holds.
    pub fn pass(&mut self, link: &Link) -> Result<(), Broken> {
        let broken = |why| Broken {
            seq: link.seq,
            id: Some(link.row.id.clone()),
            why,
        };
        let prev = self.previous(link)?;
        let Some(sealed) = &link.hash else {
            return Err(broken(Why::Unsealed));
        };
        if hash(&prev, link.seq, &link.row) != *sealed {
            return Err(broken(Why::Changed));
        }
        let other = |noted: &&Head| noted.seq == link.seq && noted.hash != *sealed;
        if let Some(noted) = self.noted.iter().find(other) {
            return Err(broken(Why::OtherHead { head: noted.clone() }));
        }
        self.noted.retain(|noted| noted.seq != link.seq);
        self.first.get_or_insert(link.seq);
        self.last = Some(Head {
            seq: link.seq,
            hash: sealed.clone(),
        });
        self.rows += 1;
        Ok(())
    }

    /// Ends the walk, at `head` if the chain has one.
    pub fn end(self, head: Option<&Head>) -> Result<Walked, Broken> {
        let end = self.last.unwrap_or_else(Head::genesis);
        let missing = |why| Broken {
            seq: end.seq.saturating_add(1),
            id: None,
            why,
        };
        if let Some(head) = head {
            if head.seq > end.seq {
                return Err(missing(Why::CutOff { head: head.clone() }));
            }
            if head != &end {
                let why = Why::OtherHead { head: head.clone() };
                return Err(Broken {
                    seq: end.seq,
                    id: None,
                    why,
                });
            }
        }
        match self.noted.into_iter().max_by_key(|noted| noted.seq) {
            Some(noted) if self.subset => Err(Broken {
                seq: noted.seq,
                id: None,
                why: Why::NotAmong,
            }),
            Some(noted) => Err(missing(Why::CutOff { head: noted })),
            None => Ok(Walked {
                rows: self.rows,
                first: self.first,
                head: end,
            }),
        }
    }

    /// The hash that the row comes after, if the row can come here.
    fn previous(&self, link: &Link) -> Result<String, Broken> {
        let broken = |why| Broken {
            seq: link.seq,
            id: Some(link.row.id.clone()),
            why,
        };
        let at = self.at();
        if self.last.is_some() && link.seq == at {
            return Err(broken(Why::Repeated));
        }
        if link.seq <= at {
            return Err(broken(Why::OutOfOrder { after: at }));
        }
        let next = at.saturating_add(1);
        if link.seq == next {
            let known = self.last.as_ref().map_or(GENESIS, |last| last.hash.as_str());
            return match &link.prev {
                Some(told) if told != known => Err(broken(Why::Elsewhere { after: at })),
                _ => Ok(known.to_owned()),
            };
        }
        if self.subset {
            return link.prev.clone().ok_or_else(|| broken(Why::NoPrevious));
        }
        Err(Broken {
            seq: next,
            id: None,
            why: Why::Missing {
                last: link.seq - 1,
                instead: link.seq,
            },
        })
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.seq.saturating_sub(1);
        write!(f, "row {}", self.seq)?;
        if let Some(id) = &self.id {
            write!(f, " ({})", id.escape_debug())?;
        }
        f.write_str(": ")?;
        match &self.why {
            Why::Changed => write!(
                f,
                "changed: after row {before} and with what it says, its hash would be another"
            ),
            Why::Unsealed => f.write_str("changed: its hash was taken away"),
            Why::NoPrevious => write!(f, "can't be checked: `prev` is missing, and so is row {before}"),
            Why::Elsewhere { after: 0 } => f.write_str("changed: its `prev` is not how a chain begins"),
            Why::Elsewhere { after } => write!(f, "changed: its `prev` is not the hash of row {after}"),
            Why::Missing { last, instead } if *last == self.seq => {
                write!(f, "missing: row {before} is followed by row {instead}")
            }
            Why::Missing { last, instead } => {
                write!(
                    f,
                    "missing, and all up to row {last}: row {before} is followed by row {instead}"
                )
            }
            Why::Repeated => f.write_str("repeated"),
            Why::OutOfOrder { after } => write!(f, "out of order: it comes after row {after}"),
            Why::CutOff { head } => {
                write!(
                    f,
                    "missing: the tail is cut off after row {before}, but there is a head at row {}",
                    head.seq
                )
            }
            Why::BeyondHead { head } => {
                write!(
                    f,
                    "changed: the head is at row {}, and nothing may come after it",
                    head.seq
                )
            }
            Why::OtherHead { head } => write!(f, "changed: its hash is not that of the head {head}"),
            Why::NotAmong => f.write_str("not among these rows, so that its noted head can't be checked"),
        }
    }
}
