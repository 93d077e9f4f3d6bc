//! The structure of the code: dependencies of modules, cycles of files, use of libraries, file sizes.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use self::source::{Source, read_sources};

/// A name, the modules that may use it, and the reason.
const RESTRICTED_NAMES: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["store"], "only the store knows SQL"),
    ("jsonwebtoken", &["auth"], "only auth reads tokens"),
    ("axum", &["http"], "only http handles requests"),
    (
        "utoipa",
        &["config", "domain", "http", "policy"],
        "only the types of inputs and outputs describe themselves",
    ),
    (
        "rustls::",
        &["config", "egress", "http"],
        "config reads the certificate of the listener, http uses it, and egress names the faults of others",
    ),
    ("jiff::", &["domain"], "only domain uses the time library"),
    (
        "metrics_exporter",
        &["telemetry", "app", "cli"],
        "only telemetry chooses an exporter",
    ),
    (
        "opentelemetry",
        &["telemetry"],
        "only telemetry chooses an exporter",
    ),
    (
        "phone_number/request",
        &["close"],
        "only close knows the paths of Close's API",
    ),
];

/// The maximum number of lines of a file, without its unit tests.
const MAX_LINES: usize = 400;

fn service() -> Vec<Source> {
    read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

fn sandbox() -> Vec<Source> {
    read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/close-sandbox/src"))
}

#[test]
fn modules_use_only_the_modules_that_the_table_in_architecture_md_allows() {
    let wrong = forbidden_dependencies(&service());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_forbidden_dependency_is_found_in_every_syntax() {
    for text in [
        "use crate::store::Store;",
        "use super::super::super::store::{Store, orders::Accepted};",
        "fn open() { crate::store::open() }",
        "fn open() { sql!(crate::store::open()) }",
    ] {
        let mut sources = service();
        sources.push(Source::parse("policy/deep/planted.rs", text));
        let found = forbidden_dependencies(&sources);
        assert_eq!(
            found,
            ["policy/deep/planted.rs: `policy` may not use `store`"],
            "{text}"
        );
    }
}

#[test]
fn files_do_not_use_each_other_in_a_cycle() {
    for sources in [service(), sandbox()] {
        let cycles = cycles(&sources);
        assert!(cycles.is_empty(), "{}", cycles.join("\n"));
    }
}

#[test]
fn a_cycle_of_files_is_found_in_every_syntax() {
    let mut sources = service();
    sources.push(Source::parse(
        "close/planted.rs",
        "pub use self::inner::Inner; mod inner;",
    ));
    sources.push(Source::parse("close/planted/inner.rs", "use super::Outer;"));
    sources.push(Source::parse("policy/one.rs", "fn one() { super::two::two() }"));
    sources.push(Source::parse("policy/two.rs", "use crate::policy::{read, one};"));
    sources.push(Source::parse(
        "policy/three.rs",
        "#[cfg(test)] mod tests { use crate::policy::four; }",
    ));
    sources.push(Source::parse("policy/four.rs", "use crate::policy::three;"));
    assert_eq!(
        cycles(&sources),
        [
            "these files use each other: close/planted.rs, close/planted/inner.rs",
            "these files use each other: policy/one.rs, policy/two.rs",
        ]
    );
}

#[test]
fn each_restricted_name_is_used_only_in_its_modules() {
    let mut wrong = Vec::new();
    for source in service() {
        for (name, modules, why) in RESTRICTED_NAMES {
            if source.code.contains(name) && !modules.contains(&source.top()) {
                wrong.push(format!("{} uses `{name}`: {why}", source.path));
            }
        }
        if ["domain", "policy", "inventory"].contains(&source.top()) && source.code.contains("async fn") {
            wrong.push(format!(
                "{} has an async function, but `{}` must do no I/O",
                source.path,
                source.top()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_begins_with_a_doc_comment_and_has_at_most_400_lines() {
    let mut wrong = Vec::new();
    for source in service().into_iter().chain(sandbox()) {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{} does not begin with a `//!` comment", source.path));
        }
        if source.lines > MAX_LINES {
            wrong.push(format!(
                "{} has {} lines, more than {MAX_LINES}; move a part of it to another file",
                source.path, source.lines
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the dependencies that the table in ARCHITECTURE.md does not allow.
///
/// Modules that the table does not name are returned too.
fn forbidden_dependencies(sources: &[Source]) -> Vec<String> {
    let allowed = allowed_dependencies();
    let mut wrong = BTreeSet::new();
    for source in sources {
        let Some(may) = allowed.get(source.top()) else {
            if source.path != "lib.rs" {
                wrong.insert(format!("{}: ARCHITECTURE.md has no row for it", source.path));
            }
            continue;
        };
        for used in source.uses.iter().filter_map(|path| path.first()) {
            if used != source.top() && allowed.contains_key(used) && !may.contains(used) {
                wrong.insert(format!(
                    "{}: `{}` may not use `{used}`",
                    source.path,
                    source.top()
                ));
            }
        }
    }
    wrong.into_iter().collect()
}

/// Reads the modules that each module may use from the table in ARCHITECTURE.md.
///
/// The first column of the table names the modules, the last one the modules that they may use.
fn allowed_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).expect("ARCHITECTURE.md can be read");
    let names =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let table: BTreeMap<_, _> = page
        .lines()
        .skip_while(|line| !line.starts_with("| module |"))
        .skip(2)
        .map_while(|row| row.strip_prefix("| ")?.strip_suffix(" |"))
        .flat_map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            let (modules, may_use) = (names(cells[0]), names(cells[cells.len() - 1]));
            modules.into_iter().map(move |module| (module, may_use.clone()))
        })
        .collect();
    assert!(table.len() > 10, "the table of modules was not found");
    table
}

/// Returns the largest sets of files that all use each other, directly or through other files.
fn cycles(sources: &[Source]) -> Vec<String> {
    let files: BTreeMap<&[String], &Source> = sources
        .iter()
        .map(|source| (source.module.as_slice(), source))
        .collect();
    let file_of = |path: &[String]| {
        (0..=path.len())
            .rev()
            .find_map(|length| files.get_key_value(&path[..length]))
            .map(|(module, _)| *module)
    };
    let direct: BTreeMap<&[String], BTreeSet<&[String]>> = sources
        .iter()
        .map(|source| {
            let used = source.uses.iter().filter_map(|path| file_of(path));
            let others = used.filter(|module| *module != source.module.as_slice());
            (source.module.as_slice(), others.collect())
        })
        .collect();
    let reached: BTreeMap<_, _> = direct
        .keys()
        .map(|file| (*file, reachable(file, &direct)))
        .collect();
    let mut found = BTreeSet::new();
    for (file, others) in &reached {
        if others.contains(file) {
            let cycle = others.iter().filter(|other| reached[*other].contains(file));
            let names: Vec<_> = cycle.map(|module| files[module].path.as_str()).collect();
            found.insert(format!("these files use each other: {}", names.join(", ")));
        }
    }
    found.into_iter().collect()
}

/// Returns all files that `start` uses, directly or through other files.
fn reachable<'a>(
    start: &[String],
    direct: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>,
) -> BTreeSet<&'a [String]> {
    let mut found = BTreeSet::new();
    let mut next: Vec<_> = direct[start].iter().copied().collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(&direct[file]);
        }
    }
    found
}
