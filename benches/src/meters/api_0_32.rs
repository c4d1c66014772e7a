//! `opentelemetry_sdk` 0.32 for the libraries that are not on the current version of the API.

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_0_32::global;
use opentelemetry_sdk_0_32::error::OTelSdkResult;
use opentelemetry_sdk_0_32::metrics::data::ResourceMetrics;
use opentelemetry_sdk_0_32::metrics::reader::MetricReader;
use opentelemetry_sdk_0_32::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};

use super::Recorded;

/// Installs `opentelemetry_sdk` 0.32 as the global meter provider, with a reader that collects only on request.
pub(crate) fn make_opentelemetry_sdk_0_32_global() -> Recorded {
    let reader = Shared(Arc::new(ManualReader::builder().build()));
    global::set_meter_provider(SdkMeterProvider::builder().with_reader(reader.clone()).build());
    Box::new(move || {
        let mut collected = ResourceMetrics::default();
        reader.collect(&mut collected).expect("the provider has the reader");
        let is_of_program = |scope: &&opentelemetry_sdk_0_32::metrics::data::ScopeMetrics| {
            !scope.scope().name().starts_with("otel.sdk")
        };
        collected.scope_metrics().filter(is_of_program).map(|scope| scope.metrics().count()).sum()
    })
}

/// A reader that the provider and this program share.
#[derive(Clone, Debug)]
struct Shared(Arc<ManualReader>);

impl MetricReader for Shared {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, into: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(into)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
