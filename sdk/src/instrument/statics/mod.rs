//! Metrics in statics, declared once and recorded in one line.
//!
//! ```
//! use telemark_sdk::instrument::statics::{Counter, Histogram};
//!
//! static ORDERS: Counter<u64> = Counter::new("shop.orders").with_unit("{order}").with_description("Orders placed");
//! static WEIGHT: Histogram<f64> = Histogram::new("shop.parcel.weight").with_unit("kg").with_boundaries(&[0.5, 2.0, 10.0]);
//!
//! ORDERS.add(1, ("shop.order.kind", "web"));
//! WEIGHT.record(1.2, (("shop.carrier", "bike"), ("shop.express", true)));
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `instruments` | [`Counter`], [`UpDownCounter`], [`Gauge`], [`Histogram`] |
//! | `scope` | [`Scope`]: the crate that declares a static |
//! | `lazy` | the instrument behind a static, found on the installed provider |
//! | `attributes` | [`Attributes`] and [`AttributeValue`]: the attributes of a measurement |
//!
//! Instruments record to the meter provider of the [installed](crate::install::Telemetry::install) telemetry or, in a
//! test, to the meter provider of the [`TestTelemetry`](crate::testing::TestTelemetry) in the current context. Without
//! either, a measurement is dropped and costs one relaxed load.

mod attributes;
mod instruments;
mod lazy;
mod scope;

pub use attributes::{AttributeValue, Attributes};
pub use instruments::{Counter, Gauge, Histogram, UpDownCounter};
pub use scope::Scope;
