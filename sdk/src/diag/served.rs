//! The requests that a program's servers have received, as the crate that knows the servers counts them.

use std::borrow::Cow;

/// Requests to one route of the program's servers, by the origin of the parent of their span. Where traces should begin at the edge of a
/// system, a route behind the edge whose requests have no remote parent has a caller that does not pass on its context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteHealth {
    /// The route; `None` for all requests without one.
    pub route: Option<Cow<'static, str>>,
    /// Requests whose trace begins here.
    pub without_parent: u64,
    /// Requests below a span of this process.
    pub local_parent: u64,
    /// Requests that brought the trace context of their caller.
    pub remote_parent: u64,
}

/// Returns the requests to each route since the start of the process.
pub(crate) type ServedRoutes = fn() -> Vec<RouteHealth>;

impl RouteHealth {
    /// Creates the counts of a route: of requests without a parent, with a local one, and with a remote one.
    pub fn new(route: Option<Cow<'static, str>>, [without_parent, local_parent, remote_parent]: [u64; 3]) -> Self {
        RouteHealth { route, without_parent, local_parent, remote_parent }
    }

    /// Returns the share of the requests that had no remote parent, from 0 to 1.
    pub fn share_without_remote_parent(&self) -> f64 {
        let other = self.without_parent + self.local_parent;
        let all = other + self.remote_parent;
        if all == 0 { 0.0 } else { other as f64 / all as f64 }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_share_counts_local_parents_as_well() {
        let share = |counts: [u64; 3]| RouteHealth::new(None, counts).share_without_remote_parent();
        assert_eq!([share([1, 2, 1]), share([0, 0, 5]), share([7, 0, 0]), share([0; 3])], [0.75, 0.0, 1.0, 0.0]);
    }
}
