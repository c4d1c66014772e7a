//! The parent's side, which starts a new process with a new sink for each subject and round.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::reading::{PRODUCED, Reading};
use crate::scenarios::{Run, Scenario};

/// The values for each row: one per round, in the order of the rounds.
pub(crate) type Rows = BTreeMap<Row, Vec<f64>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) metric: String,
    pub(crate) regime: &'static str,
    /// The name returned by [`Program::subject`].
    pub(crate) subject: String,
}

/// A benchmark program: this one, or one built from another version.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// The other version, or `None` for this program.
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

    /// Returns the subject's name in the tables, or `None` if this is another version but the subject does not depend on
    /// it.
    pub(crate) fn subject(&self, name: &str) -> Option<String> {
        match &self.version {
            None => Some(name.to_owned()),
            Some(version) => name.starts_with("telemark").then(|| format!("{name}, {version}")),
        }
    }
}

/// The parts of a scenario to measure.
pub(crate) struct Selection<'a> {
    pub(crate) rounds: usize,
    /// If empty, selects all subjects.
    pub(crate) subjects: Vec<&'a str>,
    /// Substrings of regime names. If empty, selects all regimes.
    pub(crate) regimes: Vec<&'a str>,
    pub(crate) programs: Vec<Program>,
    pub(crate) is_quick: bool,
}

/// Measures every subject once per round, interleaved (A B C, A B C), so that a temporary slowdown of the machine affects
/// all subjects. Returns the values and the failures. A subject that fails under a regime has no values for it.
pub(crate) fn rounds(scenario: &'static Scenario, selection: &Selection<'_>) -> (Rows, Vec<Failure>) {
    let Selection { rounds, subjects, regimes, programs, is_quick } = selection;
    let (mut rows, mut failures, mut failed) = (Rows::new(), Vec::new(), BTreeSet::new());
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
                    if failed.contains(&(regime, name.clone())) {
                        continue;
                    }
                    eprintln!("{} {round}/{rounds}, {regime}: {name}", scenario.name);
                    let run = Run { subject, regime, endpoint: "", is_quick: *is_quick };
                    match complete(scenario, program, run) {
                        Ok(readings) => {
                            for Reading { metric, value } in readings {
                                rows.entry(Row { metric, regime, subject: name.clone() }).or_default().push(value);
                            }
                        }
                        Err(failure) => {
                            rows.retain(|row, _| (row.regime, &row.subject) != (regime, &name));
                            failures.push(format!("{regime}: {failure}").into());
                            failed.insert((regime, name));
                        }
                    }
                }
            }
        }
    }
    (rows, failures)
}

/// On a machine busy with other work, the exporting thread may be delayed until the default queue overflows.
const ATTEMPTS: usize = 5;

/// Repeats the measurement until no span is missing, because a run that loses spans is not comparable.
fn complete(scenario: &Scenario, program: &Program, run: Run<'_>) -> Result<Vec<Reading>, Failure> {
    for _ in 0..ATTEMPTS {
        let (mut readings, received) = once(scenario, program, run)?;
        let Some(at) = readings.iter().position(|reading| reading.metric == PRODUCED) else { return Ok(readings) };
        let produced = readings.swap_remove(at).value;
        if produced == received.spans {
            let item = scenario.item();
            readings.push(Reading::new(&format!("bytes/{item}"), received.bytes / received.spans));
            readings.push(Reading::new(&format!("{item}s/request"), received.spans / received.requests));
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
