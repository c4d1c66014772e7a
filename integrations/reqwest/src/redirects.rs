//! Redirects: an event for each of them, and no trace context for hosts that must not receive it.
//!
//! reqwest asks its policy about a redirect while it polls the request, on the thread that polls the call. A thread-local
//! therefore passes the state of the call to the policy, and the decision of the policy back to the call.

use std::cell::RefCell;
use std::fmt::{self, Write};

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, REFERER, TRANSFER_ENCODING};
use http::{HeaderValue, Method, StatusCode};
use opentelemetry::global;
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Request, Url};
use telemark_http::{HttpClientInstrumentation, Target};
use telemark_kit::guarded;

use crate::credentials::remove_credentials;

thread_local! {
    static CALL: RefCell<Option<Box<CallState>>> = const { RefCell::new(None) };
}

/// The knowledge of a client about the redirects that it follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redirects {
    /// True if this crate's policy is asked about redirects and may withhold one.
    can_withhold: bool,
    rules: Rules,
    /// True if the policy was built with other telemetry and settings than the client has.
    is_replaced: bool,
}

/// The settings of a client that its redirects depend on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// True if the client can send another request as reqwest would.
    pub(crate) can_repeat: bool,
    /// True if redirects send `Referer`.
    pub(crate) referer: bool,
    /// True if reqwest refuses redirects to `http` URLs.
    pub(crate) https_only: bool,
}

impl Rules {
    fn refuses(self, next: &Url) -> bool {
        self.https_only && next.scheme() != "https"
    }
}

impl Redirects {
    /// Returns the knowledge about a client that another crate built.
    pub(crate) fn unobserved() -> Self {
        Redirects { can_withhold: false, rules: Rules::default(), is_replaced: false }
    }

    /// Returns a policy that decides like `policy` and observes the redirects. It withholds none unless the client can repeat
    /// a request.
    pub(crate) fn observed(policy: Policy, rules: Rules, instrumentation: HttpClientInstrumentation) -> (Self, Policy) {
        let limit = Limit::of(&policy);
        let redirects = Redirects { can_withhold: rules.can_repeat && limit.is_some(), rules, is_replaced: false };
        let observing = Policy::custom(move |attempt| decide(&policy, limit, rules, &instrumentation, attempt));
        (redirects, observing)
    }

    /// Notes that the client no longer has the instrumentation that its policy was built with.
    pub(crate) fn replaced(&mut self) {
        self.is_replaced = true;
    }

    /// Returns the state of a call that sends this request, if one of its redirects may have to be withheld, or if the policy
    /// has other settings than the call.
    pub(crate) fn state(&self, instrumentation: &HttpClientInstrumentation, request: &Request) -> Option<CallState> {
        let config = instrumentation.config();
        let propagates = || config.propagates_to(&Target::parse(request.url().as_str()));
        let withholds = self.can_withhold && config.restricts_propagation() && propagates();
        (withholds || self.is_replaced).then(|| CallState {
            url: request.url().clone(),
            instrumentation: instrumentation.clone(),
            saved: withholds.then(|| Saved::new(request)),
            rules: self.rules,
            followed: 0,
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

    /// Returns true if this redirect may be followed, after this number of redirects before the polled request.
    fn allows(self, followed: usize, attempt: &Attempt<'_>) -> bool {
        // The first URL is that of the request.
        followed.saturating_add(attempt.previous().len()) <= self.0
    }
}

fn decide(
    policy: &Policy,
    limit: Option<Limit>,
    rules: Rules,
    built: &HttpClientInstrumentation,
    attempt: Attempt<'_>,
) -> Action {
    let (status, next) = (attempt.status(), attempt.url().to_string());
    let is_refused = rules.refuses(attempt.url());
    let observed = with_call(|call| {
        // A client without the instrumentation may send a request of its own inside of the call.
        let call = call.as_deref_mut().filter(|call| call.sent(attempt.previous().first()))?;
        Some((call.observe(limit, &attempt), call.instrumentation.clone()))
    });
    let (verdict, instrumentation) = match observed.flatten() {
        Some((verdict, instrumentation)) => (verdict, Some(instrumentation)),
        None => (Verdict::Ask, None),
    };
    let (action, follows) = match verdict {
        Verdict::Withhold => (attempt.stop(), true),
        // The words of reqwest.
        Verdict::Refuse => (attempt.error("too many redirects"), false),
        Verdict::Ask => {
            let is_within = limit.map(|limit| limit.allows(0, &attempt));
            let action = policy.redirect(attempt);
            let follows = is_within.unwrap_or_else(|| is_follow(&action));
            (action, follows)
        }
    };
    if follows && !is_refused {
        instrumentation.as_ref().unwrap_or(built).record_redirect(status, &next);
    }
    action
}

/// Returns true if a custom policy follows the redirect, which reqwest shows only as text.
fn is_follow(action: &Action) -> bool {
    let mut rest = Expected("Action { inner: Follow }");
    write!(rest, "{action:?}").is_ok() && rest.0.is_empty()
}

/// The rest of an expected text. Fails at the first difference, before the error of a policy formats itself.
struct Expected<'t>(&'t str);

impl Write for Expected<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// The decision about a redirect, before the policy is asked.
enum Verdict {
    /// The call sends the next request itself.
    Withhold,
    /// The limit includes the redirects before the request that the call has sent itself.
    Refuse,
    Ask,
}

/// The knowledge of a call about its redirects.
#[derive(Debug)]
pub(crate) struct CallState {
    /// The URL of the request that is polled.
    url: Url,
    instrumentation: HttpClientInstrumentation,
    /// `None` if no redirect is withheld, or no further one.
    saved: Option<Saved>,
    rules: Rules,
    /// The number of redirects before the request that is polled.
    followed: usize,
    /// The status of a redirect that was not followed, its target, and the URL that it came from.
    withheld: Option<(StatusCode, Url, Url)>,
}

impl CallState {
    /// Polls the request while this state, and no other call's, is available to the policy.
    pub(crate) fn during<R>(state: &mut Option<Box<CallState>>, poll: impl FnOnce() -> R) -> R {
        let restore = Restore(with_call(|call| std::mem::replace(call, state.take())).flatten());
        let result = poll();
        *state = with_call(Option::take).flatten();
        drop(restore);
        result
    }

    /// Returns true if this is the URL of the polled request. reqwest keeps no fragment.
    fn sent(&self, url: Option<&Url>) -> bool {
        let parts = |url: &Url| {
            let host = url.host_str().map(str::to_owned);
            (url.scheme().to_owned(), host, url.port(), url.path().to_owned(), url.query().map(str::to_owned))
        };
        url.is_some_and(|url| parts(url) == parts(&self.url))
    }

    fn observe(&mut self, limit: Option<Limit>, attempt: &Attempt<'_>) -> Verdict {
        let is_within = limit.is_none_or(|limit| limit.allows(self.followed, attempt));
        if self.followed > 0 && !is_within {
            return Verdict::Refuse;
        }
        let withholds = is_within && self.withheld.is_none() && self.needs_own_request(attempt);
        let Some(saved) = &mut self.saved else { return Verdict::Ask };
        if withholds {
            let previous = attempt.previous().last().unwrap_or(attempt.url());
            self.followed = self.followed.saturating_add(attempt.previous().len());
            self.withheld = Some((attempt.status(), attempt.url().clone(), previous.clone()));
            return Verdict::Withhold;
        }
        saved.redirected(attempt.status());
        Verdict::Ask
    }

    /// Returns true if reqwest would follow this redirect with headers that must not be sent.
    fn needs_own_request(&self, attempt: &Attempt<'_>) -> bool {
        // reqwest refuses this redirect before it sends anything.
        if self.rules.refuses(attempt.url()) {
            return false;
        }
        if self.followed == 0 {
            return !self.instrumentation.config().propagates_to(&Target::parse(attempt.url().as_str()));
        }
        // reqwest would repeat the `Referer` that this call has set, instead of leaving it out.
        let previous = attempt.previous().last();
        self.rules.referer && previous.is_some_and(|previous| is_downgrade(previous, attempt.url()))
    }

    /// Returns the request for a redirect that was withheld, without the trace context; `None` if there is none, or if
    /// reqwest could not repeat its body either.
    pub(crate) fn next(&mut self) -> Option<Request> {
        let (status, next, previous) = self.withheld.take()?;
        let mut saved = self.saved.take()?;
        saved.redirected(status);
        let Saved { mut request, lacks_body: false } = saved else { return None };
        let headers = request.headers_mut();
        // The propagator may be user code.
        guarded(|| {
            global::get_text_map_propagator(|propagator| {
                for field in propagator.fields() {
                    headers.remove(field);
                }
            });
        });
        if next.host_str() != previous.host_str()
            || next.port_or_known_default() != previous.port_or_known_default()
            || next.scheme() != previous.scheme()
        {
            remove_credentials(headers);
        }
        let sends_referer = self.rules.referer && !is_downgrade(&previous, &next);
        self.url.clone_from(&next);
        *request.url_mut() = next;
        if self.rules.referer {
            self.saved = Some(Saved::new(&request));
        }
        if let Some(referer) = sends_referer.then(|| referer(previous)).flatten() {
            request.headers_mut().insert(REFERER, referer);
        }
        Some(request)
    }
}

/// A copy of the request, from which the request after a redirect is built.
#[derive(Debug)]
struct Saved {
    request: Request,
    /// True if the body is a stream, which cannot be repeated.
    lacks_body: bool,
}

impl Saved {
    fn new(request: &Request) -> Self {
        // A copy shares the bytes of the body.
        if let Some(request) = request.try_clone() {
            return Saved { request, lacks_body: false };
        }
        let mut copy = Request::new(request.method().clone(), request.url().clone());
        *copy.headers_mut() = request.headers().clone();
        *copy.version_mut() = request.version();
        *copy.timeout_mut() = request.timeout().copied();
        Saved { request: copy, lacks_body: true }
    }

    /// Changes the method and the body as reqwest does for this redirect.
    ///
    /// spec: RFC 9110 sections 15.4.2 to 15.4.4
    fn redirected(&mut self, status: StatusCode) {
        let request = &mut self.request;
        let drops_body = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *request.method() == Method::POST,
            StatusCode::SEE_OTHER => true,
            _ => false,
        };
        if drops_body {
            if *request.method() != Method::HEAD {
                *request.method_mut() = Method::GET;
            }
            *request.body_mut() = None;
            self.lacks_body = false;
            for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
                request.headers_mut().remove(name);
            }
        }
    }
}

fn is_downgrade(previous: &Url, next: &Url) -> bool {
    previous.scheme() == "https" && next.scheme() == "http"
}

fn referer(mut url: Url) -> Option<HeaderValue> {
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_fragment(None);
    url.as_str().parse().ok()
}

/// Changes the state of the call that this thread polls; `None` while the thread is ending.
fn with_call<R>(change: impl FnOnce(&mut Option<Box<CallState>>) -> R) -> Option<R> {
    CALL.try_with(|call| call.try_borrow_mut().ok().map(|mut call| change(&mut call))).ok().flatten()
}

/// Restores the state of an outer call, also during a panic.
struct Restore(Option<Box<CallState>>);

impl Drop for Restore {
    fn drop(&mut self) {
        with_call(|call| *call = self.0.take());
    }
}
