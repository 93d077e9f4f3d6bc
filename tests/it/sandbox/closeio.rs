//! Close's official Python client against the sandbox: a check that is independent of our own client.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use close_sandbox::{Options, Sandbox, Settings};
use tokio::process::Command;

#[tokio::test]
async fn closes_official_client_can_use_the_sandbox_with_all_methods() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `make setup`",
        python.display()
    );
    let settings = Settings {
        consolidation_window: Duration::ZERO,
        ..Settings::default()
    };
    let sandbox = Sandbox::start(Options {
        settings,
        ..Options::default()
    })
    .await
    .unwrap();
    let run = Command::new(python)
        .arg(root.join("tests/python/closeio_drives_the_sandbox.py"))
        .arg(sandbox.base_url())
        .arg(sandbox.api_key())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(2), run)
        .await
        .expect("the client ends within two minutes")
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
