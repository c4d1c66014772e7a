//! Writes the configuration file that has the effect of the variables.

use std::path::absolute;

use super::super::TelemetryBuilder;
use super::super::pipeline::{PipelineSignal, Pipelines};
use super::super::registry::Factory;
use crate::config::schema::{self, FILE_FORMAT};
use crate::config::{Data, Env, Item, Origin, Tree};
use crate::propagation::{PropagatorFactory, Propagators};
use crate::resource::{Detector, Resource};

impl TelemetryBuilder {
    /// Returns the configuration file that has the effect of this builder's variables, without the defaults. Variables that cannot be
    /// used are left out, because they have no effect. [`Printed`](crate::config::tree::Printed) writes it.
    ///
    /// `OTEL_LOG_LEVEL=none` has no counterpart in a file and is left out as well.
    pub fn config_of_variables(&self) -> Tree {
        let propagators = [&self.model.propagators, self.components().propagators].concat();
        let detectors = [&self.model.detectors, self.components().detectors].concat();
        of_variables(self.env(), (&propagators, &detectors), &|env| {
            let signals = &self.model.signals;
            let components = self.components();
            [
                names(&signals.traces.pipelines, components.traces, env),
                names(&signals.logs.pipelines, components.logs, env),
                names(&signals.metrics.pipelines, components.metrics, env),
            ]
        })
    }
}

fn names<S: PipelineSignal>(pipelines: &Pipelines<S>, factories: &[Factory<S>], env: &Env) -> Vec<&'static str> {
    pipelines.selected(env, factories).unwrap_or_default()
}

/// Returns the file. `selected` returns the exporters of spans, of log records and of metrics.
fn of_variables(
    env: &Env,
    (propagators, detectors): (&[PropagatorFactory], &[Detector]),
    selected: &dyn Fn(&Env) -> [Vec<&'static str>; 3],
) -> Tree {
    // Whoever builds from these variables reports what is wrong with them.
    let env = &env.copy();
    let [traces, logs, metrics] = selected(env);
    let variables = Variables { env, propagators, detectors };
    let mut root = vec![("file_format", Item::new(format!("{}.{}", FILE_FORMAT.0, FILE_FORMAT.1)))];
    root.extend(variables.boolean("disabled", "OTEL_SDK_DISABLED"));
    root.extend(variables.one_of("log_level", "OTEL_LOG_LEVEL", &["error", "warn", "info", "debug"]));
    root.push(("resource", variables.resource()));
    root.extend(variables.propagator());
    root.push(("tracer_provider", variables.tracer_provider(&traces)));
    root.extend((!metrics.is_empty()).then(|| ("meter_provider", variables.meter_provider(&metrics))));
    root.extend((!logs.is_empty()).then(|| ("logger_provider", variables.logger_provider(&logs))));
    let own = schema::from_variables(env);
    let own = own.entries().iter().map(|(key, item)| (key.as_str(), item.clone()));
    Tree::new("the environment", Item::mapping(root.into_iter().chain(own)))
}

type Entry = (&'static str, Item);

struct Variables<'a> {
    env: &'a Env,
    propagators: &'a [PropagatorFactory],
    detectors: &'a [Detector],
}

fn of(name: &str, data: impl Into<Data>) -> Item {
    Item::new(data).with_origin(Origin::Variable(name.to_owned()))
}

/// Returns a component without settings.
fn component(name: &str) -> Item {
    Item::mapping([(name, Item::new(Data::Null))])
}

impl Variables<'_> {
    fn boolean(&self, key: &'static str, name: &str) -> Option<Entry> {
        self.env.string(name)?;
        Some((key, of(name, self.env.boolean(name))))
    }

    fn integer(&self, key: &'static str, name: &str, min: usize) -> Option<Entry> {
        let number = self.env.integer(name, min..=usize::MAX)?;
        Some((key, of(name, i64::try_from(number).unwrap_or(i64::MAX))))
    }

    fn one_of(&self, key: &'static str, name: &str, names: &[&str]) -> Option<Entry> {
        let named: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
        Some((key, of(name, self.env.one_of(name, &named)?)))
    }

    fn text(&self, key: &'static str, name: &str) -> Option<Entry> {
        Some((key, of(name, self.env.string(name)?)))
    }

    fn resource(&self) -> Item {
        let names = Resource::selected_detectors(self.env, self.detectors);
        let detectors: Vec<_> = names.into_iter().map(component).collect();
        let mut entries = Vec::new();
        if !detectors.is_empty() {
            entries.push(("detection/development", Item::mapping([("detectors", Item::new(detectors))])));
        }
        let list = self.text("attributes_list", "OTEL_RESOURCE_ATTRIBUTES");
        entries.extend(list.filter(|(_, list)| Resource::from_list(&list.data.to_string()).is_some()));
        if let Some((_, name)) = self.text("value", "OTEL_SERVICE_NAME") {
            let attribute = Item::mapping([("name", Item::new("service.name")), ("value", name)]);
            entries.push(("attributes", Item::new(vec![attribute])));
        }
        Item::mapping(entries)
    }

    fn propagator(&self) -> Option<Entry> {
        const NAME: &str = "OTEL_PROPAGATORS";
        let known = Propagators::names(self.propagators).into_iter().chain(["none"]).map(|name| (name, name));
        let mut names = self.env.list_of(NAME, &known.collect::<Vec<_>>()).unwrap_or_default();
        if names == ["none"] {
            return None;
        }
        names.retain(|name| Propagators::none().try_named(name, self.propagators).1.is_none());
        let composite: Vec<_> = match names.is_empty() {
            true => ["tracecontext", "baggage"].map(component).into(),
            false => names.iter().map(|name| Item::mapping([(*name, of(NAME, Data::Null))])).collect(),
        };
        Some(("propagator", Item::mapping([("composite", Item::new(composite))])))
    }

    fn tracer_provider(&self, exporters: &[&'static str]) -> Item {
        let mut processors: Vec<_> = exporters.iter().map(|name| self.batch("OTEL_BSP", "TRACES", name)).collect();
        if processors.is_empty() {
            // Without a processor, spans have ids, which are propagated; without a provider, they have none.
            processors.push(component("none"));
        }
        let mut entries = vec![("processors", Item::new(processors))];
        let first = |names: &[&str], key| names.iter().find_map(|name| self.integer(key, name, 0));
        let count = "OTEL_ATTRIBUTE_COUNT_LIMIT";
        let limits = [
            first(
                &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
                "attribute_value_length_limit",
            ),
            first(&["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count], "attribute_count_limit"),
            first(&["OTEL_SPAN_EVENT_COUNT_LIMIT"], "event_count_limit"),
            first(&["OTEL_SPAN_LINK_COUNT_LIMIT"], "link_count_limit"),
            first(&["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count], "event_attribute_count_limit"),
            first(&["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count], "link_attribute_count_limit"),
        ];
        entries.extend(mapping("limits", limits.into_iter().flatten()));
        entries.extend(self.sampler());
        Item::mapping(entries)
    }

    fn sampler(&self) -> Option<Entry> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let always = |name: &str| Item::mapping([(name, of(NAME, Data::Null))]);
        let ratio = || {
            let ratio = self.env.number("OTEL_TRACES_SAMPLER_ARG", 0.0..=1.0);
            let settings = ratio.map(|ratio| ("ratio", of("OTEL_TRACES_SAMPLER_ARG", ratio)));
            Item::mapping([("trace_id_ratio_based", Item::mapping(settings))])
        };
        let below = |root| Item::mapping([("parent_based", Item::mapping([("root", root)]))]);
        let samplers = [
            ("always_on", always("always_on")),
            ("always_off", always("always_off")),
            ("traceidratio", ratio()),
            ("parentbased_always_on", below(always("always_on"))),
            ("parentbased_always_off", below(always("always_off"))),
            ("parentbased_traceidratio", below(ratio())),
        ];
        Some(("sampler", self.env.one_of(NAME, &samplers)?))
    }

    fn logger_provider(&self, exporters: &[&'static str]) -> Item {
        let processors: Vec<_> = exporters.iter().map(|name| self.batch("OTEL_BLRP", "LOGS", name)).collect();
        let first = |names: &[&str], key| names.iter().find_map(|name| self.integer(key, name, 0));
        let limits = [
            first(
                &["OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
                "attribute_value_length_limit",
            ),
            first(&["OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], "attribute_count_limit"),
        ];
        let processors = [("processors", Item::new(processors))];
        Item::mapping(processors.into_iter().chain(mapping("limits", limits.into_iter().flatten())))
    }

    /// Returns a batch processor. `prefix` is that of its variables.
    fn batch(&self, prefix: &str, signal: &'static str, exporter: &'static str) -> Item {
        let name = |option: &str| format!("{prefix}_{option}");
        let mut entries: Vec<Entry> = [
            self.integer("schedule_delay", &name("SCHEDULE_DELAY"), 0),
            self.integer("export_timeout", &name("EXPORT_TIMEOUT"), 0),
            self.integer("max_queue_size", &name("MAX_QUEUE_SIZE"), 1),
            self.integer("max_export_batch_size", &name("MAX_EXPORT_BATCH_SIZE"), 1),
        ]
        .into_iter()
        .flatten()
        .collect();
        // The viewer shows spans sooner, unless the variable says otherwise.
        if exporter == "viewer" && signal == "TRACES" && self.env.string(&name("SCHEDULE_DELAY")).is_none() {
            entries.push(("schedule_delay", Item::new(500)));
        }
        entries.push(("exporter", self.exporter(signal, exporter)));
        Item::mapping([("batch", Item::mapping(entries))])
    }

    fn meter_provider(&self, exporters: &[&'static str]) -> Item {
        let readers: Vec<_> = exporters.iter().map(|exporter| self.reader(exporter)).collect();
        let filter =
            self.one_of("exemplar_filter", "OTEL_METRICS_EXEMPLAR_FILTER", &["always_on", "always_off", "trace_based"]);
        Item::mapping([("readers", Item::new(readers))].into_iter().chain(filter))
    }

    fn reader(&self, exporter: &'static str) -> Item {
        if exporter == "prometheus" {
            let host = self.text("host", "OTEL_EXPORTER_PROMETHEUS_HOST");
            let port = self.integer("port", "OTEL_EXPORTER_PROMETHEUS_PORT", 0);
            let port = port.filter(|(_, port)| matches!(port.data, Data::Integer(..=65535)));
            let settings = Item::mapping(host.into_iter().chain(port));
            let exporter = Item::mapping([("prometheus/development", settings)]);
            return Item::mapping([("pull", Item::mapping([("exporter", exporter)]))]);
        }
        const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
        let default = match exporter {
            _ if self.env.string(INTERVAL).is_some() => None,
            "console" => Some(10_000),
            "viewer" => Some(5_000),
            _ => None,
        };
        let entries = [
            self.integer("interval", INTERVAL, 1).or(default.map(|millis| ("interval", Item::new(millis)))),
            self.integer("timeout", "OTEL_METRIC_EXPORT_TIMEOUT", 0),
            self.integer("max_export_batch_size/development", "OTEL_RUST_METRIC_EXPORT_MAX_BATCH_SIZE", 1),
            Some(("exporter", self.exporter("METRICS", exporter))),
        ];
        Item::mapping([("periodic", Item::mapping(entries.into_iter().flatten()))])
    }

    fn exporter(&self, signal: &'static str, exporter: &'static str) -> Item {
        match exporter {
            "otlp" => self.otlp(signal),
            name => component(name),
        }
    }

    fn otlp(&self, signal: &'static str) -> Item {
        let own = |option: &str| format!("OTEL_EXPORTER_OTLP_{signal}_{option}");
        let all = |option: &str| format!("OTEL_EXPORTER_OTLP_{option}");
        let either =
            |option: &str, read: &dyn Fn(&str) -> Option<Entry>| read(&own(option)).or_else(|| read(&all(option)));
        let protocols = ["http/protobuf", "http/json", "grpc"];
        let protocol = either("PROTOCOL", &|name| self.one_of("encoding", name, &protocols));
        let (component, encoding) = match protocol.as_ref().map(|(_, item)| (item.data.to_string(), &item.origin)) {
            Some((name, _)) if name == "grpc" => ("otlp_grpc", None),
            Some((name, origin)) if name == "http/json" => {
                ("otlp_http", Some(("encoding", Item::new("json").with_origin(origin.clone()))))
            }
            _ => ("otlp_http", None),
        };
        let of_all = self.text("endpoint", &all("ENDPOINT")).map(|(key, item)| match component {
            "otlp_grpc" => (key, item),
            _ => (key, Item { data: appended(&item.data.to_string(), signal).into(), origin: item.origin }),
        });
        let path = |key: &'static str, option: &str| {
            let (key, item) = either(option, &|name| self.text(key, name))?;
            let absolute = absolute(item.data.to_string()).ok()?.to_string_lossy().into_owned();
            Some((key, Item { data: absolute.into(), origin: item.origin }))
        };
        let insecure = either("INSECURE", &|name| self.boolean("insecure", name)).filter(|_| component == "otlp_grpc");
        let tls = [
            path("ca_file", "CERTIFICATE"),
            path("key_file", "CLIENT_KEY"),
            path("cert_file", "CLIENT_CERTIFICATE"),
            insecure,
        ];
        let mut entries: Vec<Entry> = self.text("endpoint", &own("ENDPOINT")).or(of_all).into_iter().collect();
        entries.extend(mapping("tls", tls.into_iter().flatten()));
        entries.extend(either("HEADERS", &|name| self.text("headers_list", name)));
        entries.extend(either("COMPRESSION", &|name| self.one_of("compression", name, &["none", "gzip"])));
        entries.extend(either("TIMEOUT", &|name| self.integer("timeout", name, 0)));
        entries.extend(encoding);
        if signal == "METRICS" {
            let temporalities = ["cumulative", "delta", "lowmemory"];
            let preference = self.one_of("temporality_preference", &own("TEMPORALITY_PREFERENCE"), &temporalities);
            entries.extend(preference.map(|(key, item)| match item.data.to_string().as_str() {
                "lowmemory" => (key, Item { data: "low_memory".into(), origin: item.origin }),
                _ => (key, item),
            }));
            let histograms = ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"];
            entries.extend(self.one_of(
                "default_histogram_aggregation",
                &own("DEFAULT_HISTOGRAM_AGGREGATION"),
                &histograms,
            ));
        }
        Item::mapping([(component, Item::mapping(entries))])
    }
}

/// Returns an entry with a mapping, or `None` if there is nothing in it.
fn mapping(key: &'static str, entries: impl Iterator<Item = Entry>) -> Option<Entry> {
    let item = Item::mapping(entries);
    (!item.entries().is_empty()).then_some((key, item))
}

/// Appends the path of a signal to the URL for all signals, before its query.
///
/// spec: protocol/exporter.md#endpoint-urls-for-otlphttp
fn appended(url: &str, signal: &str) -> String {
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (url, String::new()),
    };
    format!("{}/v1/{}{query}", base.strip_suffix('/').unwrap_or(base), signal.to_ascii_lowercase())
}
