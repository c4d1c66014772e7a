//! Renders a trace as text.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::trace::{SpanId, Status, TraceId};
use telemark_sdk::Resource;
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::time::Timestamp;
use telemark_sdk::trace::SpanData;

use crate::logs;
use crate::text::{Canvas, Tone, clean, columns, duration, time_of_day};
use crate::traces::details::{self, Piece};
use crate::traces::tree::{self, Row};

/// The appearance of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) is_colored: bool,
    pub(crate) width: usize,
    pub(crate) shows_all: bool,
}

/// The gap between columns.
const GAP: usize = 2;
/// The width of the duration column.
const DURATION: usize = 6;
/// The width of the bar. Lines narrower than [`MIN_WIDTH_FOR_BAR`] do not have one.
const BAR: usize = 16;
const MIN_WIDTH_FOR_BAR: usize = 80;
/// The minimum width left for a name, at any depth.
const MIN_NAME: usize = 12;
/// The minimum width of the details, even if this makes the line too long.
const MIN_DETAILS: usize = 24;

/// Returns the line that names the service of the traces printed below it.
pub(crate) fn service(resource: &Resource, look: Look) -> String {
    let value = |key| resource.get(key).map(|value| clean(&value.as_str(), 60)).unwrap_or_default();
    let (name, version) = (value("service.name"), value("service.version"));
    let mut canvas = Canvas::new(look.is_colored);
    canvas.put(Tone::Faint, "━━");
    for (tone, text) in
        [(Tone::Strong, if name.is_empty() { "unknown service" } else { &name }), (Tone::Plain, &version)]
    {
        if !text.is_empty() {
            canvas.space(1);
            canvas.put(tone, text);
        }
    }
    canvas.space(1);
    canvas.put(Tone::Faint, &"━".repeat(look.width.saturating_sub(canvas.column()).max(2)));
    canvas.end_line();
    canvas.as_str().to_owned()
}

/// Returns a blank line, the trace header, and the spans as a tree with their records. `spans` and `records` must belong to one
/// trace, and there must be at least one span.
pub(crate) fn trace(spans: &[SpanData], records: &[SdkLogRecord], look: Look) -> String {
    let rows = tree::rows(spans);
    let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.end).max().unwrap_or_default();

    let widest = rows.iter().map(|row| columns(&row.branch) + columns(&name_of(row.span, look.width))).max();
    let name = widest.unwrap_or_default().min(look.width * 2 / 5);
    let bar = (rows.len() > 1 && look.width >= MIN_WIDTH_FOR_BAR).then_some(Bar { start, span: end.since(start) });
    let details = name + GAP + DURATION + GAP + bar.map_or(0, |_| BAR + GAP);
    let mut of_spans = HashMap::<SpanId, Vec<&SdkLogRecord>>::new();
    for record in records {
        of_spans.entry(span_of(record)).or_default().push(record);
    }
    let sheet = Sheet { look, name, bar, details, limit: look.width.max(details + MIN_DETAILS) };

    let mut canvas = Canvas::new(look.is_colored);
    canvas.end_line();
    head(&mut canvas, spans, records.len(), start, end);
    for row in &rows {
        let records = of_spans.remove(&row.span.context.span_id()).unwrap_or_default();
        sheet.row(&mut canvas, row, &records);
    }
    // Their spans have not ended, or were dropped.
    for record in records.iter().filter(|record| of_spans.contains_key(&span_of(record))) {
        let mut pieces = record_pieces(record, start);
        pieces.push((Tone::Faint, format!("span {}", span_of(record))));
        sheet.note(&mut canvas, "  ", pieces);
    }
    canvas.as_str().to_owned()
}

fn span_of(record: &SdkLogRecord) -> SpanId {
    record.trace_context().map_or(SpanId::INVALID, |context| context.span_id)
}

/// Returns the pieces for a record, starting with its offset from `start`.
fn record_pieces(record: &SdkLogRecord, start: Timestamp) -> Vec<Piece> {
    let after = logs::time(record).map_or_else(|| "·".to_owned(), |time| format!("· +{}", duration(time.since(start))));
    let mut pieces = vec![(Tone::Faint, after)];
    pieces.extend(logs::pieces(record));
    pieces
}

fn name_of(span: &SpanData, limit: usize) -> String {
    if span.name.is_empty() { "(unnamed)".to_owned() } else { clean(&span.name, limit) }
}

fn head(canvas: &mut Canvas, spans: &[SpanData], records: usize, start: Timestamp, end: Timestamp) {
    let id = spans.first().map_or(TraceId::INVALID, |span| span.context.trace_id());
    let errors = spans.iter().filter(|span| matches!(span.status, Status::Error { .. })).count();
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    canvas.put(Tone::Faint, "trace ");
    canvas.put(Tone::Accent, &id.to_string());
    let mut piece = |tone, text: String| {
        canvas.space(GAP);
        canvas.put(tone, &text);
    };
    piece(Tone::Plain, count(spans.len(), "span"));
    if records > 0 {
        piece(Tone::Plain, count(records, "record"));
    }
    piece(Tone::Plain, duration(end.since(start)));
    if errors > 0 {
        piece(Tone::Bad, count(errors, "error"));
    }
    piece(Tone::Faint, time_of_day(start));
    canvas.end_line();
}

/// The column layout of a trace.
struct Sheet {
    look: Look,
    /// The width of the name column.
    name: usize,
    bar: Option<Bar>,
    /// The column where the details start.
    details: usize,
    /// The column where lines end.
    limit: usize,
}

impl Sheet {
    fn row(&self, canvas: &mut Canvas, row: &Row<'_>, records: &[&SdkLogRecord]) {
        let span = row.span;
        let is_error = matches!(span.status, Status::Error { .. });
        canvas.put(Tone::Faint, &row.branch);
        let room = self.name.saturating_sub(columns(&row.branch)).max(MIN_NAME);
        canvas.put(if is_error { Tone::Bad } else { Tone::Strong }, &name_of(span, room));
        canvas.move_to(self.name);
        canvas.space(GAP);
        let took = duration(span.duration());
        canvas.space(DURATION.saturating_sub(columns(&took)));
        canvas.put(Tone::Plain, &took);
        if let Some(bar) = self.bar {
            canvas.space(GAP);
            let (before, length) = bar.cells(span);
            canvas.space(before);
            canvas.put(if is_error { Tone::Bad } else { Tone::Accent }, &"━".repeat(length));
        }
        canvas.move_to(self.details.saturating_sub(GAP));
        let room = self.limit.saturating_sub(self.details);
        let pieces = details::span_pieces(row, self.look.shows_all);
        // A piece too wide for the details column, such as a query, gets its own line.
        let (short, long): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|(_, piece)| columns(piece) <= room);
        self.flow(canvas, &row.below, self.details, short);

        for piece in long {
            self.note(canvas, &row.below, vec![piece]);
        }
        let events = span.events.iter().filter(|event| self.look.shows_all || !details::repeats_status(span, event));
        let events = events.map(|event| (event.time, details::event_pieces(span, event, self.look.shows_all)));
        let records =
            records.iter().map(|record| (logs::time(record).unwrap_or(span.start), record_pieces(record, span.start)));
        let mut notes: Vec<_> = events.chain(records).collect();
        notes.sort_by_key(|(time, _)| *time);
        for (_, pieces) in notes {
            self.note(canvas, &row.below, pieces);
        }
        for link in span.links.iter() {
            self.note(canvas, &row.below, details::link_pieces(link));
        }
    }

    /// Writes a separate line below a span.
    fn note(&self, canvas: &mut Canvas, below: &str, mut pieces: Vec<Piece>) {
        canvas.put(Tone::Faint, below);
        if let Some((tone, bullet)) = (!pieces.is_empty()).then(|| pieces.remove(0)) {
            let room = self.limit.saturating_sub(canvas.column()).max(MIN_DETAILS);
            canvas.put(tone, &clean(&bullet, room));
        }
        self.flow(canvas, below, columns(below) + GAP, pieces);
    }

    /// Writes the pieces one after another, wrapping to further lines at `indent`.
    fn flow(&self, canvas: &mut Canvas, below: &str, indent: usize, pieces: Vec<Piece>) {
        let room = self.limit.saturating_sub(indent).max(MIN_DETAILS);
        let mut is_first = true;
        for (tone, piece) in pieces {
            let piece = clean(&piece, room);
            if !is_first && canvas.column() + GAP + columns(&piece) > self.limit {
                canvas.end_line();
                canvas.put(Tone::Faint, below.trim_end());
                canvas.move_to(indent);
            } else {
                canvas.space(GAP);
            }
            canvas.put(tone, &piece);
            is_first = false;
        }
        canvas.end_line();
    }
}

/// The time range of a trace, used to draw the bar of each span.
#[derive(Clone, Copy)]
struct Bar {
    start: Timestamp,
    span: Duration,
}

impl Bar {
    /// Returns the number of empty cells before a span's bar, and the length of the bar, which is at least one.
    fn cells(self, span: &SpanData) -> (usize, usize) {
        let whole = self.span.as_nanos().max(1);
        let cell = |at: Timestamp, round_up: u128| {
            let cell = (at.since(self.start).as_nanos() * BAR as u128 + round_up) / whole;
            usize::try_from(cell).unwrap_or(BAR)
        };
        let before = cell(span.start, 0).min(BAR - 1);
        let end = cell(span.end, whole - 1).clamp(before + 1, BAR);
        (before, end - before)
    }
}
