//! Random but repeatable test histories: the seeded generator that chooses the steps, and the runner.

use futures::StreamExt as _;

/// The number of histories that run concurrently.
const AT_ONCE: usize = 4;

/// Runs `default_count` histories, each from its own seed, and returns how many it ran.
///
/// When a history fails, its seed is printed. `NUMBERDESK_TEST_SEEDS` sets another count, `NUMBERDESK_TEST_SEED` runs
/// the history of one seed only.
pub(crate) async fn histories(
    default_count: u64,
    run: impl Fn(u64) -> futures::future::BoxFuture<'static, ()>,
) -> usize {
    let from_environment = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let seeds: Vec<u64> = match from_environment("NUMBERDESK_TEST_SEED") {
        Some(seed) => vec![seed],
        None => (0..from_environment("NUMBERDESK_TEST_SEEDS").unwrap_or(default_count)).collect(),
    };
    let count = seeds.len();
    futures::stream::iter(seeds)
        .map(|seed| {
            let history = run(seed);
            async move {
                if let Err(failure) = tokio::spawn(history).await {
                    eprintln!("history {seed} failed: NUMBERDESK_TEST_SEED={seed} repeats it");
                    std::panic::resume_unwind(failure.into_panic());
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    count
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
