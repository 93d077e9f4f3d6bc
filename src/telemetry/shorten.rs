//! Phone numbers in lines of the log: none is written whole, whoever put it there. What Close says of a number may hold
//! one, and so may what a person typed.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

/// Digits that are left at the beginning, and at the end.
const KEPT: (usize, usize) = (4, 2);
/// E.164 has at most 15; fewer than 7 are no subscriber's number.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Stderr, for one line at a time.
#[derive(Clone, Copy)]
pub(super) struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line comes whole: whoever formats it hands it over in one piece.
        match shortened(line) {
            Some(short) => io::stderr().write_all(&short)?,
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The line with every number in it shortened, `+4930…67`; `None` where there is none.
fn shortened(line: &[u8]) -> Option<Vec<u8>> {
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
            short.extend_from_slice(&line[copied..first + KEPT.0]);
            short.extend_from_slice("…".as_bytes());
            copied = at - KEPT.1;
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
    fn numbers_are_shortened_wherever_they_stand_and_nothing_else_is_touched() {
        let said = |line: &str| shortened(line.as_bytes()).map(|short| String::from_utf8(short).unwrap());
        assert_eq!(
            said(r#"{"cause":"+493012345678 and +14155550123."}"#).unwrap(),
            r#"{"cause":"+4930…78 and +1415…23."}"#
        );
        assert_eq!(said("+1415555").unwrap(), "+1415…55");
        for line in [
            "",
            "+",
            "a+b",
            "1+123456",
            "2026-11-25T10:00:00.123+0100",
            "+1234567890123456",
        ] {
            assert_eq!(said(line), None, "{line}");
        }
    }
}
