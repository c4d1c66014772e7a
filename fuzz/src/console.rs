//! The console, with names, values, units and parents of any shape.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::trace::{Link, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_console::{ConsoleMetricExporter, ConsoleTraceExporter};
use telemark_sdk::metrics::{Attributes, Metric, MetricData, NumberPoint, ScopeMetrics};
use telemark_sdk::signal::{Metrics, Traces};
use telemark_sdk::text::is_harmful;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::trace::{SpanChunk, SpanData, SpanEvent};
use telemark_sdk::{Batch, Exporter, Resource};

/// Shows arbitrary spans and metrics. The lines must be harmless to a terminal, and the trace header must count all
/// spans.
///
/// Each line of the input is a span: a byte for its id, a byte for its parent, its name, and its attributes after tabs.
pub(crate) fn text(input: &[u8]) {
    let width = usize::from(input.first().copied().unwrap_or_default());
    let input = String::from_utf8_lossy(input);
    let spans: SpanChunk = input.split('\n').take(64).enumerate().map(|(index, line)| span(index, line)).collect();
    let metrics: Vec<_> = input.split('\n').take(64).map(metric).collect();

    let screen = Screen::default();
    let resource = Resource::new([KeyValue::new("service.name", input.clone().into_owned())]);
    let mut traces = ConsoleTraceExporter::to_writer(screen.clone()).with_width(width).with_all_attributes();
    let exported = traces.export(Batch::<Traces>::new(&resource, &spans), Deadline::NEVER);
    assert!(exported.is_ok() && traces.flush(Deadline::NEVER).is_ok());
    let shown = screen.take();
    assert!(
        shown.contains(&format!("  {} span", spans.iter().count())),
        "{} spans are shown as {shown:?}",
        spans.iter().count()
    );
    check(&shown);

    let scope = vec![ScopeMetrics::new(InstrumentationScope::builder("fuzz").build(), metrics)];
    let exported = ConsoleMetricExporter::to_writer(screen.clone())
        .export(Batch::<Metrics>::new(&resource, &scope), Deadline::NEVER);
    assert!(exported.is_ok());
    check(&screen.take());
}

fn check(shown: &str) {
    for line in shown.split('\n') {
        assert!(!line.chars().any(is_harmful), "{line:?} is shown");
    }
}

/// Creates a span in a fixed trace. Parents may be missing, form a cycle, or be the span itself.
fn span(index: usize, line: &str) -> SpanData {
    let mut bytes = line.bytes();
    let mut byte = || u64::from(bytes.next().unwrap_or_default());
    let (id, parent, start) = (byte() % 32 + 1, byte() % 32, byte());
    let context =
        |id| SpanContext::new(TraceId::from(7), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE);
    let mut parts = line.split('\t');
    let name = parts.next().unwrap_or_default().to_owned();
    let scope = InstrumentationScope::builder("fuzz").build().into();
    let mut span = SpanData::new(context(id), name.clone(), scope);
    span.parent_span_id = SpanId::from(parent);
    span.parent_is_remote = index % 5 == 4;
    let start = Timestamp::from_nanos(start << (start % 48));
    span.start = start;
    span.end = Timestamp::from_nanos(id << (parent * 2));
    if index % 3 == 1 {
        span.status = Status::error(name.clone());
    }
    span.own_attributes.extend(parts.map(attribute));
    if index % 4 == 2 {
        span.events.push(SpanEvent::new(name, start, vec![attribute(line)]), 8);
        span.links.push(Link::new(context(parent), vec![attribute(line)], 0), 8);
    }
    span
}

fn metric(line: &str) -> Metric {
    let mut parts = line.split('\t');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, unit, number) = (part(), part(), part());
    let value = number.trim().parse().unwrap_or(f64::from(number.len() as u32));
    let attributes: Attributes = parts.map(attribute).collect();
    let data = MetricData::Gauge { points: vec![NumberPoint::new(attributes, value)] };
    Metric::new(name, data).with_unit(unit)
}

fn attribute(text: &str) -> KeyValue {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    KeyValue::new(key.to_owned(), value.to_owned())
}

/// A writer whose output can be taken.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
