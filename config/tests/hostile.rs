//! Files that are meant to do harm, or that nobody meant to be read: a clear error, in time that grows with the size at most.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking, and measure time")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use telemark_config::{MAX_SIZE, parse, read};
use telemark_sdk::config::{Env, Report, schema};

fn env() -> Env {
    Env::from_pairs([("LONG", "x".repeat(100_000))])
}

/// Returns the time that this thread has spent on a CPU, so that other work of the machine does not count; elsewhere than on Linux, the
/// time that has passed.
fn now() -> Duration {
    // A thread that gives way has its time brought up to date.
    std::thread::yield_now();
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split(' ').next()?.parse().ok().map(Duration::from_nanos));
    static START: OnceLock<Instant> = OnceLock::new();
    spent.unwrap_or_else(|| START.get_or_init(Instant::now).elapsed())
}

/// Compares the end of the error, and checks that it was found soon: a debug build reads a megabyte in about two seconds.
#[track_caller]
fn check(text: &str, expected: &str) {
    let started = now();
    let error = parse("file", text, &env()).unwrap_err().to_string();
    let spent = now() - started;
    assert!(spent < Duration::from_secs(20), "{spent:?} for {} bytes", text.len());
    assert!(error.ends_with(expected) && error.len() < 8000, "{}", &error[..error.len().min(2000)]);
}

const MEGABYTE: usize = MAX_SIZE as usize;

#[test]
fn deep_nesting() {
    check(&"[".repeat(MEGABYTE), "is nested too deeply: expected at most 64 levels");
    check(
        &format!("{}{}", "[".repeat(65), "]".repeat(65)),
        "line 1, column 65: is nested too deeply: expected at most 64 levels",
    );
    check(&"{\"a\":".repeat(MEGABYTE / 5), "is nested too deeply: expected at most 64 levels");
    check(&"- ".repeat(MEGABYTE / 2), "is nested too deeply: expected at most 64 levels");
    check(
        &(0..1400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>(),
        "is nested too deeply: expected at most 64 levels",
    );
    check(&"? ".repeat(MEGABYTE / 2), "a key must be text");
}

#[test]
fn aliases_that_expand_to_billions() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{list}]\n");
    }
    check(&text, "the file has too many values: expected at most 100000, aliases included");
}

#[test]
fn aliases_that_expand_to_gigabytes() {
    let expected = "the file has too many values: expected at most 100000, aliases included";
    let long = "x".repeat(500_000);
    let aliases = "*a,".repeat(99_000);
    check(&format!("a: &a {long}\nb: [{aliases}]\n"), expected);
    check(&format!("a: &a {{{long}: 1}}\nb: [{aliases}]\n"), expected);
    check(&format!("a: &a ${{LONG}}\nb: [{aliases}]\n"), expected);
    // A long text by itself is fine.
    assert!(parse("file", &format!("a: &a {long}\nb: [*a, *a]\n"), &env()).is_ok());
}

#[test]
fn aliases_that_nest_too_deeply() {
    let nested = |levels: usize| format!("a: &a {}{}\n", "[".repeat(levels), "]".repeat(levels));
    let text = format!("{}b: {}*a{}\n", nested(40), "[".repeat(24), "]".repeat(24));
    check(&text, "line 2, column 28: is nested too deeply: expected at most 64 levels");
    let mut text = String::from("a0: &a0 []\n");
    (1..2000).for_each(|level| text += &format!("a{level}: &a{level} [*a{}]\n", level - 1));
    check(&text, "is nested too deeply: expected at most 64 levels");
    assert!(parse("file", &format!("{}b: {}*a{}\n", nested(40), "[".repeat(23), "]".repeat(23)), &env()).is_ok());
}

#[test]
fn cycles() {
    check("a: &a\n  b: *a\n", "line 2, column 6: an alias refers to a value that contains it");
    check("&a [*a]", "line 1, column 5: an alias refers to a value that contains it");
    assert!(parse("file", "a: *unknown", &env()).is_err());
}

#[test]
fn an_alias_that_is_no_cycle_is_a_copy() {
    let tree = parse("file", "a: &a {x: 1}\nb: [*a, *a]\n", &env()).unwrap();
    assert_eq!(tree.root().get("b").unwrap().items()[1].get("x"), tree.root().get("a").unwrap().get("x"));
}

#[test]
fn many_values_keys_and_anchors() {
    check(
        &format!("[{}]", "x,".repeat(MEGABYTE / 2 - 2)),
        "too many values: expected at most 100000, aliases included",
    );
    let keys: String = (0..).map(|key| format!("k{key}: 1\n")).take(60_000).collect();
    check(&keys, "too many values: expected at most 100000, aliases included");
    let anchors: String = (0..60_000).map(|anchor| format!("- &a{anchor} x\n")).collect();
    check(&anchors, "too many values: expected at most 100000, aliases included");
    check("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key \"a\" is there already");
    check(&"a: 1\n".repeat(MEGABYTE / 5), "line 2, column 1: the key \"a\" is there already");
}

#[test]
fn variables_that_expand_to_gigabytes() {
    let references = "${LONG}".repeat(100);
    let text: String = (0..1000).map(|key| format!("k{key}: \"{references}\"\n")).collect();
    let error = parse("file", &text, &env()).unwrap_err().to_string();
    assert!(error.contains("the values of all variables are too long: expected at most 4194304 bytes"), "{error:.500}");
}

#[test]
fn long_scalars_are_read_in_linear_time() {
    let started = now();
    for text in [
        format!("a: {}", "x".repeat(MEGABYTE - 3)),
        format!("a: \"{}\"", "\\n".repeat(MEGABYTE / 2 - 4)),
        format!("a: |\n{}", "  line\n".repeat(MEGABYTE / 8)),
        format!("a: {}", "x\n ".repeat(MEGABYTE / 4)),
        format!("a: {}", "$$".repeat(MEGABYTE / 2 - 4)),
        format!("a: '{}'", "${".repeat(MEGABYTE / 2 - 4)),
        format!("a: 1\n{}", "# comment\n".repeat(MEGABYTE / 11)),
        format!("a: 1{}", "\n".repeat(MEGABYTE - 8)),
    ] {
        parse("file", &text, &env()).unwrap();
    }
    let spent = now() - started;
    assert!(spent < Duration::from_secs(60), "{spent:?}");
}

#[test]
fn a_file_of_nothing_but_mistakes_is_checked_soon() {
    let started = now();
    let header = "file_format: \"1.2\"\n";
    for text in [
        format!("{header}tracer_provider: {{processors: [{}]}}", "a,".repeat(90_000)),
        format!("{header}tracer_provider: {{processors: [{}]}}", "{a: },".repeat(30_000)),
        format!("{header}propagator: {{composite: [{}]}}", "{x: },".repeat(30_000)),
        format!("{header}resource: {{detection/development: {{detectors: [{}]}}}}", "{x: },".repeat(30_000)),
        format!("{header}resource: {{attributes: [{}]}}", "{},".repeat(90_000)),
        format!("{header}{}", (0..45_000).map(|key| format!("k{key}: 1\n")).collect::<String>()),
    ] {
        let tree = parse("file", &text, &env()).unwrap();
        let report = Report::new(&tree);
        schema::check(&report, &|_| vec!["custom"]);
        assert_eq!(
            report.into_result().is_err(),
            !text.contains("detectors"),
            "unknown detectors are warnings: {text:.60}"
        );
    }
    let spent = now() - started;
    assert!(spent < Duration::from_secs(60), "{spent:?}");
}

#[test]
fn many_unknown_keys_take_linear_time() {
    let header = "file_format: \"1.2\"\n";
    let text = format!("{header}{}", (0..49_000).map(|key| format!("k{key}: 1\n")).collect::<String>());
    let tree = parse("file", &text, &env()).unwrap();
    let started = now();
    let report = Report::new(&tree);
    schema::check(&report, &|_| Vec::new());
    assert!(report.into_result().is_err());
    let spent = now() - started;
    assert!(spent < Duration::from_secs(2), "{spent:?}");
}

#[test]
fn what_is_no_configuration_at_all() {
    check("a: 1\n---\nb: 2\n", "line 2, column 1: a second document begins: expected only one");
    check("? [a, b]\n: 1\n", "a key must be text");
    check("{a: 1}: 2\n", "a key must be text");
    assert!(parse("file", "key: \"quoted\" text\n", &env()).is_err());
    assert!(parse("file", "", &env()).unwrap().root().is_null());
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("telemark-config-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn check_file(path: &Path, expected: &str) {
    let error = read(path, &env()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn files_that_cannot_be_read() {
    let directory = Directory::new("files");
    check_file(&directory.file("large.yaml", &vec![b'#'; 10 << 20]), "expected a file of at most 1048576 bytes");
    check_file(&directory.file("latin1.yaml", b"a: 1\nb: gr\xfc\xdfe\n"), "latin1.yaml, line 2: is not text in UTF-8");
    check_file(
        &directory.file("binary.yaml", b"\x7fELF\x02\x01\x01\x00\xff\xfe"),
        "binary.yaml, line 1: is not text in UTF-8",
    );
    check_file(&directory.0, "expected a regular file");
    check_file(&directory.0.join("missing.yaml"), "expected a file that can be read (No such file");
    if cfg!(target_os = "linux") {
        check_file(Path::new("/dev/zero"), "expected a regular file");
    }
}

#[test]
fn a_file_in_json_is_read_with_tabs_and_escapes() {
    let directory = Directory::new("json");
    let json = b"\xef\xbb\xbf{\n\t\"file_format\": \"1.2\",\n\t\"a\": [1, 2.5, true, null, \"\\u00e9\\/\\n\\ud83d\\ude00\"],\n\t\"b\": {\"c\": \"${X:-d}\"}\n}\n";
    let tree = read(&directory.file("otel.json", json), &env()).unwrap();
    let list: Vec<_> = tree.root().get("a").unwrap().items().iter().map(|item| item.data.to_string()).collect();
    assert_eq!(list, ["1", "2.5", "true", "null", "é/\n😀"]);
    assert_eq!(tree.root().get("b").unwrap().get("c").unwrap().data.to_string(), "d");
}
