//! The parent's side: a fresh process for each subject and each round, each with a fresh sink.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::reading::{PRODUCED, Reading};
use crate::scenarios::Scenario;

/// All values of one metric of one subject, a value a round.
pub(crate) type Rows = BTreeMap<(&'static str, String), Vec<f64>>;

/// Measures every subject once a round, in turns (A B C, A B C), so that a slow minute of the machine hits all of them.
pub(crate) fn rounds(scenario: &'static Scenario, rounds: usize, only: &[&str]) -> Result<Rows, Failure> {
    let mut rows = Rows::new();
    for round in 1..=rounds {
        for &subject in scenario.subjects {
            if !only.is_empty() && !only.contains(&subject) {
                continue;
            }
            eprintln!("{} {round}/{rounds}: {subject}", scenario.name);
            for Reading { metric, value } in once(scenario, subject)? {
                rows.entry((subject, metric)).or_default().push(value);
            }
        }
    }
    Ok(rows)
}

fn once(scenario: &Scenario, subject: &str) -> Result<Vec<Reading>, Failure> {
    let sink = Sink::start()?;
    let output = Command::new(std::env::current_exe()?)
        .args(["run", scenario.name, subject, &sink.address])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{subject} ended with {}", output.status).into());
    }
    let mut readings =
        String::from_utf8(output.stdout)?.lines().map(str::parse).collect::<Result<Vec<Reading>, _>>()?;
    let received = sink.stop()?;
    if let Some(at) = readings.iter().position(|reading| reading.metric == PRODUCED) {
        let produced = readings.swap_remove(at).value;
        if produced != received.spans {
            return Err(format!(
                "{subject} ended {produced} spans, the sink received {}: a run with losses is not comparable",
                received.spans
            )
            .into());
        }
        readings.push(Reading::new("bytes/span", received.bytes / received.spans));
        readings.push(Reading::new("spans/request", received.spans / received.requests));
    }
    Ok(readings)
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
