//! Files, folders and links: a tree that shows another one, with some files changed.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The tree to show, and the texts of its changed files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mirror<'a> {
    pub(super) root: &'a Path,
    /// The folder of builds, which is left out.
    pub(super) target: &'a Path,
    pub(super) files: &'a BTreeMap<PathBuf, String>,
}

impl Mirror<'_> {
    /// Makes `to` show the tree.
    pub(super) fn show(&self, to: &Path) -> io::Result<()> {
        self.folder(self.root, to)
    }

    fn folder(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to.is_symlink() || to.is_file() {
            fs::remove_file(to)?;
        }
        fs::create_dir_all(to)?;
        let is_top = from == self.root;
        let mut kept = HashSet::new();
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let is_config = is_top && (name == ".cargo" || name == "Cargo.lock");
            if is_config || name == ".git" || path == self.target || path.join("CACHEDIR.TAG").is_file() {
                continue;
            }
            let place = to.join(&name);
            kept.insert(name);
            if let Some(text) = self.files.get(&path) {
                put(&place, text)?;
            } else if path.is_dir() && self.has_file_in(&path) {
                self.folder(&path, &place)?;
            } else {
                link(&path, &place)?;
            }
        }
        for entry in fs::read_dir(to)? {
            let entry = entry?;
            let is_kept = kept.contains(&entry.file_name()) || is_top && entry.file_name() == "Cargo.lock";
            if !is_kept {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn has_file_in(&self, folder: &Path) -> bool {
        self.files.range(folder.to_owned()..).next().is_some_and(|(file, _)| file.starts_with(folder))
    }
}

/// Writes a file unless it has this content already.
pub(crate) fn put(path: &Path, text: &str) -> io::Result<()> {
    if path.is_symlink() || path.is_dir() {
        remove(path)?;
    }
    match fs::read(path) {
        Ok(old) if old == text.as_bytes() => Ok(()),
        _ => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, text)
        }
    }
}

/// Creates a link to a file or a folder, in place of what is there.
pub(crate) fn link(target: &Path, place: &Path) -> io::Result<()> {
    if fs::read_link(place).is_ok_and(|old| old == target) {
        return Ok(());
    }
    if place.is_symlink() || place.exists() {
        remove(place)?;
    }
    symlink(target, place)
}

#[cfg(unix)]
fn symlink(target: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this command needs symbolic links, and supports Unix only"))
}

/// Removes a link, a file or a folder, without following links.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
