//! Snapshots: whole documents and outputs that a person has reviewed, in `tests/it/snapshots`.

use std::panic::Location;
use std::path::Path;

use serde_json::Value;

use crate::support::binary::CommandOutput;

/// What differs from run to run, and the text that replaces it in every snapshot.
///
/// The text keeps what callers rely on: the prefix of an id, and the offset of a time, such as `[time]Z`.
const VOLATILE: &[(&str, &str)] = &[
    (r"\b([a-z]{2,5})_[0-9A-Za-z]{22,}\b", "${1}_[id]"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", "[time]"),
    (r"\b127\.0\.0\.1:\d{2,5}\b", "127.0.0.1:[port]"),
    (r"\b[0-9a-f]{64}\b", "[hash]"),
    (r"(sqlite|postgres)://\S+", "[database]"),
    (r"\bpolicy [0-9a-f]{12}\b", "policy [fingerprint]"),
    (r"\b\d+ s difference", "[seconds] s difference"),
    (r#"("next_cursor": )"[^"]+""#, r#"${1}"[cursor]""#),
];

/// Asserts that a JSON document equals a snapshot. `name` is the path of the snapshot, such as `views/order`.
#[track_caller]
pub(crate) fn assert_json(name: &str, document: &Value) {
    assert_text(name, &format!("{document:#}"));
}

/// Asserts that the exit code and both outputs of a command equal a snapshot.
#[track_caller]
pub(crate) fn assert_output(name: &str, output: &CommandOutput) {
    let CommandOutput { code, stdout, stderr } = output;
    let text = format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}");
    assert_text(name, &text);
}

#[track_caller]
fn assert_text(name: &str, text: &str) {
    let (folder, file) = name.split_once('/').expect("a name has a folder");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new("../snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // The file of the test, because the snapshot's `source` is always this file.
    settings.set_description(Location::caller().file());
    for (pattern, replacement) in VOLATILE {
        settings.add_filter(pattern, *replacement);
    }
    settings.bind(|| insta::assert_snapshot!(file, text));
}
