//! A fault in an input: where it is, what is wrong, and the nearest valid name.

use std::fmt;

/// A fault in the input, with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The JSON pointer to the value; `""` for the whole document.
    pub pointer: String,
    /// What is wrong or what would be right, as a sentence without a full stop.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

/// Returns the message for an unknown key, with the nearest known key or all of them.
pub fn unknown(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("unknown key `{shown}`; {}", nearest(&shown, known))
}

/// Returns a suggestion to append to a message; empty if no name is known.
pub fn suggestion(shown: &str, known: &[&str]) -> String {
    if known.is_empty() {
        String::new()
    } else {
        format!("; {}", nearest(shown, known))
    }
}

/// Returns a suggestion: the nearest known name, or the list of known names.
pub fn nearest(shown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(shown, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2);
    match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}
