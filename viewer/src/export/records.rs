//! Log records.

use std::sync::Arc;

use telemark_sdk::Batch;
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::signal::Logs;

use super::spans::{span_id, trace_id};
use super::values::Copier;
use crate::model::{Record, Resource, SpanId, TraceId, Value};
use crate::store::Store;

/// Copies the records of a batch into the store.
pub(super) fn add(batch: Batch<'_, Logs>, resource: &Arc<Resource>, store: &Store) {
    let mut copier = Copier::new(store);
    let records = batch.iter().map(|record| self::record(record, resource, &mut copier)).collect();
    store.add_records(records);
}

fn record<'a>(record: &'a SdkLogRecord, resource: &Arc<Resource>, copier: &mut Copier<'a>) -> Record {
    let time = record.timestamp().filter(|time| time.as_nanos() != 0).or(record.observed_timestamp());
    let (trace, span) = record
        .trace_context()
        .map_or((TraceId(0), SpanId(0)), |context| (trace_id(context.trace_id), span_id(context.span_id)));
    Record {
        time: time.map_or(0, |time| time.as_nanos()),
        severity: record.severity_number().map_or(0, |severity| severity as u8),
        severity_text: copier.name(record.severity_text().unwrap_or_default()),
        body: record.body().map_or(Value::Null, |body| copier.any(body)),
        event_name: copier.name(record.event_name().unwrap_or_default()),
        trace_id: trace,
        span_id: span,
        attributes: copier.entries(record.attributes().iter().map(|(key, value)| (key, value))),
        dropped_attributes: record.dropped_attributes(),
        resource: resource.clone(),
        // As in OTLP, a target replaces the scope of the bridge's only logger.
        scope: match record.target().filter(|target| *target != record.scope().name()) {
            Some(target) => copier.scope_named(target),
            None => copier.scope(record.scope()),
        },
    }
}
