//! The bodies that arrive at the moment: a bounded number, of which the slowest give way to new ones.
//!
//! A body that arrives normally takes milliseconds, one that drips takes seconds. So when the number is reached, the
//! body that has taken longest is given up. Clients that drip, however many they are, displace only each other.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The bodies that arrive at the moment, oldest first.
pub(in crate::http) struct Receiving {
    limit: usize,
    bodies: Mutex<Bodies>,
}

#[derive(Default)]
struct Bodies {
    next: u64,
    given_up: BTreeMap<u64, CancellationToken>,
}

/// The body was given up, because it was the slowest of too many.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct GivenUp;

impl Receiving {
    pub(in crate::http) fn new(limit: usize) -> Self {
        Self {
            limit,
            bodies: Mutex::default(),
        }
    }

    /// Waits for a body, unless it has to give way.
    pub(in crate::http) async fn receive<T>(&self, body: impl Future<Output = T>) -> Result<T, GivenUp> {
        let place = self.enter();
        tokio::select! {
            biased;
            body = body => Ok(body),
            () = place.given_up.cancelled() => Err(GivenUp),
        }
    }

    fn enter(&self) -> Place<'_> {
        let mut bodies = self.bodies.lock();
        if bodies.given_up.len() >= self.limit
            && let Some((_, slowest)) = bodies.given_up.pop_first()
        {
            slowest.cancel();
        }
        let (nth, given_up) = (bodies.next, CancellationToken::new());
        bodies.next += 1;
        bodies.given_up.insert(nth, given_up.clone());
        Place {
            receiving: self,
            nth,
            given_up,
        }
    }
}

/// The place of one body, until it is dropped.
struct Place<'a> {
    receiving: &'a Receiving,
    nth: u64,
    given_up: CancellationToken,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.receiving.bodies.lock().given_up.remove(&self.nth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_slowest_body_gives_way_and_a_quick_one_never_does() {
        let receiving = Arc::new(Receiving::new(2));
        let drip = |receiving: &Arc<Receiving>| {
            let receiving = receiving.clone();
            tokio::spawn(async move { receiving.receive(pending::<()>()).await })
        };
        let (first, second) = (drip(&receiving), drip(&receiving));
        while receiving.bodies.lock().given_up.len() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            assert_eq!(receiving.receive(async { 7 }).await, Ok(7));
        }
        assert_eq!(first.await.unwrap(), Err(GivenUp));
        // With the first, there is room for those that arrive quickly.
        assert!(!second.is_finished());
        second.abort();
        assert!(second.await.is_err());
        assert!(receiving.bodies.lock().given_up.is_empty());
    }
}
