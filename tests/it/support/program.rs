//! Runs other programs with a time limit, and shows their whole output when they fail.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Returns the path of a file that `make setup` provides. Panics if it is missing.
pub(crate) fn provided(path: &str) -> PathBuf {
    let file = root().join(path);
    assert!(file.exists(), "{path} is missing: run `make setup`");
    file
}

/// Returns the promtool that `make setup` has installed, or otherwise the one on the `PATH`.
pub(crate) fn promtool() -> PathBuf {
    let provided = root().join(".tools/promtool");
    if provided.exists() {
        provided
    } else {
        "promtool".into()
    }
}

/// Returns the root folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program, asserts that it succeeds within the time limit, and returns its standard output.
pub(crate) async fn succeeds(command: &mut Command, within: Duration) -> String {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(within, run)
        .await
        .unwrap_or_else(|_| panic!("has not ended within {within:?}: {command:?}"))
        .unwrap_or_else(|error| panic!("can't be run ({error}); run `make setup`: {command:?}"));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}
