//! Environment variables that override keys of the file: `NUMBERDESK_`, then the key's path joined by `__`.
//!
//! The variables follow from the [keys](crate::config::keys) of the file. The reader validates the values.

use std::path::Path;

use serde_json::Value;

use crate::config::keys::{KEYS, Kind};
use crate::config::variable::{PREFIX, variable};
use crate::domain::input::document::{Document, FileFault};
use crate::domain::input::fault::Fault;

/// Variables that are not keys: the command line and the log read them.
const OTHERS: [&str; 2] = ["LOG", "CONFIG"];
/// Prefix of variables that tests read.
const TEST: &str = "TEST_";

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
    kind: Kind,
    value: String,
}

/// Removes secrets from the document, and returns their faults.
///
/// A secret is accepted only from the environment or a file of its own, because configuration files are committed, copied
/// and mailed.
pub(super) fn refuse_secrets(document: &mut Document) -> Vec<FileFault> {
    let secrets = KEYS.iter().filter(|(_, kind)| matches!(kind, Kind::Secret));
    let mut faults = Vec::new();
    for (key, _) in secrets {
        let pointer = format!("/{}", key.replace('.', "/"));
        if document.root().pointer(&pointer).is_some() {
            let (_, name) = key.rsplit_once('.').unwrap_or(("", key));
            faults.push(Fault {
                message: format!(
                    "a secret does not belong in this file: use `{name}_file`, or {} in the environment",
                    variable(key)
                ),
                pointer: pointer.clone(),
            });
            document.replace(&pointer, Value::Null);
        }
    }
    document.locate(faults)
}

/// Sets the variables' values in the document, and returns the faults of variables that name no key.
pub(super) fn apply(document: &mut Document, env: impl Iterator<Item = (String, String)>) -> Vec<FileFault> {
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
            Some((path, kind)) => overrides.push(Override {
                variable,
                path,
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
        document.set(&path, parse(over.kind, &over.value), &source);
    }
    faults
}

fn fault(variable: &str, key: &str, message: String) -> FileFault {
    FileFault {
        file: format!("env {variable}"),
        line: None,
        column: None,
        key: key.to_owned(),
        message,
    }
}

/// Returns the path and the kind of the key that a variable names. `rest` is its name without the prefix.
fn find(rest: &str) -> Option<(Vec<String>, Kind)> {
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
            [] if matches => Some((path.clone(), *kind)),
            [index] if matches && matches!(kind, Kind::List) && is_index(index) => {
                Some((path.clone(), Kind::Text))
            }
            [index] if matches && matches!(kind, Kind::Numbers) && is_index(index) => {
                Some((path.clone(), Kind::Whole))
            }
            _ => None,
        }
    })
}

fn is_index(part: &str) -> bool {
    (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The message for a variable that names no key, with the nearest valid name if there is a similar one.
///
/// The common prefix does not count, and at most a third of the rest may differ: a variable of another program, such as
/// `NUMBERDESK_TOKEN`, is similar to none.
fn unknown_variable(name: &str) -> String {
    let rest = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_uppercase();
    let wanted = rest(name);
    let known = KEYS.iter().map(|(key, _)| variable(key));
    let nearest = known
        .map(|known| (strsim::damerau_levenshtein(&wanted, &rest(&known)), known))
        .min()
        .filter(|(distance, _)| *distance <= wanted.len() / 3);
    match nearest {
        Some((_, nearest)) => format!("unknown key `{name}`; did you mean `{nearest}`?"),
        None => format!(
            "unknown key `{name}`; `numberdesk schema config` lists the keys, and variables of other programs must not \
             begin with {PREFIX}"
        ),
    }
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
        Kind::Path | Kind::Text | Kind::Secret => value.into(),
    }
}
