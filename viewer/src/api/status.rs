//! `/status.json`: what the store holds.

use serde_json::{Value as Json, json};

use super::Api;
use super::json::micros;
use crate::model::Text;
use crate::store::{EvictedCounts, Service};

/// The maximum number of services in a response.
const MAX_SERVICES: usize = 200;
/// The age of the number of findings, in nanoseconds.
const FINDINGS_AGE: u64 = 5_000_000_000;

impl Api {
    pub(super) fn status(&self) -> Json {
        // A page is open, so that spans of this process are followed.
        let running = self.store.running().count();
        let now = self.store.now();
        let (used, limit) = self.store.usage();
        let findings = self.findings_within(FINDINGS_AGE).get("findings").and_then(Json::as_array).map_or(0, Vec::len);
        let facts = self.store.read(|held| Facts {
            cursor: [held.traces.version(), held.records.next(), held.metrics.version].iter().sum(),
            oldest: held.traces.by_arrival(held.traces.first_arrival()).map(|trace| trace.start),
            spans: held.traces.spans,
            traces: held.traces.len(),
            records: held.records.len(),
            series: held.metrics.series,
            rate: held.rate.per_second(now),
            evicted: held.evicted,
            services: held.services.list(),
        });
        let services = facts.services.iter().take(MAX_SERVICES).map(|(name, service)| {
            json!({ "name": &**name, "hue": service.hue, "spans": service.spans, "errors": service.errors })
        });
        let receivers =
            self.receivers.iter().map(|(protocol, address)| json!({ "protocol": protocol, "address": address }));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "address": self.address.to_string(),
            "in_process": self.in_process,
            "now": micros(now),
            "cursor": facts.cursor,
            "oldest": facts.oldest.map(micros),
            "used": used,
            "limit": limit,
            "spans": facts.spans,
            "traces": facts.traces,
            "records": facts.records,
            "series": facts.series,
            "running": running,
            "spans_per_second": facts.rate,
            "evicted": {
                "spans": facts.evicted.spans,
                "records": facts.evicted.records,
                "points": facts.evicted.points,
            },
            "findings": findings,
            "services": services.collect::<Vec<Json>>(),
            "receivers": receivers.collect::<Vec<Json>>(),
        })
    }
}

/// What a response copies from the store.
struct Facts {
    cursor: u64,
    oldest: Option<u64>,
    spans: usize,
    traces: usize,
    records: usize,
    series: usize,
    rate: f64,
    evicted: EvictedCounts,
    services: Vec<(Text, Service)>,
}
