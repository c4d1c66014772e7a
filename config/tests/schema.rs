//! Every name of the schema, from the tables: it is accepted or refused by name, its values are checked, and a misspelt name is said
//! with the one that is meant.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use telemark_config::parse;
use telemark_sdk::config::schema::{self, Kind, Property, Support, Type};
use telemark_sdk::config::tree::Printed;
use telemark_sdk::config::{Data, Env, Item, Report, Tree, VARIABLES};

/// Returns a value that this kind accepts.
fn valid(kind: &Kind) -> Item {
    match kind {
        Kind::Boolean => Item::new(true),
        Kind::Integer(min, _) | Kind::Milliseconds(min) => Item::new(*min),
        Kind::Number(min, _) => Item::new(min.max(0.0)),
        Kind::Text | Kind::Any => Item::new("text"),
        Kind::OneOf(names) => Item::new(names[0]),
        Kind::List(of, _) => Item::new(vec![valid(of)]),
        Kind::Object(of) => minimal(of),
        other => panic!("{other:?}"),
    }
}

/// Returns the smallest mapping of a type.
fn minimal(of: &Type) -> Item {
    match of.point {
        // Components that need others would recurse forever.
        Some(_) => {
            let plain = |property: &&Property| {
                property.support == Support::Yes
                    && matches!(property.kind, Kind::Object(of) if of.properties.is_empty())
            };
            let first = of.properties.iter().find(plain).or(of.properties.first()).unwrap();
            Item::mapping([(first.name, valid(&first.kind))])
        }
        None => {
            Item::mapping(of.properties.iter().filter(|one| one.is_required).map(|one| (one.name, valid(&one.kind))))
        }
    }
}

/// Returns values that this kind does not accept.
fn invalid(kind: &Kind) -> Vec<Item> {
    let mapping = Item::mapping([("unexpected", Item::new(1))]);
    match kind {
        Kind::Boolean => vec![Item::new("true"), Item::new(1), mapping],
        Kind::Integer(min, max) => {
            let beyond = [min.checked_sub(1), max.checked_add(1)].into_iter().flatten().map(Item::new);
            beyond.chain([Item::new("1"), Item::new(1.5), mapping]).collect()
        }
        Kind::Milliseconds(min) => vec![Item::new(min - 1), Item::new("1"), Item::new(1.5), mapping],
        Kind::Number(..) => vec![Item::new("1"), Item::new(f64::NAN), Item::new(true)],
        Kind::Text => vec![Item::new(1), Item::new(true), mapping],
        Kind::OneOf(_) => vec![Item::new("unexpected"), Item::new(1)],
        Kind::Any => vec![mapping],
        Kind::List(of, min) => {
            let mut items: Vec<_> = invalid(of).into_iter().map(|item| Item::new(vec![item])).collect();
            items.extend((*min > 0).then(|| Item::new(Vec::new())));
            items.push(Item::new("text"));
            items
        }
        Kind::Object(_) => vec![Item::new("text"), Item::new(vec![Item::new(1)])],
        other => panic!("{other:?}"),
    }
}

/// A type with the path from the root to it.
struct Place {
    of: &'static Type,
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    parent: &'static Type,
    property: &'static Property,
}

/// Returns every type with the first path that leads to it and that is not refused on the way.
fn places() -> Vec<Place> {
    fn add(of: &'static Type, steps: &[Step], seen: &mut Vec<&'static str>, places: &mut Vec<Place>) {
        if of.properties.is_empty() || seen.contains(&of.name) {
            return;
        }
        seen.push(of.name);
        places.push(Place { of, steps: steps.to_vec() });
        for property in
            of.properties.iter().filter(|one| !matches!(one.support, Support::Refused(_) | Support::Elsewhere))
        {
            let (Kind::Object(inner) | Kind::List(&Kind::Object(inner), _)) = property.kind else { continue };
            add(inner, &[steps, &[Step { parent: of, property }]].concat(), seen, places);
        }
    }
    let mut places = Vec::new();
    add(schema::types()[0], &[], &mut Vec::new(), &mut places);
    places
}

/// Returns a file in which the mapping at this place has this key, and everything that is required besides.
fn file(place: &Place, key: &str, value: Option<Item>) -> Tree {
    let inner = |of: &Type, key: &str, value: Option<Item>| {
        let others = if of.point.is_some() { Item::mapping(Vec::<(&str, Item)>::new()) } else { minimal(of) };
        let others: Vec<_> = others.entries().iter().filter(|(known, _)| known != key).cloned().collect();
        Item::mapping(others.into_iter().chain(value.map(|value| (key.to_owned(), value))))
    };
    let mut item = inner(place.of, key, value);
    for Step { parent, property } in place.steps.iter().rev() {
        let value = if matches!(property.kind, Kind::List(..)) { Item::new(vec![item]) } else { item };
        item = inner(parent, property.name, Some(value));
    }
    let entries = item.entries().iter().map(|(key, value)| match key.as_str() {
        "file_format" if value.data == Data::from("text") => (key.clone(), Item::new("1.2")),
        _ => (key.clone(), value.clone()),
    });
    Tree::new("file", Item::mapping(entries.collect::<Vec<_>>()))
}

fn problems(tree: &Tree) -> String {
    let report = Report::new(tree);
    schema::check(&report, &|_| Vec::new());
    report.into_result().map_or_else(|error| error.to_string(), |()| String::new())
}

#[test]
fn every_name_is_supported_or_refused_by_name() {
    let (mut supported, mut refused) = (0, 0);
    for place in places() {
        for property in place.of.properties {
            let found = problems(&file(&place, property.name, Some(valid(&property.kind))));
            let at = format!("{} {}: {found}", place.of.name, property.name);
            match property.support {
                Support::Refused(reason) => {
                    assert!(found.contains(&format!("{}: is not supported: {reason}", property.name)), "{at}");
                    refused += 1;
                }
                _ => {
                    assert_eq!(found, "", "{at}");
                    supported += 1;
                }
            }
        }
    }
    assert!(supported > 200 && refused > 4, "{supported} {refused}");
}

#[test]
fn every_value_of_another_type_is_refused_with_its_path() {
    for place in places() {
        for property in place.of.properties {
            if matches!(property.support, Support::Refused(_) | Support::Elsewhere) || property.name == "file_format" {
                continue;
            }
            for value in invalid(&property.kind) {
                let found = problems(&file(&place, property.name, Some(value.clone())));
                assert!(found.contains(property.name), "{} {} {value:?}: {found}", place.of.name, property.name);
            }
        }
    }
}

#[test]
fn every_required_name_is_missed_and_every_other_name_may_be_null() {
    for place in places() {
        for property in place.of.properties.iter().filter(|one| one.support == Support::Yes) {
            if property.is_required {
                let found = problems(&file(&place, property.name, None));
                assert!(
                    found.contains(&format!("{}: is required", property.name)),
                    "{} {}: {found}",
                    place.of.name,
                    property.name
                );
            }
            let null = problems(&file(&place, property.name, Some(Item::new(Data::Null))));
            let needs = match property.kind {
                Kind::Object(of) => {
                    of.properties.iter().any(|one| one.is_required) || property.is_required && of.point.is_some()
                }
                _ => property.is_required && !property.is_nullable,
            };
            assert_eq!(null.is_empty(), !needs, "{} {}: {null}", place.of.name, property.name);
        }
    }
}

#[test]
fn every_misspelt_name_is_said_with_the_one_that_is_meant() {
    for place in places().iter().filter(|place| !place.of.is_open) {
        for property in
            place.of.properties.iter().filter(|one| one.name.len() > 5 && !matches!(one.support, Support::Refused(_)))
        {
            let misspelt = format!("{}x{}", &property.name[..3], &property.name[3..]);
            let found = problems(&file(place, &misspelt, Some(valid(&property.kind))));
            assert!(
                found.contains(&format!("{misspelt} is no ")) && found.contains(&format!(", is {} meant?", property.name))
                    // An unknown detector is a warning.
                    || place.of.name == "ExperimentalResourceDetector",
                "{} {misspelt}: {found}",
                place.of.name
            );
        }
    }
}

#[test]
fn defaults_are_values_that_the_schema_accepts() {
    for place in places() {
        let completed = schema::completed(&file(&place, "", None));
        let report = Report::new(&completed);
        schema::check(&report, &|_| Vec::new());
        let found = report.into_result().map_or_else(|error| error.to_string(), |()| String::new());
        // Only what the file lacks is missing.
        assert!(
            found.lines().skip(1).all(|line| line.contains("is required") || line.contains("exactly one")),
            "{found}"
        );
    }
}

/// Parses a file and compares the problems, without the first line, which counts them.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let tree = parse("otel.yaml", text, &Env::from_pairs([("TOKEN", "s3cret"), ("API_KEY", "s3cret")])).unwrap();
    let found = problems(&tree);
    let lines: Vec<_> = found.lines().skip(1).map(str::trim_start).collect();
    assert_eq!(lines, expected, "{text}");
}

#[test]
fn problems_name_the_place_the_path_the_value_and_what_is_accepted() {
    check(
        "file_format: 1.2\ntracer_provider:\n  procesors: []\n  sampler:\n    trace_id_ratio_based:\n      ratio: 2\n",
        &[
            "line 1, column 14: file_format=\"1.2\" cannot be used: expected text; put it in quotes",
            "line 2, column 1: tracer_provider.processors: is required, with a list with at least one SpanProcessor",
            "line 3, column 3: tracer_provider.procesors is no property of TracerProvider, is processors meant?",
            "line 6, column 14: tracer_provider.sampler.trace_id_ratio_based.ratio=\"2\" cannot be used: expected a number from 0 to 1",
        ],
    );
    check(
        "file_format: \"1.2\"\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n          otlp_htp:\n    - simple: {}\n    - batch: 1\n",
        &[
            "line 6, column 11: tracer_provider.processors[0].batch.exporter.otlp_htp is no known SpanExporter, is otlp_http meant?",
            "line 7, column 7: tracer_provider.processors[1].simple.exporter: is required, with a mapping",
            "line 8, column 14: tracer_provider.processors[2].batch=\"1\" cannot be used: expected a mapping",
        ],
    );
    check(
        "file_format: \"1.2\"\npropagator:\n  composite:\n    - tracecontext:\n      baggage:\n    - {}\n    - jaeger:\n",
        &[
            "line 4, column 7: propagator.composite[0]: needs exactly one key, which names the component: one of tracecontext, baggage, b3 and b3multi",
            "line 6, column 7: propagator.composite[1]: needs exactly one key, which names the component: one of tracecontext, baggage, b3 and b3multi",
            "line 7, column 7: propagator.composite[2].jaeger is no known TextMapPropagator: expected one of tracecontext, baggage, b3 and b3multi",
        ],
    );
    check("- a\n", &["line 1, column 1: the file is a list cannot be used: expected a mapping"]);
    check("", &["file_format: is required, with text; put it in quotes"]);
}

#[test]
fn a_name_of_another_stability_is_another_name() {
    check(
        "file_format: \"1.2\"\nresource:\n  detection:\n    detectors: []\n",
        &["line 3, column 3: resource.detection is no property of Resource, is detection/development meant?"],
    );
}

#[test]
fn no_problem_shows_a_secret() {
    let text = "file_format: \"1.2\"\ntracer_provider:\n  processors:\n    - batch:\n        schedule_delay: ${TOKEN}\n        exporter:\n          otlp_http:\n            \
                endpoint: [\"http://h/?s3cret\"]\n            headers:\n              - {name: [authorization], value: 12345}\n            headers_list: 12345\n            \
                timeout: ${API_KEY}\n            compression: \"http://u:s3cret@h\"\n            hedears: s3cret\n";
    let tree = parse("otel.yaml", text, &Env::from_pairs([("TOKEN", "s3cret"), ("API_KEY", "s3cret")])).unwrap();
    let found = problems(&tree).replace("http://u:s3cret@h", "");
    assert_eq!(found.lines().count(), 9, "{found}");
    assert!(!found.contains("s3cret") && !found.contains("12345"), "{found}");
}

#[test]
fn keys_are_shown_without_control_characters_and_at_a_bounded_length() {
    let text = format!(
        "file_format: \"1.2\"\nmeter_provider: {{readers: [\"x\\e[2J\": {{}}]}}\n? {}\n: 1\n",
        "k".repeat(9000)
    );
    let tree = parse("otel.yaml", &text, &Env::from_pairs([("", "")])).unwrap();
    let found = problems(&tree);
    assert!(found.contains("meter_provider.readers[0].x\\u{1b}[2J is no known MetricReader"), "{found}");
    assert!(
        found.contains(&format!("{}… is no property", "k".repeat(512))) && !found.contains(&"k".repeat(513)),
        "{found}"
    );
}

#[test]
fn a_hundred_problems_are_enough() {
    let text =
        format!("file_format: \"1.2\"\n{}", (0..5000).map(|key| format!("unknown{key}: 1\n")).collect::<String>());
    let tree = parse("otel.yaml", &text, &Env::from_pairs([("", "")])).unwrap();
    let found = problems(&tree);
    assert!(
        found.starts_with("configuration: otel.yaml cannot be used, 100 problems or more\n")
            && found.lines().count() == 101
    );
}

#[test]
fn what_is_printed_is_read_back() {
    let text = "file_format: \"1.2\"\nresource:\n  attributes:\n    - name: a\n      value: \"$${X} # \\\"quoted\\\" \\n\\u200b\"\n    - {name: b, value: [1, -2], type: int_array}\n    \
                - {name: c, value: \"true\"}\n    - {name: \"\", value: \"0x10\"}\ntracer_provider:\n  processors:\n    - simple: {exporter: {console: }}\n    - batch:\n        exporter:\n          otlp_http:\n  \
                sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 1}}}}\ndistribution:\n  other: [[1, 2.0], [{a: []}, {}], null, .inf]\n  \"key: $\": 1\n";
    let env = Env::from_pairs([("", "")]);
    let tree = parse("file", text, &env).unwrap();
    for tree in [schema::completed(&tree), tree] {
        for printed in [Printed::new(&tree).to_string(), Printed::new(&tree).without_origins().to_string()] {
            let again = parse("file", &printed, &env).unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(
                Printed::new(&again).without_origins().to_string(),
                Printed::new(&tree).without_origins().to_string()
            );
            assert!(same(again.root(), tree.root()), "{printed}");
        }
    }
}

/// Compares values without their origins.
fn same(a: &Item, b: &Item) -> bool {
    match (&a.data, &b.data) {
        (Data::List(a), Data::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Data::Mapping(a), Data::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((key, a), (other, b))| key == other && same(a, b))
        }
        (a, b) => a == b,
    }
}

#[test]
fn secrets_are_printed_as_references_or_not_at_all() {
    let text = "tracer_provider:\n  processors:\n    - batch:\n        exporter:\n          otlp_http:\n            endpoint: \"http://h/p?key=s3cret\"\n            headers_list: \"a=${TOKEN}\"\n            \
                headers:\n              - {name: authorization, value: Bearer s3cret}\n              - {name: x, value: \"${API_KEY}\"}\n";
    let tree = parse("file", text, &Env::from_pairs([("TOKEN", "s3cret"), ("API_KEY", "s3cret")])).unwrap();
    let printed = Printed::new(&tree).to_string();
    assert!(!printed.contains("s3cret"), "{printed}");
    for line in [
        "endpoint: \"http://h/p?…\" # line 6",
        "name: authorization #",
        "value: \"…\" # line 9",
        "value: \"${API_KEY}\" # line 10, API_KEY",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

#[test]
fn secrets_of_any_type_and_in_any_block_are_hidden() {
    let text = "instrumentation/development:\n  general: {http: {client: {request_captured_headers: [x-shown]}}}\n  rust: {http: {server: {response_captured_headers: [y-shown]}}}\n  \
                java:\n    token: s3cret\n    headers: [4711, \"${PIN}\", true, ~]\n    secret: [\"${TOKEN}\", x]\n    password: 47.11\n    key: s3cret\n    api_key: ${PIN}\n    identity:\n      - ${PIN}\n      - 1\n    \
                general.http.headers: s3cret\n";
    let env = Env::from_pairs([("TOKEN", "s3cret"), ("PIN", "4711")]);
    let tree = parse("file", text, &env).unwrap();
    let printed = Printed::new(&tree).without_origins().to_string();
    assert!(!["s3cret", "4711", "47.11", "true"].iter().any(|secret| printed.contains(secret)), "{printed}");
    for line in [
        "captured_headers: [x-shown]\n",
        "captured_headers: [y-shown]\n",
        "token: \"…\"\n",
        "headers: [\"…\", \"${PIN}\", \"…\", null]\n",
        "secret: [\"${TOKEN}\", \"…\"]\n",
        "password: \"…\"\n",
        "api_key: ${PIN}\n",
        "identity:\n      - ${PIN}\n      - \"…\"\n",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    let again = parse("file", &printed, &env).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(Printed::new(&again).without_origins().to_string(), printed);
}

#[test]
fn long_keys_are_read_back() {
    let key = "k".repeat(1500);
    let text = format!("? {key}\n: {{? {key}\n: 1}}\nlist:\n  - ? {key}\n    : 2\n    b: 3\n");
    let env = Env::from_pairs([("", "")]);
    let tree = parse("file", &text, &env).unwrap();
    let printed = Printed::new(&tree).to_string();
    let again = parse("file", &printed, &env).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert!(same(again.root(), tree.root()), "{printed}");
}

#[test]
fn numbers_below_a_key_that_ends_like_an_address_stay_numbers() {
    let text = "curl:\n  retries: 3\n  is_fast: true\n  at: \"http://u:s3cret@h\"\nendpoint: 4\n";
    let tree = parse("file", text, &Env::from_pairs([("", "")])).unwrap();
    let printed = Printed::new(&tree).without_origins().to_string();
    assert_eq!(printed, "curl:\n  retries: 3\n  is_fast: true\n  at: \"http://…@h\"\nendpoint: 4\n");
}

#[test]
fn keys_that_look_like_paths_are_printed_as_keys() {
    let text = "\"a[0].b\":\n  c: 1\n  d: {\"[0]\": 2}\n\"[0]\": 3\n";
    let tree = parse("file", text, &Env::from_pairs([("", "")])).unwrap();
    let printed = Printed::new(&tree).without_origins().to_string();
    let again =
        parse("file", &printed, &Env::from_pairs([("", "")])).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert!(same(again.root(), tree.root()), "{printed}");
}

#[test]
fn every_variable_of_this_sdk_has_a_name_in_the_file() {
    let properties = || schema::types().into_iter().flat_map(|of| of.properties);
    let in_schema: Vec<_> = properties().flat_map(|one| [one.variable, one.counterpart]).flatten().collect();
    for name in &in_schema {
        assert!(VARIABLES.iter().any(|variable| variable.name == *name), "{name} is no variable");
    }
    // It has no meaning in a file.
    let elsewhere = ["OTEL_RUST_CONFIG_PRINT"];
    let own = VARIABLES.iter().map(|variable| variable.name).filter(|name| name.starts_with("OTEL_RUST_"));
    let missing: Vec<_> = own.filter(|name| !in_schema.contains(name) && !elsewhere.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}
