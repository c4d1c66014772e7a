//! The benchmarks' command line: the scenarios, the number of rounds, and the roles of child processes.
//!
//! ```text
//! telemark-benches [SCENARIO...] [OPTION...]                        measure and print Markdown tables
//! telemark-benches run SCENARIO REGIME SUBJECT ENDPOINT [--quick]   one subject in this process (started by the first form)
//! telemark-benches sink                                             an OTLP receiver that counts spans (likewise)
//! ```

#![allow(
    clippy::disallowed_methods,
    reason = "the benchmarks are a program beside the product and have their own clocks and threads"
)]

mod allocations;
mod child;
mod clock;
mod load;
mod lockstep;
mod meters;
mod reading;
mod scenarios;
mod sink;
mod subjects;
mod table;

use std::process::ExitCode;

use child::{Program, Selection};
use scenarios::Run;

/// An error that ends the program with a message. No code matches on it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The default number of rounds, except for the builds of `adoption`, which run once by default.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("telemark-benches: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--help" | "-h"] => {
            println!("telemark-benches [SCENARIO...] [OPTION...]\n{OPTIONS}");
            println!("scenarios: {} (all of them by default)", scenarios::names().collect::<Vec<_>>().join(", "));
            Ok(())
        }
        ["sink"] => sink::serve(),
        ["run", scenario, regime, subject, endpoint, rest @ ..] => {
            let scenario = scenarios::named(scenario)?;
            let readings = (scenario.measure)(&Run { subject, regime, endpoint, is_quick: rest == ["--quick"] })?;
            readings.iter().for_each(|reading| println!("{reading}"));
            Ok(())
        }
        _ => measure(&Options::parse(&words)?),
    }
}

fn measure(options: &Options<'_>) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for name in &options.scenarios {
        if *name == scenarios::adoption::NAME {
            scenarios::adoption::measure(options.builds)?;
            continue;
        }
        let scenario = scenarios::named(name)?;
        let (rows, failures) = child::rounds(scenario, &options.selection);
        println!("{}", table::markdown(scenario, &rows, &options.selection));
        failed.extend(failures.iter().map(|failure| format!("{name}, {failure}")));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

struct Options<'a> {
    scenarios: Vec<&'a str>,
    /// Rounds of `adoption`.
    builds: usize,
    selection: Selection<'a>,
}

const OPTIONS: &str = "  --rounds N              5 by default
  --only SUBJECT          measure only this one; may be repeated
  --regime PART           measure only the regimes whose names have this part; may be repeated
  --against VERSION=PATH  measure Telemark by this program too, in the same turns; may be repeated
  --quick                 a fraction of the work: seconds for each subject and regime";

impl<'a> Options<'a> {
    fn parse(words: &[&'a str]) -> Result<Self, Failure> {
        let mut scenarios: Vec<&'a str> = Vec::new();
        let mut selection = Selection {
            rounds: ROUNDS,
            subjects: Vec::new(),
            regimes: Vec::new(),
            programs: vec![Program::this()?],
            is_quick: false,
        };
        let mut builds = 1;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().ok_or_else(|| format!("{word} wants a value"));
            match *word {
                "--rounds" => {
                    selection.rounds = value()?.parse()?;
                    builds = selection.rounds;
                }
                "--only" => selection.subjects.push(value()?),
                "--regime" => selection.regimes.push(value()?),
                "--against" => selection.programs.push(Program::parse(value()?)?),
                "--quick" => selection.is_quick = true,
                "all" => scenarios.clear(),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}; accepted:\n{OPTIONS}").into());
                }
                scenario => scenarios.push(scenario),
            }
        }
        if scenarios.is_empty() {
            scenarios = scenarios::names().collect();
        }
        if selection.rounds == 0 {
            return Err("--rounds wants at least 1".into());
        }
        Ok(Self { scenarios, builds, selection })
    }
}
