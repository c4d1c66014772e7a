//! The parent's side: a fresh process for each subject and each round, each with a fresh sink.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::reading::{PRODUCED, Reading};
use crate::scenarios::{Run, Scenario};

/// The values of each metric, a value a round, in the order of the rounds.
pub(crate) type Rows = BTreeMap<Row, Vec<f64>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) metric: String,
    pub(crate) regime: &'static str,
    /// As [`Program::subject`] calls it.
    pub(crate) subject: String,
}

/// A program of benchmarks: this one, or one that was built from another version.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// The version, if it is another one.
    version: Option<String>,
}

impl Program {
    pub(crate) fn this() -> Result<Self, Failure> {
        Ok(Self { path: std::env::current_exe()?, version: None })
    }

    /// Reads `VERSION=PATH`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let (version, path) = text.split_once('=').ok_or("--against wants VERSION=PATH")?;
        Ok(Self { path: Path::new(path).to_owned(), version: Some(version.to_owned()) })
    }

    /// Returns the name of a subject in the tables; `None` if another version of the subject would be the same.
    pub(crate) fn subject(&self, name: &str) -> Option<String> {
        match &self.version {
            None => Some(name.to_owned()),
            Some(version) => name.starts_with("telemark").then(|| format!("{name}, {version}")),
        }
    }
}

/// The part of a scenario that is measured.
pub(crate) struct Selection<'a> {
    pub(crate) rounds: usize,
    /// Empty: all of them.
    pub(crate) subjects: Vec<&'a str>,
    /// Parts of the names of regimes. Empty: all of them.
    pub(crate) regimes: Vec<&'a str>,
    pub(crate) programs: Vec<Program>,
    pub(crate) is_quick: bool,
}

/// Measures every subject once a round, in turns (A B C, A B C), so that a slow minute of the machine hits all of them.
pub(crate) fn rounds(scenario: &'static Scenario, selection: &Selection<'_>) -> Result<Rows, Failure> {
    let Selection { rounds, subjects, regimes, programs, is_quick } = selection;
    let mut rows = Rows::new();
    for round in 1..=*rounds {
        for &regime in scenario.regimes {
            if !regimes.is_empty() && !regimes.iter().any(|part| regime.contains(part)) {
                continue;
            }
            for &subject in scenario.subjects {
                if !subjects.is_empty() && !subjects.contains(&subject) {
                    continue;
                }
                for program in programs {
                    let Some(name) = program.subject(subject) else { continue };
                    eprintln!("{} {round}/{rounds}, {regime}: {name}", scenario.name);
                    let run = Run { subject, regime, endpoint: "", is_quick: *is_quick };
                    for Reading { metric, value } in complete(scenario, program, run)? {
                        rows.entry(Row { metric, regime, subject: name.clone() }).or_default().push(value);
                    }
                }
            }
        }
    }
    Ok(rows)
}

/// A machine that is busy with other things may let the exporting thread wait for so long that the default queue overflows.
const ATTEMPTS: usize = 5;

/// Measures until no span is missing: a run with losses is not comparable.
fn complete(scenario: &Scenario, program: &Program, run: Run<'_>) -> Result<Vec<Reading>, Failure> {
    for _ in 0..ATTEMPTS {
        let (mut readings, received) = once(scenario, program, run)?;
        let Some(at) = readings.iter().position(|reading| reading.metric == PRODUCED) else { return Ok(readings) };
        let produced = readings.swap_remove(at).value;
        if produced == received.spans {
            readings.push(Reading::new("bytes/span", received.bytes / received.spans));
            readings.push(Reading::new("spans/request", received.spans / received.requests));
            return Ok(readings);
        }
        eprintln!("    {produced} spans ended, the sink received {}: again", received.spans);
    }
    Err(format!("{} has lost spans in each of {ATTEMPTS} runs", run.subject).into())
}

fn once(scenario: &Scenario, program: &Program, run: Run<'_>) -> Result<(Vec<Reading>, Received), Failure> {
    let sink = Sink::start()?;
    let output = Command::new(&program.path)
        .args(["run", scenario.name, run.regime, run.subject, &sink.address])
        .args(run.is_quick.then_some("--quick"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", run.subject, output.status).into());
    }
    let readings = String::from_utf8(output.stdout)?.lines().map(str::parse).collect::<Result<Vec<Reading>, _>>()?;
    Ok((readings, sink.stop()?))
}

struct Received {
    spans: f64,
    requests: f64,
    bytes: f64,
}

struct Sink {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Sink {
    fn start() -> Result<Self, Failure> {
        let mut child =
            Command::new(std::env::current_exe()?).arg("sink").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("the sink has no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim_end().split_once('\t').ok_or("the sink does not listen")?.1.to_owned();
        Ok(Self { child, output, address })
    }

    fn stop(mut self) -> Result<Received, Failure> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        self.child.wait()?;
        let readings = text.lines().map(str::parse).collect::<Result<Vec<Reading>, _>>()?;
        let value = |name| readings.iter().find(|reading| reading.metric == name).map_or(0.0, |reading| reading.value);
        Ok(Received { spans: value("spans"), requests: value("requests"), bytes: value("bytes") })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
