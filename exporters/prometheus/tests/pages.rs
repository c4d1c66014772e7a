//! Checks whole pages, one rule at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::{self, Write};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use support::{OPEN_METRICS, TEXT, attributes, gauge, lines, page, scope, sum};
use telemark_prometheus::{Escaping, Format, Protocol, Renderer, TranslationStrategy};
use telemark_sdk::Resource;
use telemark_sdk::metrics::{
    Attributes, Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, NumberPoint,
    ScopeMetrics, Temporality,
};
use telemark_sdk::time::Timestamp;

/// Checks a page rendered without scope labels.
fn check(format: Format, metrics: Vec<Metric>, expected: &str) {
    let scopes = [scope("shop", metrics)];
    check_all(&Renderer::new().without_scope_labels(), format, &Resource::empty(), &scopes, expected);
}

fn check_all(renderer: &Renderer, format: Format, resource: &Resource, scopes: &[ScopeMetrics], expected: &str) {
    let actual = page(renderer, format, resource, scopes);
    assert_eq!(actual, lines(expected), "{format}:\n{actual}");
    support::checker::check(format, &actual).unwrap();
}

fn exemplar(value: f64, at: u64) -> Exemplar {
    let trace = TraceId::from_hex("5b8efff798038103d269b633813fc60c").unwrap();
    Exemplar::new(value, Timestamp::from_nanos(at)).in_span(trace, SpanId::from_hex("eee19b7ec3c1b174").unwrap())
}

const IDS: &str = r#"trace_id="5b8efff798038103d269b633813fc60c",span_id="eee19b7ec3c1b174""#;

fn counter() -> Metric {
    let point = NumberPoint::new(attributes(&[("http.route", "/cart")]), 3u64);
    let point = point.with_exemplar(exemplar(1.0, 5_000_000_000)).with_exemplar(exemplar(2.0, 4_000_000_000));
    Metric::new("http.requests", sum(vec![point])).with_description("Requests \"so\\far\"\n").with_unit("{request}")
}

#[test]
fn counters() {
    check(
        OPEN_METRICS,
        vec![counter()],
        &format!(
            r#"# TYPE http_requests counter
            # HELP http_requests Requests \"so\\far\"\n
            http_requests_total{{http_route="/cart"}} 3 # {{{IDS}}} 1.0 5
            # EOF"#
        ),
    );
    check(
        TEXT,
        vec![counter()],
        r#"# TYPE http_requests_total counter
        # HELP http_requests_total Requests "so\\far"\n
        http_requests_total{http_route="/cart"} 3"#,
    );
}

#[test]
fn gauges_and_sums_that_may_fall() {
    let points = || vec![NumberPoint::new(Attributes::empty(), -2.5).with_exemplar(exemplar(1.0, 1))];
    let sum = MetricData::Sum { points: points(), temporality: Temporality::Cumulative, monotonic: false };
    let metrics = vec![
        Metric::new("queue.size", gauge(points())).with_unit("By"),
        Metric::new("load", sum),
        Metric::new("nothing", gauge(vec![])),
        Metric::new("odd", gauge(vec![NumberPoint::new(Attributes::empty(), f64::NAN)])),
    ];
    check(
        OPEN_METRICS,
        metrics,
        "# TYPE queue_size_bytes gauge
        # UNIT queue_size_bytes bytes
        queue_size_bytes -2.5
        # TYPE load gauge
        load -2.5
        # TYPE odd gauge
        odd NaN
        # EOF",
    );
}

fn histogram(point: HistogramPoint) -> Metric {
    let data = MetricData::Histogram { points: vec![point], temporality: Temporality::Cumulative };
    Metric::new("duration", data).with_unit("s")
}

#[test]
fn histograms() {
    let point = || {
        HistogramPoint::new(attributes(&[("le", "mine")]), [0.0, 0.5, 1e6], vec![1, 2, 0, 4])
            .with_sum(12.5)
            .with_extremes(0.0, 9e9)
            .with_exemplar(exemplar(0.5, 1_500_000_000))
            .with_exemplar(exemplar(0.25, 2_000_000_000))
            .with_exemplar(exemplar(2e6, 3_000_000_000))
            .with_exemplar(exemplar(f64::NAN, 4_000_000_000))
    };
    check(
        OPEN_METRICS,
        vec![histogram(point())],
        &format!(
            r#"# TYPE duration_seconds histogram
            # UNIT duration_seconds seconds
            duration_seconds_bucket{{exported_le="mine",le="0.0"}} 1
            duration_seconds_bucket{{exported_le="mine",le="0.5"}} 3 # {{{IDS}}} 0.25 2
            duration_seconds_bucket{{exported_le="mine",le="1e+06"}} 3
            duration_seconds_bucket{{exported_le="mine",le="+Inf"}} 7 # {{{IDS}}} 2000000.0 3
            duration_seconds_sum{{exported_le="mine"}} 12.5
            duration_seconds_count{{exported_le="mine"}} 7
            # EOF"#
        ),
    );
    check(
        TEXT,
        vec![histogram(point())],
        r#"# TYPE duration_seconds histogram
        duration_seconds_bucket{exported_le="mine",le="0.0"} 1
        duration_seconds_bucket{exported_le="mine",le="0.5"} 3
        duration_seconds_bucket{exported_le="mine",le="1e+06"} 3
        duration_seconds_bucket{exported_le="mine",le="+Inf"} 7
        duration_seconds_sum{exported_le="mine"} 12.5
        duration_seconds_count{exported_le="mine"} 7"#,
    );
}

#[test]
fn the_longest_line_of_a_bucket() {
    let point = HistogramPoint::new(Attributes::empty(), [-f64::MIN_POSITIVE], vec![u64::MAX, 0])
        .with_exemplar(exemplar(f64::MIN, u64::MAX));
    let count = u64::MAX;
    check(
        OPEN_METRICS,
        vec![histogram(point)],
        &format!(
            r#"# TYPE duration_seconds histogram
            # UNIT duration_seconds seconds
            duration_seconds_bucket{{le="-2.2250738585072014e-308"}} {count} # {{{IDS}}} -1.7976931348623157e308 18446744073.709551615
            duration_seconds_bucket{{le="+Inf"}} {count}
            # EOF"#
        ),
    );
}

#[test]
fn histograms_without_buckets_or_sums() {
    let mut point = HistogramPoint::new(Attributes::empty(), [], vec![]).with_sum(1.0);
    point.count = 5;
    check(
        OPEN_METRICS,
        vec![histogram(point)],
        r#"# TYPE duration_seconds histogram
        # UNIT duration_seconds seconds
        duration_seconds_bucket{le="+Inf"} 5
        duration_seconds_sum 1.0
        duration_seconds_count 5
        # EOF"#,
    );
    let negative = HistogramPoint::new(Attributes::empty(), [-1.0], vec![1, 2]);
    let bucket = r#"duration_seconds_bucket{le="-1.0"} 1
        duration_seconds_bucket{le="+Inf"} 3"#;
    let (kind, unit) = ("# TYPE duration_seconds histogram", "# UNIT duration_seconds seconds");
    // In OpenMetrics, a histogram with a count must have a sum, and a sum requires positive bounds.
    let with_sum = negative.clone().with_sum(-9.0);
    check(OPEN_METRICS, vec![histogram(with_sum.clone())], &format!("{kind}\n{unit}\n{bucket}\n# EOF"));
    let text = format!("{kind}\n{bucket}\nduration_seconds_sum -9.0\nduration_seconds_count 3");
    check(TEXT, vec![histogram(with_sum)], &text);
    check(TEXT, vec![histogram(negative)], &format!("{kind}\n{bucket}\nduration_seconds_count 3"));
}

#[test]
fn exponential_histograms_have_buckets() {
    let (positive, negative) = (Buckets::new(-1, vec![1, 0, 4]), Buckets::default());
    let point = ExponentialHistogramPoint::new(Attributes::empty(), 0, 2, positive, negative)
        .with_sum(9.0)
        .with_exemplar(exemplar(3.0, 1_000_000_000));
    let data = MetricData::ExponentialHistogram { points: vec![point], temporality: Temporality::Cumulative };
    check(
        OPEN_METRICS,
        vec![Metric::new("size", data)],
        &format!(
            r#"# TYPE size histogram
            size_bucket{{le="0.0"}} 2
            size_bucket{{le="0.5"}} 2
            size_bucket{{le="1.0"}} 3
            size_bucket{{le="2.0"}} 3
            size_bucket{{le="4.0"}} 7 # {{{IDS}}} 3.0 1
            size_bucket{{le="+Inf"}} 7
            size_sum 9.0
            size_count 7
            # EOF"#
        ),
    );
}

#[test]
fn scopes_are_labels() {
    let scope = InstrumentationScope::builder("shop")
        .with_version("1.0")
        .with_schema_url("https://example.com/1")
        .with_attributes([
            KeyValue::new("name", "taken"),
            KeyValue::new("team.id", 7),
            KeyValue::new("schema.url", "x"),
        ])
        .build();
    let metric = || Metric::new("a", gauge(vec![NumberPoint::new(attributes(&[("k", "v")]), 1i64)]));
    let scopes = [
        ScopeMetrics::new(scope, vec![metric()]),
        support::scope(
            "cart",
            vec![metric(), Metric::new("b", gauge(vec![NumberPoint::new(Attributes::empty(), 2i64)]))],
        ),
    ];
    // Both metrics `a` belong to one family, because families must not interleave.
    check_all(
        &Renderer::new(),
        OPEN_METRICS,
        &Resource::empty(),
        &scopes,
        r#"# TYPE a gauge
        a{otel_scope_name="shop",otel_scope_version="1.0",otel_scope_schema_url="https://example.com/1",otel_scope_team_id="7",k="v"} 1
        a{otel_scope_name="cart",k="v"} 1
        # TYPE b gauge
        b{otel_scope_name="cart"} 2
        # EOF"#,
    );
    // Without scope labels, both produce the same series.
    check_all(
        &Renderer::new().without_scope_labels(),
        TEXT,
        &Resource::empty(),
        &scopes,
        "# TYPE a gauge\na{k=\"v\"} 1\n# TYPE b gauge\nb 2",
    );
}

#[test]
fn the_resource_is_a_metric() {
    let resource = Resource::new([
        KeyValue::new("service.name", "shop"),
        KeyValue::new("host.cpus", 4),
        KeyValue::new("service_name", "twice"),
    ]);
    let scopes = [scope("shop", vec![Metric::new("a", gauge(vec![NumberPoint::new(Attributes::empty(), 1i64)]))])];
    let renderer = Renderer::new().without_scope_labels();
    check_all(
        &renderer,
        OPEN_METRICS,
        &resource,
        &scopes,
        r#"# TYPE target info
        # HELP target Target metadata
        target_info{host_cpus="4",service_name="shop;twice"} 1
        # TYPE a gauge
        a 1
        # EOF"#,
    );
    check_all(
        &renderer,
        TEXT,
        &resource,
        &scopes,
        r#"# TYPE target_info gauge
        # HELP target_info Target metadata
        target_info{host_cpus="4",service_name="shop;twice"} 1
        # TYPE a gauge
        a 1"#,
    );
    check_all(
        &Renderer::new().without_target_info().with_resource_labels(["host.cpus", "service.name"]),
        TEXT,
        &resource,
        &scopes,
        "# TYPE a gauge\na{otel_scope_name=\"shop\",host_cpus=\"4\",service_name=\"shop\"} 1",
    );
}

#[test]
fn keys_that_become_one_are_joined() {
    let point = |keys: &[(&'static str, &'static str)], value: i64| NumberPoint::new(attributes(keys), value);
    let points = vec![
        point(&[("a_b", "2"), ("a.b", "1"), ("c", "x")], 1),
        point(&[("a.b", "1")], 2),
        point(&[("a_b", "1")], 3),
        point(&[("otel.scope.name", "mine")], 4),
    ];
    check_all(
        &Renderer::new(),
        TEXT,
        &Resource::empty(),
        &[scope("shop", vec![Metric::new("a", gauge(points))])],
        r#"# TYPE a gauge
        a{a_b="1;2",c="x",otel_scope_name="shop"} 1
        a{a_b="1",otel_scope_name="shop"} 2
        a{otel_scope_name="mine;shop"} 4"#,
    );
}

#[test]
fn series_that_prometheus_cannot_tell_apart_are_added_up() {
    let empty = || attributes(&[("a", "")]);
    let points = vec![
        NumberPoint::new(Attributes::empty(), 1u64).with_exemplar(exemplar(1.0, 1_000_000_000)),
        NumberPoint::new(attributes(&[("a", "x")]), 8u64),
        NumberPoint::new(empty(), 2u64).with_exemplar(exemplar(2.0, 2_000_000_000)),
    ];
    let texts = vec![
        NumberPoint::new(Attributes::new([KeyValue::new("n", 1)]), 1.5),
        NumberPoint::new(Attributes::new([KeyValue::new("n", "1")]), 2i64),
    ];
    let array = |array: Array| Attributes::new([KeyValue::new("n", Value::Array(array))]);
    let arrays = vec![
        NumberPoint::new(array(Array::F64(Vec::new())), 1u64),
        NumberPoint::new(array(Array::String(Vec::new())), 2u64),
    ];
    let histogram = |attributes, bounds: [f64; 1], counts: [u64; 2]| {
        HistogramPoint::new(attributes, bounds, counts.to_vec()).with_sum(1.0)
    };
    let histograms = vec![
        histogram(empty(), [1.0], [1, 2]),
        histogram(Attributes::empty(), [1.0], [3, 4]),
        // The bounds differ from those of the series above, so the two series cannot be added and the page shows only the first.
        histogram(attributes(&[("b", "")]), [2.0], [5, 6]),
    ];
    let buckets = |offset, counts: &[u64]| Buckets::new(offset, counts.to_vec());
    let exponential = |attributes, scale, offset, counts: &[u64]| {
        ExponentialHistogramPoint::new(attributes, scale, 1, buckets(offset, counts), Buckets::default()).with_sum(1.0)
    };
    // The buckets (1, 2] and (2, 4], at scale 0 and at scale 2.
    let exponentials =
        vec![exponential(empty(), 0, 0, &[1, 2]), exponential(Attributes::empty(), 2, 0, &[1, 1, 1, 1, 0, 0, 0, 1])];
    let falls = MetricData::Sum { points: points.clone(), temporality: Temporality::Cumulative, monotonic: false };
    let metrics = vec![
        Metric::new("c", sum(points.clone())),
        Metric::new("u", falls),
        Metric::new("t", sum(texts)),
        Metric::new("r", sum(arrays)),
        Metric::new("g", gauge(points)),
        Metric::new("h", MetricData::Histogram { points: histograms, temporality: Temporality::Cumulative }),
        Metric::new(
            "e",
            MetricData::ExponentialHistogram { points: exponentials, temporality: Temporality::Cumulative },
        ),
    ];
    check(
        OPEN_METRICS,
        metrics,
        &format!(
            r#"# TYPE c counter
            c_total 3 # {{{IDS}}} 2.0 2
            c_total{{a="x"}} 8
            # TYPE u gauge
            u 3
            u{{a="x"}} 8
            # TYPE t counter
            t_total{{n="1"}} 3.5
            # TYPE r counter
            r_total{{n="[]"}} 3
            # TYPE g gauge
            g 1
            g{{a="x"}} 8
            # TYPE h histogram
            h_bucket{{le="1.0"}} 4
            h_bucket{{le="+Inf"}} 10
            h_sum 2.0
            h_count 10
            # TYPE e histogram
            e_bucket{{le="0.0"}} 2
            e_bucket{{le="1.0"}} 2
            e_bucket{{le="2.0"}} 7
            e_bucket{{le="4.0"}} 10
            e_bucket{{le="+Inf"}} 10
            e_sum 2.0
            e_count 10
            # EOF"#
        ),
    );
}

#[test]
fn infinite_values_and_nan() {
    let points = || {
        [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].into_iter().zip(["up", "down", "none"]).map(|(value, which)| {
            NumberPoint::new(attributes(&[("which", which)]), value).with_exemplar(exemplar(value, 1_000_000_000))
        })
    };
    let metrics = || {
        let falls =
            MetricData::Sum { points: points().collect(), temporality: Temporality::Cumulative, monotonic: false };
        vec![
            Metric::new("g", gauge(points().collect())),
            Metric::new("s", falls),
            Metric::new("c", sum(points().collect())),
        ]
    };
    let values = |name: &str| {
        format!(
            r#"# TYPE {name} gauge
            {name}{{which="up"}} +Inf
            {name}{{which="down"}} -Inf
            {name}{{which="none"}} NaN
            "#
        )
    };
    let gauges = values("g") + &values("s");
    // OpenMetrics does not allow a counter to be negative or NaN.
    check(
        OPEN_METRICS,
        metrics(),
        &format!("{gauges}# TYPE c counter\nc_total{{which=\"up\"}} +Inf # {{{IDS}}} +Inf 1\n# EOF"),
    );
    let counter = r#"# TYPE c_total counter
        c_total{which="up"} +Inf
        c_total{which="down"} -Inf
        c_total{which="none"} NaN"#;
    check(TEXT, metrics(), &(gauges + counter));
}

#[test]
fn conflicts_drop_the_later_metric() {
    let one = || vec![NumberPoint::new(attributes(&[("n", "1")]), 1i64)];
    let two = || vec![NumberPoint::new(attributes(&[("n", "2")]), 2i64)];
    let buckets = HistogramPoint::new(Attributes::empty(), [], vec![3]).with_sum(1.0);
    let buckets = MetricData::Histogram { points: vec![buckets], temporality: Temporality::Cumulative };
    let metrics = vec![
        Metric::new("a", sum(one())).with_description("first"),
        Metric::new("a", buckets.clone()),
        Metric::new("a", sum(two())).with_description("second"),
        Metric::new("a.total", gauge(one())),
        Metric::new("h", buckets),
        Metric::new("h.count", gauge(one())),
    ];
    check(
        OPEN_METRICS,
        metrics,
        r#"# TYPE a counter
        # HELP a first
        a_total{n="1"} 1
        a_total{n="2"} 2
        # TYPE h histogram
        h_bucket{le="+Inf"} 3
        h_sum 1.0
        h_count 3
        # EOF"#,
    );
}

#[test]
fn deltas_are_left_out() {
    let points = || vec![NumberPoint::new(Attributes::empty(), -1i64)];
    let delta = MetricData::Sum { points: points(), temporality: Temporality::Delta, monotonic: true };
    let metrics =
        || vec![Metric::new("a", delta.clone()), Metric::new("b", sum(points())), Metric::new("", gauge(points()))];
    check(OPEN_METRICS, metrics(), "# TYPE b counter\n# EOF");
    check(TEXT, metrics(), "# TYPE b_total counter\nb_total -1");
    let unordered = HistogramPoint::new(Attributes::empty(), [1.0, 0.5], vec![1, 2, 3]);
    check(TEXT, vec![histogram(unordered)], "# TYPE duration_seconds histogram");
}

fn strategies() -> [Renderer; 4] {
    [
        TranslationStrategy::UnderscoreEscapingWithSuffixes,
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
        TranslationStrategy::NoUtf8EscapingWithSuffixes,
        TranslationStrategy::NoTranslation,
    ]
    .map(|strategy| Renderer::new().without_scope_labels().with_translation(strategy))
}

#[test]
fn strategies_and_escaping_schemes() {
    let point = NumberPoint::new(attributes(&[("my.label", "a\"b")]), 1u64);
    let scopes = [scope("shop", vec![Metric::new("foo.bar", sum(vec![point])).with_unit("By")])];
    let samples = |protocol, escaping| {
        let format = Format::new(protocol, escaping);
        let pages = strategies().map(|renderer| page(&renderer, format, &Resource::empty(), &scopes));
        pages.iter().for_each(|page| drop(support::checker::check(format, page).unwrap()));
        let of = |page: &String| page.lines().find(|line| !line.starts_with('#')).unwrap().to_owned();
        pages.iter().map(of).flat_map(|line| [line, "\n".to_owned()]).collect::<String>()
    };
    assert_eq!(
        samples(Protocol::Text1_0_0, Escaping::Underscores),
        lines(
            r#"foo_bar_bytes_total{my_label="a\"b"} 1
            foo_bar{my_label="a\"b"} 1
            foo_bar_bytes_total{my_label="a\"b"} 1
            foo_bar{my_label="a\"b"} 1"#
        )
    );
    assert_eq!(
        samples(Protocol::Text1_0_0, Escaping::AllowUtf8),
        lines(
            r#"foo_bar_bytes_total{my_label="a\"b"} 1
            foo_bar{my_label="a\"b"} 1
            {"foo.bar_bytes_total","my.label"="a\"b"} 1
            {"foo.bar","my.label"="a\"b"} 1"#
        )
    );
    assert_eq!(
        samples(Protocol::OpenMetrics1_0_0, Escaping::AllowUtf8),
        lines(
            r#"foo_bar_bytes_total{my_label="a\"b"} 1
            foo_bar_total{my_label="a\"b"} 1
            {"foo.bar_bytes_total","my.label"="a\"b"} 1
            {"foo.bar_total","my.label"="a\"b"} 1"#
        )
    );
    assert_eq!(
        samples(Protocol::OpenMetrics1_0_0, Escaping::Values),
        lines(
            r#"foo_bar_bytes_total{my_label="a\"b"} 1
            foo_bar_total{my_label="a\"b"} 1
            U__foo_2E_bar__bytes__total{U__my_2E_label="a\"b"} 1
            U__foo_2E_bar_total{U__my_2E_label="a\"b"} 1"#
        )
    );
    assert_eq!(
        samples(Protocol::Text1_0_0, Escaping::Dots),
        lines(
            r#"foo__bar__bytes__total{my__label="a\"b"} 1
            foo__bar{my__label="a\"b"} 1
            foo_dot_bar__bytes__total{my_dot_label="a\"b"} 1
            foo_dot_bar{my_dot_label="a\"b"} 1"#
        )
    );
}

#[test]
fn quoted_names() {
    let format = Format::new(Protocol::OpenMetrics1_0_0, Escaping::AllowUtf8);
    let point = HistogramPoint::new(attributes(&[("a b", "x"), ("c", "y")]), [1.0], vec![1, 2]).with_sum(3.0);
    let data = MetricData::Histogram { points: vec![point], temporality: Temporality::Cumulative };
    let metrics = vec![
        Metric::new("größe \"x\"", data).with_unit("s").with_description("h"),
        Metric::new("a.b", gauge(vec![NumberPoint::new(Attributes::empty(), 1i64)])),
    ];
    check_all(
        &strategies()[2],
        format,
        &Resource::empty(),
        &[scope("shop", metrics)],
        r#"# TYPE "größe \"x\"_seconds" histogram
        # UNIT "größe \"x\"_seconds" seconds
        # HELP "größe \"x\"_seconds" h
        {"größe \"x\"_seconds_bucket","a b"="x",c="y",le="1.0"} 1
        {"größe \"x\"_seconds_bucket","a b"="x",c="y",le="+Inf"} 3
        {"größe \"x\"_seconds_sum","a b"="x",c="y"} 3.0
        {"größe \"x\"_seconds_count","a b"="x",c="y"} 3
        # TYPE "a.b" gauge
        {"a.b"} 1
        # EOF"#,
    );
}

#[test]
fn values_of_attributes() {
    let strings = Value::Array(opentelemetry::Array::String(vec!["a".into(), "b\"".into()]));
    let point = NumberPoint::new(
        Attributes::new([KeyValue::new("a", strings), KeyValue::new("b", 1.5), KeyValue::new("c", true)]),
        1i64,
    );
    check(
        TEXT,
        vec![Metric::new("m", gauge(vec![point]))],
        r#"# TYPE m gauge
        m{a="[\"a\",\"b\\\"\"]",b="1.5",c="true"} 1"#,
    );
}

#[test]
fn an_empty_collection_is_a_page() {
    check_all(&Renderer::new(), OPEN_METRICS, &Resource::empty(), &[], "# EOF");
    check_all(&Renderer::new(), TEXT, &Resource::empty(), &[], "");
}

/// Records the parts written to it. Fails once its capacity is used up.
struct Parts(Vec<Vec<u8>>, usize);

impl Write for Parts {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.0.len() == self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.push(part.to_vec());
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn large_pages_are_written_in_parts() {
    let text = || "x".repeat(1000);
    let of = |n: i64| Attributes::new([KeyValue::new("n", n), KeyValue::new("text", text())]);
    let points = |count| (0..count).map(|n| NumberPoint::new(of(n), n));
    let histograms = |count| (0..count).map(|n| HistogramPoint::new(of(n), [1.0, 2.0], vec![1, 2, 3]).with_sum(4.0));
    let data = MetricData::Histogram { points: histograms(100).collect(), temporality: Temporality::Cumulative };
    let metrics = vec![Metric::new("a", gauge(points(300).collect())), Metric::new("h", data)];
    let (scopes, renderer, resource) = ([scope("shop", metrics)], Renderer::new(), Resource::empty());
    let page = page(&renderer, OPEN_METRICS, &resource, &scopes);

    let mut parts = Parts(Vec::new(), usize::MAX);
    renderer.write(OPEN_METRICS, &resource, &scopes, &mut parts).unwrap();
    assert!(parts.0.concat() == page.as_bytes(), "the parts are another page");
    let (last, full) = parts.0.split_last().unwrap();
    assert_eq!(full.len(), page.len() / (64 << 10));
    assert!(full.iter().all(|part| (64 << 10..80 << 10).contains(&part.len())));
    assert!(last.ends_with(b"# EOF\n"));

    let mut parts = Parts(Vec::new(), 3);
    let error = renderer.write(OPEN_METRICS, &resource, &scopes, &mut parts).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(page.as_bytes().starts_with(&parts.0.concat()));
}
