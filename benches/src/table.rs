//! Markdown tables from what the children have measured.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::child::Rows;
use crate::scenarios::{Layout, Scenario};

/// The tables of a scenario under its headline.
pub(crate) fn markdown(scenario: &Scenario, rows: &Rows, rounds: usize) -> String {
    let tables = match scenario.layout {
        Layout::TablePerValue => table_per_value(scenario, rows),
        Layout::OneTable => one_table(scenario, rows),
    };
    format!("\n## {}\n\n{} Rounds: {rounds}.\n{tables}", scenario.name, scenario.about)
}

/// A row a metric, a column a subject: median (minimum–maximum) and the median's ratio to that of Telemark.
fn one_table(scenario: &Scenario, rows: &Rows) -> String {
    let metrics: BTreeSet<&str> = rows.keys().map(|(_, metric)| metric.as_str()).collect();
    let subjects: Vec<&'static str> = scenario.subjects.to_vec();
    let mut text = format!("\n| | {} |\n|---|{}\n", subjects.join(" | "), "--:|".repeat(subjects.len()));
    for metric in metrics {
        let spread_of = |subject: &'static str| rows.get(&(subject, metric.to_owned())).map(|all| Spread::of(all));
        let reference = spread_of(scenario.reference);
        let _ = write!(text, "| {metric} |");
        for &subject in &subjects {
            let Some(Spread { min, median, max }) = spread_of(subject) else {
                text.push_str(" |");
                continue;
            };
            let _ = write!(text, " {} ({}–{})", number(median), number(min), number(max));
            if let Some(reference) = reference.as_ref().filter(|_| subject != scenario.reference) {
                let _ = write!(text, " {:.2}×", median / reference.median);
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    text
}

/// One table a metric: a row a subject with minimum, median, maximum and the ratio of its median to that of Telemark.
fn table_per_value(scenario: &Scenario, rows: &Rows) -> String {
    let mut text = String::new();
    let metrics: BTreeSet<&str> = rows.keys().map(|(_, metric)| metric.as_str()).collect();
    for metric in metrics {
        let median_of =
            |subject: &'static str| rows.get(&(subject, metric.to_owned())).map(|all| Spread::of(all).median);
        let reference = median_of(scenario.reference);
        let _ =
            writeln!(text, "\n| {metric} | min | median | max | of {} |\n|---|--:|--:|--:|--:|", scenario.reference);
        for &subject in scenario.subjects {
            let Some(all) = rows.get(&(subject, metric.to_owned())) else { continue };
            let Spread { min, median, max } = Spread::of(all);
            let ratio = reference.map_or_else(|| "-".to_owned(), |reference| format!("{:.2}", median / reference));
            let _ = writeln!(text, "| {subject} | {} | {} | {} | {ratio} |", number(min), number(median), number(max));
        }
    }
    text
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

/// As many decimals as say something.
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

    #[test]
    fn one_table_has_a_column_for_each_subject() {
        static SCENARIO: Scenario = Scenario {
            name: "metrics",
            about: "About.",
            subjects: &["telemark", "rival"],
            layout: Layout::OneTable,
            reference: "telemark",
            measure: |_, _| Ok(Vec::new()),
        };
        let rows = Rows::from([
            (("telemark", "add".to_owned()), vec![30.0, 10.0, 20.0]),
            (("rival", "add".to_owned()), vec![100.0, 250.0]),
            (("telemark", "exemplar".to_owned()), vec![1.0]),
        ]);
        let expected = "\n## metrics\n\nAbout. Rounds: 1.\n\n| | telemark | rival |\n|---|--:|--:|\n\
            | add | 20.0 (10.0–30.0) | 175 (100–250) 8.75× |\n| exemplar | 1.00 (1.00–1.00) | |\n";
        assert_eq!(markdown(&SCENARIO, &rows, 1), expected);
    }

    #[test]
    fn a_table_has_a_row_for_each_subject() {
        static SCENARIO: Scenario = Scenario {
            name: "export",
            about: "About.",
            subjects: &["telemark", "rival"],
            layout: Layout::TablePerValue,
            reference: "telemark",
            measure: |_, _| Ok(Vec::new()),
        };
        let rows = Rows::from([
            (("telemark", "ns".to_owned()), vec![30.0, 10.0, 20.0]),
            (("rival", "ns".to_owned()), vec![100.0, 250.0]),
        ]);
        let expected = "\n## export\n\nAbout. Rounds: 3.\n\n| ns | min | median | max | of telemark |\n\
            |---|--:|--:|--:|--:|\n| telemark | 10.0 | 20.0 | 30.0 | 1.00 |\n| rival | 100 | 175 | 250 | 8.75 |\n";
        assert_eq!(markdown(&SCENARIO, &rows, 3), expected);
    }
}
