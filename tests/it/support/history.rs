//! Random but repeatable test histories: the seeded generator that chooses the steps, and the runner.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt as _, StreamExt as _};

/// The number of histories of one part that run concurrently.
const AT_ONCE: usize = 2;

/// Makes the tests of one kind of random histories: one for each store and each part of the seeds, to run in parallel.
///
/// `random_histories! { they_end_well: history, "orders", on_sqlite: COUNT, on_postgres: COUNT }` needs `COUNT: u64`
/// and `async fn history(database: Database, seed: u64)`.
macro_rules! random_histories {
    ($name:ident: $history:ident, $title:literal, on_sqlite: $on_sqlite:ident, on_postgres: $on_postgres:ident) => {
        mod $name {
            $crate::support::history::random_histories!(
                @parts $history, $title, $on_sqlite, $on_postgres, part_1: 0, part_2: 1, part_3: 2, part_4: 3
            );
        }
    };
    (@parts $history:ident, $title:literal, $on_sqlite:ident, $on_postgres:ident, $($part:ident: $index:literal),*) => {
        /// The parts into which the seeds are divided.
        const PARTS: &[u64] = &[$($index),*];

        $(mod $part {
            use $crate::support::database::{with_postgres, with_sqlite};
            use $crate::support::history::histories;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let run = |seed| with_sqlite(move |database| super::super::$history(database, seed));
                let part = ($index, super::PARTS.len());
                histories(concat!($title, " on SQLite"), super::super::$on_sqlite, part, run).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let run = |seed| with_postgres(move |database| super::super::$history(database, seed));
                let part = ($index, super::PARTS.len());
                histories(concat!($title, " on PostgreSQL"), super::super::$on_postgres, part, run).await;
            }
        })*
    };
}
pub(crate) use random_histories;

/// Runs one part of `count` histories, each from its own seed, and prints how many it ran.
///
/// `part` is the index of the part and the number of parts.
///
/// A history that fails prints its seed, and the others go on. `NUMBERDESK_TEST_SEEDS` sets another count.
/// `NUMBERDESK_TEST_SEED` runs the history of one seed only.
pub(crate) async fn histories<F>(title: &str, count: u64, (part, parts): (u64, usize), run: impl Fn(u64) -> F)
where
    F: Future<Output = ()>,
{
    let from_environment = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let all = match from_environment("NUMBERDESK_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("NUMBERDESK_TEST_SEEDS").unwrap_or(count),
    };
    let parts = u64::try_from(parts).expect("a small number");
    let seeds: Vec<u64> = all.filter(|seed| seed % parts == part).collect();
    let count = seeds.len();
    // A failure does not keep the other histories from running: a long run finds more than one.
    let failed: Vec<u64> = futures::stream::iter(seeds)
        .map(|seed| {
            let history = AssertUnwindSafe(run(seed)).catch_unwind();
            async move {
                let failed = history.await.is_err();
                if failed {
                    eprintln!("history {seed} failed: NUMBERDESK_TEST_SEED={seed} repeats it");
                }
                failed.then_some(seed)
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{title}: of {count} histories these failed: {failed:?}"
    );
    println!("{title}: {count} histories, all guarantees kept");
}

/// A small random number generator (`SplitMix64`) whose sequence depends only on the seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }
    /// Returns a number from 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).expect("64 bits") % end.max(1)
    }
    /// Returns one of the elements.
    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
    /// Returns `true` with a probability of `percent` in 100.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
