//! The processors behind the stages: what they are given, how they are waited for, and who hears of items that are lost before.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Processor;
use super::queue::Queue;
use super::stage::OnLoss;
use crate::diag::Counters;
use crate::error::{Contained, ExportError, catch};
use crate::signal::Signal;
use crate::time::Deadline;

/// The maximum time for which the stages wait for a processor that gains no room.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(1);
/// The time between two looks at the queue in front of the stages, while they wait for a processor.
const GLANCE: Duration = Duration::from_millis(20);

/// The processors behind the stages, and the counters of all their exporters.
pub(super) struct Outlets<S: Signal> {
    outlets: Vec<Outlet<S>>,
    pub(super) counters: Vec<Arc<Counters>>,
}

struct Outlet<S: Signal> {
    processor: Contained<Box<dyn Processor<S>>>,
    /// True after a wait that gained no room, until there is room. Waiting again would only let the queue in front of the stages
    /// overflow.
    is_stalled: AtomicBool,
}

impl<S: Signal> Outlets<S>
where
    S::Item: Clone,
{
    pub(super) fn new(processors: Vec<Box<dyn Processor<S>>>) -> Self {
        let counters = processors.iter().flat_map(|processor| processor.all_counters()).collect();
        let outlet = |processor| Outlet { processor: Contained::new(processor), is_stalled: AtomicBool::new(false) };
        Outlets { outlets: processors.into_iter().map(outlet).collect(), counters }
    }

    /// Gives every processor an item.
    pub(super) fn add(&self, item: S::Item) {
        match self.outlets.split_last() {
            Some((last, others)) => {
                others.iter().for_each(|outlet| outlet.add(item.clone()));
                last.add(item);
            }
            None => self.count(|counters| counters.dropped_by_stage(1)),
        }
    }
}

impl<S: Signal> Outlets<S> {
    pub(super) fn count(&self, count: impl Fn(&Counters)) {
        self.counters.iter().for_each(|counters| count(counters));
    }

    /// Calls every processor and returns the first error.
    pub(super) fn each(&self, call: impl Fn(&dyn Processor<S>) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let mut result = Ok(());
        for outlet in &self.outlets {
            result = result.and(call(&**outlet.processor));
        }
        result
    }

    /// Waits until the processors have room for many items again, or until the deadline, or as long as `may_wait` returns true. Does not
    /// wait for a processor that has gained no room in the last wait.
    pub(super) fn make_room(&self, deadline: Deadline, may_wait: impl Fn() -> bool) {
        self.outlets.iter().for_each(|outlet| outlet.make_room(deadline, &may_wait));
    }
}

impl<S: Signal> Outlet<S> {
    /// Adds an item to the processor, which may be the program's own. A panic must not end the run, because the room of the items
    /// that follow would never be released.
    fn add(&self, item: S::Item) {
        if catch(|| self.processor.add(item)).is_err() {
            crate::__warn!("stage.processor_panic", "a processor panicked; the item that it was given may be lost");
        }
    }

    fn make_room(&self, deadline: Deadline, may_wait: impl Fn() -> bool) {
        let deadline = deadline.min(Deadline::after(MAX_WAIT));
        let mut wait = if self.is_stalled.load(Ordering::Relaxed) { Duration::ZERO } else { GLANCE };
        let is_stalled = loop {
            if self.has_room(deadline.min(Deadline::after(wait))) {
                break false;
            }
            if wait.is_zero() || deadline.has_passed() || !may_wait() {
                break true;
            }
            wait = GLANCE;
        };
        self.is_stalled.store(is_stalled, Ordering::Relaxed);
    }

    fn has_room(&self, deadline: Deadline) -> bool {
        catch(|| self.processor.make_room(deadline)).unwrap_or_else(|_| {
            crate::__warn!("stage.processor_panic", "a processor panicked when it was to make room");
            true
        })
    }
}

impl<S: Signal> fmt::Debug for Outlets<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.outlets.iter().map(|outlet| &**outlet.processor)).finish()
    }
}

/// The surroundings of the stages: the queue in front of them, in which the bytes of held items count, and the processors behind them.
pub(super) struct Home<S: Signal> {
    pub(super) queue: Arc<Queue<S>>,
    pub(super) outlets: Outlets<S>,
    /// The stages that hear of lost items, by their index.
    pub(super) on_loss: Vec<(usize, OnLoss<S>)>,
}

impl<S: Signal> Home<S> {
    /// Tells the stages, from the one at index `first` on, that an item will never reach them.
    pub(super) fn lose(&self, first: usize, item: &S::Item) {
        self.on_loss.iter().filter(|(index, _)| *index >= first).for_each(|(_, on_loss)| on_loss(item));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test")]

    use std::cell::Cell;
    use std::sync::Mutex;

    use super::*;
    use crate::signal::Traces;
    use crate::trace::SpanData;

    /// Has room or not, as the test says, and notes whether it was waited for.
    #[derive(Clone, Debug, Default)]
    struct Scripted {
        has_room: Arc<AtomicBool>,
        asked: Arc<Mutex<String>>,
    }

    impl Processor<Traces> for Scripted {
        fn add(&self, _: SpanData) {}

        fn flush(&self, _: Deadline) -> Result<(), ExportError> {
            Ok(())
        }

        fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
            Ok(())
        }

        fn all_counters(&self) -> Vec<Arc<Counters>> {
            Vec::new()
        }

        fn make_room(&self, deadline: Deadline) -> bool {
            self.asked.lock().unwrap().push(if deadline.has_passed() { 'l' } else { 'w' });
            self.has_room.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_processor_that_gains_no_room_is_waited_for_once() {
        let (stalled, other) = (Scripted::default(), Scripted::default());
        other.has_room.store(true, Ordering::Relaxed);
        let outlets = Outlets::new(vec![Box::new(stalled.clone()), Box::new(other.clone())]);
        // The letters are waits, and looks without a wait.
        let check = |may_wait: u32, expected: &str| {
            let left = Cell::new(may_wait);
            let may_wait = || left.replace(left.get().saturating_sub(1)) > 0;
            outlets.make_room(Deadline::NEVER, may_wait);
            assert_eq!(std::mem::take(&mut *stalled.asked.lock().unwrap()), expected);
            assert_eq!(std::mem::take(&mut *other.asked.lock().unwrap()), "w", "it has room");
        };
        // The wait ends because the queue in front of the stages fills up.
        check(3, "wwww");
        check(3, "l");
        check(3, "l");
        stalled.has_room.store(true, Ordering::Relaxed);
        check(3, "l");
        check(3, "w");
        stalled.has_room.store(false, Ordering::Relaxed);
        check(0, "w");
        check(0, "l");
    }

    #[test]
    fn no_wait_outlasts_the_deadline() {
        let stalled = Scripted::default();
        let outlets = Outlets::new(vec![Box::new(stalled.clone())]);
        outlets.make_room(Deadline::after(Duration::ZERO), || true);
        assert_eq!(*stalled.asked.lock().unwrap(), "l");
    }
}
