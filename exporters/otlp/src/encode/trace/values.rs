//! The span-related numbers that both encodings write.

use opentelemetry::trace::{SpanContext, SpanKind};
use telemark_sdk::trace::SpanView;

/// Returns a span's flags: the W3C flags in the low byte, then two bits that describe whether the parent is remote.
#[inline]
pub(super) fn span_flags(span: SpanView<'_>) -> u32 {
    flags(span.trace_flags().to_u8(), span.parent_is_remote())
}

/// Returns a link's flags, which describe the linked span.
pub(super) fn link_flags(context: &SpanContext) -> u32 {
    flags(context.trace_flags().to_u8(), context.is_remote())
}

#[inline]
fn flags(w3c: u8, is_remote: bool) -> u32 {
    const HAS_IS_REMOTE: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    u32::from(w3c) | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 }
}

/// Returns the number for a span kind. Zero would mean "unspecified".
#[inline]
pub(super) fn kind(kind: &SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}
