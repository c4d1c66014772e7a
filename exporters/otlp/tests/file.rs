//! Checks that readers find valid JSON lines in a file, even after the disk was full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use support::{export, outcome};
use telemark_otlp::JsonLinesExporter;
use telemark_sdk::Exporter;
use telemark_sdk::signal::Traces;

/// Returns the path of a file that only this test uses.
fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("telemark-otlp-{name}-{}.jsonl", std::process::id()));
    drop(std::fs::remove_file(&path));
    path
}

/// Returns the span names, one per line, and `torn` for a line that is not JSON.
fn names(text: &str) -> Vec<String> {
    let name = |line: &str| -> Option<String> {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"].as_str()?.to_owned())
    };
    text.lines().map(|line| name(line).unwrap_or_else(|| "torn".to_owned())).collect()
}

const TAKEN: &str = "taken, 0 rejected, 0 retries";
const FAILED: &str = "_OTHER, 0 retries";

#[test]
fn a_file_gets_one_line_per_batch() {
    let path = file("lines");
    for name in ["a", "b"] {
        // The second exporter appends.
        let mut exporter = JsonLinesExporter::<Traces>::to_file(&path).unwrap();
        assert!(export(&mut exporter, name).is_ok());
    }
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(names(&text), ["a", "b"]);
    assert!(
        JsonLinesExporter::<Traces>::to_file("/no/such/directory/file").unwrap_err().to_string().contains("/no/such")
    );
}

#[test]
fn a_writer_that_fails_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(outcome(&export(&mut JsonLinesExporter::to_writer(Full), "a")), FAILED);
}

/// A writer that acts like a disk with limited space.
#[derive(Clone, Default)]
struct Disk {
    room: Arc<Mutex<usize>>,
    content: Arc<Mutex<Vec<u8>>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock().unwrap();
        if *room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = bytes.len().min(*room);
        *room -= written;
        self.content.lock().unwrap().extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Exports `a` to `d` with this much free space before each, and compares the results and the lines found by a reader.
fn check(room: [usize; 4], expected: [&str; 4], found: &[&str]) {
    let disk = Disk::default();
    let mut exporter = JsonLinesExporter::<Traces>::to_writer(disk.clone());
    for ((name, room), expected) in ["a", "b", "c", "d"].into_iter().zip(room).zip(expected) {
        *disk.room.lock().unwrap() = room;
        assert_eq!(outcome(&export(&mut exporter, name)), expected, "{name}");
    }
    let content = String::from_utf8(disk.content.lock().unwrap().clone()).unwrap();
    assert_eq!(names(&content), found, "{content}");
}

#[test]
fn a_full_disk_costs_only_the_batches_that_met_it() {
    const MUCH: usize = 100_000;
    check([MUCH, 10, MUCH, MUCH], [TAKEN, FAILED, TAKEN, TAKEN], &["a", "torn", "c", "d"]);
    // None of the second batch was written.
    check([MUCH, 0, MUCH, MUCH], [TAKEN, FAILED, TAKEN, TAKEN], &["a", "c", "d"]);
    // The second failure comes right after the end of the torn line.
    check([10, 10, MUCH, MUCH], [FAILED, FAILED, TAKEN, TAKEN], &["torn", "torn", "c", "d"]);
    check([10, 1, MUCH, MUCH], [FAILED, FAILED, TAKEN, TAKEN], &["torn", "c", "d"]);
    check([10, 0, MUCH, MUCH], [FAILED, FAILED, TAKEN, TAKEN], &["torn", "c", "d"]);
}

#[test]
fn an_incomplete_line_of_another_program_is_ended() {
    let path = file("torn");
    for (before, found) in [("", vec!["a"]), ("{}\n", vec!["torn", "a"]), (r#"{"resourceSp"#, vec!["torn", "a"])] {
        std::fs::write(&path, before).unwrap();
        assert_eq!(outcome(&export(&mut JsonLinesExporter::<Traces>::to_file(&path).unwrap(), "a")), TAKEN);
        let content = std::fs::read_to_string(&path).unwrap();
        assert_eq!(names(&content), found, "{content}");
    }
    std::fs::remove_file(&path).unwrap();
}

/// Limits file sizes to 512 bytes, so that the kernel refuses writes as if the disk were full.
#[cfg(unix)]
#[test]
fn a_file_at_its_size_limit_is_readable_up_to_its_last_line() {
    const CHILD: &str = "TELEMARK_TEST_FILE";
    const NAME: &str = "a_file_at_its_size_limit_is_readable_up_to_its_last_line";
    #[allow(clippy::disallowed_methods, reason = "a child process is told through its environment")]
    if let Ok(path) = std::env::var(CHILD) {
        let mut exporter = JsonLinesExporter::<Traces>::to_file(path).unwrap();
        for name in ["a", "b", "c", "d", "e", "f"] {
            println!("{name}: {}", outcome(&export(&mut exporter, name)));
        }
        return;
    }
    let path = file("limited");
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact {NAME} --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(FAILED), "{output:?}");
    // This process has no file size limit.
    assert_eq!(outcome(&export(&mut JsonLinesExporter::<Traces>::to_file(&path).unwrap(), "z")), TAKEN);
    let found = names(&std::fs::read_to_string(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    let taken: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .into_iter()
        .filter(|name| said.contains(&format!("{name}: {TAKEN}")))
        .chain(["z"])
        .collect();
    let whole: Vec<_> = found.iter().filter(|name| *name != "torn").collect();
    assert_eq!(whole, taken, "{said}");
    assert!(found.contains(&"torn".to_owned()), "{found:?}");
}

#[test]
fn the_destination_names_the_file() {
    let path = file("destination");
    let exporter = JsonLinesExporter::<Traces>::to_file(&path).unwrap();
    assert_eq!(exporter.destination(), format!("JSON lines to {}", path.display()));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(JsonLinesExporter::<Traces>::to_writer(Vec::new()).destination(), "JSON lines to a writer");
}
