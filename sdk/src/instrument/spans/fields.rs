//! The fields of a call site as closures, by the time at which they may be evaluated.

use opentelemetry::KeyValue;

use crate::trace::Fields;

type List = Vec<KeyValue>;

/// The fields of a call site that has none.
#[derive(Clone, Copy, Debug)]
pub struct NoFields;

impl Fields for NoFields {
    fn show(&self, _: &mut List) {}

    fn add(&mut self, _: &mut List) {}
}

/// Fields that are evaluated only if the span is recorded.
#[derive(Debug)]
pub struct Late<L>(Option<L>);

impl<L: FnOnce(&mut List)> Late<L> {
    #[inline]
    pub(crate) fn new(late: L) -> Self {
        Late(Some(late))
    }
}

impl<L: FnOnce(&mut List)> Fields for Late<L> {
    fn show(&self, _: &mut List) {}

    #[inline]
    fn add(&mut self, list: &mut List) {
        if let Some(late) = self.0.take() {
            late(list);
        }
    }
}

/// Fields whose values are at hand: literals and arguments that are copied.
#[derive(Debug)]
pub struct Ready<R>(R);

impl<R: Fn(&mut List)> Ready<R> {
    #[inline]
    pub(crate) fn new(ready: R) -> Self {
        Ready(ready)
    }
}

impl<R: Fn(&mut List)> Fields for Ready<R> {
    fn show(&self, list: &mut List) {
        (self.0)(list);
    }

    #[inline]
    fn add(&mut self, list: &mut List) {
        (self.0)(list);
    }
}

/// Fields of both kinds. All of them are added together, which keeps their order.
#[derive(Debug)]
pub struct Mixed<R, L> {
    ready: R,
    all: Late<L>,
}

impl<R: Fn(&mut List), L: FnOnce(&mut List)> Mixed<R, L> {
    #[inline]
    pub(crate) fn new(ready: R, all: L) -> Self {
        Mixed { ready, all: Late::new(all) }
    }
}

impl<R: Fn(&mut List), L: FnOnce(&mut List)> Fields for Mixed<R, L> {
    fn show(&self, list: &mut List) {
        (self.ready)(list);
    }

    #[inline]
    fn add(&mut self, list: &mut List) {
        self.all.add(list);
    }
}

/// Attributes that have been evaluated.
impl Fields for List {
    fn show(&self, list: &mut List) {
        list.extend_from_slice(self);
    }

    fn add(&mut self, list: &mut List) {
        list.append(self);
    }
}
