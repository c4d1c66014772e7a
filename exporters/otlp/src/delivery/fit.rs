//! The size of requests: a state machine that learns from refusals how much the receiver accepts.

use std::time::Duration;

use telemark_sdk::time::Deadline;

/// The default limit of gRPC servers, shared by grpc-go, grpc-java, grpc-core and tonic. A larger batch is sent in parts. Most
/// HTTP servers accept more, but parts of this size also limit the memory that an export uses.
///
/// spec: protocol/exporter.md, max request size — a maximum, so smaller requests are allowed
const USUAL_LIMIT: usize = 4 << 20;

/// The time after which a refused size is tried again.
const LEARNED_FOR: Duration = Duration::from_secs(300);

/// The number of consecutive refusals after which each further refusal halves the maximum size of items that are sent at all.
/// A receiver that refuses everything therefore receives few requests, regardless of the batch.
const PATIENCE: u32 = 32;

/// The length of a request in bytes, before compression and as it is sent. Receivers limit one or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) plain: usize,
    pub(crate) sent: usize,
}

impl Size {
    /// Returns the larger of the two lengths.
    pub(crate) fn max(self) -> usize {
        self.plain.max(self.sent)
    }

    fn is_at_least(self, other: Size) -> bool {
        self.plain >= other.plain && self.sent >= other.sent
    }
}

/// The request sizes that the receiver is known to accept or refuse. Halves the target after a refusal, keeps it for the
/// following batches, and starts doubling it after [`LEARNED_FOR`].
#[derive(Debug)]
pub(crate) struct Fit {
    /// The configured limit.
    max: usize,
    /// The length that a request with more than one item never exceeds.
    target: usize,
    /// A size that was refused. An item that needs a request at least this large is not sent.
    refused: Option<Size>,
    /// The number of refusals since the last accepted request.
    refusals: u32,
    /// The time when larger requests are tried again, if any were refused.
    learned_until: Option<Deadline>,
    /// True while larger requests are being tried.
    grows: bool,
}

impl Fit {
    pub(crate) fn new(max: usize) -> Self {
        Fit { max, target: most(max), refused: None, refusals: 0, learned_until: None, grows: false }
    }

    /// Returns the configured limit.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Returns the length up to which items are added to a request.
    pub(crate) fn target(&self) -> usize {
        self.target
    }

    /// Starts a batch. Tries larger requests again if the last refusal is old.
    pub(crate) fn begin(&mut self) {
        if self.learned_until.is_some_and(Deadline::has_passed) {
            self.try_larger();
        }
    }

    /// Returns true if a request of this size is within the configured limit.
    pub(crate) fn is_within_limit(&self, size: Size) -> bool {
        size.max() <= self.max
    }

    /// Returns true if a single-item request of this size is at least as large as a request that the receiver refused.
    pub(crate) fn is_refused(&self, size: Size) -> bool {
        self.refused.is_some_and(|refused| size.is_at_least(refused))
    }

    /// Records that the receiver accepted a request.
    pub(crate) fn accept(&mut self) {
        self.refusals = 0;
        if self.grows {
            self.grow();
        }
    }

    /// Records that a request was too large. The next request will contain about half as many items.
    pub(crate) fn refuse(&mut self, size: Size, items: usize) {
        self.refusals = self.refusals.saturating_add(1);
        // A single item may exceed the target. Its refusal gives no information about smaller requests.
        if items > 1 || size.plain <= self.target {
            self.target = (size.plain.min(self.target) / 2).max(1);
        }
        let divisor = if self.refusals > PATIENCE { 2 } else { 1 };
        // Keep the smaller of the refused sizes, which is more informative.
        if !self.is_refused(size) {
            self.refused = Some(Size { plain: size.plain / divisor, sent: size.sent / divisor });
        }
        self.grows = false;
        self.learned_until = Some(Deadline::after(LEARNED_FOR));
    }

    fn try_larger(&mut self) {
        self.refused = None;
        self.refusals = 0;
        self.learned_until = None;
        self.grows = true;
        self.grow();
    }

    fn grow(&mut self) {
        self.target = self.target.saturating_mul(2).min(most(self.max));
        self.grows = self.target < most(self.max);
    }
}

fn most(max: usize) -> usize {
    max.min(USUAL_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTHING: [usize; 0] = [];

    /// A simulated receiver with a size limit, for `run`.
    struct Receiver {
        limit: usize,
        requests: usize,
    }

    fn plain(len: usize) -> Size {
        Size { plain: len, sent: len }
    }

    /// Sends items of these sizes as the exporter does. Returns those that arrived.
    fn run(fit: &mut Fit, items: &[usize], receiver: &mut Receiver) -> Vec<usize> {
        let (mut arrived, mut from) = (Vec::new(), 0);
        fit.begin();
        while from < items.len() {
            let (mut len, mut next) = (items[from], from + 1);
            while next < items.len() && len + items[next] <= fit.target() {
                len += items[next];
                next += 1;
            }
            let is_single = next == from + 1;
            if is_single && (!fit.is_within_limit(plain(len)) || fit.is_refused(plain(len))) {
                from = next;
                continue;
            }
            receiver.requests += 1;
            if len <= receiver.limit {
                fit.accept();
                arrived.extend_from_slice(&items[from..next]);
                from = next;
            } else {
                fit.refuse(plain(len), next - from);
                from = if is_single { next } else { from };
            }
        }
        arrived
    }

    #[test]
    fn the_usual_receiver_takes_everything_at_the_first_try() {
        let mut receiver = Receiver { limit: USUAL_LIMIT, requests: 0 };
        let items = vec![1 << 20; 10];
        assert_eq!(run(&mut Fit::new(64 << 20), &items, &mut receiver), items);
        assert_eq!(receiver.requests, 3);
    }

    #[test]
    fn a_small_limit_is_learned_once() {
        let mut receiver = Receiver { limit: 1000, requests: 0 };
        let mut fit = Fit::new(64 << 20);
        let items = vec![100; 100];
        assert_eq!(run(&mut fit, &items, &mut receiver), items);
        // Requests of 10,000, 5000, 2500 and 1200 bytes are refused. After that, each holds six items.
        assert_eq!(receiver.requests, 4 + 100_usize.div_ceil(6));
        receiver.requests = 0;
        assert_eq!(run(&mut fit, &items, &mut receiver), items);
        assert_eq!(receiver.requests, 100_usize.div_ceil(6));
    }

    #[test]
    fn only_what_does_not_fit_alone_is_dropped_and_a_size_is_refused_once() {
        let mut receiver = Receiver { limit: 1000, requests: 0 };
        let mut fit = Fit::new(64 << 20);
        assert_eq!(run(&mut fit, &[1500, 10, 1500, 2000, 1001, 999, 20], &mut receiver), [10, 999, 20]);
        assert_eq!(run(&mut fit, &[1500, 10, 1500, 999], &mut receiver), [10, 999]);
        assert_eq!(fit.refused, Some(plain(1001)));
        // A later refusal of a larger request does not replace the smaller size.
        fit.refuse(plain(5000), 3);
        assert!(fit.is_refused(plain(1001)));
    }

    #[test]
    fn a_receiver_that_refuses_everything_gets_few_requests() {
        let mut receiver = Receiver { limit: 0, requests: 0 };
        let mut fit = Fit::new(64 << 20);
        assert_eq!(run(&mut fit, &[200; 512], &mut receiver), NOTHING);
        // 102,400 bytes are halved until one item is left. The other items are not smaller, so they are not sent.
        assert_eq!(receiver.requests, 10);
        assert_eq!(run(&mut fit, &[200; 512], &mut receiver), NOTHING);
        assert_eq!(receiver.requests, 10);
        // Each item is slightly smaller than the previous one.
        receiver.requests = 0;
        let falling: Vec<_> = (1..10_000).rev().collect();
        assert_eq!(run(&mut Fit::new(64 << 20), &falling, &mut receiver), NOTHING);
        assert!(receiver.requests < 60, "{}", receiver.requests);
    }

    #[test]
    fn a_limit_that_rises_is_found_again_within_one_batch() {
        let mut receiver = Receiver { limit: 0, requests: 0 };
        let mut fit = Fit::new(64 << 20);
        let items = vec![100; 10_000];
        assert_eq!(run(&mut fit, &items, &mut receiver), NOTHING);
        receiver.limit = usize::MAX;
        assert_eq!(run(&mut fit, &items, &mut receiver), NOTHING, "not asked again too soon");
        fit.learned_until = Some(Deadline::after(Duration::ZERO));
        receiver.requests = 0;
        assert_eq!(run(&mut fit, &items, &mut receiver), items);
        assert!(receiver.requests < 20, "{}", receiver.requests);
        assert_eq!(run(&mut fit, &vec![100_000; 100], &mut receiver).len(), 100);
        assert_eq!((fit.target, fit.grows), (USUAL_LIMIT, false));
    }

    #[test]
    fn a_limit_that_falls_costs_one_refusal_for_each_halving() {
        let mut receiver = Receiver { limit: 5000, requests: 0 };
        let mut fit = Fit::new(64 << 20);
        let items = vec![100; 100];
        assert_eq!(run(&mut fit, &items, &mut receiver), items);
        receiver = Receiver { limit: 600, requests: 0 };
        assert_eq!(run(&mut fit, &items, &mut receiver), items);
        // Requests of 5000, 2500 and 1200 bytes are refused.
        assert_eq!(receiver.requests, 3 + 100_usize.div_ceil(6));
    }

    #[test]
    fn compressed_and_plain_length_must_both_reach_a_refused_size() {
        let mut fit = Fit::new(64 << 20);
        fit.refuse(Size { plain: 1000, sent: 900 }, 1);
        assert!(fit.is_refused(Size { plain: 1000, sent: 900 }));
        assert!(!fit.is_refused(Size { plain: 5000, sent: 100 }));
        assert!(!fit.is_refused(Size { plain: 999, sent: 999 }));
    }

    proptest! {
        /// With fewer consecutive refusals than `PATIENCE`, every item that fits into a request by itself arrives once and in
        /// order.
        #[test]
        fn every_item_that_fits_alone_arrives(
            items in prop::collection::vec(1usize..3000, 0..60), limits in prop::collection::vec(1usize..4000, 1..4)
        ) {
            let mut fit = Fit::new(2500);
            for limit in limits {
                let mut receiver = Receiver { limit, requests: 0 };
                fit.refused = None;
                let arrived = run(&mut fit, &items, &mut receiver);
                let fitting: Vec<_> = items.iter().copied().filter(|&item| item <= limit && item <= 2500).collect();
                prop_assert_eq!(arrived, fitting);
                prop_assert!(receiver.requests <= items.len() + 12);
            }
        }
    }
}
