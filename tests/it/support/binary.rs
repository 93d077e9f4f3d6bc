//! Runs the real `numberdesk` binary, as a command or as a server process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::eventually;

const PATIENCE: Duration = Duration::from_mins(1);

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command of `numberdesk`, in a folder, with nothing of this process's environment that the desk reads.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_numberdesk"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NUMBERDESK_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
pub(crate) async fn run(folder: &Path, arguments: &[&str]) -> CommandOutput {
    output_of(command(folder, arguments)).await
}

pub(crate) async fn output_of(mut command: Command) -> CommandOutput {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output
        .expect("the command ends in time")
        .expect("the command can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what it says is text");
    let code = output.status.code().unwrap_or(-1);
    CommandOutput {
        code,
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Sends it SIGTERM.
pub(crate) async fn ask_to_end(child: &Child) {
    let id = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(sent.expect("kill can be run").success());
}

/// The exit code of a process that ends by itself; -1 when a signal ended it.
pub(crate) async fn end(child: &mut Child) -> i32 {
    let status = tokio::time::timeout(PATIENCE, child.wait())
        .await
        .expect("it ends in time");
    status.expect("it has ended").code().unwrap_or(-1)
}

/// `numberdesk serve` with its log in a file.
pub(crate) struct ServerProcess {
    pub(crate) child: Child,
    /// Where the API answers; `api` is its URL by plain HTTP.
    pub(crate) address: String,
    pub(crate) api: String,
    pub(crate) ops: String,
    log: std::path::PathBuf,
}

impl ServerProcess {
    /// From the configuration in the folder, at the most talkative log level.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// The same, with more in its environment.
    pub(crate) async fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let log = folder.join("serve.log");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log can be written");
        let before = std::fs::read_to_string(&log).expect("the log can be read").len();
        let mut command = command(folder, &["serve", "--config", "numberdesk.toml"]);
        command
            .env("NUMBERDESK_LOG", "trace")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(file);
        let child = command.spawn().expect("the desk can be started");
        let up = eventually("the desk is up", || async {
            let said = std::fs::read_to_string(&log).expect("the log can be read");
            let line = said[before..]
                .lines()
                .find(|line| line.contains("numberdesk is up"))?;
            serde_json::from_str::<serde_json::Value>(line).ok()
        })
        .await;
        let address = |name: &str| up[name].as_str().expect("an address is logged").to_owned();
        Self {
            child,
            api: format!("http://{}", address("address")),
            ops: format!("http://{}", address("ops_address")),
            address: address("address"),
            log,
        }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// Asks it to end, as an orchestrator does; its exit code.
    pub(crate) async fn terminate(&mut self) -> i32 {
        ask_to_end(&self.child).await;
        end(&mut self.child).await
    }

    /// Sends it a signal, such as `STOP`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .await
            .expect("kill can be run");
        assert!(sent.success());
    }

    /// Waits until it has died by a signal; which one.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn died_of(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it dies in time");
        status.expect("it has ended").signal()
    }

    /// Ends it without asking.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}
