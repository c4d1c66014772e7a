//! Formats the child processes' measurements as Markdown tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::child::{Row, Rows, Selection};
use crate::scenarios::{Layout, Scenario};

/// Returns a scenario's headline and tables.
pub(crate) fn markdown(scenario: &Scenario, rows: &Rows, selection: &Selection<'_>) -> String {
    let measured = Measured { scenario, rows, subjects: subjects(scenario, rows, selection) };
    let tables = match scenario.layout {
        Layout::TablePerValue => measured.table_per_value(),
        Layout::OneTable => measured.one_table(),
        Layout::RowPerRegime(pairs) => measured.row_per_regime(&shares(pairs, selection)),
    };
    let quick = if selection.is_quick { " Quick." } else { "" };
    format!("\n## {}\n\n{} Rounds: {}.{quick}\n{tables}", scenario.name, scenario.about, selection.rounds)
}

/// Returns the subjects that have values, each followed by its other versions.
fn subjects(scenario: &Scenario, rows: &Rows, selection: &Selection<'_>) -> Vec<String> {
    let names = scenario.subjects.iter().flat_map(|name| selection.programs.iter().filter_map(|one| one.subject(name)));
    names.filter(|name| rows.keys().any(|row| row.subject == *name)).collect()
}

/// Returns the scenario's pairs, including those for other versions, and pairs of each subject with its other versions.
fn shares(pairs: &[(&str, &str)], selection: &Selection<'_>) -> Vec<(String, String)> {
    let mut shares = Vec::new();
    for (number, program) in selection.programs.iter().enumerate() {
        for (one, other) in pairs {
            let Some(name) = program.subject(one) else { continue };
            shares.push((name.clone(), (*other).to_owned()));
            let before = ((*one).to_owned(), name);
            if number > 0 && !shares.contains(&before) {
                shares.push(before);
            }
        }
    }
    shares
}

struct Measured<'a> {
    scenario: &'a Scenario,
    rows: &'a Rows,
    subjects: Vec<String>,
}

impl Measured<'_> {
    fn metrics(&self) -> BTreeSet<&str> {
        self.rows.keys().map(|row| row.metric.as_str()).collect()
    }

    fn values(&self, metric: &str, regime: &'static str, subject: &str) -> Option<&[f64]> {
        let row = Row { metric: metric.to_owned(), regime, subject: subject.to_owned() };
        self.rows.get(&row).map(Vec::as_slice)
    }

    /// Returns the median of the per-round quotients. A slowdown during a round affects both values, so the quotient stays
    /// comparable.
    fn quotient(&self, metric: &str, regime: &'static str, one: &str, other: &str) -> Option<f64> {
        let (one, other) = (self.values(metric, regime, one)?, self.values(metric, regime, other)?);
        let quotients: Vec<f64> = one.iter().zip(other).map(|(one, other)| one / other).collect();
        Some(Spread::of(&quotients).median)
    }

    /// Returns one table with a row per metric and a column per subject: the median (minimum–maximum), and the quotient with
    /// Telemark.
    fn one_table(&self) -> String {
        let mut text = self.header("", &[]);
        let reference = self.scenario.reference;
        for metric in self.metrics() {
            for regime in self.scenario.regimes {
                let _ = write!(text, "| {metric} |");
                for subject in &self.subjects {
                    self.cell(&mut text, metric, regime, subject);
                    let quotient = self.quotient(metric, regime, subject, reference);
                    if let Some(quotient) = quotient.filter(|_| subject != reference) {
                        let _ = write!(text, " {quotient:.2}×");
                    }
                    text.push_str(" |");
                }
                text.push('\n');
            }
        }
        text
    }

    /// Returns one table per metric, with a row per regime, a column per subject, and a column per share.
    fn row_per_regime(&self, shares: &[(String, String)]) -> String {
        let is_measured = |name: &String| self.subjects.contains(name);
        let shares: Vec<_> = shares.iter().filter(|(one, other)| is_measured(one) && is_measured(other)).collect();
        let columns: Vec<String> = shares.iter().map(|(one, other)| format!("{one} / {other}")).collect();
        let mut text = String::new();
        for metric in self.metrics() {
            // Targets are defined for shares of times only.
            let is_time = metric.contains(", ns/");
            let (shares, columns) = if is_time { (&*shares, &*columns) } else { (&[][..], &[][..]) };
            text.push_str(&self.header(metric, columns));
            let mut regimes: Vec<(Vec<Option<f64>>, &'static str)> = Vec::new();
            for &regime in self.scenario.regimes {
                if self.rows.keys().any(|row| row.regime == regime) {
                    let of_pair = |(one, other): &&(String, String)| self.quotient(metric, regime, one, other);
                    regimes.push((shares.iter().map(of_pair).collect(), regime));
                }
            }
            let worst = |shares: &[Option<f64>]| shares.iter().flatten().copied().fold(0.0, f64::max);
            regimes.sort_by(|(one, _), (other, _)| worst(other).total_cmp(&worst(one)));
            for (shares, regime) in regimes {
                let _ = write!(text, "| {regime} |");
                for subject in &self.subjects {
                    self.cell(&mut text, metric, regime, subject);
                    text.push_str(" |");
                }
                for share in shares {
                    text.push_str(&share.map_or_else(|| " |".to_owned(), |share| format!(" {share:.2} |")));
                }
                text.push('\n');
            }
        }
        text
    }

    fn header(&self, title: &str, more: &[String]) -> String {
        let columns: Vec<&str> = self.subjects.iter().chain(more).map(String::as_str).collect();
        format!("\n| {title} | {} |\n|---|{}\n", columns.join(" | "), "--:|".repeat(columns.len()))
            .replace("|  |", "| |")
    }

    fn cell(&self, text: &mut String, metric: &str, regime: &'static str, subject: &str) {
        if let Some(values) = self.values(metric, regime, subject) {
            let Spread { min, median, max } = Spread::of(values);
            let _ = write!(text, " {} ({}–{})", number(median), number(min), number(max));
        }
    }

    /// Returns one table per metric, with a row per subject: minimum, median, maximum and the quotient with Telemark.
    fn table_per_value(&self) -> String {
        let reference = self.scenario.reference;
        let mut text = String::new();
        for metric in self.metrics() {
            let _ = writeln!(text, "\n| {metric} | min | median | max | of {reference} |\n|---|--:|--:|--:|--:|");
            for regime in self.scenario.regimes {
                for subject in &self.subjects {
                    let Some(values) = self.values(metric, regime, subject) else { continue };
                    let Spread { min, median, max } = Spread::of(values);
                    let quotient = self.quotient(metric, regime, subject, reference);
                    let quotient = quotient.map_or_else(|| "-".to_owned(), |quotient| format!("{quotient:.2}"));
                    let (min, median, max) = (number(min), number(median), number(max));
                    let _ = writeln!(text, "| {subject} | {min} | {median} | {max} | {quotient} |");
                }
            }
        }
        text
    }
}

#[derive(Debug, PartialEq)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 0 { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] };
        Self { min: sorted[0], median, max: sorted[sorted.len() - 1] }
    }
}

/// Formats a number. Larger numbers get fewer decimals.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Program;
    use crate::scenarios::ONE_REGIME;

    fn check(layout: Layout, regimes: &'static [&'static str], values: &[(&str, usize, &str, &[f64])], expected: &str) {
        let scenario = Scenario {
            name: "scenario",
            about: "About.",
            subjects: &["telemark", "rival"],
            regimes,
            layout,
            reference: "telemark",
            measure: |_| Ok(Vec::new()),
        };
        let rows = values.iter().map(|&(metric, regime, subject, values)| {
            let row = Row { metric: metric.to_owned(), regime: regimes[regime], subject: subject.to_owned() };
            (row, values.to_vec())
        });
        let selection = Selection {
            rounds: 3,
            subjects: Vec::new(),
            regimes: Vec::new(),
            programs: vec![Program::this().unwrap(), Program::parse("old=/old").unwrap()],
            is_quick: false,
        };
        let text = markdown(&scenario, &rows.collect(), &selection);
        assert_eq!(text, format!("\n## scenario\n\nAbout. Rounds: 3.\n{expected}"));
    }

    #[test]
    fn one_table_has_a_column_for_each_subject() {
        let values: [(_, _, _, &[f64]); 3] = [
            ("add", 0, "telemark", &[30.0, 10.0, 20.0]),
            ("add", 0, "rival", &[60.0, 250.0, 100.0]),
            ("exemplar", 0, "telemark", &[1.0]),
        ];
        let expected = "\n| | telemark | rival |\n|---|--:|--:|\n\
            | add | 20.0 (10.0–30.0) | 100 (60.0–250) 5.00× |\n| exemplar | 1.00 (1.00–1.00) | |\n";
        check(Layout::OneTable, ONE_REGIME, &values, expected);
    }

    #[test]
    fn a_table_has_a_row_for_each_subject() {
        let values: [(_, _, _, &[f64]); 2] =
            [("ns", 0, "telemark", &[30.0, 10.0, 20.0]), ("ns", 0, "rival", &[60.0, 250.0, 100.0])];
        let expected = "\n| ns | min | median | max | of telemark |\n\
            |---|--:|--:|--:|--:|\n| telemark | 10.0 | 20.0 | 30.0 | 1.00 |\n| rival | 60.0 | 100 | 250 | 5.00 |\n";
        check(Layout::TablePerValue, ONE_REGIME, &values, expected);
    }

    #[test]
    fn the_worst_regime_comes_first() {
        let values: [(_, _, _, &[f64]); 5] = [
            ("CPU, ns/span", 0, "telemark", &[10.0]),
            ("CPU, ns/span", 0, "rival", &[40.0]),
            ("CPU, ns/span", 1, "telemark", &[30.0]),
            ("CPU, ns/span", 1, "rival", &[40.0]),
            ("CPU, ns/span", 0, "telemark, old", &[20.0]),
        ];
        let expected = "\n| CPU, ns/span | telemark | telemark, old | rival | telemark / rival | telemark, old / rival | telemark / telemark, old |\n\
            |---|--:|--:|--:|--:|--:|--:|\n\
            | bad | 30.0 (30.0–30.0) | | 40.0 (40.0–40.0) | 0.75 | | |\n\
            | good | 10.0 (10.0–10.0) | 20.0 (20.0–20.0) | 40.0 (40.0–40.0) | 0.25 | 0.50 | 0.50 |\n";
        check(Layout::RowPerRegime(&[("telemark", "rival")]), &["good", "bad"], &values, expected);
    }
}
