//! A fair share of the paid calls: so many run side by side, and of those that wait the teams are served in turn, so that
//! a team with many orders takes nothing from one with few.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::domain::caller::Team;
use crate::telemetry::metrics::CLOSE_WAITING;

/// Orders that wait in memory; the rest waits in the database until its time comes again.
const WAITING: usize = 1_024;

/// Calls that may run side by side, and who waits for one. Clones share it.
#[derive(Clone)]
pub(in crate::desk) struct Shares(Arc<Mutex<State>>);

struct State {
    free: usize,
    waiting: usize,
    /// Each team once, the next first.
    teams: VecDeque<(Team, VecDeque<oneshot::Sender<Share>>)>,
}

/// Leave to make one call; the next one gets it when this is dropped.
pub(in crate::desk) struct Share(Option<Shares>);

impl Shares {
    pub(in crate::desk) fn new(calls: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: calls,
            waiting: 0,
            teams: VecDeque::new(),
        })))
    }

    /// The team's turn, as soon as it comes; `None` when too many wait already.
    pub(in crate::desk) async fn take(&self, team: &Team) -> Option<Share> {
        let turn = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Some(Share(Some(self.clone())));
            }
            if state.waiting >= WAITING {
                return None;
            }
            let (told, turn) = oneshot::channel();
            match state.teams.iter_mut().find(|(known, _)| known == team) {
                Some((_, queue)) => queue.push_back(told),
                None => state.teams.push_back((team.clone(), VecDeque::from([told]))),
            }
            state.waiting += 1;
            state.measure();
            turn
        };
        turn.await.ok()
    }

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
            match next.send(Share(Some(self.clone()))) {
                Ok(()) => return,
                // Whoever does not wait any more is passed over.
                Err(mut back) => back.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Share>> {
        let (team, mut queue) = self.teams.pop_front()?;
        let next = queue.pop_front();
        if !queue.is_empty() {
            self.teams.push_back((team, queue));
        }
        self.waiting -= 1;
        self.measure();
        next
    }

    fn measure(&self) {
        let waiting = u32::try_from(self.waiting).unwrap_or(u32::MAX);
        metrics::gauge!(CLOSE_WAITING, "class" => "order").set(f64::from(waiting));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(shares) = self.0.take() {
            shares.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::mpsc;

    async fn queue(
        shares: &Shares,
        team: &'static str,
        served: &mpsc::UnboundedSender<(&'static str, Share)>,
    ) {
        let (shares, served, before) = (shares.clone(), served.clone(), shares.lock().waiting);
        let waits = shares.clone();
        tokio::spawn(async move {
            let share = shares.take(&team.parse().unwrap()).await.unwrap();
            let _ = served.send((team, share));
        });
        while waits.lock().waiting == before {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn teams_are_served_in_turn_however_many_one_of_them_has() {
        let (shares, (served, mut order)) = (Shares::new(1), mpsc::unbounded_channel());
        let first = shares.take(&"a".parse().unwrap()).await.unwrap();
        for team in ["a", "a", "a", "a", "b", "b", "c"] {
            queue(&shares, team, &served).await;
        }
        drop(first);
        let mut said = String::new();
        for _ in 0..7 {
            let (team, share) = tokio::time::timeout(Duration::from_secs(5), order.recv())
                .await
                .unwrap()
                .unwrap();
            said.push_str(team);
            drop(share);
        }
        assert_eq!(said, "abcabaa");
        assert_eq!(shares.lock().free, 1);
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_is_passed_over() {
        let shares = Shares::new(1);
        let (team, other) = ("a".parse().unwrap(), "b".parse().unwrap());
        let first = shares.take(&team).await.unwrap();
        let mut gone = Box::pin(shares.take(&team));
        assert!(futures::poll!(gone.as_mut()).is_pending());
        let mut stays = Box::pin(shares.take(&other));
        assert!(futures::poll!(stays.as_mut()).is_pending());
        drop(gone);
        drop(first);
        drop(stays.await);
        let state = shares.lock();
        assert_eq!((state.free, state.waiting), (1, 0));
    }

    #[tokio::test]
    async fn no_more_wait_than_fit() {
        let shares = Shares::new(1);
        let team: Team = "a".parse().unwrap();
        let _first = shares.take(&team).await;
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(shares.take(&team))).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one.as_mut()).is_pending());
        }
        assert!(shares.take(&team).await.is_none());
    }
}
