//! Readers of single values that several sections share: durations, URLs that are safe to call, log levels.

use std::time::Duration;

use url::Url;

use crate::domain::input::fields::{Fields, Node};
use crate::domain::loopback::is_loopback;
use crate::domain::time::Span;

/// Reads a duration from `min` to `max`, both written as in the file.
pub(super) fn span(node: &Node<'_>, min: &'static str, max: &'static str) -> Option<Duration> {
    let Span(length) = node.parse()?;
    let bound = |text: &str| {
        text.parse::<Span>()
            .expect("the bounds are written in this crate")
            .0
    };
    if (bound(min)..=bound(max)).contains(&length) {
        Some(length)
    } else {
        node.fault(format!("must be from {min} to {max}"))
    }
}

/// Reads a whole number.
pub(super) fn count(node: &Node<'_>, min: i64, max: i64) -> Option<usize> {
    node.integer(min, max)
        .map(|count| usize::try_from(count).expect("the bounds are positive"))
}

/// Reads a URL that may be called: https, or http to a loopback host; without user, password and fragment.
pub(super) fn web(node: &Node<'_>) -> Option<Url> {
    const WRONG: &str = "must be an https URL (http only for a loopback host)";
    let Ok(url) = node.string()?.parse::<Url>() else {
        return node.fault(WRONG);
    };
    if !callable(&url) {
        return node.fault(WRONG);
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return node.fault("must not contain a user, a password or a fragment");
    }
    Some(url)
}

/// Reads a URL like [`web`], without a query, so that paths can be added to it.
pub(super) fn base(node: &Node<'_>) -> Option<Url> {
    let url = web(node)?;
    if url.query().is_some() {
        return node.fault("must not contain a query");
    }
    Some(url)
}

/// Whether a URL is https, or http to a loopback host.
pub(super) fn callable(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Reads a log level, or several by target: `info,numberdesk=debug`.
pub(super) fn log_level(node: &Node<'_>) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = node.text(1_024)?;
    let target = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-'))
    };
    let fits = |part: &str| match part.trim().split_once('=') {
        Some((name, level)) => target(name) && LEVELS.contains(&level),
        None => LEVELS.contains(&part.trim()),
    };
    if text.split(',').all(fits) {
        Some(text)
    } else {
        node.fault(format!(
            "must be one of {}, or such as \"info,numberdesk=debug\"",
            LEVELS.join(", ")
        ))
    }
}

/// Reads a key that has a default.
pub(super) fn or<'a, T>(
    fields: &mut Fields<'a>,
    name: &'static str,
    read: impl FnOnce(Node<'a>) -> Option<T>,
    default: T,
) -> Option<T> {
    fields.optional(name, read).map(|value| value.unwrap_or(default))
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Reads a text that is not empty.
pub(super) fn some_text(node: &Node<'_>) -> Option<String> {
    let text = node.text(2_048)?;
    if text.trim().is_empty() {
        return node.fault("must not be empty");
    }
    Some(text)
}
