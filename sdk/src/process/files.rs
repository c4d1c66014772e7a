//! Opens files without waiting: a pipe without a writer would hold up the thread that opens it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a regular file for reading. Returns `None` if it is something else, such as a device or a pipe. Does not wait for the writer of
/// a pipe that has replaced the file since it was looked at.
pub fn open_regular_file(path: &Path) -> io::Result<Option<File>> {
    // Looked at first, because opening a device may already have an effect.
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.read(true).open(path)?;
    let is_file = file.metadata()?.is_file();
    Ok(is_file.then_some(file))
}
