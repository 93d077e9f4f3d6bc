//! The house holds: arrows point down, siblings never see each other, and each kind of knowledge has one room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms each room may name. What is not listed here does not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "app",
            "auth",
            "close",
            "config",
            "desk",
            "domain",
            "http",
            "policy",
            "store",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "auth",
            "close",
            "config",
            "desk",
            "domain",
            "error",
            "http",
            "outgoing",
            "policy",
            "store",
            "telemetry",
        ],
    ),
    ("config", &["domain"]),
    ("telemetry", &[]),
    ("http", &["auth", "desk", "domain", "error", "telemetry"]),
    ("auth", &["domain", "error", "telemetry"]),
    (
        "desk",
        &[
            "policy",
            "close",
            "outgoing",
            "store",
            "inventory",
            "domain",
            "error",
            "failpoint",
            "telemetry",
        ],
    ),
    ("policy", &["domain", "error"]),
    ("inventory", &["domain"]),
    ("close", &["domain", "error", "telemetry"]),
    ("outgoing", &["domain", "telemetry"]),
    ("store", &["domain", "error", "failpoint"]),
    ("domain", &[]),
    ("error", &["domain"]),
    ("failpoint", &[]),
];

/// A word that only some rooms may write, and why.
const KNOWLEDGE: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["store"], "only the store knows SQL"),
    ("jsonwebtoken", &["auth"], "only auth knows tokens"),
    ("axum", &["http"], "only http answers requests"),
    ("utoipa", &["http"], "only http describes itself"),
    (
        "rustls::",
        &["config", "http"],
        "the listener's certificate is config's to read and http's to show",
    ),
    ("jiff::", &["domain"], "time is named in one place"),
    (
        "metrics_exporter",
        &["telemetry", "app", "cli"],
        "only telemetry names an exporter",
    ),
    (
        "opentelemetry",
        &["telemetry"],
        "work is traced by spans, whoever takes them",
    ),
    (
        "phone_number/request",
        &["close"],
        "only close knows Close's paths",
    ),
];

#[test]
fn arrows_point_down_and_siblings_never_see_each_other() {
    let allowed: BTreeMap<_, BTreeSet<_>> = ARROWS
        .iter()
        .map(|(room, seen)| (*room, seen.iter().copied().collect()))
        .collect();
    let mut wrong = Vec::new();
    for file in sources() {
        let room = room(&file);
        let Some(may) = allowed.get(room.as_str()) else {
            wrong.push(format!(
                "{}: the room `{room}` is not on the plan",
                file.display()
            ));
            continue;
        };
        for named in named(&code(&file)) {
            if named != room && !may.contains(named.as_str()) {
                wrong.push(format!("{}: `{room}` may not see `{named}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_kind_of_knowledge_stands_in_its_room() {
    let mut wrong = Vec::new();
    for file in sources() {
        let (room, code) = (room(&file), code(&file));
        for (word, rooms, why) in KNOWLEDGE {
            if code.contains(word) && !rooms.contains(&room.as_str()) {
                wrong.push(format!("{} names `{word}`: {why}", file.display()));
            }
        }
        if ["domain", "policy", "inventory"].contains(&room.as_str()) && code.contains("async fn") {
            wrong.push(format!("{} is async: `{room}` does no I/O", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is_and_none_holds_a_second_noun() {
    let mut wrong = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).expect("a listed file can be read");
        if !text.starts_with("//! ") {
            wrong.push(format!("{} does not say what it is", file.display()));
        }
        let lines = text.lines().count();
        if lines > 400 {
            wrong.push(format!(
                "{} has {lines} lines: which noun leaves?",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !path.ends_with("src/lib.rs")
                && !path.ends_with("tests.rs")
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The top-level module a file belongs to.
fn room(file: &Path) -> String {
    let inside = file
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .expect("it lies in src");
    let first = inside
        .components()
        .next()
        .expect("it has a name")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The text without comments and without the unit tests at its end.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a listed file can be read");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every top-level module of the crate that the code names.
fn named(code: &str) -> BTreeSet<String> {
    ["crate::", "numberdesk::"]
        .iter()
        .flat_map(|root| code.split(root).skip(1).map(leading_name))
        .filter(|name| !name.is_empty())
        .collect()
}

fn leading_name(rest: &str) -> String {
    rest.chars()
        .take_while(|c| c.is_ascii_lowercase() || *c == '_')
        .collect()
}
