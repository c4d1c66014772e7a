//! The span of an `async fn`, whose body stays in the frame of the function.
//!
//! From a future that owns another one, such as [`Traced`](super::future::Traced), the compiler makes a dozen functions for each future
//! that it owns. It compiles nearly all of them again after an edit, because it keeps them apart from the user's modules. Here
//! there are few of them: what does not depend on the body is compiled once, or once for each type of output.
//!
//! The function declares an [`AsyncCall`], then its body, then a [`Cancel`]. They are dropped in the opposite order, so that the
//! body of a call that is cancelled is dropped while its span is current.

use std::cell::RefCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use opentelemetry::ContextGuard;

use super::call_duration::CallEnd;
use super::future::Polling;
use super::open::{Current, OpenSpan, StartedSpan, State};
use super::stopwatch::{Cancelling, Stopwatch};
use crate::instrument::shield::shielded;
use crate::unsampled::Entered;

/// The span and the measurement of a call, which end when the body is ready, panics, or is dropped early.
#[derive(Debug)]
pub struct AsyncCall<M: Stopwatch = ()> {
    span: State,
    stopwatch: M,
    cancelled: Cancelled,
}

/// What keeps the span of a call current while its body is dropped.
#[derive(Debug, Default)]
enum Cancelled {
    /// Nothing: the call has not been cancelled, or has no span.
    #[default]
    No,
    Unsampled(Entered),
    /// The last of [`CANCELLED`].
    Attached,
}

thread_local! {
    /// The guards of the recorded calls whose bodies are being dropped on this thread. The calls cannot hold them, since they are sent
    /// between threads. Has no destructor, so that the destructors of other thread-locals can still drop bodies.
    static CANCELLED: ManuallyDrop<RefCell<Vec<ContextGuard>>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

impl Cancelled {
    fn new(current: Current) -> Self {
        match current {
            Current::Off => Cancelled::No,
            Current::Unsampled(entered) => Cancelled::Unsampled(entered),
            Current::Attached(guard) => {
                CANCELLED.with(|guards| guards.borrow_mut().push(guard));
                Cancelled::Attached
            }
        }
    }

    fn current(self) -> Current {
        match self {
            Cancelled::No => Current::Off,
            Cancelled::Unsampled(entered) => Current::Unsampled(entered),
            Cancelled::Attached => CANCELLED.with(|guards| {
                let mut guards = guards.borrow_mut();
                let guard = guards.pop();
                if guards.is_empty() {
                    // Nothing may be left when the thread ends.
                    *guards = Vec::new();
                }
                guard.map_or(Current::Off, Current::Attached)
            }),
        }
    }
}

impl<M: Stopwatch> AsyncCall<M> {
    /// Begins a call in a started span, with a stopwatch that is already running.
    #[inline]
    pub(in crate::instrument) fn new(span: StartedSpan, stopwatch: M) -> Self {
        AsyncCall { span: span.0, stopwatch, cancelled: Cancelled::No }
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.span.is_off() && !self.stopwatch.is_running()
    }
}

impl<M: Stopwatch> Drop for AsyncCall<M> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_over() {
            let current = std::mem::take(&mut self.cancelled).current();
            let cancelling = Cancelling::of(&mut self.span, current);
            cancelling.end(&mut self.stopwatch, |_| ());
        }
    }
}

/// Makes the span of a call that is cancelled current, so that the body is dropped in it.
#[derive(Debug)]
pub struct Cancel<'c, M: Stopwatch = ()>(&'c mut AsyncCall<M>);

impl<'c, M: Stopwatch> Cancel<'c, M> {
    #[inline]
    pub(in crate::instrument) fn new(call: &'c mut AsyncCall<M>) -> Self {
        Cancel(call)
    }
}

impl<M: Stopwatch> Drop for Cancel<'_, M> {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_over() {
            self.0.cancelled = Cancelled::new(self.0.span.enter());
        }
    }
}

/// A call in whose span a body is polled.
pub trait InSpan {
    /// Returns true if nothing is left to do for telemetry.
    fn is_over(&self) -> bool;

    /// Polls the body while the span is current. Compiled once for each type of output.
    fn poll<T>(
        &mut self,
        body: Pin<&mut dyn Future<Output = T>>,
        observe: &dyn Observe<T>,
        task: &mut TaskContext<'_>,
    ) -> Poll<T>;
}

impl<M: Stopwatch> InSpan for Cancel<'_, M> {
    #[inline]
    fn is_over(&self) -> bool {
        self.0.is_over()
    }

    fn poll<T>(
        &mut self,
        body: Pin<&mut dyn Future<Output = T>>,
        observe: &dyn Observe<T>,
        task: &mut TaskContext<'_>,
    ) -> Poll<T> {
        let call = &mut *self.0;
        let polling = Polling::begin(&mut call.span, &mut call.stopwatch);
        let poll = body.poll(task);
        let Poll::Ready(output) = &poll else { return poll };
        let judge = |stopwatch: &mut M| match stopwatch.is_running() {
            true => observe.observe(None, output).map_or(CallEnd::Returned, CallEnd::Failed),
            false => CallEnd::Returned,
        };
        if let Some(ending) = polling.finish(judge) {
            ending.end(|span| {
                shielded(|| observe.observe(Some(span), output));
            });
        }
        poll
    }
}

/// The body of a call. The code of the default method belongs to the module of the body, and that of a method of a type of this
/// crate would not.
pub trait Work: Future {
    /// Polls the body in the span of the call.
    #[inline]
    fn poll_in<C: InSpan>(
        self: Pin<&mut Self>,
        call: &mut C,
        observe: &dyn Observe<Self::Output>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Self::Output>
    where
        Self: Sized,
    {
        if call.is_over() { self.poll(task) } else { call.poll(self, observe, task) }
    }
}

impl<F: Future> Work for F {}

/// Looks at the output of a call. With a `dyn Fn` in place of this trait, the compiler would make two more functions for each closure.
pub trait Observe<T> {
    /// Records the output on the span, if one is given. Otherwise returns the type of the error in the output of a call that is
    /// measured, if there is one.
    fn observe(&self, span: Option<&OpenSpan>, output: &T) -> Option<&'static str>;
}

impl<T, O: Observer<T>> Observe<T> for O {
    #[inline]
    fn observe(&self, span: Option<&OpenSpan>, output: &T) -> Option<&'static str> {
        self(span, output)
    }
}

/// The closures that look at an output.
pub trait Observer<T>: Fn(Option<&OpenSpan>, &T) -> Option<&'static str> + Unpin {}

impl<T, O: Fn(Option<&OpenSpan>, &T) -> Option<&'static str> + Unpin> Observer<T> for O {}

/// Returns a future that waits for the body of a call. Its type is one of the function, so that its code belongs to the function's module.
/// The bounds let the compiler infer the type of the closure. There are few type parameters, because the compiler describes the types
/// of all futures that a future contains wherever that one appears.
#[doc(hidden)]
#[macro_export]
macro_rules! __body {
    ($cancel:expr, $work:expr, $observe:expr) => {{
        // No name may hide one in the user's expressions, or mean a constant or a unit struct of the user's.
        struct __TelemarkBody<'a, C, F: ::core::future::Future, O: $crate::instrument::private::Observer<F::Output>>(
            &'a mut C,
            ::core::pin::Pin<&'a mut F>,
            O,
        );

        impl<C, F, O> ::core::future::Future for __TelemarkBody<'_, C, F, O>
        where
            C: $crate::instrument::private::InSpan,
            F: ::core::future::Future,
            O: $crate::instrument::private::Observer<F::Output>,
        {
            type Output = F::Output;

            #[inline]
            fn poll(
                self: ::core::pin::Pin<&mut Self>,
                __telemark_task: &mut ::core::task::Context<'_>,
            ) -> ::core::task::Poll<F::Output> {
                let __telemark_body = ::core::pin::Pin::get_mut(self);
                $crate::instrument::private::Work::poll_in(
                    ::core::pin::Pin::as_mut(&mut __telemark_body.1),
                    __telemark_body.0,
                    &__telemark_body.2,
                    __telemark_task,
                )
            }
        }

        __TelemarkBody($cancel, $work, $observe)
    }};
}
