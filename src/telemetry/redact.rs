//! Shortens phone numbers in every log line.
//!
//! Texts from Close and from users may contain phone numbers, so the writer redacts each line, whatever code logged it.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use super::held;

/// Digits that stay readable at the start.
const LEADING: usize = 4;
/// Digits that stay readable at the end.
const TRAILING: usize = 2;
/// E.164 allows 15 digits at most; fewer than 7 are not a subscriber's number.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Stderr, with the phone numbers in every line shortened.
#[derive(Clone, Copy)]
pub(super) struct RedactedStderr;

impl<'a> MakeWriter<'a> for RedactedStderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for RedactedStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The formatter writes a whole line at once, so a number is never split.
        match redacted(line) {
            Some(short) => held::write(&short)?,
            None => held::write(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The line with every phone number shortened to the form `+4930…67`; `None` if it has none.
fn redacted(line: &[u8]) -> Option<Vec<u8>> {
    let mut short = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(plus) = line[at..].iter().position(|byte| *byte == b'+') {
        let first = at + plus + 1;
        let digits = line[first..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        at = first + digits;
        if DIGITS.contains(&digits) {
            short.extend_from_slice(&line[copied..first + LEADING]);
            short.extend_from_slice("…".as_bytes());
            copied = at - TRAILING;
        }
    }
    if copied == 0 {
        return None;
    }
    short.extend_from_slice(&line[copied..]);
    Some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_shortened_and_nothing_else_changes() {
        let redact = |line: &str| redacted(line.as_bytes()).map(|short| String::from_utf8(short).unwrap());
        assert_eq!(
            redact(r#"{"error":"+493012345678 and +14155550123."}"#).unwrap(),
            r#"{"error":"+4930…78 and +1415…23."}"#
        );
        assert_eq!(redact("+1415555").unwrap(), "+1415…55");
        for line in [
            "",
            "+",
            "a+b",
            "1+123456",
            "2026-11-25T10:00:00.123+0100",
            "+1234567890123456",
        ] {
            assert_eq!(redact(line), None, "{line}");
        }
    }
}
