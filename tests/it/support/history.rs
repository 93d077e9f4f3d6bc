//! Random histories that follow from a seed: the generator that chooses each step, and the runner.

use futures::StreamExt as _;

/// Histories that go on side by side.
const AT_ONCE: usize = 4;

/// Runs so many histories, each from its seed, and names the seed of one that fails; how many. `NUMBERDESK_TEST_SEEDS`
/// chooses another number of them, `NUMBERDESK_TEST_SEED` one alone.
pub(crate) async fn histories(
    usual: u64,
    run: impl Fn(u64) -> futures::future::BoxFuture<'static, ()>,
) -> usize {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let seeds: Vec<u64> = match number("NUMBERDESK_TEST_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("NUMBERDESK_TEST_SEEDS").unwrap_or(usual)).collect(),
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

/// Small, seeded, and good enough to choose with.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }
    /// From nothing to one less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).expect("64 bits") % end.max(1)
    }
    /// One of these.
    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
    /// Whether a chance of so many in a hundred came true.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
