//! The metric of requests by route and by the origin of their parent.

use opentelemetry::KeyValue;

use super::words::PARENT_ORIGINS;
use crate::diag::ServedRoutes;
use crate::metrics::{Observable, Observer, SdkMeter};

/// The metric `telemark.sdk.server.requests`. It has no series unless a component counts requests.
pub(super) struct Served {
    routes: Option<ServedRoutes>,
    requests: Observable<u64>,
}

impl Served {
    pub(super) fn new(meter: &SdkMeter, routes: Option<ServedRoutes>) -> Self {
        let requests = meter.observable_counter("telemark.sdk.server.requests").with_unit("{request}");
        let requests = requests.with_description("The number of served requests, by the origin of the parent.");
        Served { routes, requests: requests.build() }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        let Some(routes) = self.routes else { return };
        for route in routes() {
            let counts = [route.without_parent, route.local_parent, route.remote_parent];
            for (origin, count) in PARENT_ORIGINS.into_iter().zip(counts) {
                if count > 0 {
                    let name = route.route.clone().map(|route| KeyValue::new("http.route", route));
                    let origin = KeyValue::new("otel.span.parent.origin", origin);
                    let attributes: Vec<_> = name.into_iter().chain([origin]).collect();
                    observer.observe(&self.requests, count, &attributes);
                }
            }
        }
    }
}
