//! `.dev/env`: the URLs and tokens of a running `numberdesk dev`, as shell variables.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "dev")]
use super::private_file;

/// The default folder of `numberdesk dev`.
pub(super) const FOLDER: &str = ".dev";
/// The name of the file in the folder.
const NAME: &str = "env";

/// Returns the path of the file.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Writes the file, one `NAME=value` a line, readable by its owner only.
///
/// Values stay unquoted, so that `docker --env-file` reads the file as well as a shell does. URLs and tokens have no
/// character that would need a quote.
#[cfg(feature = "dev")]
pub(super) fn write(folder: &Path, variables: &[(String, &str)]) -> io::Result<()> {
    let mut text = format!(
        "# Written by `numberdesk dev` at every start. Read it with: . {}\n",
        path(folder).display()
    );
    for (name, value) in variables {
        text.extend([name, "=", value, "\n"]);
    }
    private_file::write(folder, NAME, text.as_bytes())
}

/// Reads the variables of the file.
pub(super) fn read(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path(folder))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let variables = lines.filter_map(|line| line.split_once('='));
    Ok(variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

#[cfg(all(test, feature = "dev"))]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [
            ("API".to_owned(), "http://127.0.0.1:1"),
            ("ALICE".to_owned(), "a=="),
        ];
        write(folder.path(), &variables).unwrap();
        let expected = variables.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(read(folder.path()).unwrap(), BTreeMap::from(expected));
    }
}
