//! `numberdesk schema`, and the samples that editors check against its output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::config_folder;
use crate::support::binary::run;
use crate::support::program::{provided, root, succeeds};

const TIME_LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn schema_prints_what_is_committed() {
    let folder = config_folder();
    for file in ["config", "policy"] {
        let printed = run(folder.path(), &["schema", file]).await;
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
        let path = format!("schema/{file}.schema.json");
        let committed = std::fs::read_to_string(root().join(&path)).expect("the schema is committed");
        assert!(
            committed == printed.stdout,
            "{path} is out of date: run `make schemas` and review the difference"
        );
    }
    assert_eq!(run(folder.path(), &["schema", "openapi"]).await.code, 2);
}

#[tokio::test]
async fn the_schemas_accept_and_refuse_what_check_accepts_and_refuses() {
    let mut python = Command::new(provided(".venv/bin/python"));
    python
        .arg(root().join("tests/python/schemas_hold.py"))
        .arg(env!("CARGO_BIN_EXE_numberdesk"));
    succeeds(&mut python, TIME_LIMIT).await;
}

/// Returns every sample file of the repository.
fn samples() -> Vec<PathBuf> {
    let mut samples = Vec::new();
    for folder in ["k8s", "src/cli"] {
        collect(&root().join(folder), &mut samples);
    }
    samples
}

fn collect(folder: &Path, samples: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, samples);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            samples.push(path);
        }
    }
}

fn taplo() -> Command {
    let mut taplo = Command::new(provided("tests/toml/node_modules/.bin/taplo"));
    taplo.args(["lint", "--no-auto-config", "--colors", "never"]);
    taplo
}

#[tokio::test]
async fn an_editor_finds_the_schema_of_every_sample_and_no_fault() {
    let samples = samples();
    assert!(samples.len() >= 7, "{samples:?}");
    fit(&samples).await;
}

#[tokio::test]
async fn an_editor_finds_the_schemas_of_the_files_that_dev_writes() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = run(folder.path(), &["dev", "--exit-after-tour", "--dir", "dev"]).await;
    assert_eq!(dev.code, 0, "{dev:?}");
    let files = ["numberdesk.toml", "policy.toml"].map(|name| folder.path().join("dev").join(name));
    fit(&files).await;
}

/// Asserts that the first line of each file names a schema that exists, and that the files fit their schemas.
async fn fit(files: &[PathBuf]) {
    for file in files {
        let text = std::fs::read_to_string(file).expect("the file can be read");
        let directive = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("#:schema "));
        let folder = file.parent().expect("a file is in a folder");
        let schema = folder.join(directive.expect("the first line names the schema"));
        assert!(schema.is_file(), "{}: no {}", file.display(), schema.display());
    }
    succeeds(taplo().args(files), TIME_LIMIT).await;
}

#[tokio::test]
async fn an_editor_marks_a_misspelled_key_and_a_wrong_type() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (file, schema, from, to, fault) in [
        (
            "policy.toml",
            "policy",
            "max_numbers",
            "max_numbrs",
            "'max_numbrs' was unexpected",
        ),
        (
            "policy.toml",
            "policy",
            "= 50",
            "= \"50\"",
            "is not of type \"integer\"",
        ),
        (
            "numberdesk.toml",
            "config",
            "listen = \"[::]:8080\"",
            "lisen = \"[::]:8080\"",
            "'lisen' was unexpected",
        ),
        (
            "numberdesk.toml",
            "config",
            "audiences = [\"numberdesk\"]",
            "audiences = \"numberdesk\"",
            "is not of type \"array\"",
        ),
    ] {
        let sample = match schema {
            "policy" => root().join("src/cli/dev/policy.toml"),
            _ => root().join("k8s/examples/acme/base/numberdesk.toml"),
        };
        let text = std::fs::read_to_string(sample).expect("the sample can be read");
        assert!(text.contains(from), "{from}");
        let (_, text) = text.split_once('\n').expect("the first line is the directive");
        let schema = root().join(format!("schema/{schema}.schema.json"));
        let text = format!("#:schema {}\n{}", schema.display(), text.replacen(from, to, 1));
        let path = folder.path().join(file);
        std::fs::write(&path, text).expect("the file can be written");
        let output = taplo().arg(&path).output().await.expect("taplo can be run");
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && shown.contains(fault), "{to}: {shown}");
    }
}
