//! A metrics receiver that requests a pause.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use telemark_sdk::metrics::{PeriodicConfig, PeriodicReader, ReaderConfig, SdkMeterProvider, TemporalityPreference};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Metrics;
use telemark_sdk::testing::metrics_text;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

#[derive(Clone, Default)]
struct Busy {
    pause: Arc<Mutex<Duration>>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Exporter<Metrics> for Busy {
    fn export(&mut self, batch: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
        if !self.pause.lock().unwrap().is_zero() {
            return Err(ExportError::unavailable("busy"));
        }
        self.taken.lock().unwrap().push(metrics_text(batch.as_slice()));
        Ok(ExportReport::accepted())
    }

    fn pause(&self) -> Duration {
        *self.pause.lock().unwrap()
    }
}

#[test]
fn deltas_wait_in_their_series_until_the_pause_is_over() {
    let (busy, runtime) = (Busy::default(), ManualRuntime::new());
    let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
    let reader =
        PeriodicReader::start(busy.clone(), PeriodicConfig::default(), config, &Runtime::Manual(runtime.clone()));
    let provider = SdkMeterProvider::builder().with_reader(reader.unwrap()).build();
    let counter = provider.meter("test").u64_counter("c").build();
    for pause in [0, 60, 60, 0] {
        *busy.pause.lock().unwrap() = Duration::from_secs(pause);
        counter.add(1, &[]);
        runtime.run_timers();
    }
    assert_eq!(*busy.taken.lock().unwrap(), ["c delta sum 1\n", "c delta sum 3\n"]);
    assert_eq!((provider.health()[0].exported, provider.health()[0].failed), (2, 0));
    // An explicit flush during the pause returns an error.
    *busy.pause.lock().unwrap() = Duration::from_secs(60);
    counter.add(1, &[]);
    assert!(provider.force_flush(Deadline::NEVER).unwrap_err().to_string().contains("busy"));
}
