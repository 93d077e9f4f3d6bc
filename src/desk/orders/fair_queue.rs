//! Queues paid calls fairly: few calls run at the same time, and waiting teams are served in turn.
//!
//! A team with many waiting orders therefore does not delay a team with few.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::domain::team::Team;
use crate::telemetry::metrics::CLOSE_WAITING;

/// Orders that wait in memory. Further ones wait in the database until they are due again.
const WAITING: usize = 1_024;

/// The slots for paid calls, and the orders that wait for one. Clones share it.
#[derive(Clone)]
pub(in crate::desk::orders) struct FairQueue(Arc<Mutex<State>>);

struct State {
    free: usize,
    waiting: usize,
    /// Each waiting team once, with its orders. The next team comes first.
    teams: VecDeque<(Team, VecDeque<oneshot::Sender<Slot>>)>,
}

/// Permission to make one call. When it is dropped, the next waiting order gets it.
pub(in crate::desk::orders) struct Slot(Option<FairQueue>);

impl FairQueue {
    pub(in crate::desk::orders) fn new(calls: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: calls,
            waiting: 0,
            teams: VecDeque::new(),
        })))
    }

    /// Waits for a slot until it is the team's turn. `None`: too many orders wait already.
    pub(in crate::desk::orders) async fn acquire(&self, team: &Team) -> Option<Slot> {
        let slot = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Some(Slot(Some(self.clone())));
            }
            if state.waiting >= WAITING {
                return None;
            }
            let (sender, slot) = oneshot::channel();
            match state.teams.iter_mut().find(|(known, _)| known == team) {
                Some((_, queue)) => queue.push_back(sender),
                None => state.teams.push_back((team.clone(), VecDeque::from([sender]))),
            }
            state.waiting += 1;
            state.report();
            slot
        };
        slot.await.ok()
    }

    /// Gives a freed slot to the next waiting order.
    fn pass_on(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                let Some(next) = state.next() else {
                    state.free += 1;
                    return;
                };
                next
            };
            match next.send(Slot(Some(self.clone()))) {
                Ok(()) => return,
                // This order no longer waits.
                Err(mut slot) => slot.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        let (team, mut queue) = self.teams.pop_front()?;
        let next = queue.pop_front();
        if !queue.is_empty() {
            self.teams.push_back((team, queue));
        }
        self.waiting -= 1;
        self.report();
        next
    }

    fn report(&self) {
        let waiting = u32::try_from(self.waiting).unwrap_or(u32::MAX);
        metrics::gauge!(CLOSE_WAITING, "class" => "order").set(f64::from(waiting));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::mpsc;

    async fn enqueue(
        queue: &FairQueue,
        team: &'static str,
        served: &mpsc::UnboundedSender<(&'static str, Slot)>,
    ) {
        let (queue, served, before) = (queue.clone(), served.clone(), queue.lock().waiting);
        let waits = queue.clone();
        tokio::spawn(async move {
            let slot = queue.acquire(&team.parse().unwrap()).await.unwrap();
            let _ = served.send((team, slot));
        });
        while waits.lock().waiting == before {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn teams_are_served_in_turn_even_if_one_of_them_has_many_orders() {
        let (queue, (served, mut order)) = (FairQueue::new(1), mpsc::unbounded_channel());
        let first = queue.acquire(&"a".parse().unwrap()).await.unwrap();
        for team in ["a", "a", "a", "a", "b", "b", "c"] {
            enqueue(&queue, team, &served).await;
        }
        drop(first);
        let mut order_served = String::new();
        for _ in 0..7 {
            let (team, slot) = tokio::time::timeout(Duration::from_secs(5), order.recv())
                .await
                .unwrap()
                .unwrap();
            order_served.push_str(team);
            drop(slot);
        }
        assert_eq!(order_served, "abcabaa");
        assert_eq!(queue.lock().free, 1);
    }

    #[tokio::test]
    async fn an_order_that_no_longer_waits_is_skipped() {
        let queue = FairQueue::new(1);
        let (team, other) = ("a".parse().unwrap(), "b".parse().unwrap());
        let first = queue.acquire(&team).await.unwrap();
        let mut gone = Box::pin(queue.acquire(&team));
        assert!(futures::poll!(gone.as_mut()).is_pending());
        let mut stays = Box::pin(queue.acquire(&other));
        assert!(futures::poll!(stays.as_mut()).is_pending());
        drop(gone);
        drop(first);
        drop(stays.await);
        let state = queue.lock();
        assert_eq!((state.free, state.waiting), (1, 0));
    }

    #[tokio::test]
    async fn no_more_orders_wait_than_the_limit() {
        let queue = FairQueue::new(1);
        let team: Team = "a".parse().unwrap();
        let _first = queue.acquire(&team).await;
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(queue.acquire(&team))).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one.as_mut()).is_pending());
        }
        assert!(queue.acquire(&team).await.is_none());
    }
}
