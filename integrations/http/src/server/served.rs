//! Counts the requests to each route by the origin of their parent, with or without telemetry that records them.

use telemark_kit::{OriginCounts, ParentOrigin, ServedRoute};

use crate::shared::names::{self, RouteText};

/// The route of requests whose own route is too long for the table, or came after it was full.
const OTHER_ROUTES: &str = "_OTHER";

static WITHOUT_ROUTE: OriginCounts = OriginCounts::new();
static OTHERS: OriginCounts = OriginCounts::new();

/// Returns the requests that the servers of this process have ended since its start, by their route and the origin of the parent of their
/// span, in no order. All layers are counted together, sampled or not; disabled layers and excluded requests are not counted. The first
/// 1024 routes and URL templates of up to 256 bytes have counts of their own, and all others share the route `_OTHER`.
///
/// A request whose route only the response shows is counted without a route if neither its span nor a metric is recorded.
pub fn served_requests() -> Vec<ServedRoute> {
    let kept = names::kept_routes();
    let of_routes = kept.into_iter().filter_map(|route| route.requests.of_route(Some(route.text)));
    of_routes.chain(OTHERS.of_route(Some(OTHER_ROUTES))).chain(WITHOUT_ROUTE.of_route(None)).collect()
}

/// The count that a request will add to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) origin: ParentOrigin,
    requests: &'static OriginCounts,
}

impl Served {
    #[inline]
    pub(crate) fn new(origin: ParentOrigin, route: Option<&RouteText>) -> Self {
        let requests = match route {
            Some(RouteText::Kept(route)) => &route.requests,
            Some(RouteText::Own(_)) => &OTHERS,
            None => &WITHOUT_ROUTE,
        };
        Served { origin, requests }
    }

    #[inline]
    pub(crate) fn count(self) {
        self.requests.count(self.origin);
    }
}
