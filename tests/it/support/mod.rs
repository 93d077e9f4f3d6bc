//! What the black-box tests stand on: a desk with a simulated Close behind it, people with tokens, and a client
//! that looks at every answer twice. It knows the desk by its configuration and its HTTP surface alone.

pub(crate) mod binary;
pub(crate) mod books;
pub(crate) mod close;
pub(crate) mod database;
pub(crate) mod desk;
pub(crate) mod history;
pub(crate) mod listing;
pub(crate) mod outage;
pub(crate) mod personas;
pub(crate) mod program;
pub(crate) mod raw;
pub(crate) mod receiver;
pub(crate) mod response;
pub(crate) mod scripted;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod volume;
pub(crate) mod webhook;

use std::time::Duration;

/// Longest that anything is waited for. Tests share the machine with a compiler now and then.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// What `look` finds, as soon as it finds something; panics with `what` when that takes too long.
pub(crate) async fn eventually<T, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_or(|| what.to_owned(), look).await
}

/// The same, with something to say of the last look.
pub(crate) async fn eventually_or<T, F>(what: impl Fn() -> String, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited in vain: {}",
            what()
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
