//! Warnings about conflicting metrics and ignored views. This file contains a single test, because the message sink is
//! global to the process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use opentelemetry::metrics::{Meter, MeterProvider};
use telemark_sdk::diag;
use telemark_sdk::metrics::{Aggregation, PullReader, SdkMeterProvider, View};

#[test]
fn conflicts_are_said_once_with_a_view_that_ends_them() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = said.clone();
    assert!(diag::set_sink(move |level, text| sink.lock().unwrap().push(format!("{level}: {text}"))));
    let check = |views: &[View], record: &dyn Fn(&Meter), expected: &[&str]| {
        let builder = SdkMeterProvider::builder().with_reader(PullReader::default());
        let provider = views.iter().fold(builder, |builder, view| builder.with_view(view.clone())).build();
        record(&provider.meter("m"));
        // Recording again logs nothing new.
        record(&provider.meter("m"));
        let said = std::mem::take(&mut *said.lock().unwrap());
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (text, expected) in said.iter().zip(expected) {
            assert!(text.starts_with("warning: ") && text.contains(expected), "{text}");
        }
    };
    let counter = |meter: &Meter, name: &'static str| drop(meter.u64_counter(name).build());

    check(&[], &|meter| [counter(meter, "c"), counter(meter, "C")].into_iter().collect(), &[]);
    check(
        &[],
        &|meter| {
            counter(meter, "c");
            drop(meter.i64_up_down_counter("C").build());
        },
        &["a Counter of U64 and a UpDownCounter of I64; both are exported. To tell them apart: View::of(\"C\")"],
    );
    check(
        &[],
        &|meter| {
            counter(meter, "c");
            drop(meter.u64_counter("c").with_unit("By").build());
        },
        &["in \"\" and in \"By\""],
    );
    let described = |meter: &Meter| {
        for text in ["one", "two"] {
            drop(meter.u64_counter("c").with_description(text).build());
        }
    };
    check(
        &[],
        &described,
        &[
            "described as \"one\" and as \"two\"; both are exported. To tell them apart: View::of(\"c\").with_description(\"one\")",
        ],
    );
    check(&[View::of("c").with_description("one")], &described, &[]);
    // A view renames two instruments to the same name.
    check(
        &[View::of("a").with_name("b")],
        &|meter| {
            drop(meter.u64_counter("b").build());
            drop(meter.f64_counter("a").build());
        },
        &["a Counter of U64 and a Counter of F64"],
    );
    // Metrics of different meters do not conflict.
    check(&[], &|meter| counter(meter, "c"), &[]);
    check(&[View::of("*").with_name("x")], &|_| (), &["a view is ignored because it gives one name to instruments"]);
    let bad = Aggregation::Base2ExponentialHistogram { max_size: 1, max_scale: 20, record_min_max: true };
    check(&[View::of_all().with_aggregation(bad)], &|_| (), &["a view is ignored because its size is less than 2"]);
}
