//! `cargo xtask edits`: how long a build takes after an edit, with `cargo telemark` and with plain cargo.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::step::{Failure, Step, root};

const SMALL: &str = "//! A small web service.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind(\"127.0.0.1:0\").await?;
    let app = axum::Router::new().route(\"/stock/{sku}\", axum::routing::get(show));
    axum::serve(listener, app).await?;
    Ok(())
}

async fn show(axum::extract::Path(sku): axum::extract::Path<String>) -> String {
    let stock = stock(&sku).await;
    format!(\"{sku}: {stock}\")
}

async fn stock(sku: &str) -> usize {
    let edited = 1000000;
    sku.len() * edited
}
";

const MANIFEST: &str = "[package]
name = \"edited\"
version = \"0.1.0\"
edition = \"2024\"

[dependencies]
axum = { version = \"0.8\", default-features = false, features = [\"http1\", \"tokio\"] }
tokio = { version = \"1\", features = [\"macros\", \"net\", \"rt-multi-thread\", \"signal\"] }

[workspace]
";

/// The files of the middle-sized program, and the groups of functions in each.
const FILES: usize = 30;
const GROUPS: usize = 14;
/// The number that an edit replaces.
const EDITED: &str = "let edited = 1000000;";

/// Measures both programs with this number of pairs.
pub(crate) fn run(pairs: usize) -> Result<(), Failure> {
    Step::cargo("cargo-telemark", "build --release --package telemark-cli").run()?;
    for (name, files) in [("small", vec![("src/main.rs".to_owned(), SMALL.to_owned())]), ("middle", middle())] {
        let lines: usize = files.iter().map(|(_, text)| text.lines().count()).sum();
        println!("\n{name}: {} files, {lines} lines", files.len());
        Program::new(name, files)?.measure(pairs)?;
    }
    Ok(())
}

/// Returns a program, the edited file first, in which every module has async functions that call each other, and others.
fn middle() -> Vec<(String, String)> {
    let mut main = SMALL.replace(EDITED, "let edited = 1;");
    let mut files = Vec::new();
    for file in 0..FILES {
        let mut text = format!("//! The part {file} of the program.\n\nuse std::collections::BTreeMap;\n\n");
        for group in 0..GROUPS {
            let _ = write!(
                text,
                "/// The stock of a shop.\n#[derive(Clone, Debug, Default)]\npub struct Stock{group} {{\n    items: BTreeMap<String, usize>,\n    \
                 changes: Vec<(String, usize)>,\n}}\n\nimpl Stock{group} {{\n    /// Adds items.\n    pub async fn add(&mut self, name: &str, count: usize) -> \
                 Result<usize, String> {{\n        let edited = 1000000;\n        if count > edited {{\n            return Err(format!(\"{{name}}: {{count}} are \
                 too many\"));\n        }}\n        let sum = self.items.entry(name.to_owned()).or_default();\n        *sum += count;\n        \
                 self.changes.push((name.to_owned(), count));\n        Ok(*sum)\n    }}\n\n    /// Returns the sum of all items.\n    pub fn sum(&self) -> usize \
                 {{\n        self.items.values().sum::<usize>() + self.changes.len()\n    }}\n}}\n\n/// Fills a stock.\npub async fn fill_{group}(names: &[&str]) \
                 -> Result<usize, String> {{\n    let mut stock = Stock{group}::default();\n    for name in names {{\n        stock.add(name, \
                 name.len()).await?;\n    }}\n    Ok(stock.sum())\n}}\n\n#[cfg(test)]\nmod tests_{group} {{\n    use super::*;\n\n    #[test]\n    fn an_empty_stock_has_no_sum() \
                 {{\n        assert_eq!(Stock{group}::default().sum(), 0);\n    }}\n}}\n\n"
            );
        }
        // A function of a realistic size: one that waits for hundreds of futures is compiled for minutes.
        let calls: String =
            (0..GROUPS).map(|at| format!("    sum += fill_{at}(&[sku]).await.unwrap_or_default();\n")).collect();
        let _ = write!(
            text,
            "/// Fills all stocks.\npub async fn fill(sku: &str) -> usize {{\n    let mut sum = 0;\n{calls}    sum\n}}\n"
        );
        let _ = write!(main, "\npub mod part_{file};\n");
        files.push((format!("src/part_{file}.rs"), text));
    }
    let calls: String = (0..FILES).map(|at| format!("    sum += Box::pin(part_{at}::fill(sku)).await;\n")).collect();
    main =
        main.replace("    sku.len() * edited\n", &format!("    let mut sum = sku.len() * edited;\n{calls}    sum\n"));
    files.push(("src/main.rs".to_owned(), main));
    files
}

/// A program below the target folder.
struct Program {
    folder: PathBuf,
    /// The file that is edited, and its text.
    edited: (PathBuf, String),
}

/// The time of a build, and that of all its processes.
#[derive(Clone, Copy)]
struct Taken {
    elapsed: Duration,
    processor: Duration,
}

impl Program {
    fn new(name: &str, files: Vec<(String, String)>) -> Result<Program, Failure> {
        let folder = root().join("target/edits").join(name);
        write(&folder.join("Cargo.toml"), MANIFEST)?;
        for (path, text) in &files {
            write(&folder.join(path), text)?;
        }
        let lock = fs::read_to_string(root().join("Cargo.lock")).map_err(|error| Failure::new(error.to_string()))?;
        write(&folder.join("Cargo.lock"), &lock)?;
        let program =
            files.into_iter().next().map(|(path, text)| Program { edited: (folder.join(path), text), folder });
        program.ok_or_else(|| Failure::new("the program has no file"))
    }

    fn measure(&self, pairs: usize) -> Result<(), Failure> {
        self.build(self.cargo("update").arg("--workspace"))?;
        // The dependencies, and what the first builds leave behind.
        for edit in 0..2 {
            self.edit(edit)?;
            self.build(&mut self.plain())?;
            self.build(&mut self.telemark())?;
        }
        let mut ratios = Vec::new();
        for pair in 0..pairs {
            self.edit(10 + pair)?;
            let mut taken = [None; 2];
            for at in [pair % 2, (pair + 1) % 2] {
                let mut command = if at == 0 { self.plain() } else { self.telemark() };
                taken[at] = Some(self.build(&mut command)?);
            }
            if let [Some(plain), Some(telemark)] = taken {
                ratios.push((
                    telemark.elapsed.div_duration_f64(plain.elapsed),
                    telemark.processor.div_duration_f64(plain.processor),
                ));
                println!(
                    "  plain {:.2?} ({:.2?} of processors)  cargo telemark {:.2?} ({:.2?})",
                    plain.elapsed, plain.processor, telemark.elapsed, telemark.processor
                );
            }
        }
        let median = |of: fn(&(f64, f64)) -> f64| {
            let mut ratios: Vec<_> = ratios.iter().map(of).collect();
            ratios.sort_by(f64::total_cmp);
            ratios.get(ratios.len() / 2).copied().unwrap_or_default()
        };
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        println!(
            "  median ratio {:.2}, of processors' time {:.2}, load {load}",
            median(|ratio| ratio.0),
            median(|ratio| ratio.1)
        );
        Ok(())
    }

    /// Changes a number in a function.
    fn edit(&self, number: usize) -> Result<(), Failure> {
        let (path, text) = &self.edited;
        write(path, &text.replacen(EDITED, &format!("let edited = {number};"), 1))
    }

    fn cargo(&self, verb: &str) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.arg(verb).current_dir(&self.folder).env_remove("CARGO_TARGET_DIR");
        command
    }

    fn plain(&self) -> Command {
        self.cargo("build")
    }

    fn telemark(&self) -> Command {
        let mut command = Command::new(root().join("target/release/cargo-telemark"));
        command.args(["telemark", "build", "--telemark-path"]).arg(root());
        command.current_dir(&self.folder).env_remove("CARGO_TARGET_DIR");
        command
    }

    fn build(&self, command: &mut Command) -> Result<Taken, Failure> {
        let (start, before) = (Instant::now(), processors());
        let output = command.stdin(Stdio::null()).output().map_err(|error| Failure::new(error.to_string()))?;
        let taken = Taken { elapsed: start.elapsed(), processor: processors() - before };
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.success() && !said.contains("goes without") {
            true => Ok(taken),
            false => Err(Failure::new(format!("{command:?} failed:\n{said}"))),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(path, text)).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// Returns the time that processors have spent on the children of this process, on Linux.
fn processors() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses, `cutime` and `cstime` are the fourteenth and the fifteenth field, in hundredths of a second.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    Duration::from_millis(fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10)
}
