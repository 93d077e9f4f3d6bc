//! Environment variables that override keys of the file: `NUMBERDESK_`, then the key's path joined by `__`.
//!
//! This module knows the names of all keys, and how to parse each one from a variable. The reader validates the values.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;
use serde_json::Value;

use crate::config::secret::{unusable_api_key, unusable_master, unusable_webhook_key};
use crate::domain::input::document::{Document, FileFault};
use crate::domain::input::fields::unknown;

const PREFIX: &str = "NUMBERDESK_";
/// Variables that are not keys: the command line and the log read them.
const OTHERS: [&str; 2] = ["LOG", "CONFIG"];
/// Prefix of variables that tests read.
const TEST: &str = "TEST_";

/// Secrets from the environment, by key. They never enter the document.
pub(super) type Secrets = BTreeMap<&'static str, SecretString>;

/// How a variable's text becomes the value of a key.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// A whole number.
    Whole,
    /// `true` or `false`.
    Flag,
    /// A path. A relative one starts at the working directory, because a variable belongs to no file.
    Path,
    /// Texts separated by commas; or one variable for each entry, with its index.
    List,
    /// Whole numbers separated by commas; or one variable for each entry, with its index.
    Numbers,
    /// A secret, with the function that explains why a text is unusable.
    Secret(fn(&str) -> Option<&'static str>),
}

/// Every key; `#` is an index.
pub(super) const KEYS: &[(&str, Kind)] = &[
    ("server.listen", Kind::Text),
    ("server.ops_listen", Kind::Text),
    ("server.public_url", Kind::Text),
    ("server.tls.certificate_file", Kind::Path),
    ("server.tls.key_file", Kind::Path),
    ("server.body_limit", Kind::Whole),
    ("server.header_timeout", Kind::Text),
    ("server.max_headers", Kind::Whole),
    ("server.drain", Kind::Text),
    ("server.grace", Kind::Text),
    ("limits.requests_per_minute", Kind::Whole),
    ("limits.burst", Kind::Whole),
    ("limits.in_flight", Kind::Whole),
    ("limits.waiting_orders", Kind::Whole),
    ("store.url", Kind::Text),
    ("store.url_file", Kind::Path),
    ("close.base_url", Kind::Text),
    ("close.api_key", Kind::Secret(unusable_api_key)),
    ("close.api_key_file", Kind::Path),
    ("close.webhook_signature_key", Kind::Secret(unusable_webhook_key)),
    ("close.webhook_signature_key_file", Kind::Path),
    ("close.subscribe", Kind::Flag),
    ("close.timeout", Kind::Text),
    ("close.webhook_tolerance", Kind::Text),
    ("auth.issuers.#.issuer", Kind::Text),
    ("auth.issuers.#.audiences", Kind::List),
    ("auth.issuers.#.jwks_url", Kind::Text),
    ("auth.issuers.#.jwks_file", Kind::Path),
    ("auth.issuers.#.algorithms", Kind::List),
    ("auth.issuers.#.kind", Kind::Text),
    ("auth.issuers.#.ca_file", Kind::Path),
    ("auth.issuers.#.token_file", Kind::Path),
    ("auth.issuers.#.claims.teams", Kind::Text),
    ("auth.issuers.#.claims.permissions", Kind::Text),
    ("auth.issuers.#.claims.close_user", Kind::Text),
    ("policy.file", Kind::Path),
    ("orders.wait", Kind::Text),
    ("orders.settle_after", Kind::Text),
    ("orders.reconcile_every", Kind::Text),
    ("orders.lease_margin", Kind::Text),
    ("orders.approval_expires", Kind::Text),
    ("inventory.full_sync", Kind::Text),
    ("inventory.catch_up", Kind::Text),
    ("events.keep", Kind::Text),
    ("webhooks.hosts", Kind::List),
    ("webhooks.networks", Kind::List),
    ("webhooks.ports", Kind::Numbers),
    ("webhooks.allow_http", Kind::Flag),
    ("webhooks.secret", Kind::Secret(unusable_master)),
    ("webhooks.secret_file", Kind::Path),
    ("webhooks.timeout", Kind::Text),
    ("webhooks.retry_for", Kind::Text),
    ("webhooks.overlap", Kind::Text),
    ("traces.endpoint", Kind::Text),
    ("traces.percent", Kind::Whole),
    ("log.format", Kind::Text),
    ("log.level", Kind::Text),
];

/// Keys that exclude each other: a variable for the first one replaces the second one in the file.
///
/// A secret in the file stays a fault even if a variable overrides it.
const RIVALS: [(&str, &str); 7] = [
    ("url", "url_file"),
    ("url_file", "url"),
    ("jwks_url", "jwks_file"),
    ("jwks_file", "jwks_url"),
    ("api_key", "api_key_file"),
    ("webhook_signature_key", "webhook_signature_key_file"),
    ("secret", "secret_file"),
];

/// Returns the variables of this process that begin with `NUMBERDESK_`.
///
/// Bytes that are not UTF-8 become replacement characters, which the validation then reports.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// A variable that names a key.
struct Override {
    variable: String,
    path: Vec<String>,
    key: &'static str,
    kind: Kind,
    value: String,
}

/// Sets the variables' values in the document, and returns the secrets separately. Unknown variables are faults.
pub(super) fn apply(
    document: &mut Document,
    env: impl Iterator<Item = (String, String)>,
) -> (Secrets, Vec<FileFault>) {
    let mut secrets = Secrets::new();
    let mut faults = Vec::new();
    let mut overrides = Vec::new();
    for (variable, value) in env {
        let Some(rest) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        if OTHERS.contains(&rest) || rest.starts_with(TEST) || service_link(rest) {
            continue;
        }
        match find(rest) {
            Some((path, key, kind)) => overrides.push(Override {
                variable,
                path,
                key,
                kind,
                value,
            }),
            None => faults.push(fault(&variable, "", unknown_variable(&variable))),
        }
    }
    // Sorted by index, so that a list grows entry by entry.
    overrides.sort_by_cached_key(|over| {
        over.path
            .iter()
            .map(|part| format!("{part:0>9}"))
            .collect::<Vec<_>>()
    });

    for over in &overrides {
        let source = format!("env {}", over.variable);
        let path: Vec<&str> = over.path.iter().map(String::as_str).collect();
        if let Some(length) = gap(document.root(), &path) {
            let message = format!("leaves a gap in the list: its next index is {length}");
            faults.push(fault(&over.variable, &over.path.join("."), message));
            continue;
        }
        if let Some(rival) = rival(&over.path)
            && !overrides.iter().any(|other| other.path == rival)
            && document
                .root()
                .pointer(&format!("/{}", rival.join("/")))
                .is_some()
        {
            let rival: Vec<&str> = rival.iter().map(String::as_str).collect();
            document.set(&rival, Value::Null, &source);
        }
        if let Kind::Secret(check) = over.kind {
            if let Some(message) = check(over.value.trim()) {
                faults.push(fault(&over.variable, over.key, message.to_owned()));
            }
            // An unusable secret is kept too, so that the reader does not also report it as missing.
            secrets.insert(over.key, over.value.trim().into());
        } else {
            document.set(&path, parse(over.kind, &over.value), &source);
        }
    }
    (secrets, faults)
}

fn fault(variable: &str, key: &str, message: String) -> FileFault {
    FileFault {
        file: format!("env {variable}"),
        line: None,
        key: key.to_owned(),
        message,
    }
}

/// Returns the path, key and kind that a variable names. `rest` is its name without the prefix.
fn find(rest: &str) -> Option<(Vec<String>, &'static str, Kind)> {
    if rest.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    KEYS.iter().find_map(|(key, kind)| {
        let pattern: Vec<&str> = key.split('.').collect();
        let fits = |(part, pattern): (&String, &&str)| {
            if *pattern == "#" {
                is_index(part)
            } else {
                part == pattern
            }
        };
        let matches = path.len() >= pattern.len() && path.iter().zip(&pattern).all(fits);
        match &path[pattern.len().min(path.len())..] {
            [] if matches => Some((path.clone(), *key, *kind)),
            [index] if matches && matches!(kind, Kind::List) && is_index(index) => {
                Some((path.clone(), *key, Kind::Text))
            }
            [index] if matches && matches!(kind, Kind::Numbers) && is_index(index) => {
                Some((path.clone(), *key, Kind::Whole))
            }
            _ => None,
        }
    })
}

fn is_index(part: &str) -> bool {
    (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The message for a variable that names no key, with the nearest valid name.
fn unknown_variable(variable: &str) -> String {
    let known: Vec<String> = KEYS
        .iter()
        .map(|(key, _)| {
            format!(
                "{PREFIX}{}",
                key.replace('#', "0").replace('.', "__").to_ascii_uppercase()
            )
        })
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    unknown(variable, &known)
}

/// Whether Kubernetes set the variable: it describes every service to every pod, and a service may be `numberdesk…`.
///
/// See <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
fn service_link(rest: &str) -> bool {
    if rest.contains("__") {
        return false;
    }
    let parts: Vec<&str> = rest.split('_').collect();
    let is_link = |tail: &[&str]| match tail {
        ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] | ["PORT"] => true,
        ["PORT", number, "TCP" | "UDP" | "SCTP", rest @ ..] => {
            number.bytes().all(|byte| byte.is_ascii_digit())
                && matches!(rest, [] | ["PROTO" | "PORT" | "ADDR"])
        }
        _ => false,
    };
    (0..parts.len()).any(|start| is_link(&parts[start..]))
}

/// Returns the length of a list in which an index of the path would leave a gap.
fn gap(root: &Value, path: &[&str]) -> Option<usize> {
    let mut current = Some(root);
    for part in path {
        if let Some(index) = part.parse::<usize>().ok().filter(|_| is_index(part)) {
            let items = current.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if index > items.len() {
                return Some(items.len());
            }
            current = items.get(index);
        } else {
            current = current.and_then(|value| value.get(part));
        }
    }
    None
}

/// Returns the path of the key that this key excludes.
fn rival(path: &[String]) -> Option<Vec<String>> {
    let (last, before) = path.split_last()?;
    let (_, other) = RIVALS.iter().find(|(one, _)| one == last)?;
    Some(before.iter().cloned().chain([(*other).to_owned()]).collect())
}

/// Parses a value. A text that cannot be parsed stays a text, and the reader reports it.
fn parse(kind: Kind, value: &str) -> Value {
    let whole = |text: &str| {
        let text = text.trim();
        text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
    };
    let items = || value.split(',').map(str::trim).filter(|item| !item.is_empty());
    match kind {
        Kind::Whole => whole(value),
        Kind::Flag => match value.trim() {
            "true" => true.into(),
            "false" => false.into(),
            _ => value.into(),
        },
        Kind::List => items().collect(),
        Kind::Numbers => items().map(whole).collect(),
        Kind::Path if !value.is_empty() => match std::path::absolute(Path::new(value)) {
            Ok(path) => path.to_string_lossy().into(),
            Err(_) => value.into(),
        },
        Kind::Path | Kind::Text | Kind::Secret(_) => value.into(),
    }
}
