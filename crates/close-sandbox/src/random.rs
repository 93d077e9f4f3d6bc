//! Seeded pseudo-random data, the same for the same seed.

use serde::{Deserialize, Serialize};

/// A `SplitMix64` generator: small, seeded, and sufficient for generated test data.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// An id: the prefix, then `length` base62 characters.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = String::from(prefix);
        for _ in 0..length {
            let index = usize::try_from(self.below(62)).expect("below 62");
            id.push(char::from(BASE62[index]));
        }
        id
    }

    /// `bytes` random bytes as lower-case hex.
    pub(crate) fn hex(&mut self, bytes: usize) -> String {
        let generated: Vec<u8> = (0..bytes)
            .map(|_| u8::try_from(self.below(256)).expect("a byte"))
            .collect();
        hex::encode(generated)
    }
}
