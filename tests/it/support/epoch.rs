//! The version of Close's API that the simulated Close of a test has.

use close_sandbox::{Epoch, Options, Settings};

use crate::support::database::{Database, with_sqlite};

/// Every version, oldest first.
pub(crate) const EPOCHS: [Epoch; 5] = [
    Epoch::June2026,
    Epoch::July2026,
    Epoch::September2026,
    Epoch::LateSeptember2026,
    Epoch::Future,
];

tokio::task_local! {
    /// The version for all simulations that this test starts.
    static EPOCH: Epoch;
}

/// Makes three tests of each named function: on SQLite, on PostgreSQL, and on SQLite with the announced next Close.
///
/// `on_both_stores_and_next_close! { an_order_ends }` needs `async fn an_order_ends(database: Database) { … }`.
macro_rules! on_both_stores_and_next_close {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                $crate::support::database::with_sqlite(super::$name).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                $crate::support::database::with_postgres(super::$name).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn with_next_close() {
                $crate::support::epoch::with_next_close(super::$name).await;
            }
        })*
    };
}
pub(crate) use on_both_stores_and_next_close;

/// Runs a test on its own SQLite file with a simulated Close that has made all announced changes.
pub(crate) async fn with_next_close<F>(test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    Box::pin(EPOCH.scope(Epoch::Future, with_sqlite(test))).await;
}

/// Returns the options with the version of this test, unless the test chose one itself.
///
/// Without one, `NUMBERDESK_TEST_CLOSE_EPOCH` names the version for all tests, such as `future`.
pub(crate) fn with_epoch(options: Options) -> Options {
    let named = || {
        let name = std::env::var("NUMBERDESK_TEST_CLOSE_EPOCH").ok()?;
        let epoch = serde_json::from_value(name.clone().into());
        Some(epoch.unwrap_or_else(|_| panic!("NUMBERDESK_TEST_CLOSE_EPOCH: no version `{name}`")))
    };
    let chosen = options.settings.epoch != Settings::default().epoch;
    match EPOCH.try_with(|epoch| *epoch).ok().or_else(named) {
        Some(epoch) if !chosen => Options {
            settings: Settings {
                epoch,
                ..options.settings
            },
            ..options
        },
        _ => options,
    }
}
