//! Configuration files: YAML and JSON with references to variables, the checks of the schema, and the file that is written from them.

use telemark_config::parse;
use telemark_sdk::config::tree::Printed;
use telemark_sdk::config::{Data, Env, Item, Report, Tree, schema};
use telemark_sdk::install::Telemetry;

/// The maximum size of an error: 100 problems with their paths and values.
const MAX_ERROR: usize = 1 << 20;

/// A file must either be refused with an error of bounded size without control characters, or be written as a file that is read back as
/// the same values, both as it is and with its defaults.
pub(crate) fn file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let env = env();
    let tree = match parse("file", text, &env) {
        Ok(tree) => tree,
        Err(error) => return is_readable(&error.to_string()),
    };
    let report = Report::new(&tree);
    schema::check(&report, &|_| vec!["custom"]);
    let is_valid = match report.into_result() {
        Ok(()) => true,
        Err(error) => {
            is_readable(&error.to_string());
            false
        }
    };
    if matches!(tree.root().data, Data::Mapping(_) | Data::Null) {
        is_read_back(&tree, &env);
        is_read_back(&schema::completed(&tree), &env);
    }
    // The readers of the settings must bear what the schema refuses, too, because it collects the problems of a file in one run.
    if let Err(error) = Telemetry::builder(env).with_config(tree).check() {
        is_readable(&error.to_string());
    } else {
        assert!(is_valid, "the schema refuses {text:?}, and the telemetry does not");
    }
}

fn env() -> Env {
    Env::from_pairs([
        ("NUMBER", "0x1F"),
        ("TEXT", "a: ${NUMBER} # \"b\""),
        ("TOKEN", "s3cret"),
        ("EMPTY", ""),
        ("LINES", "a\nb: c\n"),
    ])
}

/// Checks that an error can be shown on a terminal.
fn is_readable(error: &str) {
    assert!(error.len() < MAX_ERROR, "{} bytes: {error:.1000}", error.len());
    assert!(!error.chars().any(|c| c.is_control() && c != '\n'), "{error:?}");
}

/// Checks that the tree, written as a file, is read back, and that writing it again changes nothing.
fn is_read_back(tree: &Tree, env: &Env) {
    for printed in [Printed::new(tree), Printed::new(tree).without_origins()] {
        let text = printed.to_string();
        let again = match parse("file", &text, env) {
            Ok(again) => again,
            // Defaults add values.
            Err(error) if error.to_string().contains("too many values") => return,
            Err(error) => unreadable(&text, &error.to_string()),
        };
        assert!(is_same(tree.root(), again.root()), "another value is read back from {text:?}");
        let first = Printed::new(tree).without_origins().to_string();
        assert_eq!(Printed::new(&again).without_origins().to_string(), first);
    }
}

#[allow(clippy::panic, reason = "a fuzz target reports by panicking")]
fn unreadable(text: &str, error: &str) -> ! {
    panic!("{text:?} is written, and refused: {error}")
}

/// Compares values, except for those that are hidden.
fn is_same(tree: &Item, again: &Item) -> bool {
    match (&tree.data, &again.data) {
        (_, Data::Text(text)) if text.contains('…') => true,
        // A URL is shown like any foreign text.
        (Data::Text(text), Data::Text(shown)) if shown.contains("\\u{") => {
            text == shown || text.chars().any(|c| !c.is_ascii_graphic())
        }
        (Data::List(tree), Data::List(again)) => {
            tree.len() == again.len() && tree.iter().zip(again).all(|(tree, again)| is_same(tree, again))
        }
        (Data::Mapping(tree), Data::Mapping(again)) => {
            let is_same = |((key, tree), (other, again)): (&(String, Item), &(String, Item))| {
                key == other && is_same(tree, again)
            };
            tree.len() == again.len() && tree.iter().zip(again).all(is_same)
        }
        // An empty file is one without settings.
        (Data::Mapping(entries), Data::Null) | (Data::Null, Data::Mapping(entries)) => entries.is_empty(),
        (Data::Number(tree), Data::Number(again)) => tree == again || tree.is_nan() && again.is_nan(),
        (tree, again) => tree == again,
    }
}
