//! The policy for axum: routes, client addresses and original targets.

use std::borrow::Cow;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};
use axum::http::Uri;
use telemark_http::{DefaultPolicy, HttpPolicy, RequestHead};

/// Reads routes from [`MatchedPath`], clients from [`ConnectInfo`], and targets from [`OriginalUri`], which keeps the
/// prefixes that nested routers strip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AxumPolicy;

impl HttpPolicy for AxumPolicy {
    fn route<'r>(&self, request: &RequestHead<'r>) -> Option<Cow<'r, str>> {
        let matched = request.extensions.get::<MatchedPath>().map(|path| Cow::Borrowed(path.as_str()));
        matched.or_else(|| DefaultPolicy.route(request))
    }

    fn target<'r>(&self, request: &RequestHead<'r>) -> &'r Uri {
        request.extensions.get::<OriginalUri>().map_or(request.uri, |original| &original.0)
    }

    fn peer(&self, request: &RequestHead<'_>) -> Option<SocketAddr> {
        let connected = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        connected.or_else(|| DefaultPolicy.peer(request))
    }
}
