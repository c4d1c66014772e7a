//! The cost and the warnings of unbounded instrument creation, as in a program that derives instrument names from
//! input. This file contains a single test, because the message sink is global to the process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a thread that may outlive what waits for it")]

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use telemark_sdk::diag;
use telemark_sdk::metrics::{INSTRUMENT_LIMIT, PullReader, SdkMeterProvider};
use telemark_sdk::testing::metrics_text;
use telemark_sdk::time::Deadline;

fn provider() -> (SdkMeterProvider, PullReader) {
    let reader = PullReader::default();
    (SdkMeterProvider::builder().with_reader(reader.clone()).build(), reader)
}

fn metrics(reader: &PullReader) -> usize {
    reader.collect(Deadline::NEVER).unwrap().iter().map(|scope| scope.metrics.len()).sum()
}

#[test]
fn instruments_are_bounded_and_what_is_beyond_is_counted_and_said_once() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let within: Arc<OnceLock<SdkMeterProvider>> = Arc::default();
    let (sink, sinks_provider) = (said.clone(), within.clone());
    // Messages are logged outside all locks, because the sink itself creates an instrument on another thread.
    assert!(diag::set_sink(move |_, text| {
        let made = sinks_provider.get().cloned().map(|provider| {
            let (done, made) = channel();
            std::thread::spawn(move || {
                drop(provider.meter("sink").u64_counter("c").build());
                done.send(()).unwrap();
            });
            made.recv_timeout(Duration::from_secs(20)).is_ok()
        });
        sink.lock().unwrap().push((text.to_owned(), made));
    }));
    let take = || std::mem::take(&mut *said.lock().unwrap());

    // Many instrument names.
    let (provider, reader) = self::provider();
    let meter = provider.meter("m");
    let count = |name: String| meter.u64_counter(name).build().add(1, &[]);
    (0..INSTRUMENT_LIMIT).for_each(|n| count(format!("name.{n}")));
    assert_eq!((provider.rejected_instruments(), take().len()), (0, 0));
    (0..5).for_each(|n| count(format!("further.{n}")));
    drop(meter.f64_histogram("further").build().bind(&[]));
    meter.u64_observable_gauge("further.o").with_callback(|o| o.observe(1, &[])).build();
    assert_eq!(provider.rejected_instruments(), 7);
    let texts: Vec<_> = take().into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, [r#"the instrument "further.0" does not record: there are 10000 metrics already"#]);
    // Existing instruments are still found and still record measurements.
    count("name.7".to_owned());
    assert_eq!((metrics(&reader), provider.rejected_instruments()), (INSTRUMENT_LIMIT, 7));
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    assert!(text.lines().any(|line| line == "name.7 sum 2") && !text.contains("further"));

    // Many scopes.
    let (provider, reader) = self::provider();
    for n in 0..INSTRUMENT_LIMIT + 3 {
        let name: &'static str = Box::leak(format!("scope.{n}").into_boxed_str());
        provider.meter(name).u64_counter("c").build().add(1, &[]);
    }
    assert_eq!((metrics(&reader), provider.rejected_instruments()), (INSTRUMENT_LIMIT, 3));

    // Many callbacks of a single instrument.
    let (provider, _reader) = self::provider();
    for _ in 0..INSTRUMENT_LIMIT + 2 {
        provider.meter("m").u64_observable_counter("o").with_callback(|o| o.observe(1, &[])).build();
    }
    assert_eq!(provider.rejected_instruments(), 2);
    assert!(
        take().iter().any(|(text, _)| text.starts_with("a callback of an observable instrument will not be called"))
    );

    // Many instruments with the same name. The first conflicts are logged individually; the others share one message
    // per minute.
    let (provider, reader) = self::provider();
    drop(within.set(provider.clone()));
    for n in 0..3000 {
        provider.meter("m").u64_counter("c").with_unit(format!("u{n}")).build().add(1, &[]);
    }
    let told = take();
    assert_eq!(told.len(), 11, "{told:?}");
    assert!(told.iter().all(|(text, made)| text.contains("has two metrics with the name") && *made == Some(true)));
    assert_eq!(metrics(&reader), 3000);
}
