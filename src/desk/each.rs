//! Works on the items of a worker's step: an item that fails or hangs does not keep the others waiting.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::error::Error;

/// Items of one step that are worked on at the same time, if each calls Close.
///
/// All calls share one rate limit, so there are few.
pub(in crate::desk) const CALLS: usize = 4;
/// Failures of the database or of Close after which a step begins no more items: their cause is probably not the item.
const FAILURES: usize = 3;

/// Works on all items, at most `at_once` of them at the same time, and returns the first error.
///
/// After a few failures it begins no more items. What has begun always ends.
pub(in crate::desk) async fn each<T, F>(
    items: impl IntoIterator<Item = T>,
    at_once: usize,
    work: impl Fn(T) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let (mut items, mut running) = (items.into_iter(), FuturesUnordered::new());
    let (mut outcome, mut failures) = (Ok(()), 0);
    loop {
        while running.len() < at_once && failures < FAILURES {
            let Some(item) = items.next() else { break };
            running.push(work(item));
        }
        match running.next().await {
            None => return outcome,
            Some(Ok(())) => {}
            Some(error) => {
                failures += usize::from(!matches!(error, Err(Error::Internal(_) | Error::NotFound)));
                outcome = outcome.and(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn an_item_that_fails_or_hangs_does_not_keep_the_others_waiting() {
        let (done, go_on) = (Mutex::new(Vec::new()), Notify::new());
        let outcome = each(0..10, 2, |item| {
            let (done, go_on) = (&done, &go_on);
            async move {
                match item {
                    0 => go_on.notified().await,
                    1 => return Err(Error::NotFound),
                    // The last item releases the first one, which hangs until then.
                    9 => go_on.notify_one(),
                    _ => {}
                }
                done.lock().push(item);
                Ok(())
            }
        })
        .await;
        assert!(matches!(outcome, Err(Error::NotFound)));
        assert_eq!(*done.lock(), [2, 3, 4, 5, 6, 7, 8, 9, 0]);
    }

    #[tokio::test]
    async fn after_three_failures_no_item_begins_and_those_that_have_begun_end() {
        let (begun, ended) = (Mutex::new(0), Mutex::new(0));
        let outcome = each(0..100, 4, |_| {
            let (begun, ended) = (&begun, &ended);
            async move {
                *begun.lock() += 1;
                tokio::task::yield_now().await;
                *ended.lock() += 1;
                Err(Error::StoreUnavailable("away".into()))
            }
        })
        .await;
        assert!(outcome.is_err());
        let (begun, ended) = (*begun.lock(), *ended.lock());
        assert!(begun == ended && begun <= 6, "{begun} {ended}");
    }
}
