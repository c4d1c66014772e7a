//! Spans as text: runs something below a provider of its own and shows the tree of what was recorded.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot look must fail")]

use std::fmt::Write as _;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Context, InstrumentationScope};
use telemark_sdk::trace::{Scope, SdkTracerProvider, SpanData, SpanProcessor, active};

/// Keeps what ends.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Recorder {
    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }
}

impl Recorder {
    /// What has ended, in the order of the ends.
    pub fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }

    /// A context in which `#[traced]` records here.
    pub fn context(&self) -> Context {
        let provider = SdkTracerProvider::builder().with_processor(self.clone()).build();
        with_provider(&provider)
    }

    /// The tree of what has ended: name, kind, status, attributes without `code.*`.
    pub fn tree(&self) -> String {
        let spans = self.spans();
        let mut text = String::new();
        for root in spans.iter().filter(|span| !spans.iter().any(|parent| is_parent(parent, span))) {
            write_tree(&mut text, root, &spans, 0);
        }
        text.trim_end().to_owned()
    }
}

/// `#[traced]` records in this context with this provider.
pub fn with_provider(provider: &SdkTracerProvider) -> Context {
    let scope = Scope::from(InstrumentationScope::builder("test").build());
    active::with_tracer(&Context::new(), provider.tracer_in(scope))
}

/// Runs `scenario`, and compares the tree of its spans.
#[track_caller]
pub fn check(scenario: impl FnOnce(), expected: &str) {
    let recorder = Recorder::default();
    {
        let _guard = recorder.context().attach();
        scenario();
    }
    let expected: Vec<_> = expected.lines().map(|line| line.trim_end()).filter(|line| !line.is_empty()).collect();
    let indent = expected.first().map_or(0, |line| line.len() - line.trim_start().len());
    let expected: Vec<_> = expected.iter().map(|line| &line[indent.min(line.len())..]).collect();
    assert_eq!(recorder.tree(), expected.join("\n"));
}

/// [`check`] for a future.
#[track_caller]
pub fn check_async(scenario: impl Future<Output = ()>, expected: &str) {
    check(|| block_on(scenario), expected);
}

fn is_parent(parent: &SpanData, child: &SpanData) -> bool {
    child.parent_span_id != SpanId::INVALID && parent.context.span_id() == child.parent_span_id
}

fn write_tree(text: &mut String, span: &SpanData, spans: &[SpanData], depth: usize) {
    write!(text, "{:indent$}{}", "", span.name, indent = depth * 2).unwrap();
    if span.kind != SpanKind::Internal {
        write!(text, " ({:?})", span.kind).unwrap();
    }
    match &span.status {
        Status::Unset => {}
        Status::Ok => text.push_str(" [ok]"),
        Status::Error { description } => write!(text, " [error: {description}]").unwrap(),
    }
    for attribute in &span.own_attributes {
        write!(text, " {}={:?}", attribute.key, Shown(&attribute.value)).unwrap();
    }
    for link in span.links.iter() {
        write!(text, " ->{}", link.span_context.span_id()).unwrap();
    }
    text.push('\n');
    for child in spans.iter().filter(|child| is_parent(span, child)) {
        write_tree(text, child, spans, depth + 1);
    }
}

struct Shown<'a>(&'a opentelemetry::Value);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            opentelemetry::Value::String(text) => write!(f, "{:?}", text.as_str()),
            opentelemetry::Value::F64(number) => write!(f, "{number:?}"),
            other => write!(f, "{other}"),
        }
    }
}

/// Polls until ready; whatever the tests wait for is woken by the next poll.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
}

/// One poll.
pub fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut TaskContext::from_waker(Waker::noop()))
}

/// Is pending once.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}
