//! `.dev/env`: the URLs and tokens of a running `numberdesk dev`, as shell variables.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes the file `env` of the folder, one `NAME=value` a line, readable by its owner only.
///
/// Values stay unquoted, so that `docker --env-file` reads the file as well as a shell does. URLs and tokens have no
/// character that would need a quote. The file is replaced in one step, so a reader never sees half of it.
pub(super) fn write(folder: &Path, variables: &[(String, &str)]) -> io::Result<()> {
    let new = folder.join("env.new");
    // A file that an interrupted start left behind could have another mode.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    writeln!(
        file,
        "# Written by `numberdesk dev` at every start. Read it with: . {}/env",
        folder.display()
    )?;
    for (name, value) in variables {
        writeln!(file, "{name}={value}")?;
    }
    file.sync_all()?;
    fs::rename(new, folder.join("env"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_replaced_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("API".to_owned(), "http://127.0.0.1:1")]).unwrap();
        write(folder.path(), &[("API".to_owned(), "http://127.0.0.1:2")]).unwrap();
        let file = folder.path().join("env");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            ["API=http://127.0.0.1:2"]
        );
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
