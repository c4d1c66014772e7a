//! Reads files of the system, up to a limit.

use std::io::Read;
use std::path::Path;

use crate::process::open_regular_file;

/// Returns the start of a file as text, up to `max` bytes, with U+FFFD in place of what is not UTF-8. For detectors. Returns `None`
/// for a file that does not exist, that cannot be read, or that would block, such as a pipe.
pub fn read_text(path: impl AsRef<Path>, max: u64) -> Option<String> {
    let file = open_regular_file(path.as_ref()).ok()??;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).ok()?;
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

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a thread of a test, and a process that makes a pipe")]
    fn a_file_that_a_pipe_replaces_meanwhile_is_not_waited_for() {
        use std::fs;
        use std::sync::atomic::{AtomicUsize, Ordering};

        let folder = std::env::temp_dir().join(format!("telemark-pipes-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let [file, pipe, path] = ["file", "pipe", "path"].map(|name| folder.join(name));
        fs::write(&file, "text").unwrap();
        fs::write(&path, "text").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let swaps = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut reads, mut texts) = (0, 0);
                // Either thread may not run for a while.
                while reads < 20_000 || texts == 0 || swaps.load(Ordering::Relaxed) == 0 {
                    reads += 1;
                    texts += usize::from(read_text(&path, 10).is_some());
                }
            });
            while !reader.is_finished() {
                for source in [&pipe, &file] {
                    fs::hard_link(source, folder.join("next")).unwrap();
                    fs::rename(folder.join("next"), &path).unwrap();
                }
                swaps.fetch_add(1, Ordering::Relaxed);
            }
            reader.join().unwrap();
        });
        fs::remove_dir_all(&folder).unwrap();
    }
}
