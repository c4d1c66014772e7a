//! The cost of adopting a library before the first request, measured by building three small axum programs from scratch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use crate::Failure;
use crate::clock::children_cpu;

/// The scenario's name on the command line.
pub(crate) const NAME: &str = "adoption";

/// The programs and their build features. In the last two, both libraries support gRPC and gzip, so that the comparison
/// is fair.
const PROGRAMS: [(&str, &[&str]); 5] = [
    ("bare", &[]),
    ("telemark", &[]),
    ("official", &[]),
    ("telemark", &["--features", "grpc"]),
    ("official", &["--features", "grpc"]),
];

/// Builds every program `rounds` times and prints a row per build.
pub(crate) fn measure(rounds: usize) -> Result<(), Failure> {
    println!("\n## {NAME}\n\nA clean release build of one axum program, everything already downloaded.\n");
    println!("| program | crates | binary, kB | build, s | build, CPU s | lines of code |\n|---|--:|--:|--:|--:|--:|");
    for _ in 0..rounds {
        for (name, features) in PROGRAMS {
            let program = Program::at(name, features);
            eprintln!("{NAME}: {name} {}", features.join(" "));
            program.cargo("fetch", &[])?;
            let crates = program.crates()?;
            let build = program.build()?;
            println!(
                "| {name}{} | {crates} | {} | {:.1} | {:.1} | {} |",
                if features.is_empty() { "" } else { ", gRPC" },
                build.bytes / 1000,
                build.seconds,
                build.cpu_seconds,
                program.lines()?
            );
        }
    }
    Ok(())
}

struct Program {
    name: &'static str,
    features: &'static [&'static str],
    folder: PathBuf,
    target: PathBuf,
}

struct Build {
    bytes: u64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Program {
    fn at(name: &'static str, features: &'static [&'static str]) -> Self {
        let adoption = Path::new(env!("CARGO_MANIFEST_DIR")).join("adoption");
        Self { name, features, folder: adoption.join(name), target: adoption.join("target").join(name) }
    }

    fn build(&self) -> Result<Build, Failure> {
        if self.target.exists() {
            std::fs::remove_dir_all(&self.target)?;
        }
        let (started, cpu) = (Instant::now(), children_cpu());
        self.cargo("build", &["--release"])?;
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), children_cpu() - cpu);
        let binary = self.target.join("release").join(format!("adoption-{}", self.name));
        Ok(Build { bytes: std::fs::metadata(binary)?.len(), seconds, cpu_seconds: cpu as f64 / 1e9 })
    }

    /// Returns the number of crates built for the program, including its own.
    fn crates(&self) -> Result<usize, Failure> {
        let output = self.cargo("tree", &["--prefix", "none", "--edges", "normal,build"])?;
        let text = String::from_utf8(output.stdout)?;
        // Crates that were already listed are marked with a star.
        Ok(text.lines().map(|line| line.trim_end_matches(" (*)")).collect::<BTreeSet<_>>().len())
    }

    fn lines(&self) -> Result<usize, Failure> {
        let source = std::fs::read_to_string(self.folder.join("src/main.rs"))?;
        Ok(source.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//")).count())
    }

    fn cargo(&self, command: &str, arguments: &[&str]) -> Result<Output, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .arg(command)
            .args(arguments)
            // `fetch` downloads the dependencies for all features.
            .args(if command == "fetch" { &[] } else { self.features })
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .output()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(format!("cargo {command} {arguments:?} of {}: {}", self.name, String::from_utf8_lossy(&output.stderr))
            .into())
    }
}
