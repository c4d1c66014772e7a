//! The instruments that can be declared as statics.

use opentelemetry::metrics as api;

use super::lazy::{ApiInstrument, Lazy};
use super::{Attributes, Scope};

macro_rules! instrument {
    ($(#[$doc:meta])* $name:ident, $(#[$method_doc:meta])* $method:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T>(Lazy<api::$name<T>>);

        impl<T> $name<T>
        where
            api::$name<T>: ApiInstrument<Number = T>,
        {
            /// Creates an instrument. The name is a letter followed by at most 254 letters, digits, `_`, `.`, `-` or `/`.
            ///
            /// spec: metrics/api.md#instrument-name-syntax
            pub const fn new(name: &'static str) -> Self {
                $name(Lazy::new(name))
            }

            /// Sets the unit in UCUM notation, such as `s`, `By` or `{order}`.
            pub const fn with_unit(mut self, unit: &'static str) -> Self {
                self.0.description.unit = unit;
                self
            }

            /// Sets the description, usually one sentence.
            pub const fn with_description(mut self, description: &'static str) -> Self {
                self.0.description.description = description;
                self
            }

            /// Sets the instrumentation scope, usually the crate that declares the static: `telemark::scope!()`. The default
            /// is `telemark` with its own version.
            ///
            /// spec: common/instrumentation-scope.md
            pub const fn with_scope(mut self, scope: Scope) -> Self {
                self.0.description.scope = Some(scope);
                self
            }

            $(#[$method_doc])*
            #[inline]
            pub fn $method(&self, value: T, attributes: impl Attributes) {
                self.0.record(value, attributes);
            }
        }
    };
}

instrument! {
    /// Counts a quantity that only grows, such as orders or bytes sent. The type is `u64` or `f64`.
    ///
    /// ```
    /// use telemark_sdk::instrument::statics::Counter;
    /// static ORDERS: Counter<u64> = Counter::new("shop.orders").with_unit("{order}").with_description("Orders placed");
    /// ORDERS.add(1, ("kind", "web"));
    /// ```
    ///
    /// spec: metrics/api.md#counter
    Counter,
    /// Adds to the total. Drops and counts values that are negative or not finite.
    add
}

instrument! {
    /// Counts a quantity that grows and shrinks, such as queued items or open connections. The type is `i64` or `f64`.
    ///
    /// ```
    /// use telemark_sdk::instrument::statics::UpDownCounter;
    /// static WAITING: UpDownCounter<i64> = UpDownCounter::new("shop.orders.waiting").with_unit("{order}");
    /// WAITING.add(1, ());
    /// WAITING.add(-1, ());
    /// ```
    ///
    /// spec: metrics/api.md#updowncounter
    UpDownCounter,
    /// Adds to the total, or subtracts if the value is negative. Drops and counts values that are not finite.
    add
}

instrument! {
    /// Keeps the last value of a quantity that cannot be summed, such as a temperature. The type is `u64`, `i64` or
    /// `f64`.
    ///
    /// ```
    /// use telemark_sdk::instrument::statics::Gauge;
    /// static TEMPERATURE: Gauge<f64> = Gauge::new("shop.fridge.temperature").with_unit("Cel");
    /// TEMPERATURE.record(4.5, ("fridge", 2));
    /// ```
    ///
    /// spec: metrics/api.md#gauge
    Gauge,
    /// Sets the value. Drops and counts values that are not finite.
    record
}

instrument! {
    /// Records the distribution of values, such as durations or sizes. The type is `u64` or `f64`.
    ///
    /// ```
    /// use telemark_sdk::instrument::statics::Histogram;
    /// static WEIGHT: Histogram<f64> = Histogram::new("shop.parcel.weight").with_unit("kg").with_boundaries(&[0.5, 2.0]);
    /// WEIGHT.record(1.2, (("carrier", "bike"), ("express", true)));
    /// ```
    ///
    /// spec: metrics/api.md#histogram
    Histogram,
    /// Records a value. Drops and counts values that are not finite.
    record
}

impl<T> Histogram<T>
where
    api::Histogram<T>: ApiInstrument<Number = T>,
{
    /// Sets the upper bounds of the buckets, in increasing order and in the unit of the histogram. A view may override them.
    /// The defaults come from the specification and suit milliseconds: 0, 5, 10, 25 and so on up to 10000.
    ///
    /// spec: metrics/sdk.md#explicit-bucket-histogram-aggregation
    pub const fn with_boundaries(mut self, boundaries: &'static [f64]) -> Self {
        self.0.description.boundaries = Some(boundaries);
        self
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::instrument::spans::span;
    use crate::testing::TestTelemetry;

    static ORDERS: Counter<u64> = Counter::new("orders").with_unit("{order}").with_description("Orders placed");
    static WAITING: UpDownCounter<i64> = UpDownCounter::new("waiting").with_scope(crate::scope!());
    static LEVEL: Gauge<f64> = Gauge::new("level").with_unit("1");
    static WEIGHT: Histogram<f64> = Histogram::new("weight").with_unit("kg").with_boundaries(&[0.5, 2.0]);

    #[track_caller]
    fn check(scenario: impl FnOnce(), expected: &str) -> TestTelemetry {
        let telemetry = TestTelemetry::new();
        {
            let _guard = telemetry.attach();
            scenario();
        }
        assert_eq!(telemetry.metrics(), expected);
        telemetry
    }

    #[test]
    fn each_kind_records_as_it_was_declared() {
        let telemetry = check(
            || {
                ORDERS.add(2, ("kind", "web"));
                ORDERS.add(1, [("kind", "web")]);
                ORDERS.add(1, ());
                WAITING.add(3, ());
                WAITING.add(-1, ());
                LEVEL.record(0.5, (("tank", 1), ("full", false)));
                LEVEL.record(0.25, (("full", false), ("tank", 1)));
                WEIGHT.record(1.0, ());
                WEIGHT.record(7.0, ());
            },
            "level[1]{full=false,tank=1} gauge 0.25\n\
             orders[{order}] sum 1\n\
             orders[{order}]{kind=web} sum 3\n\
             waiting up-down sum 2\n\
             weight[kg] histogram count=2 sum=8 min=1 max=7 <=2:1 <=inf:1\n",
        );
        let collected = telemetry.collect();
        let scopes = collected.iter().map(|of| format!("{} {:?}", of.scope.name(), of.scope.version()));
        let scopes: Vec<_> = scopes.collect();
        let version = Some(env!("CARGO_PKG_VERSION"));
        assert!(scopes.contains(&format!("telemark {version:?}")), "{scopes:?}");
        assert!(scopes.contains(&format!("telemark-sdk {version:?}")), "the crate of the static: {scopes:?}");
    }

    #[test]
    fn exemplars_lead_to_the_span() {
        let telemetry = check(
            || {
                span("order").in_scope(|| ORDERS.add(1, ()));
            },
            "orders[{order}] sum 1 # 1 @1:1\n",
        );
        assert_eq!(telemetry.tree(), "order\n");
    }

    #[test]
    fn a_value_that_panics_costs_the_measurement_only() {
        struct Panics;
        impl super::super::AttributeValue for Panics {
            fn into_value(self) -> Option<opentelemetry::Value> {
                panic!("on purpose")
            }
        }
        check(|| ORDERS.add(1, ("kind", Panics)), "");
    }

    #[test]
    fn tests_beside_each_other_have_their_own_and_without_one_nothing_is_recorded() {
        ORDERS.add(1, ());
        let outer = check(
            || {
                check(|| ORDERS.add(5, ()), "orders[{order}] sum 5\n");
                ORDERS.add(1, ());
            },
            "orders[{order}] sum 1\n",
        );
        ORDERS.add(1, ());
        assert_eq!(outer.metrics(), "orders[{order}] sum 1\n");
    }
}
