//! The types of `resource` and `propagator`.

use super::common::INCLUDE_EXCLUDE;
use super::types::{EMPTY, Kind, Point, Property, Type, choice, list, object, text};

pub(super) static RESOURCE: Type = Type::new(
    "Resource",
    &[
        list("attributes", &Kind::Object(&ATTRIBUTE))
            .counterpart("OTEL_SERVICE_NAME")
            .code("with_service_name, with_resource_attribute"),
        object("detection/development", &DETECTION),
        text("schema_url").code("Resource::with_schema_url"),
        text("attributes_list").counterpart("OTEL_RESOURCE_ATTRIBUTES"),
    ],
);

/// The types that an attribute of the resource can declare.
pub(crate) const ATTRIBUTE_TYPES: &[&str] =
    &["string", "bool", "int", "double", "string_array", "bool_array", "int_array", "double_array"];

pub(super) static ATTRIBUTE: Type = Type::new(
    "AttributeNameValue",
    &[
        text("name").required(),
        Property::new("value", Kind::Any).required_or_null(),
        choice("type", ATTRIBUTE_TYPES).or("string"),
    ],
);

static DETECTION: Type = Type::new(
    "ExperimentalResourceDetection",
    &[
        object("attributes", &INCLUDE_EXCLUDE),
        list("detectors", &Kind::Object(&DETECTOR))
            .counterpart("OTEL_RUST_RESOURCE_DETECTORS")
            .code("with_resource_detector"),
    ],
);

/// The detectors that a program has are those of the registry. One of the schema whose feature is off is a warning.
static DETECTOR: Type = Type::new(
    "ExperimentalResourceDetector",
    &[object("container", &EMPTY), object("host", &EMPTY), object("process", &EMPTY), object("service", &EMPTY)],
)
.at(Point::ResourceDetector);

pub(super) static PROPAGATOR: Type = Type::new(
    "Propagator",
    &[
        list("composite", &Kind::Object(&TEXT_MAP_PROPAGATOR)).counterpart("OTEL_PROPAGATORS"),
        text("composite_list").counterpart("OTEL_PROPAGATORS"),
    ],
);

static TEXT_MAP_PROPAGATOR: Type = Type::new(
    "TextMapPropagator",
    &[object("tracecontext", &EMPTY), object("baggage", &EMPTY), object("b3", &EMPTY), object("b3multi", &EMPTY)],
)
.at(Point::TextMapPropagator);
