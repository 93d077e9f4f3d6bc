//! Writes files into a folder the way the kubelet mounts a volume.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Replaces the files of a mounted folder all at once, as the kubelet does.
///
/// The new files are written into a new subfolder. Then one symbolic link, through which all files are reached, is
/// renamed to point at it. So a reader sees either all old files or all new files.
pub(crate) fn mount(mounted: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(mounted).unwrap();
    let version = format!("..{}", fs::read_dir(mounted).unwrap().count());
    fs::create_dir(mounted.join(&version)).unwrap();
    for (name, text) in files {
        fs::write(mounted.join(&version).join(name), text).unwrap();
    }
    symlink(&version, mounted.join("..data_tmp")).unwrap();
    fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
    for (name, _) in files {
        let link = mounted.join(name);
        if !link.is_symlink() {
            let _ = fs::remove_file(&link);
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
}
