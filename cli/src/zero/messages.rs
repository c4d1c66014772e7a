//! The messages of cargo and rustc while they build: errors, warnings and progress.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::thread::JoinHandle;

use serde_json::Value;

use super::wrapper::runner::Started;

/// The messages of one build.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The warnings, as rustc shows them.
    pub(crate) warnings: String,
    pub(crate) failures: Vec<Failure>,
    /// The program that cargo would start.
    pub(crate) started: Option<Started>,
}

/// An error of the compiler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// The whole error as rustc shows it.
    pub(crate) text: String,
    /// The files and lines to which it refers, the primary ones if there are any.
    pub(crate) places: Vec<(String, usize)>,
    pub(crate) package: Option<Compiled>,
}

/// The package that was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) version: String,
}

impl Compiled {
    /// Reads an id such as `registry+https://..#serde@1.0.0` or `path+file:///home/shop#0.1.0`.
    fn of_id(id: &str) -> Option<Compiled> {
        let (source, fragment) = id.rsplit_once('#')?;
        let (name, version) = match fragment.split_once('@') {
            Some(both) => both,
            None => (source.rsplit('/').next()?, fragment),
        };
        Some(Compiled { name: name.to_owned(), version: version.to_owned() })
    }

    /// Finds the package in what cargo says: its build script failed, or it is made for a newer compiler.
    pub(crate) fn of_cargo(said: &str) -> Option<Compiled> {
        said.lines().find_map(|line| {
            let (name, version) = match line.split_once("custom build command for `") {
                Some((_, package)) => {
                    package.split_once(" v").map(|(name, rest)| (name, rest.split([' ', '`']).next()))?
                }
                None => {
                    let (package, _) = line.split_once(" requires rustc ")?;
                    package.trim_start().split_once('@').map(|(name, version)| (name, Some(version)))?
                }
            };
            Some(Compiled { name: name.to_owned(), version: version?.to_owned() })
        })
    }
}

impl Messages {
    /// Reads a line of cargo's JSON.
    pub(crate) fn read(&mut self, line: &[u8]) {
        let Ok(parsed) = serde_json::from_slice::<Value>(line) else { return };
        if let Some(started) = Started::read(&parsed) {
            self.started = Some(started);
            return;
        }
        let Some(message) = parsed.get("message").filter(|_| parsed["reason"] == "compiler-message") else { return };
        let text = message["rendered"].as_str().unwrap_or_default();
        if !message["level"].as_str().is_some_and(|level| level.starts_with("error")) {
            self.warnings.push_str(text);
            return;
        }
        let mut primary = Vec::new();
        let mut all = Vec::new();
        collect(message, &mut primary, &mut all);
        let places = if primary.is_empty() { all } else { primary };
        let short = message["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
        let package = parsed["package_id"].as_str().and_then(Compiled::of_id);
        self.failures.push(Failure { message: short.to_owned(), text: text.to_owned(), places, package });
    }
}

fn collect(message: &Value, primary: &mut Vec<(String, usize)>, all: &mut Vec<(String, usize)>) {
    for span in message["spans"].as_array().into_iter().flatten() {
        place(span, span["is_primary"] == true, primary, all);
    }
    for child in message["children"].as_array().into_iter().flatten() {
        // What a note refers to is not the cause.
        collect(child, &mut Vec::new(), all);
    }
}

/// Adds the place of a span, and those of the macros that it comes from.
fn place(span: &Value, is_primary: bool, primary: &mut Vec<(String, usize)>, all: &mut Vec<(String, usize)>) {
    let line = span["line_start"].as_u64().and_then(|line| usize::try_from(line).ok());
    if let (Some(file), Some(line)) = (span["file_name"].as_str(), line) {
        if is_primary {
            primary.push((file.to_owned(), line));
        }
        all.push((file.to_owned(), line));
    }
    if let Some(outer) = span.get("expansion").and_then(|expansion| expansion.get("span")) {
        place(outer, is_primary, primary, all);
    }
}

/// Shows cargo's progress without the runner, and holds back what it says about errors and warnings. What else writes to the pipe may be
/// no UTF-8.
#[allow(clippy::disallowed_methods, reason = "a thread of a command, which reads one of two pipes")]
pub(crate) fn forward(stderr: Option<impl Read + Send + 'static>, runner: &Path) -> Option<JoinHandle<Vec<u8>>> {
    let (stderr, runner) = (stderr?, runner.display().to_string());
    std::thread::Builder::new().spawn(move || held(stderr, &runner, &mut std::io::stderr())).ok()
}

fn held(from: impl Read, runner: &str, shown: &mut impl Write) -> Vec<u8> {
    let mut held = Vec::new();
    for mut line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        line.push(b'\n');
        match std::str::from_utf8(&line) {
            Ok(line) if is_progress(line) => _ = shown.write_all(without(runner, line).as_bytes()),
            _ => held.extend(line),
        }
    }
    held
}

/// Returns the line with the program that runs, without its runner, which cargo quotes for a shell if it has a space or the like.
fn without(runner: &str, line: &str) -> String {
    let quoted = runner.replace('\'', "'\\''");
    line.replacen(&format!("`{runner} "), "`", 1).replacen(&format!("`'{quoted}' "), "`", 1)
}

/// Returns true for a line such as `   Compiling shop v0.1.0`, whose first word ends at the twelfth column.
fn is_progress(line: &str) -> bool {
    let Some((word, rest)) = line.split_at_checked(12) else { return false };
    let word = word.trim_start();
    rest.starts_with(' ')
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|char| char.is_ascii_alphabetic() || char == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_shown_at_once() {
        for line in
            ["   Compiling shop v0.1.0", " Downloading crates ...", "    Finished `dev` profile", "   Doc-tests shop"]
        {
            assert!(is_progress(line), "{line}");
        }
        for line in [
            "",
            "error: could not compile",
            "warning: `shop` generated 1 warning",
            "  process didn't exit",
            "            a",
        ] {
            assert!(!is_progress(line), "{line}");
        }
    }

    #[test]
    fn the_runner_is_not_shown() {
        for (runner, quoted) in [("/a/runner", "/a/runner"), ("/a b/it's", "'/a b/it'\\''s'")] {
            let (line, mut shown) = (format!("     Running `{quoted} target/shop serve`\n"), Vec::new());
            assert_eq!(held(line.as_bytes(), runner, &mut shown), b"");
            assert_eq!(shown, b"     Running `target/shop serve`\n");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_end_the_messages() {
        let mut shown = Vec::new();
        let from = b"   Compiling a v0.1.0\nwarning: \xff\n   Compiling b\xff\n   Compiling c v0.1.0\nlast";
        let held = held(&from[..], "", &mut shown);
        assert_eq!(shown, b"   Compiling a v0.1.0\n   Compiling c v0.1.0\n");
        assert_eq!(held, b"warning: \xff\n   Compiling b\xff\nlast\n");
    }

    #[test]
    fn errors_lead_to_the_code_that_a_macro_was_called_in() {
        let mut messages = Messages::default();
        messages.read(b"Compiling");
        messages.read(br#"{"reason":"compiler-artifact"}"#);
        messages.read(br#"{"reason":"compiler-message","message":{"level":"warning","rendered":"w\n","message":"w"}}"#);
        messages.read(
            br#"{"reason":"compiler-message","package_id":"path+file:///home/shop#0.1.0","message":{"level":"error","rendered":"error: e","message":"e\nf","spans":[
            {"file_name":"m.rs","line_start":1,"is_primary":true,"expansion":{"span":{"file_name":"a.rs","line_start":7}}},
            {"file_name":"b.rs","line_start":2,"is_primary":false}],
            "children":[{"spans":[{"file_name":"c.rs","line_start":3,"is_primary":true}],"children":[]}]}}"#,
        );
        assert_eq!(messages.warnings, "w\n");
        let expected = Failure {
            message: "e".to_owned(),
            text: "error: e".to_owned(),
            places: vec![("m.rs".to_owned(), 1), ("a.rs".to_owned(), 7)],
            package: Some(compiled("shop", "0.1.0")),
        };
        assert_eq!(messages.failures, [expected]);
    }

    fn compiled(name: &str, version: &str) -> Compiled {
        Compiled { name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn the_package_that_fails_is_known() {
        let registry = "registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0";
        assert_eq!(Compiled::of_id(registry), Some(compiled("serde", "1.0.0")));
        assert_eq!(Compiled::of_id("path+file:///home/a#shop@0.1.0"), Some(compiled("shop", "0.1.0")));
        assert_eq!(Compiled::of_id("shop"), None);
        let script = "error: failed to run custom build command for `ring v0.17.14 (/home/ring)`\n\nCaused by:";
        assert_eq!(Compiled::of_cargo(script), Some(compiled("ring", "0.17.14")));
        let compiler =
            "error: rustc 1.80.0 is not supported by the following package:\n  telemark@0.1.0 requires rustc 1.85\n";
        assert_eq!(Compiled::of_cargo(compiler), Some(compiled("telemark", "0.1.0")));
        assert_eq!(Compiled::of_cargo("error: no such command"), None);
    }
}
