//! Where `listen` gets the address of the service and a token, as often as it needs them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;
use url::Url;

use crate::cli::env_file;
use crate::cli::values::http_url;

/// How long the command that prints a token may take.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(clap::Args)]
pub(super) struct AccessArguments {
    /// URL of the service [default: API in .dev/env]
    #[arg(long, value_name = "URL", requires = "token_source", value_parser = http_url)]
    api: Option<Url>,
    /// Token to use; the command ends when it expires
    #[arg(long, group = "token_source")]
    token: Option<String>,
    /// File with the token, read again when the token has expired
    #[arg(long, value_name = "FILE", group = "token_source")]
    token_file: Option<PathBuf>,
    /// Shell command that prints a token, run again when the token has expired
    #[arg(long, value_name = "COMMAND", group = "token_source")]
    token_command: Option<String>,
    /// Persona of `numberdesk dev` whose token in .dev/env is used if there is no other
    #[arg(long, default_value = "alice", conflicts_with = "token_source")]
    persona: String,
    /// Folder of `numberdesk dev`
    #[arg(long, default_value = env_file::FOLDER)]
    dir: PathBuf,
}

/// Where the address and the token come from.
pub(super) struct Access {
    /// The address; `None` if the environment file of `dev` has it.
    api: Option<Url>,
    token: TokenSource,
    dir: PathBuf,
}

enum TokenSource {
    Fixed(String),
    File(PathBuf),
    Command(String),
    /// The variable of a persona in the environment file of `dev`.
    Persona(String),
}

/// The service, and a token for it.
pub(super) struct Target {
    pub(super) api: Url,
    pub(super) token: String,
}

impl AccessArguments {
    /// Returns the source that the arguments choose.
    pub(super) fn source(self) -> Access {
        let token = match (self.token, self.token_file, self.token_command) {
            (Some(token), _, _) => TokenSource::Fixed(token),
            (_, Some(file), _) => TokenSource::File(file),
            (_, _, Some(command)) => TokenSource::Command(command),
            (None, None, None) => TokenSource::Persona(self.persona.to_uppercase()),
        };
        let (api, dir) = (self.api, self.dir);
        Access { api, token, dir }
    }
}

impl Access {
    /// Whether the next read may give another token.
    pub(super) fn is_renewable(&self) -> bool {
        !matches!(self.token, TokenSource::Fixed(_))
    }

    /// Reads the address and the token.
    pub(super) async fn read(&self) -> anyhow::Result<Target> {
        let api = match &self.api {
            Some(api) => api.clone(),
            None => self
                .variable("API")?
                .parse()
                .context("API in the file is not a URL")?,
        };
        let token = match &self.token {
            TokenSource::Fixed(token) => token.clone(),
            TokenSource::File(file) => {
                std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
            }
            TokenSource::Command(command) => print_token(command).await?,
            TokenSource::Persona(name) => self.variable(name)?,
        };
        let token = token.trim().to_owned();
        ensure!(!token.is_empty(), "the token is empty");
        // Otherwise no request can be built, and the reader would take this for a service that does not respond.
        ensure!(
            token.bytes().all(|byte| byte.is_ascii_graphic()),
            "the token has characters that no token can have"
        );
        Ok(Target { api, token })
    }

    fn variable(&self, name: &str) -> anyhow::Result<String> {
        let path = env_file::path(&self.dir);
        let path = path.display();
        let mut variables = env_file::read(&self.dir).with_context(|| {
            format!("{path} cannot be read: start `numberdesk dev`, or name a service with --api and a token")
        })?;
        let Some(value) = variables.remove(name) else {
            let known: Vec<_> = variables.into_keys().collect();
            bail!("{path} has no {name}; it has {}", known.join(", "));
        };
        Ok(value)
    }
}

/// Runs the command, and returns what it prints.
async fn print_token(command: &str) -> anyhow::Result<String> {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(COMMAND_TIMEOUT, output)
        .await
        .context("the command of --token-command does not end")?
        .context("the command of --token-command cannot be run")?;
    ensure!(
        output.status.success(),
        "the command of --token-command failed: {}",
        output.status
    );
    String::from_utf8(output.stdout).context("the token is not text")
}
