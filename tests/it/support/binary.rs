//! Runs the real `numberdesk` binary, as a command or as a server process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::eventually;

/// The longest time that a process may take to exit.
const EXIT_TIMEOUT: Duration = Duration::from_mins(1);

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns a command of `numberdesk` that runs in the folder.
///
/// It does not inherit the variables of the test process that the binary would read as settings.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_numberdesk"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy().to_ascii_uppercase();
        if name_text.starts_with("NUMBERDESK_") || name_text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command of `numberdesk` until it exits.
pub(crate) async fn run(folder: &Path, arguments: &[&str]) -> CommandOutput {
    output_of(command(folder, arguments)).await
}

/// Runs a command until it exits.
pub(crate) async fn output_of(mut command: Command) -> CommandOutput {
    let output = tokio::time::timeout(EXIT_TIMEOUT, command.output()).await;
    let output = output
        .expect("the command exits in time")
        .expect("the command can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
    let code = output.status.code().unwrap_or(-1);
    CommandOutput {
        code,
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Sends SIGTERM to the process.
pub(crate) async fn send_sigterm(child: &Child) {
    let id = child.id().expect("the process runs").to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(sent.expect("kill can be run").success());
}

/// Waits until the process exits, and returns its exit code; -1 if a signal ended it.
pub(crate) async fn end(child: &mut Child) -> i32 {
    let status = tokio::time::timeout(EXIT_TIMEOUT, child.wait())
        .await
        .expect("the process exits in time");
    status.expect("the process has a status").code().unwrap_or(-1)
}

/// A process of `numberdesk serve` with its log in a file.
pub(crate) struct ServerProcess {
    pub(crate) child: Child,
    /// The address and port of the API.
    pub(crate) address: String,
    /// The URL of the API over plain HTTP.
    pub(crate) api: String,
    /// The URL of the ops port.
    pub(crate) ops: String,
    log: std::path::PathBuf,
}

impl ServerProcess {
    /// Starts with the configuration in the folder, at log level `trace`.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// Starts with the configuration in the folder and these environment variables, at log level `trace`.
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
        let child = command.spawn().expect("the binary can be started");
        let up = eventually("the server is up", || async {
            let text = std::fs::read_to_string(&log).expect("the log can be read");
            let line = text[before..]
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

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// Sends SIGTERM, as an orchestrator does, and returns the exit code.
    pub(crate) async fn terminate(&mut self) -> i32 {
        send_sigterm(&self.child).await;
        end(&mut self.child).await
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("the process runs").to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .await
            .expect("kill can be run");
        assert!(sent.success());
    }

    /// Waits until the process ends, and returns the signal that killed it.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn wait_for_killing_signal(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let status = tokio::time::timeout(EXIT_TIMEOUT, self.child.wait())
            .await
            .expect("the process ends in time");
        status.expect("the process has a status").signal()
    }

    /// Kills the process with SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("the process can be killed");
    }
}
