//! Redirects: an event for each of them, and no trace context for hosts that must not receive it.
//!
//! reqwest asks its policy about a redirect while it polls the request, on the thread that polls the call. A thread-local
//! therefore passes the state of the call to the policy, and the decision of the policy back to the call.

use std::cell::RefCell;
use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION, REFERER,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use opentelemetry::global;
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Body, Request, Url};
use telemark_http::{HttpClientInstrumentation, Target};

thread_local! {
    static CALL: RefCell<Option<CallState>> = const { RefCell::new(None) };
}

/// The knowledge of a client about the redirects that it follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redirects {
    /// True if this crate's policy is asked about redirects and may withhold one.
    can_withhold: bool,
    referer: bool,
}

impl Redirects {
    /// Returns the knowledge about a client that another crate built.
    pub(crate) fn unobserved() -> Self {
        Redirects { can_withhold: false, referer: false }
    }

    /// Returns a policy that decides like `policy` and observes the redirects.
    pub(crate) fn observed(
        policy: Policy,
        referer: bool,
        instrumentation: HttpClientInstrumentation,
    ) -> (Self, Policy) {
        let limit = Limit::of(&policy);
        let redirects = Redirects { can_withhold: limit.is_some(), referer };
        let observing = Policy::custom(move |attempt| decide(&policy, limit, &instrumentation, attempt));
        (redirects, observing)
    }

    /// Returns the state of a call that sends this request, if one of its redirects may have to be withheld.
    pub(crate) fn state(&self, instrumentation: &HttpClientInstrumentation, request: &Request) -> Option<CallState> {
        let propagates = |url: &Url| instrumentation.config().propagates_to(&Target::parse(url.as_str()));
        let restricts = instrumentation.config().restricts_propagation();
        (self.can_withhold && restricts && propagates(request.url())).then(|| CallState {
            method: request.method().clone(),
            headers: request.headers().clone(),
            version: request.version(),
            timeout: request.timeout().copied(),
            body: match request.body() {
                None => Saved::Empty,
                Some(body) => body.as_bytes().map_or(Saved::Stream, |bytes| Saved::Bytes(bytes.to_vec())),
            },
            referer: self.referer,
            withheld: None,
        })
    }
}

/// The maximum number of redirects that reqwest's own policies follow.
#[derive(Clone, Copy, Debug)]
struct Limit(usize);

impl Limit {
    /// Returns the limit; `None` for a custom policy, which cannot be asked and then overruled. reqwest shows the kind of a
    /// policy only as text.
    fn of(policy: &Policy) -> Option<Self> {
        let shown = format!("{policy:?}");
        if shown == "Policy(None)" {
            return Some(Limit(0));
        }
        shown.strip_prefix("Policy(Limit(")?.strip_suffix("))")?.parse().ok().map(Limit)
    }
}

fn decide(
    policy: &Policy,
    limit: Option<Limit>,
    instrumentation: &HttpClientInstrumentation,
    attempt: Attempt<'_>,
) -> Action {
    let (status, next) = (attempt.status(), attempt.url().to_string());
    // The first URL is that of the request.
    let is_within = limit.is_none_or(|Limit(max)| attempt.previous().len() <= max);
    let is_off = !instrumentation.config().propagates_to(&Target::parse(&next));
    let withholds = with_call(|call| {
        let Some(call) = call.as_mut() else { return false };
        if is_off && is_within && call.withheld.is_none() {
            let previous = attempt.previous().last().unwrap_or(attempt.url());
            call.withheld = Some((status, attempt.url().clone(), previous.clone()));
            return true;
        }
        call.redirected(status);
        false
    });
    let withholds = withholds.unwrap_or(false);
    let (action, follows) = if withholds {
        (attempt.stop(), true)
    } else {
        let action = policy.redirect(attempt);
        // reqwest shows the decision of a custom policy only as text.
        let follows = if limit.is_some() { is_within } else { format!("{action:?}").contains("Follow") };
        (action, follows)
    };
    if follows {
        instrumentation.record_redirect(status, &next);
    }
    action
}

/// The parts of a request from which the request after a redirect is built.
#[derive(Debug)]
pub(crate) struct CallState {
    method: Method,
    headers: HeaderMap,
    version: Version,
    timeout: Option<Duration>,
    body: Saved,
    referer: bool,
    /// The status of a redirect that was not followed, its target, and the URL that it came from.
    withheld: Option<(StatusCode, Url, Url)>,
}

#[derive(Debug)]
enum Saved {
    Empty,
    Bytes(Vec<u8>),
    Stream,
}

impl CallState {
    /// Polls the request while this state is available to the policy.
    pub(crate) fn during<R>(state: &mut Option<CallState>, poll: impl FnOnce() -> R) -> R {
        if state.is_none() {
            return poll();
        }
        let restore = Restore(with_call(|call| std::mem::replace(call, state.take())).flatten());
        let result = poll();
        *state = with_call(Option::take).flatten();
        drop(restore);
        result
    }

    /// Changes the method and the body as reqwest does for this redirect.
    ///
    /// spec: RFC 9110 sections 15.4.2 to 15.4.4
    fn redirected(&mut self, status: StatusCode) {
        let drops_body = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => true,
            _ => false,
        };
        if drops_body {
            if self.method != Method::HEAD {
                self.method = Method::GET;
            }
            self.body = Saved::Empty;
            for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
                self.headers.remove(name);
            }
        }
    }

    /// Returns the request for a redirect that was withheld, without the trace context; `None` if there is none, or if
    /// reqwest could not repeat its body either.
    pub(crate) fn next(mut self) -> Option<Request> {
        let (status, next, previous) = self.withheld.take()?;
        self.redirected(status);
        let mut request = Request::new(self.method, next);
        *request.body_mut() = match self.body {
            Saved::Empty => None,
            Saved::Bytes(bytes) => Some(Body::from(bytes)),
            Saved::Stream => return None,
        };
        global::get_text_map_propagator(|propagator| {
            for field in propagator.fields() {
                self.headers.remove(field);
            }
        });
        let next = request.url();
        let is_other = |of: fn(&Url) -> Option<String>| of(next) != of(&previous);
        if is_other(|url| url.host_str().map(str::to_owned))
            || next.port_or_known_default() != previous.port_or_known_default()
            || next.scheme() != previous.scheme()
        {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE] {
                self.headers.remove(name);
            }
            self.headers.remove("cookie2");
        }
        let is_downgrade = next.scheme() == "http" && previous.scheme() == "https";
        if let Some(referer) = (self.referer && !is_downgrade).then(|| referer(previous)).flatten() {
            self.headers.insert(REFERER, referer);
        }
        *request.headers_mut() = self.headers;
        *request.version_mut() = self.version;
        *request.timeout_mut() = self.timeout;
        Some(request)
    }
}

fn referer(mut url: Url) -> Option<HeaderValue> {
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_fragment(None);
    url.as_str().parse().ok()
}

/// Changes the state of the call that this thread polls; `None` while the thread is ending.
fn with_call<R>(change: impl FnOnce(&mut Option<CallState>) -> R) -> Option<R> {
    CALL.try_with(|call| call.try_borrow_mut().ok().map(|mut call| change(&mut call))).ok().flatten()
}

/// Restores the state of an outer call, also during a panic.
struct Restore(Option<CallState>);

impl Drop for Restore {
    fn drop(&mut self) {
        with_call(|call| *call = self.0.take());
    }
}
