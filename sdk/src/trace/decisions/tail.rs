//! The part of a tracer in tail sampling: every span is recorded, local roots are announced, and errors may be told to other services.

use std::fmt;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId};

use crate::decided::Decided;
use crate::diag;
use crate::trace::SpanRecord;

/// Answers questions about the context in which a local root starts, one bit for each yes.
pub(crate) type Asks = Box<dyn Fn(&Context) -> u16 + Send + Sync>;

/// The tail sampling of a provider, which decides behind its processors.
pub(crate) struct Tail {
    pub(crate) decided: Arc<Decided>,
    pub(crate) counts: Arc<diag::Decisions>,
    /// `None` if no policy looks at the context.
    pub(crate) asks: Option<Asks>,
    /// True if spans that start after an error in their trace are sampled, so that other services keep their part.
    pub(crate) tells_downstream: bool,
}

impl Tail {
    /// Notes that a span starts, if it is a local root. `is_new` is true if the id of its trace has just been made up.
    pub(in crate::trace) fn starts(
        &self,
        parent: &Context,
        parent_span: &SpanContext,
        span: &SpanContext,
        is_new: bool,
    ) {
        if !parent_span.is_valid() || parent_span.is_remote() {
            let asked = self.asks.as_ref().map_or(0, |asks| asks(parent));
            if is_new {
                self.decided.open_first(span.trace_id(), asked);
            } else {
                self.decided.open(span.trace_id(), asked);
            }
        }
    }

    /// Notes that a span is given up, which no processor will see.
    pub(in crate::trace) fn gives_up(&self, span: &SpanRecord) {
        if span.parent_span_id == SpanId::INVALID || span.parent_is_remote {
            self.decided.lose(span.context.trace_id());
        }
    }

    /// Notes that a span has failed.
    pub(in crate::trace) fn fails(&self, span: &SpanContext) {
        if self.tells_downstream {
            self.decided.note_error(span.trace_id());
        }
    }

    /// Returns true if a span below this parent is sampled although the parent is not.
    #[inline]
    pub(in crate::trace) fn samples_below(&self, parent: &SpanContext) -> bool {
        self.tells_downstream && self.decided.has_failed(parent.trace_id())
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("tells_downstream", &self.tells_downstream).finish_non_exhaustive()
    }
}
