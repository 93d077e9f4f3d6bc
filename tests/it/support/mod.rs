//! Shared by the tests: servers with a simulated Close, users with tokens, and checked responses.

pub(crate) mod binary;
pub(crate) mod books;
pub(crate) mod close;
pub(crate) mod config;
pub(crate) mod connect_proxy;
pub(crate) mod database;
pub(crate) mod desk;
pub(crate) mod dev;
pub(crate) mod epoch;
pub(crate) mod forwarder;
pub(crate) mod history;
pub(crate) mod listing;
pub(crate) mod nginx;
pub(crate) mod outage;
pub(crate) mod personas;
pub(crate) mod pooler;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod receiver;
pub(crate) mod response;
pub(crate) mod scripted;
pub(crate) mod server;
pub(crate) mod site;
pub(crate) mod snapshot;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod volume;
pub(crate) mod webhook;

use std::time::Duration;

/// The longest wait. It is generous because tests may share the machine with a compiler.
const TIMEOUT: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Polls until `poll` returns a value, and returns the value.
///
/// Panics after the time limit. `what` is a sentence that says what should have happened, for the failure message.
pub(crate) async fn eventually<T, F>(what: &str, poll: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_or(|| what.to_owned(), poll).await
}

/// Polls until `poll` returns a value, and returns the value.
///
/// Panics after the time limit. `what` is called then, so that the message can describe the last result.
pub(crate) async fn eventually_or<T, F>(what: impl Fn() -> String, mut poll: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = poll().await {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "did not happen within {TIMEOUT:?}: {}",
            what()
        );
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
