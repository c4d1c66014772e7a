//! Reads files of the system, up to a limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Returns the start of a file as text, up to `max` bytes, with U+FFFD in place of what is not UTF-8. For detectors. Returns `None`
/// for a file that does not exist, that cannot be read, or that would block, such as a pipe.
pub fn read_text(path: impl AsRef<Path>, max: u64) -> Option<String> {
    let path = path.as_ref();
    // A pipe would wait for its writer when it is opened.
    path.metadata().ok().filter(|data| data.is_file())?;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(max).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Returns the first line of the first of these files that is not empty, without the blanks around it.
pub(super) fn first_line(root: &Path, files: &[&str]) -> Option<String> {
    const MAX: u64 = 4096;
    files.iter().find_map(|file| {
        let text = read_text(root.join(file), MAX)?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_is_read() {
        let file = std::env::temp_dir().join(format!("telemark-files-{}", std::process::id()));
        std::fs::write(&file, b"ab\xffcd").unwrap();
        assert_eq!(read_text(&file, 100).as_deref(), Some("ab\u{fffd}cd"));
        assert_eq!(read_text(&file, 2).as_deref(), Some("ab"));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read_text(&file, 100), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_is_not_opened() {
        assert_eq!(read_text("/dev/zero", 100), None);
        assert_eq!(read_text("/proc", 100), None);
        assert!(read_text("/proc/stat", 100).is_some_and(|text| text.len() == 100), "whose length is said to be 0");
    }
}
