//! A trace as text, which a language model reads with less effort than columns.

use std::fmt::Write;

use serde_json::Value as Json;

/// The maximum number of spans in a text.
const MAX_SPANS: usize = 300;
/// The maximum number of log records and events in a text.
const MAX_MARKS: usize = 100;

/// The flags of `/trace/{id}.json`.
const ERROR: u64 = 1;
const RUNNING: u64 = 2;
const MISSING_PARENT: u64 = 4;
const CRITICAL: u64 = 8;
const RECOVERED: u64 = 16;

/// Returns the spans of a trace, one a line.
pub(super) fn trace(view: &Json) -> String {
    let spans = Spans::new(view);
    let mut text =
        format!("Trace {}, {}, {} spans", string(view, "id"), duration(number(view, "duration")), spans.len());
    // Writing to a `String` cannot fail.
    if view.get("partial") == Some(&Json::Bool(true)) {
        text.push_str(", incomplete");
    }
    text.push_str("\noffset, duration, service: name [span id]; * marks the critical path\n");
    for at in 0..spans.len().min(MAX_SPANS) {
        spans.write(&mut text, at);
    }
    if spans.len() > MAX_SPANS {
        let _ = writeln!(text, "({} more spans)", spans.len() - MAX_SPANS);
    }
    let marks = view.get("marks").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    if !marks.is_empty() {
        text.push_str("Events and log records:\n");
    }
    for mark in marks.iter().take(MAX_MARKS) {
        let at = usize::try_from(number(mark, "span")).unwrap_or(usize::MAX);
        let offset = mark.get("at").and_then(Json::as_i64).and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
        let _ = writeln!(
            text,
            "+{} {} on {}: {}",
            duration(offset),
            string(mark, "kind"),
            spans.name(at),
            string(mark, "text")
        );
    }
    if view.get("origin").is_some_and(Json::is_object) {
        text.push_str(&origin(view));
    }
    text
}

/// Returns a sentence about where the failure of a trace began.
pub(super) fn origin(view: &Json) -> String {
    let Some(origin) = view.get("origin").filter(|origin| origin.is_object()) else {
        return format!("Trace {} has no error that was not recovered.", string(view, "id"));
    };
    let spans = Spans::new(view);
    let at = usize::try_from(number(origin, "span")).unwrap_or(usize::MAX);
    format!(
        "The failure of trace {} likely began in {} [{}]: {}. {}",
        string(view, "id"),
        spans.name(at),
        spans.column("id", at).and_then(Json::as_str).unwrap_or_default(),
        string(origin, "message"),
        string(origin, "sentence"),
    )
}

/// The columns of a trace.
struct Spans<'a>(&'a Json);

impl<'a> Spans<'a> {
    fn new(view: &'a Json) -> Self {
        Spans(view)
    }

    fn column(&self, name: &str, at: usize) -> Option<&'a Json> {
        self.0.get("columns")?.get(name)?.get(at)
    }

    fn number(&self, name: &str, at: usize) -> u64 {
        self.column(name, at).and_then(Json::as_u64).unwrap_or(0)
    }

    fn len(&self) -> usize {
        self.0.get("columns").and_then(|columns| columns.get("id")).and_then(Json::as_array).map_or(0, Vec::len)
    }

    /// Returns the service and the name of a span.
    fn name(&self, at: usize) -> String {
        let index = |name| usize::try_from(self.number(name, at)).unwrap_or(usize::MAX);
        let service = self.0.get("services").and_then(|services| services.get(index("service")));
        let name = self.0.get("names").and_then(|names| names.get(index("name"))).and_then(Json::as_str);
        format!("{}: {}", service.map_or("", |service| string(service, "name")), name.unwrap_or_default())
    }

    fn write(&self, text: &mut String, at: usize) {
        let flags = self.number("flags", at);
        let depth = usize::try_from(self.number("depth", at)).unwrap_or(0).min(60);
        let mark = if flags & CRITICAL != 0 { "*" } else { " " };
        let _ = write!(
            text,
            "{mark}{:indent$}+{} {} {} [{}]",
            "",
            duration(self.number("start", at)),
            duration(self.number("duration", at)),
            self.name(at),
            self.column("id", at).and_then(Json::as_str).unwrap_or_default(),
            indent = 2 * depth,
        );
        for (flag, word) in
            [(ERROR, "ERROR"), (RECOVERED, "recovered"), (RUNNING, "still running"), (MISSING_PARENT, "parent missing")]
        {
            if flags & flag != 0 {
                let _ = write!(text, " ({word})");
            }
        }
        text.push('\n');
    }
}

fn string<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn number(json: &Json, name: &str) -> u64 {
    json.get(name).and_then(Json::as_u64).unwrap_or(0)
}

/// Returns a duration with three significant digits.
fn duration(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (nanos, expected) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_500, "1.50 us"),
            (14_000_000, "14.0 ms"),
            (842_000_000, "842 ms"),
            (1_040_000_000, "1.04 s"),
        ] {
            assert_eq!(duration(nanos), expected);
        }
    }
}
