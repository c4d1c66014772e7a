//! The propagators, with untrusted headers.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use telemark_sdk::propagation::{
    B3Propagator, BaggagePropagator, JaegerPropagator, OtTracePropagator, TraceContextPropagator,
};
use telemark_xray::XRayPropagator;

use crate::headers;

/// W3C trace context: an extracted context must survive injection.
pub(crate) fn trace_context(input: &[u8]) {
    round_trip(&TraceContextPropagator::new(), &headers(input));
}

/// W3C baggage: injected baggage must stay within the limits.
pub(crate) fn baggage(input: &[u8]) {
    let carrier = headers(input);
    let passed_on = pass_on(&BaggagePropagator::new(), &carrier).1;
    let line = passed_on.get("baggage").map_or("", String::as_str);
    assert!(line.len() <= 8192, "baggage of {} bytes is passed on", line.len());
    assert!(
        line.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte)),
        "baggage that is no header value: {line:?}"
    );
}

/// B3 in both encodings.
pub(crate) fn b3(input: &[u8]) {
    let carrier = headers(input);
    round_trip(&B3Propagator::single(), &carrier);
    round_trip(&B3Propagator::multi(), &carrier);
}

/// Jaeger, OT trace and X-Ray. What they pass on must be header values.
pub(crate) fn other_formats(input: &[u8]) {
    let carrier = headers(input);
    round_trip(&JaegerPropagator::new(), &carrier);
    round_trip(&XRayPropagator::new(), &carrier);
    // It sends half of a trace id, which then stays the same.
    let ot_trace = OtTracePropagator::new();
    round_trip(&ot_trace, &pass_on(&ot_trace, &carrier).1);
    for propagator in [&JaegerPropagator::new() as &dyn TextMapPropagator, &XRayPropagator::new(), &ot_trace] {
        for (name, value) in pass_on(propagator, &carrier).1 {
            assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "no header value: {name}: {value:?}");
        }
    }
}

/// An extracted span context must stay the same when it is injected and extracted again.
fn round_trip(propagator: &dyn TextMapPropagator, carrier: &HashMap<String, String>) {
    let (extracted, passed_on) = pass_on(propagator, carrier);
    let again = propagator.extract_with_context(&Context::new(), &passed_on);
    let (first, second) = (extracted.span().span_context().clone(), again.span().span_context().clone());
    assert_eq!(first.is_valid(), second.is_valid());
    assert_eq!((first.trace_id(), first.span_id()), (second.trace_id(), second.span_id()));
    assert_eq!(first.is_sampled(), second.is_sampled());
    assert_eq!(first.trace_state(), second.trace_state());
}

fn pass_on(
    propagator: &dyn TextMapPropagator,
    carrier: &HashMap<String, String>,
) -> (Context, HashMap<String, String>) {
    let extracted = propagator.extract_with_context(&Context::new(), carrier);
    let mut passed_on = HashMap::new();
    propagator.inject_context(&extracted, &mut passed_on);
    (extracted, passed_on)
}
