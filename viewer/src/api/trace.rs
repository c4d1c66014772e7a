//! `/trace/{id}.json`: a trace in columns, in the order of its tree.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::Api;
use super::json::micros;
use super::params::Refused;
use crate::analysis::{Peer, Times, Tree, critical_path, equal_siblings, origin, peer, skew, tree};
use crate::model::cut::is_cut;
use crate::model::{Attribute, Event, Kind, Record, Span, TraceId};
use crate::query::text_of;
use crate::store::{Trace, is_error};

/// The maximum number of log records and of events that a trace shows.
const MAX_MARKS: usize = 5_000;
/// The maximum length of a mark's text in characters.
const MAX_TEXT: usize = 500;

mod flag {
    pub(super) const ERROR: u8 = 1;
    pub(super) const RUNNING: u8 = 2;
    pub(super) const MISSING_PARENT: u8 = 4;
    pub(super) const CRITICAL: u8 = 8;
    pub(super) const RECOVERED: u8 = 16;
    pub(super) const SERVER: u8 = 32;
    pub(super) const CLIENT: u8 = 64;
    pub(super) const CUT: u8 = 128;
}

/// A trace as the page draws it. Indices refer to positions in the order of the tree.
#[derive(Debug, Serialize)]
pub(crate) struct TraceView {
    id: TraceId,
    /// In microseconds since the Unix epoch. All other times are nanoseconds from here.
    t0: u64,
    duration: u64,
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    evicted_at: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    cut: u64,
    root: usize,
    spans_held: usize,
    services: Vec<ServiceView>,
    names: Vec<String>,
    columns: Columns,
    groups: Vec<GroupView>,
    critical: Vec<(u32, u64, u64)>,
    origin: Option<OriginView>,
    marks: Vec<Mark>,
    /// The number of marks that are left out.
    #[serde(skip_serializing_if = "is_zero_usize")]
    marks_omitted: usize,
    bytes: usize,
}

/// A service, or the peer of a client's span.
#[derive(Debug, Serialize)]
struct ServiceView {
    name: String,
    hue: u8,
    #[serde(skip_serializing_if = "is_zero_signed")]
    skew_ns: i64,
}

#[derive(Debug, Default, Serialize)]
struct Columns {
    start: Vec<u64>,
    duration: Vec<u64>,
    depth: Vec<u16>,
    parent: Vec<i32>,
    name: Vec<usize>,
    service: Vec<usize>,
    flags: Vec<u8>,
    id: Vec<crate::model::SpanId>,
    peer: Vec<i64>,
}

#[derive(Debug, Serialize)]
struct GroupView {
    first: u32,
    count: u32,
}

#[derive(Debug, Serialize)]
struct OriginView {
    span: u32,
    message: String,
    sentence: String,
    recovered: Vec<u32>,
}

/// A log record or an event on a span's row.
#[derive(Debug, Serialize)]
struct Mark {
    span: usize,
    at: i64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<u8>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_zero_usize(number: &usize) -> bool {
    *number == 0
}

fn is_zero_signed(number: &i64) -> bool {
    *number == 0
}

/// A trace with what its analysis needs, outside of the store's lock.
pub(super) struct Loaded {
    pub(super) trace: Arc<Trace>,
    /// The spans that are held, and those that are running.
    pub(super) spans: Vec<Arc<Span>>,
    pub(super) records: Vec<(u64, Arc<Record>)>,
    pub(super) omitted_records: bool,
}

impl Loaded {
    pub(super) fn spans(&self) -> Vec<&Span> {
        self.spans.iter().map(|span| &**span).collect()
    }
}

impl Api {
    /// Returns a trace, or the refusal that tells when it left the store.
    pub(super) fn load(&self, id: TraceId) -> Result<Loaded, Refused> {
        let running = self.store.running().spans();
        let (trace, records, evicted_at) = self.store.read(|held| {
            let records = held.records.of_trace(id, MAX_MARKS + 1);
            (held.traces.get(id).cloned(), records, held.traces.evicted_at(id))
        });
        let mut running: Vec<_> = running.into_iter().filter(|span| span.trace_id == id).collect();
        let trace = match trace {
            Some(trace) => {
                // A span may have ended since.
                let mut ids: HashMap<_, _> = running.into_iter().map(|span| (span.span_id, span)).collect();
                trace.spans.iter().for_each(|span| drop(ids.remove(&span.span_id)));
                running = ids.into_values().collect();
                trace
            }
            None if !running.is_empty() => {
                Arc::new(Trace::of_running(id, std::mem::take(&mut running), self.store.now()))
            }
            None => {
                let message = match evicted_at {
                    Some(_) => {
                        "the trace left the store to make room for newer telemetry; OTEL_RUST_VIEWER_MAX_MEMORY determines how \
                                much the store holds"
                    }
                    None => {
                        "the store does not hold the trace: none of its spans has arrived, or they left long ago to make room"
                    }
                };
                return Err(Refused { evicted_at: evicted_at.map(micros), ..Refused::new(404, message) });
            }
        };
        let mut records = records;
        let omitted_records = records.len() > MAX_MARKS;
        records.truncate(MAX_MARKS);
        let spans = trace.spans.iter().cloned().chain(running).collect();
        Ok(Loaded { trace, spans, records, omitted_records })
    }

    pub(super) fn trace(&self, id: TraceId) -> Result<TraceView, Refused> {
        let loaded = self.load(id)?;
        let spans = loaded.spans();
        let tree = tree(&spans);
        let skew = skew(&spans, &tree);
        let times = Times::new(&spans, &tree, &skew);
        let (origin, recovered) = origin(&spans, &tree, &skew);
        let critical = critical_path(&spans, &tree, &skew);

        // Whole microseconds, so that times from here are exact.
        let t0 = times.start.iter().min().map_or(0, |start| micros(*start));
        let base = t0.saturating_mul(1_000);
        let last = times.end.iter().max().map_or(base, |end| *end);
        let mut services = Services::default();
        let mut names = Indexed::default();
        let mut columns = self.columns(&spans, &tree, &times, base, &mut services, &mut names);
        let mut set = |position: u32, flag: u8| {
            if let Some(flags) = columns.flags.get_mut(position as usize) {
                *flags |= flag;
            }
        };
        critical.iter().for_each(|(position, _, _)| set(*position, flag::CRITICAL));
        recovered.iter().for_each(|position| set(*position, flag::RECOVERED));
        services.set_skew(&columns.service, &skew);
        let (marks, marks_omitted) = marks(&loaded, &spans, &tree, &skew, base);
        let hues = self.hues(services.names());
        let trace = &loaded.trace;
        Ok(TraceView {
            id,
            t0,
            duration: last.saturating_sub(base),
            partial: trace.is_partial() || tree.missing.contains(&true),
            evicted_at: trace.evicted_at.map(micros),
            cut: trace.cut,
            root: tree.main_root(&times).unwrap_or(0),
            spans_held: trace.spans.len(),
            services: services.views(hues),
            names: names.items.iter().map(|name| (**name).to_owned()).collect(),
            groups: equal_siblings(&spans, &tree)
                .into_iter()
                .map(|group| GroupView { first: group.first, count: group.count })
                .collect(),
            critical: critical
                .into_iter()
                .map(|(position, from, to)| (position, from.saturating_sub(base), to.saturating_sub(base)))
                .collect(),
            origin: origin.map(|origin| OriginView {
                span: origin.span,
                message: origin.message,
                sentence: origin.sentence,
                recovered: origin.recovered,
            }),
            marks,
            marks_omitted,
            bytes: trace.bytes,
            columns,
        })
    }

    fn columns(
        &self,
        spans: &[&Span],
        tree: &Tree,
        times: &Times,
        base: u64,
        services: &mut Services,
        names: &mut Indexed<Arc<str>>,
    ) -> Columns {
        let mut columns = Columns { depth: tree.depth.clone(), parent: tree.parent.clone(), ..Columns::default() };
        for (position, &index) in tree.order.iter().enumerate() {
            let Some(span) = spans.get(index as usize) else { continue };
            let start = times.start.get(position).copied().unwrap_or(base);
            let end = times.end.get(position).copied().unwrap_or(start);
            columns.start.push(start.saturating_sub(base));
            columns.duration.push(end.saturating_sub(start));
            columns.name.push(names.index(span.name.clone()));
            columns.service.push(services.index(&span.resource.service));
            columns
                .flags
                .push(flags(span) | if tree.missing.get(position) == Some(&true) { flag::MISSING_PARENT } else { 0 });
            columns.id.push(span.span_id);
            let called = peer(span).map(|Peer { name, .. }| services.index(&name));
            columns.peer.push(called.and_then(|index| i64::try_from(index).ok()).unwrap_or(-1));
        }
        columns
    }
}

fn flags(span: &Span) -> u8 {
    let mut flags = 0;
    let mut set = |flag: u8, condition: bool| flags |= if condition { flag } else { 0 };
    set(flag::ERROR, is_error(span));
    set(flag::RUNNING, span.end == 0);
    set(flag::SERVER, span.kind == Kind::Server);
    set(flag::CLIENT, span.kind == Kind::Client);
    set(flag::CUT, span.attributes.iter().any(|attribute| is_cut(&attribute.value)));
    flags
}

/// Distinct items with their indices.
#[derive(Debug)]
struct Indexed<T> {
    items: Vec<T>,
    indices: HashMap<T, usize>,
}

impl<T> Default for Indexed<T> {
    fn default() -> Self {
        Indexed { items: Vec::new(), indices: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Indexed<T> {
    fn index(&mut self, item: T) -> usize {
        *self.indices.entry(item).or_insert_with_key(|item| {
            self.items.push(item.clone());
            self.items.len() - 1
        })
    }
}

/// The services and peers of a trace.
#[derive(Default)]
struct Services {
    names: Indexed<Arc<str>>,
    skews: HashMap<usize, i64>,
}

impl Services {
    fn index(&mut self, name: &str) -> usize {
        match self.names.indices.get(name) {
            Some(&index) => index,
            None => self.names.index(name.into()),
        }
    }

    /// Remembers the correction of each service's clock. Instances may differ; the largest is shown.
    fn set_skew(&mut self, service: &[usize], skew: &[i64]) {
        for (&service, &skew) in service.iter().zip(skew).filter(|&(_, &skew)| skew != 0) {
            let known = self.skews.entry(service).or_insert(0);
            if skew.unsigned_abs() > known.unsigned_abs() {
                *known = skew;
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.items.iter().map(|name| &**name)
    }

    fn views(&self, hues: Vec<u8>) -> Vec<ServiceView> {
        let named = self.names().zip(hues).enumerate();
        named
            .map(|(at, (name, hue))| ServiceView {
                name: name.to_owned(),
                hue,
                skew_ns: self.skews.get(&at).copied().unwrap_or(0),
            })
            .collect()
    }
}

/// Returns the log records and events on their spans' rows, and the number of those that are left out.
fn marks(loaded: &Loaded, spans: &[&Span], tree: &Tree, skew: &[i64], base: u64) -> (Vec<Mark>, usize) {
    let at = |time: u64, position: usize| {
        let skew = skew.get(position).copied().unwrap_or(0);
        i64::try_from(i128::from(time) + i128::from(skew) - i128::from(base)).unwrap_or(0)
    };
    let mut marks = Vec::new();
    let mut omitted = usize::from(loaded.omitted_records);
    let mut by_id = HashMap::new();
    for (position, &index) in tree.order.iter().enumerate() {
        let Some(span) = spans.get(index as usize) else { continue };
        by_id.entry(span.span_id).or_insert(position);
        for event in &span.events {
            if marks.len() >= MAX_MARKS {
                omitted += 1;
                continue;
            }
            let (kind, text) = event_text(event);
            marks.push(Mark { span: position, at: at(event.time, position), kind, severity: None, text, record: None });
        }
    }
    for (id, record) in &loaded.records {
        let Some(&position) = by_id.get(&record.span_id) else { continue };
        let (at, severity) = (at(record.time, position), Some(record.severity));
        marks.push(Mark { span: position, at, kind: "log", severity, text: record_text(record), record: Some(*id) });
    }
    marks.sort_by_key(|mark| (mark.span, mark.at));
    (marks, omitted)
}

/// Returns the kind and the text of an event.
fn event_text(event: &Event) -> (&'static str, String) {
    if &*event.name != "exception" {
        return ("event", shortened(&event.name));
    }
    let find = |key: &str| event.attributes.iter().find(|attribute| &*attribute.key == key);
    let text = |attribute: &Attribute| text_of(&attribute.value).into_owned();
    let parts = [find("exception.type").map(text), find("exception.message").map(text)];
    ("exception", shortened(&parts.into_iter().flatten().collect::<Vec<String>>().join(": ")))
}

/// Returns the text of a log record: its body, or the name of its event.
pub(super) fn record_text(record: &Record) -> String {
    match &record.body {
        crate::model::Value::Null => shortened(&record.event_name),
        body => shortened(&text_of(body)),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}\u{2026}", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
