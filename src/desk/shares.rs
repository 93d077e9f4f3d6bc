//! Permits of work that lasts long for a caller: event streams and exports, shared fairly between teams.

use crate::domain::caller::Caller;
use crate::domain::fair_pool::{FairPermit, FairPool, NoPermit};
use crate::domain::scope::Scope;
use crate::error::Error;

/// A pool of permits for one kind of work.
#[derive(Clone)]
pub(in crate::desk) struct Shares {
    pool: FairPool,
    /// The sentence for a team that has its share.
    share_used_up: &'static str,
    /// The sentence when others have all permits.
    all_taken: &'static str,
}

impl Shares {
    pub(in crate::desk) fn new(limit: usize, share_used_up: &'static str, all_taken: &'static str) -> Self {
        Self {
            pool: FairPool::new(limit),
            share_used_up,
            all_taken,
        }
    }

    /// Takes a permit for work in this scope.
    ///
    /// Work in one team counts for the team, all other work for its caller.
    pub(in crate::desk) fn take(&self, caller: &Caller, scope: &Scope) -> Result<FairPermit, Error> {
        let holder = match scope.teams() {
            Some([team]) => format!("team {team}"),
            _ => format!("caller {} {}", caller.issuer(), caller.subject()),
        };
        self.pool.acquire(&holder).map_err(|none| match none {
            NoPermit::ShareUsedUp => Error::ShareUsedUp {
                detail: self.share_used_up,
            },
            NoPermit::AllTaken => Error::Busy {
                detail: self.all_taken,
            },
        })
    }
}
