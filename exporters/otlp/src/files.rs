//! Reads small files that a setting names: certificates, keys and headers.

use std::io::{self, Read};
use std::path::Path;

use telemark_sdk::runtime::open_regular_file;

/// Reads a regular file of up to `max` bytes. Refuses devices, which may be endless, and pipes, which may have no writer.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let not_usable = |problem: String| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    let Some(file) = open_regular_file(path)? else { return not_usable("not a regular file".to_owned()) };
    let mut bytes = Vec::new();
    let read = file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if read as u64 > max {
        return not_usable(format!("larger than {max} bytes"));
    }
    Ok(bytes)
}
