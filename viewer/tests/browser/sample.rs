//! Telemetry of a small shop, made so that each view and each finding has something to show.

use std::sync::Arc;

use telemark_viewer::model::{
    Attribute, Dropped, Event, Exemplar, Kind, Metric, MetricKind, Point, PointData, Record, Resource, Scope, Span,
    SpanId, Status, Temporality, TraceId, Value,
};
use telemark_viewer::{RunningSpan, Store};

/// The failing checkout, as `check.mjs` knows it.
const CHECKOUT: u128 = 0xa41c_0000_0000_0000_0000_0000_0000_90be;
const LARGE: u128 = 0xb000_0000_0000_0000_0000_0000_0000_0001;
const HOSTILE: u128 = 0xc000_0000_0000_0000_0000_0000_0000_0001;
const LARGE_SPANS: u64 = 50_000;
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// A name that is markup, a terminal escape and a change of the writing direction.
const EVIL: &str = "<img src=x onerror=\"window.hurt=1\">\u{1b}[31m\u{202e}live";

/// Builds telemetry whose names are shared through the store.
pub(crate) struct Shop<'a> {
    store: &'a Store,
    /// Nanoseconds since 1970.
    now: u64,
    scope: Arc<Scope>,
}

impl<'a> Shop<'a> {
    pub(crate) fn new(store: &'a Store, now: u64) -> Self {
        let scope = Scope {
            name: store.interner().text("shop"),
            version: store.interner().text("1.8.2"),
            attributes: Box::default(),
        };
        Shop { store, now, scope: store.interner().scope(scope) }
    }

    /// Adds everything.
    pub(crate) fn fill(&self) {
        let mut spans = self.large();
        for at in 0..60 {
            spans.extend(self.products(0xd000 + u128::from(at), self.now - (at + 2) * 4 * SECOND, "GET /products", at));
        }
        // The past against which the last checkout is slow.
        for at in 0..40 {
            spans.extend(self.checkout(0xe000 + u128::from(at), self.now - (at + 3) * 5 * SECOND, false));
        }
        spans.extend(self.checkout(CHECKOUT, self.now - 2 * SECOND, true));
        spans.extend(self.lost(0xf001));
        spans.extend(self.hostile());
        // At once, because the findings of a part of them would be remembered.
        self.store.add_spans(spans);
        self.store.add_records(self.records());
        self.store.add_metrics(self.metrics());
    }

    /// Adds a trace that starts now.
    pub(crate) fn live(&self, name: &str) {
        self.store.add_spans(self.products(self.now.into(), self.now, name, 1));
    }

    /// Starts a trace of one span, which runs until it [`ends`](Shop::ends).
    pub(crate) fn starts(&self, name: &str) {
        self.store.running().span_started(RunningSpan {
            trace_id: TraceId(running_trace(name)),
            span_id: SpanId(1),
            parent: SpanId(0),
            name: name.into(),
            kind: Kind::Server,
            start: self.now,
            resource: self.resource("gateway"),
        });
    }

    /// Ends a span that has started, a while before it arrives in the store.
    pub(crate) fn ends(&self, name: &str) {
        self.store.running().span_ended(SpanId(1));
        let mut span = self.span(running_trace(name), 1, 0, "gateway", name, self.now - 900 * MS, self.now);
        span.attributes = Box::new([self.attribute("http.route", "/known-at-the-end")]);
        self.store.add_spans(vec![span]);
    }

    /// Adds log records of a minute ago.
    pub(crate) fn more_records(&self, number: u64) {
        self.store
            .add_records((0..number).map(|at| self.record(60 * SECOND + at, 9, "archive", "filed", None)).collect());
    }

    fn resource(&self, service: &str) -> Arc<Resource> {
        let attributes = Box::new([self.attribute("service.name", service)]);
        self.store.interner().resource(Resource { service: self.store.interner().text(service), attributes })
    }

    fn attribute(&self, key: &str, value: impl Into<Sample>) -> Attribute {
        Attribute { key: self.store.interner().text(key), value: value.into().0 }
    }

    #[expect(clippy::too_many_arguments, reason = "one line of a table of spans")]
    fn span(&self, trace: u128, id: u64, parent: u64, service: &str, name: &str, start: u64, end: u64) -> Span {
        Span {
            trace_id: TraceId(trace),
            span_id: SpanId(id),
            parent: SpanId(parent),
            name: self.store.interner().text(name),
            kind: Kind::Internal,
            start,
            end,
            status: Status::Unset,
            trace_state: "".into(),
            attributes: Box::default(),
            events: Box::default(),
            links: Box::default(),
            dropped: Dropped::default(),
            resource: self.resource(service),
            scope: Arc::clone(&self.scope),
        }
    }

    fn products(&self, trace: u128, start: u64, name: &str, seed: u64) -> Vec<Span> {
        let took = (8 + seed * 7 % 90) * MS;
        let mut root = self.span(trace, 1, 0, "gateway", name, start, start + took);
        root.kind = Kind::Server;
        root.attributes =
            Box::new([self.attribute("http.route", "/products"), self.attribute("http.request.method", "GET")]);
        if seed % 20 == 7 {
            root.status = Status::Error("out of stock".into());
        }
        let mut list = self.span(trace, 2, 1, "catalog", "list", start + MS, start + took - MS);
        list.kind = Kind::Server;
        vec![
            root,
            list,
            self.database(
                trace,
                3,
                2,
                "catalog",
                "SELECT products",
                "SELECT * FROM products WHERE sku = $1",
                (start + 2 * MS, start + 4 * MS),
            ),
        ]
    }

    #[expect(clippy::too_many_arguments, reason = "one line of a table of spans")]
    fn database(
        &self,
        trace: u128,
        id: u64,
        parent: u64,
        service: &str,
        name: &str,
        text: &str,
        (start, end): (u64, u64),
    ) -> Span {
        let mut span = self.span(trace, id, parent, service, name, start, end);
        span.kind = Kind::Client;
        let collection = name.split(' ').nth(1).unwrap_or_default();
        span.attributes = Box::new([
            self.attribute("db.system.name", "postgresql"),
            self.attribute("db.namespace", "shop"),
            self.attribute("db.collection.name", collection),
            self.attribute("db.query.text", text),
            self.attribute("server.address", "db.internal"),
        ]);
        span
    }

    fn call(&self, trace: u128, id: u64, name: &str, (start, end): (u64, u64), status: i64) -> Span {
        let mut span = self.span(trace, id, 15, "payments", name, start, end);
        span.kind = Kind::Client;
        span.attributes = Box::new([
            self.attribute("http.request.method", "POST"),
            self.attribute("server.address", "api.stripe.com"),
            self.attribute("http.response.status_code", status),
        ]);
        if status >= 500 {
            span.status = Status::Error("503 Service Unavailable".into());
        }
        span
    }

    /// A checkout. A failing one waits for a lock, and has one call that succeeds only at the second attempt.
    fn checkout(&self, trace: u128, start: u64, fails: bool) -> Vec<Span> {
        let at = |milliseconds: f64| start + (milliseconds * MS as f64) as u64;
        let slow = if fails { 0.0 } else { 206.0 };
        let mut spans = Vec::new();
        let mut add = |mut span: Span, kind: Kind, error: Option<&str>| {
            span.kind = kind;
            if let Some(error) = error.filter(|_| fails) {
                span.status = Status::Error(error.into());
            }
            spans.push(span);
        };
        let mut root = self.span(trace, 1, 0, "gateway", "POST /checkout", start, at(842.0 - slow));
        root.attributes =
            Box::new([self.attribute("http.route", "/checkout"), self.attribute("http.request.method", "POST")]);
        add(root, Kind::Server, Some("502 Bad Gateway"));
        add(self.span(trace, 2, 1, "gateway", "validate_session", at(2.0), at(9.4)), Kind::Internal, None);
        add(self.span(trace, 4, 1, "gateway", "GET /cart/{id}", at(10.2), at(96.0)), Kind::Client, None);
        add(self.span(trace, 5, 4, "catalog", "GET /cart/{id}", at(13.8), at(92.5)), Kind::Server, None);
        for item in 0..8_u32 {
            let from = 24.0 + f64::from(item) * 8.0;
            let statement = "SELECT * FROM items WHERE cart = $1 AND position = $2";
            let span = self.database(
                trace,
                6 + u64::from(item),
                5,
                "catalog",
                "SELECT items",
                statement,
                (at(from), at(from + 6.0)),
            );
            add(span, Kind::Client, None);
        }
        add(self.span(trace, 14, 1, "gateway", "POST /charges", at(98.4), at(520.0)), Kind::Client, None);
        add(self.span(trace, 15, 14, "payments", "POST /charges", at(102.0), at(516.2)), Kind::Server, None);
        if fails {
            add(self.call(trace, 16, "POST /v1/charges", (at(106.0), at(226.0)), 503), Kind::Client, None);
            add(self.call(trace, 17, "POST /v1/charges", (at(280.0), at(498.0)), 200), Kind::Client, None);
        } else {
            add(self.call(trace, 17, "POST /v1/charges", (at(106.0), at(324.0)), 200), Kind::Client, None);
        }
        for time in 0..3_u32 {
            let from = 499.0 + f64::from(time) * 5.0;
            let statement = "SELECT rate FROM currencies WHERE code = 'EUR'";
            let span = self.database(
                trace,
                30 + u64::from(time),
                15,
                "payments",
                "SELECT currencies",
                statement,
                (at(from), at(from + 4.0)),
            );
            add(span, Kind::Client, None);
        }
        let end = 836.0 - slow;
        add(
            self.span(trace, 19, 1, "gateway", "POST /orders", at(522.0), at(end)),
            Kind::Client,
            Some("500 Internal Server Error"),
        );
        let failure = Some("place order: deadlock detected");
        add(self.span(trace, 20, 19, "orders", "POST /orders", at(527.4), at(end - 4.0)), Kind::Server, failure);
        let insert = "INSERT INTO orders VALUES ($1, $2)";
        add(
            self.database(trace, 22, 20, "orders", "INSERT orders", insert, (at(533.0), at(561.0))),
            Kind::Client,
            None,
        );
        let insert = "INSERT INTO order_items VALUES ($1, $2)";
        add(
            self.database(trace, 23, 20, "orders", "INSERT order_items", insert, (at(563.0), at(598.0))),
            Kind::Client,
            None,
        );
        let update = "UPDATE stock SET held = held + $1 WHERE sku = $2";
        let mut stock = self.database(trace, 24, 20, "orders", "UPDATE stock", update, (at(600.0), at(812.0 - slow)));
        if fails {
            let mut attributes = stock.attributes.into_vec();
            attributes.push(self.attribute("db.response.status_code", "40P01"));
            stock.attributes = attributes.into();
            stock.events = Box::new([Event {
                time: at(811.0),
                name: self.store.interner().text("exception"),
                attributes: Box::new([self.attribute("exception.message", "deadlock detected")]),
                dropped_attributes: 0,
            }]);
        }
        add(stock, Kind::Client, Some("deadlock detected"));
        add(
            self.database(trace, 25, 20, "orders", "ROLLBACK", "ROLLBACK", (at(814.0 - slow), at(828.0 - slow))),
            Kind::Client,
            None,
        );
        spans
    }

    /// A trace in which two spans lost their parents.
    fn lost(&self, trace: u128) -> Vec<Span> {
        let start = self.now - 30 * SECOND;
        let mut root = self.span(trace, 1, 0, "orders", "publish order.placed", start, start + 9 * MS);
        root.kind = Kind::Producer;
        let mut mail = self.span(trace, 3, 2, "mailer", "mail.send", start + 20 * MS, start + 90 * MS);
        mail.kind = Kind::Consumer;
        vec![root, mail]
    }

    fn large(&self) -> Vec<Span> {
        let start = self.now - 100 * SECOND;
        let mut spans = vec![self.span(LARGE, 1, 0, "mailer", "nightly reindex", start, start + 60 * SECOND)];
        let mut batch = 1;
        for id in 2..=LARGE_SPANS {
            let begin = start + id * MS;
            if id % 50 == 2 {
                batch = id;
                spans.push(self.span(LARGE, id, 1, "mailer", "batch", begin, begin + 49 * MS));
                continue;
            }
            let mut span = self.span(
                LARGE,
                id,
                batch,
                "catalog",
                ["read", "index", "write"][id as usize % 3],
                begin,
                begin + MS / 2,
            );
            if id % 4_999 == 0 {
                span.status = Status::Error("timeout".into());
            }
            spans.push(span);
        }
        spans
    }

    fn hostile(&self) -> Vec<Span> {
        let start = self.now - 5 * SECOND;
        let mut root = self.span(HOSTILE, 1, 0, EVIL, EVIL, start, start + 5 * MS);
        root.status = Status::Error(EVIL.into());
        root.attributes =
            Box::new([self.attribute(EVIL, EVIL), self.attribute("long", "x".repeat(1_000_000).as_str())]);
        root.events = Box::new([Event {
            time: start + MS,
            name: self.store.interner().text(EVIL),
            attributes: Box::new([self.attribute(EVIL, EVIL)]),
            dropped_attributes: 7,
        }]);
        // Parents in a circle, an id twice, an end before the start.
        let circle = [
            self.span(HOSTILE, 2, 3, EVIL, EVIL, start, start + MS),
            self.span(HOSTILE, 3, 2, EVIL, EVIL, start + MS, start),
        ];
        let twice = self.span(HOSTILE, 1, 1, EVIL, EVIL, start, start + MS);
        [vec![root, twice], circle.into()].concat()
    }

    fn record(&self, before: u64, severity: u8, service: &str, body: &str, place: Option<(u128, u64)>) -> Record {
        let (trace, span) = place.unwrap_or_default();
        Record {
            time: self.now - before,
            severity,
            severity_text: "".into(),
            body: Value::String(body.into()),
            event_name: "".into(),
            trace_id: TraceId(trace),
            span_id: SpanId(span),
            attributes: Box::new([self.attribute("code.module.name", "shop::orders")]),
            dropped_attributes: 0,
            resource: self.resource(service),
            scope: Arc::clone(&self.scope),
        }
    }

    fn records(&self) -> Vec<Record> {
        let since = 2 * SECOND;
        let mut records: Vec<Record> = (0..120)
            .map(|at| {
                self.record(
                    (130 - at) * SECOND,
                    9,
                    "gateway",
                    "request finished",
                    Some((0xd000 + u128::from(at % 60), 1)),
                )
            })
            .collect();
        records.extend([
            self.record(since - 94 * MS, 13, "catalog", "cart loaded with 8 item queries", Some((CHECKOUT, 5))),
            self.record(since - 226 * MS, 13, "payments", "charge failed, will retry in 50 ms", Some((CHECKOUT, 16))),
            self.record(since - 499 * MS, 9, "payments", "charge accepted", Some((CHECKOUT, 15))),
            self.record(since - 610 * MS, 5, "orders", "waiting for row lock on stock", Some((CHECKOUT, 24))),
            self.record(since - 811 * MS, 17, "orders", "deadlock detected", Some((CHECKOUT, 24))),
            self.record(SECOND, 9, "mailer", "connected to smtp", None),
            self.record(SECOND / 2, 17, EVIL, EVIL, Some((HOSTILE, 1))),
        ]);
        records
    }

    fn metrics(&self) -> Vec<Metric> {
        let bounds: Arc<[f64]> = Arc::from([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5]);
        let point = |step: u64, route: &str, scale: u64, exemplars: Box<[Exemplar]>| {
            let counts: Vec<u64> = [0, 4, 9, 6, 3, 2, 1, 1, 0, 0].iter().map(|count| count * scale * step).collect();
            Point {
                start: self.now - 300 * SECOND,
                time: self.now - (20 - step) * 10 * SECOND,
                attributes: Box::new([
                    self.attribute("http.route", route),
                    self.attribute("http.response.status_code", 200),
                ]),
                data: PointData::Histogram {
                    count: counts.iter().sum(),
                    sum: 3.0 * step as f64,
                    min: None,
                    max: None,
                    bounds: Arc::clone(&bounds),
                    counts: counts.into(),
                },
                exemplars,
            }
        };
        let exemplar = Exemplar {
            time: self.now - 2 * SECOND,
            value: 0.842,
            trace_id: TraceId(CHECKOUT),
            span_id: SpanId(1),
            attributes: Box::default(),
        };
        let mut metrics = Vec::new();
        for step in 1..=20 {
            let exemplars = if step == 20 { Box::from([exemplar.clone()]) } else { Box::default() };
            let points = vec![point(step, "/checkout", 1, exemplars), point(step, "/products", 3, Box::default())];
            metrics.push(self.metric("http.server.request.duration", "s", MetricKind::Histogram, points));
            let value = |data| Point {
                start: self.now - 300 * SECOND,
                time: self.now - (20 - step) * 10 * SECOND,
                attributes: Box::new([self.attribute("outcome", "placed")]),
                data,
                exemplars: Box::default(),
            };
            metrics.push(self.metric(
                "shop.orders.placed",
                "{order}",
                MetricKind::Sum { monotonic: true },
                vec![value(PointData::Int(step as i64 * 7))],
            ));
            metrics.push(self.metric(
                "process.memory.usage",
                "By",
                MetricKind::Gauge,
                vec![value(PointData::Double(4e7 + step as f64 * 1e5))],
            ));
            metrics.push(self.metric(EVIL, EVIL, MetricKind::Gauge, vec![value(PointData::Double(f64::NAN))]));
        }
        metrics
    }

    fn metric(&self, name: &str, unit: &str, kind: MetricKind, points: Vec<Point>) -> Metric {
        let temporality = if kind == MetricKind::Gauge { Temporality::Unspecified } else { Temporality::Cumulative };
        let interner = self.store.interner();
        let (name, unit, description) =
            (interner.text(name), interner.text(unit), interner.text("Made for this test."));
        Metric {
            name,
            unit,
            description,
            kind,
            temporality,
            resource: self.resource("gateway"),
            scope: Arc::clone(&self.scope),
            points,
        }
    }
}

/// The id of the trace that [`Shop::starts`] starts.
fn running_trace(name: &str) -> u128 {
    name.bytes().fold(0xabc, |id, byte| id << 8 | u128::from(byte))
}

/// A value of an attribute.
pub(crate) struct Sample(Value);

impl From<&str> for Sample {
    fn from(text: &str) -> Self {
        Sample(Value::String(text.into()))
    }
}

impl From<i64> for Sample {
    fn from(number: i64) -> Self {
        Sample(Value::Int(number))
    }
}
