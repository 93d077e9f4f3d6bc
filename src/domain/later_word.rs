//! Words of a later version of the service that this version meets in the database.
//!
//! During a rollout, and after one was undone, a replica reads rows that a newer one has written. It keeps and shows
//! the words that it does not know, and leaves such work to a newer replica.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer};

/// The longest word that is kept, in bytes.
const LONGEST: usize = 64;
/// The most different words that are kept, so that a database full of them can't fill the memory.
const MOST: usize = 1_000;

/// A word that this version does not know. It lives as long as the process, so that it can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaterWord(&'static str);

impl LaterWord {
    /// Keeps a word. One that can't be kept becomes `unknown`.
    pub fn keep(text: &str) -> Self {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock();
        if let Some(word) = known.get(text) {
            return Self(word);
        }
        if text.len() > LONGEST || known.len() >= MOST {
            return Self("unknown");
        }
        let word: &'static str = Box::leak(text.into());
        known.insert(word);
        Self(word)
    }

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// An enum that accepts, in the database, words of later versions.
pub trait StoredWord: Sized {
    /// Reads the word of a column.
    fn stored(text: &str) -> Self;
    /// Whether it is a word of a later version.
    fn is_later(&self) -> bool;
}

/// Members of stored JSON that this version does not know. They are kept and shown.
pub type LaterMembers = BTreeMap<String, serde_json::Value>;

/// Deserializes a word of stored JSON, for `deserialize_with`.
pub fn stored<'de, T: StoredWord, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer).map(|text| T::stored(&text))
}

/// Deserializes a word of stored JSON that may be missing, for `deserialize_with`.
pub fn stored_opt<'de, T: StoredWord, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| T::stored(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::State;

    #[test]
    fn a_word_of_a_later_version_is_kept_when_it_is_read_from_the_database_and_nowhere_else() {
        let state = State::stored("from-the-future");
        assert_eq!(state.as_str(), "from-the-future");
        assert_eq!(state, State::stored("from-the-future"));
        assert_ne!(state, State::stored("from-another-future"));
        assert_eq!(serde_json::to_string(&state).unwrap(), "\"from-the-future\"");
        assert_eq!(State::stored("queued"), State::Queued);
        assert!("from-the-future".parse::<State>().is_err());
        assert!(serde_json::from_str::<State>("\"from-the-future\"").is_err());
        assert!(!state.is_final() && !State::ALL.contains(&state));
    }

    #[test]
    fn a_word_that_is_too_long_is_shown_as_unknown() {
        assert_eq!(LaterWord::keep(&"x".repeat(65)).as_str(), "unknown");
    }
}
