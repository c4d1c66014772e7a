//! Checks the documents against the code: variables, links, and the programs they show.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::{Path, PathBuf};

use telemark_sdk::config::VARIABLES;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cells(values: [&str; 4]) -> String {
    let [name, default, accepted, doc] = values;
    let default = if default.is_empty() { "" } else { &format!("`{default}`") };
    format!("| `{name}` | {default} | {accepted} | {doc} |\n").replace("|  |", "| |")
}

#[test]
fn the_page_of_variables_is_the_table_in_the_code() {
    let rows: String = VARIABLES.iter().map(|v| cells([v.name, v.default, v.values, v.doc])).collect();
    let page = fs::read_to_string(root().join("docs/VARIABLES.md")).unwrap();
    let start = page.find("|---|---|---|---|\n").unwrap() + "|---|---|---|---|\n".len();
    let written: String =
        page[start..].lines().take_while(|line| line.starts_with('|')).flat_map(|l| [l, "\n"]).collect();
    assert_eq!(written, rows, "docs/VARIABLES.md should have these rows:\n{rows}");
}

/// Returns the Markdown pages in the root, in `docs` and in `docs/adr`.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/adr"] {
        let files = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|file| file.extension().is_some_and(|extension| extension == "md")));
    }
    pages
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_ours = !file.is_empty() && !link.contains("://");
            if is_ours && !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}

/// The README's program must be the one that a test runs.
#[test]
fn the_program_in_the_readme_is_one_that_is_built() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let code = readme.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let shown: Vec<_> = code.lines().map(|line| line.split("  //").next().unwrap_or_default().trim_end()).collect();
    let program = fs::read_to_string(root().join("tests/src/bin/readme.rs")).unwrap();
    let built: Vec<_> = program.lines().skip_while(|line| line.starts_with("//!") || line.is_empty()).collect();
    assert_eq!(shown, built);
}

/// The README's difference must be that between two programs that are built, and as small as the README promises.
#[test]
fn the_difference_in_the_readme_is_that_of_two_programs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let difference = readme.split("```diff\n").nth(1).unwrap().split("```").next().unwrap();
    let check = |program: &str, other: char| {
        let shown: Vec<_> = difference.lines().filter(|line| !line.starts_with(other)).collect();
        let shown: Vec<_> = shown.into_iter().map(|line| line.get(1..).unwrap_or_default()).collect();
        let program = fs::read_to_string(root().join("examples/adoption").join(program)).unwrap();
        let built: Vec<_> = program.lines().skip_while(|line| line.starts_with("//!") || line.is_empty()).collect();
        assert_eq!(shown, built);
    };
    check("before.rs", '+');
    check("after.rs", '-');
    let added = difference.lines().filter(|line| line.starts_with('+')).count();
    assert_eq!(added, 5, "the README counts the lines that change");
}

/// Returns the names in the first column of a table of features, in order.
fn features_of_table(page: &str) -> Vec<&str> {
    let table = page.split("| feature | default | adds |").nth(1).unwrap();
    let lines = table.lines().map(|line| line.trim_start_matches("//! "));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split(" | ").next().unwrap().split('`').skip(1).step_by(2)).collect()
}

#[test]
fn both_tables_of_features_have_every_feature() {
    let read = |path| fs::read_to_string(root().join(path)).unwrap();
    let (manifest, readme, facade) = (read("Cargo.toml"), read("README.md"), read("src/lib.rs"));
    let declared = manifest.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = declared.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    let mut declared: Vec<_> = names.map(|(name, _)| name).filter(|name| *name != "default").collect();
    let mut described = features_of_table(&facade);
    assert_eq!(features_of_table(&readme), described, "in the same order");
    declared.sort_unstable();
    described.sort_unstable();
    assert_eq!(described, declared);
}
