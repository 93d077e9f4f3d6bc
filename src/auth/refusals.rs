//! Logs which issuer, audience and key a refused token names, at a bounded rate.
//!
//! The cause of most refusals is a setting of the provider or of the service, which only these values show. The token is
//! not verified, so its texts can have any content: they are shortened, and control characters are replaced.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use crate::auth::jwt::Token;
use crate::domain::time::Timestamp;

/// How long one combination of values is not logged again.
const WINDOW: Duration = Duration::from_mins(1);
/// The maximum number of lines in a window.
const MAX_LINES: usize = 10;
/// The maximum length of a value, in characters.
const MAX_CHARS: usize = 200;

/// The recent refusals.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Window>);

#[derive(Default)]
struct Window {
    began: Option<Timestamp>,
    logged: HashSet<Values>,
    /// The number of refusals in the window that were not logged.
    suppressed: u64,
}

/// The values of a refused token, fit for a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Values {
    reason: &'static str,
    issuer: String,
    audience: String,
    kid: String,
}

impl Refusals {
    /// Logs the token's `iss`, `aud` and `kid`, unless the window has such a line or is full.
    pub(super) fn log(&self, token: &Token<'_>, reason: &'static str, now: Timestamp) {
        let claim = |name| token.claims.get(name).map(shown).unwrap_or_default();
        let values = Values {
            reason,
            issuer: claim("iss"),
            audience: claim("aud"),
            kid: token.kid.as_deref().map(printable).unwrap_or_default(),
        };
        if let Some(suppressed) = self.0.lock().admit(&values, now) {
            let Values {
                reason,
                issuer,
                audience,
                kid,
            } = values;
            tracing::warn!(
                reason,
                issuer,
                audience,
                kid,
                suppressed,
                "token refused; its issuer, audience or key is not accepted"
            );
        }
    }
}

impl Window {
    /// Decides whether to log these values. Returns the number of refusals that the previous window did not log.
    fn admit(&mut self, values: &Values, now: Timestamp) -> Option<u64> {
        let mut suppressed = 0;
        // A clock that was set back begins a window too.
        if self
            .began
            .is_none_or(|began| now < began || now.since(began) >= WINDOW)
        {
            suppressed = std::mem::take(self).suppressed;
            self.began = Some(now);
        }
        if self.logged.len() < MAX_LINES && self.logged.insert(values.clone()) {
            Some(suppressed)
        } else {
            self.suppressed += 1;
            None
        }
    }
}

/// Returns a claim as text: a string as it is, several strings with commas, another value as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            printable(&texts.join(", "))
        }
        other => printable(&other.to_string()),
    }
}

fn printable(text: &str) -> String {
    let printable = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    let mut short: String = text.chars().take(MAX_CHARS).map(printable).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(kid: &str) -> Values {
        Values {
            reason: "r",
            issuer: "i".into(),
            audience: "a".into(),
            kid: kid.into(),
        }
    }

    #[test]
    fn a_window_logs_each_combination_once_and_counts_the_rest() {
        let (mut window, start) = (Window::default(), Timestamp::from_seconds(1_800_000_000));
        let mut admitted =
            |kid: &str, seconds| window.admit(&values(kid), start.plus(Duration::from_secs(seconds)));
        assert_eq!(admitted("a", 0), Some(0));
        assert_eq!(admitted("a", 1), None);
        assert_eq!(admitted("b", 2), Some(0));
        for number in 0..100 {
            let logged = admitted(&number.to_string(), 3).is_some();
            assert_eq!(logged, number < MAX_LINES - 2, "{number}");
        }
        assert_eq!(
            admitted("a", 60),
            Some(93),
            "the next window reports what it left out"
        );
        assert_eq!(admitted("b", 61), Some(0));
    }

    #[test]
    fn values_are_short_and_on_one_line() {
        assert_eq!(shown(&json!("https://idp.test/")), "https://idp.test/");
        assert_eq!(shown(&json!(["a", "b"])), "a, b");
        assert_eq!(shown(&json!({"a": 1})), r#"{"a":1}"#);
        assert_eq!(shown(&json!("a\nb\u{1b}[31m")), "a\u{fffd}b\u{fffd}[31m");
        assert_eq!(shown(&json!("x".repeat(5_000))).chars().count(), MAX_CHARS + 1);
    }
}
