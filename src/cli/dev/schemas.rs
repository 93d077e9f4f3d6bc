//! The JSON Schemas of the files that `numberdesk dev` writes, so that editors complete and check them.

use std::path::Path;

use crate::cli::private_file;
use crate::{config, policy};

/// The first line of the configuration. Editors know it as the directive of Taplo.
pub(super) const DIRECTIVE: &str = "#:schema ./config.schema.json";

/// Returns the policy that `dev` starts with. Its schema is beside it.
pub(super) fn policy_file() -> String {
    include_str!("policy.toml").replace("../../../schema/", "./")
}

/// Writes both schemas into the folder.
pub(super) fn write(folder: &Path) -> anyhow::Result<()> {
    for (name, schema) in [("config", config::schema()), ("policy", policy::schema())] {
        let text = serde_json::to_string_pretty(&schema)?;
        private_file::write(folder, &format!("{name}.schema.json"), (text + "\n").as_bytes())?;
    }
    Ok(())
}
