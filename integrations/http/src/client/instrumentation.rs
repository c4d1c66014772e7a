//! The start of a request: turns its head into a span and a measurement.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_kit::{Attributes, BoundedText, guarded, is_unsampled, keys, with_span};

use super::call::{Client, ClientCall};
use super::config::ClientConfig;
use super::connection::{OpenConnection, PhaseLog};
use super::current;
use super::head::ClientRequestHead;
use super::measurement::{Measurement, Recorder};
use super::metrics::ClientMetrics;
use super::policy::{ResendCounter, UrlTemplate};
use crate::shared::captured::REQUEST;
use crate::shared::content_length;
use crate::shared::methods::MethodName;
use crate::shared::names;
use crate::shared::url::target::{Server, Target};

/// The number of attributes of a typical request, to allocate the vector only once.
const TYPICAL_ATTRIBUTES: usize = 8;
/// The number of attributes below an unsampled parent.
const LEAN_ATTRIBUTES: usize = 4;

/// Begins the spans and measurements of one client, with its settings, tracer and instruments. Cheap to clone.
#[derive(Clone)]
pub struct HttpClientInstrumentation {
    client: Arc<Client>,
    tracer: Arc<dyn Start>,
}

/// Starts spans on a tracer of any type, so that clients have no type parameter for it.
trait Start: Send + Sync {
    /// Returns the parent with the span, and true if the span is recorded. Adds the attributes of `late` if it is recorded
    /// below an unsampled parent.
    fn start(&self, builder: SpanBuilder, parent: &Context, late: &dyn Fn() -> Vec<KeyValue>) -> (Context, bool);
}

impl<T> Start for T
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn start(&self, builder: SpanBuilder, parent: &Context, late: &dyn Fn() -> Vec<KeyValue>) -> (Context, bool) {
        let mut span = self.build_with_context(builder, parent);
        let is_recording = span.is_recording();
        if is_recording && is_unsampled(parent) {
            span.set_attributes(late());
        }
        (with_span(parent, span, is_recording), is_recording)
    }
}

impl HttpClientInstrumentation {
    /// Returns an instrumentation that starts its spans on `tracer` and records no metrics.
    pub fn new<T>(config: ClientConfig, tracer: T) -> Self
    where
        T: Tracer + Send + Sync + 'static,
        T::Span: Send + Sync + 'static,
    {
        let recorder = Recorder::new(&config, ClientMetrics::off());
        HttpClientInstrumentation { client: Arc::new(Client { config, recorder }), tracer: Arc::new(tracer) }
    }

    /// Records metrics on these instruments.
    pub fn with_metrics(self, metrics: ClientMetrics) -> Self {
        let config = self.client.config.clone();
        let recorder = Recorder::new(&config, metrics);
        HttpClientInstrumentation { client: Arc::new(Client { config, recorder }), tracer: self.tracer }
    }

    /// Changes the settings. `change` receives the present ones and returns new ones. The clock is kept unless the new settings
    /// have their own.
    pub fn map_config(self, change: impl FnOnce(ClientConfig) -> ClientConfig) -> Self {
        let config = change(self.client.config.clone()).or_clock_of(&self.client.config);
        let recorder = self.client.recorder.with_config(&config);
        HttpClientInstrumentation { client: Arc::new(Client { config, recorder }), tracer: self.tracer }
    }

    /// Returns the settings.
    pub fn config(&self) -> &ClientConfig {
        &self.client.config
    }

    /// Begins the span and the measurement of a request. The parent is the current span.
    ///
    /// Nothing is recorded if the request is excluded, if telemetry is suppressed in the current context, if another client
    /// layer is already recording the request, or if the policy or the tracer panicked. A request counts as already
    /// recorded if it begins while a call is polled on the same thread and no span lies between. This includes requests for
    /// other URLs, such as those of a resolver or of a layer that renews a token: they are part of the call that waits for
    /// them. Give such code a span of its own to record its requests.
    pub fn begin(&self, request: ClientRequestHead<'_>) -> ClientCall {
        if self.client.config.is_disabled {
            return ClientCall::unrecorded(self.client.clone(), false);
        }
        // The API panics if the thread is ending and its context has been destroyed.
        let is_suppressed = guarded(|| Context::is_current_telemetry_suppressed() || current::is_in_call());
        if is_suppressed.unwrap_or(true) {
            return ClientCall::unrecorded(self.client.clone(), false);
        }
        let propagates = self.client.config.propagates_to(&request.target);
        // Policy and sampler are user code. If one panics, the request is sent without a span.
        let begun = guarded(|| self.begin_guarded(&request, propagates));
        let mut call = begun.unwrap_or_else(|| ClientCall::unrecorded(self.client.clone(), propagates));
        call.count();
        call
    }

    fn begin_guarded(&self, request: &ClientRequestHead<'_>, propagates: bool) -> ClientCall {
        let config = &self.client.config;
        if config.excludes(&request.target) || config.policy().is_excluded(request) {
            return ClientCall::unrecorded(self.client.clone(), propagates);
        }
        self.begin_included(request, propagates)
    }

    fn begin_included(&self, request: &ClientRequestHead<'_>, propagates: bool) -> ClientCall {
        let Client { config, recorder } = &*self.client;
        let started = recorder.start();
        let parent = Context::current();
        let is_lean = is_unsampled(&parent);
        let method = config.known_methods.resolve(request.method);
        let server = request.target.server();
        let own_name = config.policy().span_name(request);
        let (name, template) = names::span_name(&method, url_template(config, request).as_deref());
        let resend_count = request.resend_count.or_else(|| Some(request.extensions?.get::<ResendCounter>()?.count()));

        let capacity = if is_lean { LEAN_ATTRIBUTES } else { TYPICAL_ATTRIBUTES + config.choices.len(REQUEST) };
        let mut attributes = Attributes::with_capacity(capacity);
        attributes.add(keys::HTTP_REQUEST_METHOD, method.attribute());
        add_server(server.as_ref(), &mut attributes);
        attributes.list.extend(template.clone().map(|template| KeyValue::new(keys::URL_TEMPLATE, template)));
        if !is_lean {
            describe(config, request, &method, resend_count, &mut attributes);
        }
        config.policy().request_attributes(request, &mut attributes.list);

        let builder = SpanBuilder {
            name: own_name.unwrap_or(name),
            span_kind: Some(SpanKind::Client),
            attributes: Some(std::mem::take(&mut attributes.list)),
            start_time: started,
            ..SpanBuilder::default()
        };
        let late = || {
            let mut late = Attributes::with_capacity(TYPICAL_ATTRIBUTES);
            describe(config, request, &method, resend_count, &mut late);
            late.list.extend(late.cut.attribute());
            late.list
        };
        let (mut context, is_recording) = self.tracer.start(builder, &parent, &late);
        if is_recording && config.has_connection_phases {
            context = context.with_value(PhaseLog::new(config.clock.clone().unwrap_or_default()));
        }
        let measured = started.map(|started| Measurement {
            started,
            method,
            server,
            scheme: request.target.known_scheme(),
            template,
            request_bytes: request_bytes(request),
            is_active: false,
        });
        ClientCall::new(self.client.clone(), context, propagates, is_recording, attributes.cut, measured)
    }

    /// Counts a new connection to the server of this URL, for a connector. Returns `None` if the settings do not ask for it, or
    /// if the clock panicked.
    pub fn open_connection(&self, target: &Target<'_>, is_http2: bool) -> Option<OpenConnection> {
        guarded(|| OpenConnection::new(&self.client, target, is_http2)).flatten()
    }

    /// Adds an event for a redirect to the span of the call that the current thread is polling, if it has one.
    ///
    /// For libraries that follow redirects inside of a call. A disabled instrumentation adds nothing.
    pub fn record_redirect(&self, status: StatusCode, to: &str) {
        if self.client.config.is_disabled {
            return;
        }
        guarded(|| {
            if current::is_in_call() {
                let full = Target::parse(to).full(&self.client.config.sensitive).text;
                let status = KeyValue::new(keys::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
                Context::map_current(|current| {
                    current.span().add_event("telemark.redirect", vec![status, KeyValue::new(keys::URL_FULL, full)]);
                });
            }
        });
    }
}

impl fmt::Debug for HttpClientInstrumentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Client { config, recorder } = &*self.client;
        let mut shown = f.debug_struct("HttpClientInstrumentation");
        shown.field("config", config).field("recorder", recorder).finish_non_exhaustive()
    }
}

fn url_template<'r>(config: &'r ClientConfig, request: &ClientRequestHead<'r>) -> Option<Cow<'r, str>> {
    let attached = || Some(Cow::Borrowed(&*request.extensions?.get::<UrlTemplate>()?.0));
    let named = request.url_template.map(Cow::Borrowed).or_else(attached);
    named.or_else(|| config.policy().url_template(request)).or_else(|| config.url_templates.find(request.target.path()))
}

fn request_bytes(request: &ClientRequestHead<'_>) -> Option<u64> {
    request.body_bytes.or_else(|| content_length::declared(request.headers))
}

fn add_server(server: Option<&Server>, attributes: &mut Attributes) {
    let Some(Server { address, port, is_cut, .. }) = server else { return };
    if *is_cut {
        attributes.cut.add(&keys::SERVER_ADDRESS.into());
    }
    attributes.add(keys::SERVER_ADDRESS, address.clone());
    if let Some(port) = port {
        attributes.add(keys::SERVER_PORT, i64::from(*port));
    }
}

/// Adds the attributes that a span below an unsampled parent does not need.
fn describe(
    config: &ClientConfig,
    request: &ClientRequestHead<'_>,
    method: &MethodName,
    resend_count: Option<u32>,
    attributes: &mut Attributes,
) {
    attributes.add_text(keys::URL_FULL, request.target.full(&config.sensitive));
    if *method == MethodName::Other {
        attributes.add_text(keys::HTTP_REQUEST_METHOD_ORIGINAL, BoundedText::new(request.method.as_str()));
    }
    // spec: http/http-spans.md: the first attempt has no resend count
    if let Some(count) = resend_count.filter(|count| *count > 0) {
        attributes.add(keys::HTTP_REQUEST_RESEND_COUNT, i64::from(count));
    }
    if let Some(service) = config.service_names.find(&request.target) {
        attributes.add(keys::SERVER_SERVICE_NAME, service);
    }
    let opt_in = &config.opt_in;
    if opt_in.scheme && !request.target.scheme().is_empty() {
        attributes.add_text(keys::URL_SCHEME, BoundedText::new(request.target.scheme()));
    }
    if let Some(agent) = request.headers.get(http::header::USER_AGENT).filter(|_| opt_in.user_agent) {
        attributes.add_text(keys::USER_AGENT_ORIGINAL, BoundedText::from_bytes(agent.as_bytes()));
    }
    if let Some(bytes) = request_bytes(request).filter(|_| opt_in.request_size) {
        attributes.add(keys::HTTP_REQUEST_BODY_SIZE, i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    config.choices.capture(REQUEST, request.headers, attributes);
}
