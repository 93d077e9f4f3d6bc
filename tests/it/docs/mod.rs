//! The commands in the README and the guides work as they are written.
//!
//! Each page gets its own folder with the files that its reader has: the manifests, and the binary at the path that
//! `cargo run --release` writes. `numberdesk dev` runs in it. The blocks of the page then run in order in one shell.
//! docs/STYLE.md explains the markers.

mod blocks;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::binary::{command, end, send_sigterm};
use crate::support::program::root;

/// The folder of the commands that the test replaces.
const TOOLS: &str = "tools";
/// The number of pages that are tested at the same time.
const CONCURRENT_PAGES: usize = 3;
/// The longest time that the blocks of one page may take, and that `numberdesk dev` may take to start.
const PAGE_TIMEOUT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_in_the_readme_and_the_guides_work_as_they_are_written() {
    let mut pages = vec![PathBuf::from("README.md")];
    let guides = fs::read_dir(root().join("docs")).expect("the guides can be listed");
    pages.extend(guides.filter_map(|file| {
        let name = PathBuf::from("docs").join(file.expect("a file of the folder").file_name());
        name.extension()
            .is_some_and(|extension| extension == "md")
            .then_some(name)
    }));
    pages.sort_unstable();
    let results: Vec<_> = stream::iter(pages)
        .map(|page| async move {
            let page = page.to_str().expect("names of guides are text");
            run_page(page).await.map_err(|wrong| format!("{page}: {wrong}"))
        })
        .buffer_unordered(CONCURRENT_PAGES)
        .collect()
        .await;
    let with_commands = results.iter().filter(|result| matches!(result, Ok(true))).count();
    let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(
        with_commands >= 10,
        "only {with_commands} pages have commands; are they still found?"
    );
}

/// Runs the blocks of a page beside a running `numberdesk dev`.
///
/// Returns `false` if the page has no blocks to run.
async fn run_page(page: &str) -> Result<bool, String> {
    let text = fs::read_to_string(root().join(page)).map_err(|error| error.to_string())?;
    let Some(script) = blocks::script(page, &blocks::blocks(&text)?)? else {
        return Ok(false);
    };
    let folder = tempfile::tempdir().expect("a folder can be made");
    prepare(folder.path());
    let mut dev = command(folder.path(), &["dev"])
        .stdout(Stdio::piped())
        .stderr(File::create(folder.path().join("dev-errors")).expect("the file can be written"))
        .spawn()
        .expect("dev can be started");
    // Kept until `dev` has ended, because a process that prints to a closed pipe fails.
    let mut lines = BufReader::new(dev.stdout.take().expect("stdout is piped")).lines();
    let mut printed = String::new();
    let demo = async {
        while let Ok(Some(line)) = lines.next_line().await {
            printed += &line;
            printed.push('\n');
            if line.contains("Ctrl-C") {
                return true;
            }
        }
        false
    };
    let has_ended = tokio::time::timeout(PAGE_TIMEOUT, demo).await;
    if !has_ended.unwrap_or(false) {
        return Err(format!(
            "dev did not end its demo within {PAGE_TIMEOUT:?}:\n{printed}"
        ));
    }
    let result = run(folder.path(), &script).await;
    send_sigterm(&dev).await;
    let exit_code = end(&mut dev).await;
    result?;
    match exit_code {
        0 => Ok(true),
        code => Err(format!("dev exited with {code}")),
    }
}

/// Writes the files into the folder that a reader of the guides has in the root of the repository.
fn prepare(folder: &Path) {
    let release = folder.join("target/release");
    fs::create_dir_all(&release).expect("a folder can be made");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_numberdesk"), release.join("numberdesk"))
        .expect("a link can be made");
    copy(&root().join("k8s"), &folder.join("k8s"));
    // Runs the real curl, and notes the status of each answer. An option that makes curl fail would change loops that
    // depend on its exit status.
    let path = std::env::var_os("PATH").expect("there is a path");
    let real = std::env::split_paths(&path)
        .map(|folder| folder.join("curl"))
        .find(|file| file.exists())
        .expect("curl is installed");
    let tools = folder.join(TOOLS);
    fs::create_dir_all(&tools).expect("a folder can be made");
    let curl = format!(
        "#!/bin/sh\nexec '{}' --write-out '%{{stderr}}status %{{http_code}} %{{url_effective}}\\n' \"$@\" 2>> \"$STATUSES\"\n",
        real.display()
    );
    fs::write(tools.join("curl"), curl).expect("the file can be written");
    fs::set_permissions(tools.join("curl"), fs::Permissions::from_mode(0o755)).expect("the mode can be set");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("a file of the folder");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("its type is known").is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("the file can be copied");
        }
    }
}

/// Runs the script, and kills all processes that it has started.
async fn run(folder: &Path, script: &str) -> Result<(), String> {
    let log = folder.join("output");
    let tools = folder.join(TOOLS).into_os_string();
    let path = [tools, std::env::var_os("PATH").unwrap_or_default()].join(OsStr::new(":"));
    let file = File::create(&log).expect("the file can be written");
    let mut shell = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("STATUSES", folder.join("statuses"))
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file can be shared"))
        .stderr(file)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .expect("bash can be run");
    let group = format!("-{}", shell.id().expect("the shell runs"));
    let ended = tokio::time::timeout(PAGE_TIMEOUT, shell.wait()).await;
    let killed = Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status()
        .await;
    killed.expect("kill can be run");
    // With the errors of curl, which are in the file of the statuses.
    let printed = || {
        let files = [&log, &folder.join("statuses")];
        files
            .map(|file| fs::read_to_string(file).unwrap_or_default())
            .concat()
    };
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(status) => Err(format!("ended with {status:?} after\n{}", printed())),
        Err(_) => Err(format!(
            "did not end within {PAGE_TIMEOUT:?} after\n{}",
            printed()
        )),
    }
}
