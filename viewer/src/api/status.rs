//! `/status.json`: what the store holds.

use serde_json::{Value as Json, json};

use super::Api;
use super::json::micros;

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
        let (mut status, services) = self.store.read(|held| {
            let oldest = held.traces.by_arrival(held.traces.first_arrival()).map(|trace| micros(trace.start));
            let cursor = [held.traces.version(), held.records.next(), held.metrics.version].iter().sum::<u64>();
            let status = json!({
                "cursor": cursor,
                "oldest": oldest,
                "spans": held.traces.spans,
                "traces": held.traces.len(),
                "records": held.records.len(),
                "series": held.metrics.series,
                "spans_per_second": held.rate.per_second(now),
                "evicted": {
                    "spans": held.evicted.spans,
                    "records": held.evicted.records,
                    "points": held.evicted.points,
                },
            });
            (status, held.services.list())
        });
        let services = services.iter().take(MAX_SERVICES).map(|(name, service)| {
            json!({ "name": &**name, "hue": service.hue, "spans": service.spans, "errors": service.errors })
        });
        let receivers =
            self.receivers.iter().map(|(protocol, address)| json!({ "protocol": protocol, "address": address }));
        if let Some(status) = status.as_object_mut() {
            status.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
            status.insert("address".to_owned(), self.address.to_string().into());
            status.insert("in_process".to_owned(), self.in_process.into());
            status.insert("now".to_owned(), micros(now).into());
            status.insert("used".to_owned(), used.into());
            status.insert("limit".to_owned(), limit.into());
            status.insert("running".to_owned(), running.into());
            status.insert("refused".to_owned(), self.store.refused().into());
            status.insert("findings".to_owned(), findings.into());
            status.insert("services".to_owned(), services.collect());
            status.insert("receivers".to_owned(), receivers.collect());
        }
        status
    }
}
