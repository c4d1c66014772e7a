//! Writing a line allocates nothing on a thread that has already written one.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use telemark_sdk::testing::TestTelemetry;
use telemark_tracing_fmt::{Format, LineLayer};
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn a_line_allocates_nothing_once_its_thread_is_warm() {
    let telemetry = TestTelemetry::new();
    let _guard = telemetry.attach();
    let event = || tracing::info!(order.id = 7, user = "ada", price = 0.5, item = ?Some(1), "order {} placed", 7);
    for format in [Format::Json, Format::JsonFlat, Format::Ecs, Format::Text] {
        let layer = LineLayer::new(format).with_span_fields().with_writer(std::io::sink);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            telemark_sdk::instrument::spans::span("order").in_scope(|| {
                let _span = tracing::info_span!("span", shop = "web").entered();
                event();
                let warm = allocation_counter::measure(|| (0..100).for_each(|_| event()));
                assert_eq!(warm.count_total, 0, "{format:?}");
            });
        });
    }
}
