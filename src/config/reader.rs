//! The context in which sections are read: the folder of relative paths, and the secrets of the environment.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use crate::config::environment::Secrets;
use crate::config::secret::SecretSource;
use crate::config::values::some_text;
use crate::domain::input::fields::{Fields, Node};

/// Reads settings whose relative paths start at `folder`.
pub(super) struct Reader<'a> {
    pub(super) folder: &'a Path,
    pub(super) secrets: &'a Secrets,
}

impl Reader<'_> {
    /// Reads a secret. `names` are its key for a value, its key for a file, and the whole path of the first one.
    ///
    /// A value is accepted only from the environment, because configuration files are committed, copied and mailed.
    #[expect(
        clippy::option_option,
        reason = "outside: whether it was read without a fault; inside: whether it is there"
    )]
    pub(super) fn secret(
        &self,
        fields: &mut Fields<'_>,
        names: (&'static str, &'static str, &'static str),
        unusable: fn(&str) -> Option<&'static str>,
    ) -> Option<Option<SecretSource>> {
        let (value_key, file_key, path) = names;
        let variable = format!("NUMBERDESK_{}", path.replace('.', "__").to_ascii_uppercase());
        let written = fields.nullable(value_key, |node| {
            node.fault::<()>(format!(
                "a secret does not belong in this file: use `{file_key}`, or {variable} in the environment"
            ))
        });
        let value = self.secrets.get(path);
        let file = fields.nullable(file_key, |node| {
            if value.is_some() {
                return node.fault(format!("conflicts with {variable}: set only one of the two"));
            }
            let source = SecretSource::File(self.path(&node)?);
            match source.read().map(|secret| unusable(secret.expose_secret())) {
                Ok(None) => Some(source),
                Ok(Some(wrong)) => node.fault(format!("the content of the file {wrong}")),
                Err(fault) => node.fault(fault),
            }
        });
        written?;
        Some(file?.or_else(|| value.cloned().map(SecretSource::Value)))
    }

    /// Reads a path; a relative one starts in the folder of the file that names it.
    pub(super) fn path(&self, node: &Node<'_>) -> Option<PathBuf> {
        some_text(node).map(|text| self.folder.join(text))
    }

    /// Reads the path of a file that can be opened.
    pub(super) fn readable(&self, node: &Node<'_>) -> Option<PathBuf> {
        let path = self.path(node)?;
        match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(about) if about.is_file() => Some(path),
            Ok(_) => node.fault(format!("{} is not a file", path.display())),
            Err(cause) => node.fault(format!("can't read {}: {cause}", path.display())),
        }
    }
}
