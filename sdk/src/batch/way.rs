//! The way of an item through stages.

use std::sync::Arc;

use super::outlets::Home;
use super::{Held, Stage, Verdict};
use crate::error::{Contained, catch};
use crate::signal::Signal;

/// The stages that an item has yet to pass.
pub(super) struct Way<'a, S: Signal> {
    pub(super) stages: &'a mut [Contained<Box<dyn Stage<S>>>],
    /// The index of the first of these stages.
    pub(super) first: usize,
    pub(super) home: &'a Arc<Home<S>>,
}

impl<S: Signal> Way<'_, S>
where
    S::Item: Clone,
{
    /// Passes an item through the stages, and hands it to the processors if all of them keep it.
    pub(super) fn advance(&mut self, item: S::Item) {
        if let Some(item) = self.pass(item) {
            self.home.outlets.add(item);
        }
    }

    /// Passes an item through the stages, and returns it if all of them keep it.
    pub(super) fn pass(&mut self, mut item: S::Item) -> Option<S::Item> {
        for (index, stage) in (self.first..).zip(self.stages.iter_mut()) {
            match verdict(&mut ***stage, &mut item) {
                Verdict::Keep => {}
                Verdict::Drop => {
                    self.home.lose(index + 1, &item);
                    self.home.outlets.count(|counters| counters.dropped_by_stage(1));
                    return None;
                }
                Verdict::Hold => {
                    let held = Held::new(item, index, self.home);
                    if catch(|| stage.hold(held)).is_err() {
                        crate::__warn!("stage.panic", "a stage panicked when it was to hold an item");
                    }
                    return None;
                }
            }
        }
        Some(item)
    }
}

fn verdict<S: Signal>(stage: &mut dyn Stage<S>, item: &mut S::Item) -> Verdict {
    catch(|| stage.process(item)).unwrap_or_else(|_| {
        crate::__warn!("stage.panic", "a stage panicked; the item that it was shown is dropped");
        Verdict::Drop
    })
}
