//! The running service of `numberdesk dev`, and everything around it that a developer needs to reach it.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::cli::env_file;

/// A person or app with a token.
pub(super) struct Persona {
    pub(super) name: &'static str,
    pub(super) does: &'static str,
    pub(super) token: String,
}

/// The running service and everything around it.
pub(super) struct Environment {
    /// Base URL of the API.
    pub(super) api: String,
    /// Base URL of health and metrics.
    pub(super) ops: String,
    /// Base URL of the simulated Close, without `/api/v1`.
    pub(super) close: String,
    pub(super) folder: PathBuf,
    pub(super) personas: Vec<Persona>,
    /// Why the personas may order nothing; `None` if the policy has rules for their team.
    pub(super) no_rules: Option<String>,
}

impl Environment {
    /// Returns the names and values that shells and scripts get.
    fn variables(&self) -> Vec<(String, &str)> {
        let urls = [("API", &self.api), ("OPS", &self.ops), ("CLOSE", &self.close)];
        let urls = urls.map(|(name, url)| (name.to_owned(), url.as_str()));
        let tokens = self
            .personas
            .iter()
            .map(|persona| (persona.name.to_uppercase(), persona.token.as_str()));
        urls.into_iter().chain(tokens).collect()
    }

    /// Writes the variables to the file `env` of the folder.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        env_file::write(&self.folder, &self.variables())
            .with_context(|| format!("{} cannot be written", env_file::path(&self.folder).display()))
    }

    /// Returns the variables as one JSON object.
    pub(super) fn json(&self) -> Value {
        let variables = self.variables().into_iter();
        Value::Object(
            variables
                .map(|(name, value)| (name, value.into()))
                .collect::<Map<_, _>>(),
        )
    }

    /// Returns the token of a persona.
    pub(super) fn token(&self, name: &str) -> &str {
        self.personas
            .iter()
            .find(|persona| persona.name == name)
            .map_or("", |persona| &persona.token)
    }
}
