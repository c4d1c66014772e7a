//! The command line of the benchmarks: which scenarios, how many rounds, and the roles a child process can have.
//!
//! ```text
//! telemark-benches [SCENARIO...] [--rounds N] [--only SUBJECT]...   measure and print Markdown tables
//! telemark-benches run SCENARIO SUBJECT ENDPOINT                    one subject in this process (started by the first form)
//! telemark-benches sink                                             an OTLP receiver that counts spans (likewise)
//! ```

#![allow(
    clippy::disallowed_methods,
    reason = "the benchmarks are a program beside the product and have their own clocks and threads"
)]

mod allocations;
mod child;
mod clock;
mod lockstep;
mod meters;
mod pace;
mod reading;
mod scenarios;
mod sink;
mod subjects;
mod table;

use std::process::ExitCode;

/// What can go wrong here ends the program with a message; nobody matches on it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Unless the command line says otherwise; the builds of `adoption` run once.
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
            println!("telemark-benches [SCENARIO...] [--rounds N] [--only SUBJECT]...");
            println!("scenarios: {} (all of them by default)", scenarios::names().collect::<Vec<_>>().join(", "));
            Ok(())
        }
        ["sink"] => sink::serve(),
        ["run", scenario, subject, endpoint] => {
            let scenario = scenarios::named(scenario)?;
            let readings = (scenario.measure)(subject, endpoint)?;
            readings.iter().for_each(|reading| println!("{reading}"));
            Ok(())
        }
        _ => measure(&Options::parse(&words)?),
    }
}

fn measure(options: &Options<'_>) -> Result<(), Failure> {
    for name in &options.scenarios {
        if *name == scenarios::adoption::NAME {
            scenarios::adoption::measure(options.rounds.unwrap_or(1))?;
            continue;
        }
        let scenario = scenarios::named(name)?;
        let rounds = options.rounds.unwrap_or(ROUNDS);
        let rows = child::rounds(scenario, rounds, &options.only)?;
        println!("{}", table::markdown(scenario, &rows, rounds));
    }
    Ok(())
}

struct Options<'a> {
    scenarios: Vec<&'a str>,
    rounds: Option<usize>,
    only: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a str]) -> Result<Self, Failure> {
        let mut options = Self { scenarios: Vec::new(), rounds: None, only: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--rounds" => options.rounds = Some(words.next().ok_or("--rounds wants a number")?.parse()?),
                "--only" => options.only.push(words.next().ok_or("--only wants a subject")?),
                "all" => options.scenarios.clear(),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}; accepted: --rounds N, --only SUBJECT").into());
                }
                scenario => options.scenarios.push(scenario),
            }
        }
        if options.scenarios.is_empty() {
            scenarios::names().for_each(|name| options.scenarios.push(name));
        }
        if options.rounds == Some(0) {
            return Err("--rounds wants at least 1".into());
        }
        Ok(options)
    }
}
