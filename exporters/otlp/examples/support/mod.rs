//! The trace that the examples measure.

use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::trace::SdkTracer;

/// The number of spans in a trace.
pub(crate) const SPANS: u32 = 11;

/// Creates a trace: a root with ten nested spans and three attributes each. Each span does `work`.
pub(crate) fn trace(tracer: &SdkTracer, number: u32, work: &impl Fn()) {
    nested(tracer, &Context::new(), number, SPANS, work);
}

fn nested(tracer: &SdkTracer, parent: &Context, number: u32, left: u32, work: &impl Fn()) {
    let context = parent.with_span(tracer.start_with_context("checkout step", parent));
    context.span().set_attribute(KeyValue::new("customer.name", "Ada Lovelace"));
    context.span().set_attribute(KeyValue::new("cart.items", i64::from(number)));
    context.span().set_attribute(KeyValue::new("cart.gift", number % 2 == 0));
    work();
    if left > 1 {
        nested(tracer, &context, number, left - 1, work);
    }
}
