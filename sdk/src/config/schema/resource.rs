//! The types of `resource` and `propagator`.

use super::common::INCLUDE_EXCLUDE;
use super::types::{EMPTY, Kind, Point, Property, Type, choice, list, object, text};

pub(super) static RESOURCE: Type = Type::new(
    "Resource",
    &[
        list("attributes", &Kind::Object(&ATTRIBUTE)),
        object("detection/development", &DETECTION),
        text("schema_url"),
        text("attributes_list"),
    ],
);

static ATTRIBUTE: Type = Type::new(
    "AttributeNameValue",
    &[
        text("name").required(),
        Property::new("value", Kind::Any).required_or_null(),
        choice("type", &["string", "bool", "int", "double", "string_array", "bool_array", "int_array", "double_array"])
            .or("string"),
    ],
);

static DETECTION: Type = Type::new(
    "ExperimentalResourceDetection",
    &[object("attributes", &INCLUDE_EXCLUDE), list("detectors", &Kind::Object(&DETECTOR))],
);

/// The detectors that a program has are those of the registry. One of the schema whose feature is off is a warning.
static DETECTOR: Type = Type::new(
    "ExperimentalResourceDetector",
    &[object("container", &EMPTY), object("host", &EMPTY), object("process", &EMPTY), object("service", &EMPTY)],
)
.at(Point::ResourceDetector);

pub(super) static PROPAGATOR: Type =
    Type::new("Propagator", &[list("composite", &Kind::Object(&TEXT_MAP_PROPAGATOR)), text("composite_list")]);

static TEXT_MAP_PROPAGATOR: Type = Type::new(
    "TextMapPropagator",
    &[object("tracecontext", &EMPTY), object("baggage", &EMPTY), object("b3", &EMPTY), object("b3multi", &EMPTY)],
)
.at(Point::TextMapPropagator);
