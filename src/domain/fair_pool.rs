//! A pool of permits that one holder cannot take alone.
//!
//! A holder gets a permit as long as it has fewer than are free. So a single greedy holder gets half of the pool, two
//! get a third each, and a holder without permits nearly always finds one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The permits of a pool, and their holders. Clones share them.
#[derive(Clone)]
pub struct FairPool(Arc<Shared>);

struct Shared {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    total: usize,
    by_holder: BTreeMap<String, usize>,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPermit {
    /// The holder has its share.
    ShareUsedUp,
    /// Others have all permits.
    AllTaken,
}

impl FairPool {
    /// Creates a pool of `limit` permits.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            held: Mutex::default(),
        }))
    }

    /// Returns the number of free permits.
    pub fn free(&self) -> usize {
        self.0.limit.saturating_sub(self.0.held.lock().total)
    }

    /// Takes a permit for the holder. It returns to the pool when it is dropped.
    pub fn acquire(&self, holder: &str) -> Result<FairPermit, NoPermit> {
        let mut held = self.0.held.lock();
        let free = self.0.limit.saturating_sub(held.total);
        let own = held.by_holder.get(holder).copied().unwrap_or_default();
        if own >= free {
            return Err(if own == 0 {
                NoPermit::AllTaken
            } else {
                NoPermit::ShareUsedUp
            });
        }
        held.total += 1;
        held.by_holder.insert(holder.to_owned(), own + 1);
        Ok(FairPermit {
            pool: self.clone(),
            holder: holder.to_owned(),
        })
    }
}

/// A permit of a pool, until it is dropped.
pub struct FairPermit {
    pool: FairPool,
    holder: String,
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        let mut held = self.pool.0.held.lock();
        held.total = held.total.saturating_sub(1);
        if let Some(own) = held.by_holder.get_mut(&self.holder) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                held.by_holder.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes permits until there is none, and returns them.
    fn take_all(pool: &FairPool, holder: &str) -> Vec<FairPermit> {
        std::iter::from_fn(|| pool.acquire(holder).ok()).collect()
    }

    #[test]
    fn a_greedy_holder_leaves_permits_for_others() {
        let pool = FairPool::new(12);
        let first = take_all(&pool, "first");
        assert_eq!(first.len(), 6);
        assert_eq!(pool.acquire("first").err(), Some(NoPermit::ShareUsedUp));
        let second = take_all(&pool, "second");
        assert_eq!(second.len(), 3);
        assert!(pool.acquire("third").is_ok());
    }

    #[test]
    fn a_permit_returns_to_the_pool_when_it_is_dropped() {
        let pool = FairPool::new(1);
        let permit = pool.acquire("first").ok();
        assert!(permit.is_some());
        assert_eq!(pool.acquire("second").err(), Some(NoPermit::AllTaken));
        drop(permit);
        assert!(pool.acquire("second").is_ok());
        assert!(pool.0.held.lock().by_holder.is_empty());
    }
}
