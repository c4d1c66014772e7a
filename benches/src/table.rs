//! Markdown tables from what the children have measured.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::child::Rows;
use crate::scenarios::Scenario;

/// One table a metric: a row a subject with minimum, median, maximum and the ratio of its median to that of Telemark.
pub(crate) fn markdown(scenario: &Scenario, rows: &Rows, rounds: usize) -> String {
    let mut text = format!("\n## {}\n\n{} Rounds: {rounds}.\n", scenario.name, scenario.about);
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
    fn a_table_has_a_row_for_each_subject() {
        static SCENARIO: Scenario = Scenario {
            name: "export",
            about: "About.",
            subjects: &["telemark", "rival"],
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
