//! The types of the tables: what a property may contain.

/// A mapping with known keys.
#[derive(Debug)]
#[non_exhaustive]
pub struct Type {
    /// The name in the schema, such as `BatchSpanProcessor`.
    pub name: &'static str,
    /// The keys.
    pub properties: &'static [Property],
    /// Set if exactly one key must be there, which selects a component. A program can add components of its own to most points.
    pub point: Option<Point>,
    /// True if keys that are not in the table are left to others.
    pub is_open: bool,
}

/// A place in the configuration at which a key selects a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Point {
    /// The exporter of a span processor.
    SpanExporter,
    /// The exporter of a log record processor.
    LogRecordExporter,
    /// The exporter of a periodic reader.
    PushMetricExporter,
    /// The exporter of a pull reader.
    PullMetricExporter,
    /// A span processor.
    SpanProcessor,
    /// A log record processor.
    LogRecordProcessor,
    /// A sampler.
    Sampler,
    /// A propagator.
    TextMapPropagator,
    /// A resource detector. An unknown one is a warning, unlike an unknown component at any other point.
    ResourceDetector,
    /// A point that takes only the components of the schema, such as the aggregation of a view.
    Fixed,
}

impl Point {
    pub(crate) const ALL: [Point; 10] = [
        Point::SpanExporter,
        Point::LogRecordExporter,
        Point::PushMetricExporter,
        Point::PullMetricExporter,
        Point::SpanProcessor,
        Point::LogRecordProcessor,
        Point::Sampler,
        Point::TextMapPropagator,
        Point::ResourceDetector,
        Point::Fixed,
    ];
}

/// A key of a mapping.
#[derive(Debug)]
#[non_exhaustive]
pub struct Property {
    /// The key.
    pub name: &'static str,
    /// The accepted values.
    pub kind: Kind,
    /// True if the key must be there.
    pub is_required: bool,
    /// True if a required key may be null.
    pub is_nullable: bool,
    /// The value that is used if the key is missing or null, as text; empty if there is none.
    pub default: &'static str,
    /// The support by this implementation.
    pub support: Support,
    /// The variable with the same effect, if the setting is in no other part of the file.
    pub variable: Option<&'static str>,
    /// The variable that sets this if there is no file. Unlike `variable`, the file is not translated into it, because the sdk
    /// reads both. That of one signal, such as `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, is not listed beside the one for all signals.
    pub counterpart: Option<&'static str>,
    /// What sets this in code, separated by `, `: a method of `telemark::builder()`, or a method, a field or a variant of a type, as in
    /// `BatchConfig::with_max_queue_size`. Empty if there is none, or if that of the mapping which contains the setting sets it.
    pub code: &'static str,
    /// The method of `telemetry.control()` that changes this while the program runs. Empty if there is none, or if that of the mapping which
    /// contains the setting changes it.
    pub control: &'static str,
}

/// The values of a property.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A whole number of milliseconds that is at least this one.
    Milliseconds(i64),
    /// A number within these bounds.
    Number(f64, f64),
    /// Text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A scalar or a list of scalars.
    Any,
    /// A mapping.
    Object(&'static Type),
    /// A list of values with at least this many items.
    List(&'static Kind, usize),
}

/// The support of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// The name has an effect.
    Yes,
    /// The name is accepted, because it changes nothing here, for this reason.
    WithoutEffect(&'static str),
    /// The name belongs to others, such as another language, in a file that several programs share.
    Elsewhere,
    /// The name is refused for this reason.
    Refused(&'static str),
}

impl Type {
    pub(super) const fn new(name: &'static str, properties: &'static [Property]) -> Self {
        Type { name, properties, point: None, is_open: false }
    }

    pub(super) const fn at(mut self, point: Point) -> Self {
        self.point = Some(point);
        self
    }

    pub(super) const fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Returns the property with this key.
    pub fn property(&self, key: &str) -> Option<&'static Property> {
        self.properties.iter().find(|property| property.name == key)
    }
}

impl Property {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Property {
            name,
            kind,
            is_required: false,
            is_nullable: false,
            default: "",
            support: Support::Yes,
            variable: None,
            counterpart: None,
            code: "",
            control: "",
        }
    }

    pub(super) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    pub(super) const fn required_or_null(mut self) -> Self {
        self.is_nullable = true;
        self.required()
    }

    pub(super) const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(super) const fn refused(mut self, reason: &'static str) -> Self {
        self.support = Support::Refused(reason);
        self
    }

    pub(super) const fn without_effect(mut self, reason: &'static str) -> Self {
        self.support = Support::WithoutEffect(reason);
        self
    }

    pub(super) const fn elsewhere(mut self) -> Self {
        self.support = Support::Elsewhere;
        self
    }

    pub(super) const fn variable(mut self, variable: &'static str) -> Self {
        self.variable = Some(variable);
        self
    }

    pub(super) const fn counterpart(mut self, variable: &'static str) -> Self {
        self.counterpart = Some(variable);
        self
    }

    pub(super) const fn code(mut self, methods: &'static str) -> Self {
        self.code = methods;
        self
    }

    pub(super) const fn control(mut self, method: &'static str) -> Self {
        self.control = method;
        self
    }
}

/// Creates a property with a mapping.
pub(super) const fn object(name: &'static str, object: &'static Type) -> Property {
    Property::new(name, Kind::Object(object))
}

/// Creates a property with a list of mappings.
pub(super) const fn list(name: &'static str, kind: &'static Kind) -> Property {
    Property::new(name, Kind::List(kind, 1))
}

/// Creates a property with text.
pub(super) const fn text(name: &'static str) -> Property {
    Property::new(name, Kind::Text)
}

/// Creates a property with a list of texts.
pub(super) const fn texts(name: &'static str) -> Property {
    Property::new(name, Kind::List(&Kind::Text, 1))
}

/// Creates a property with a whole number of at least `min`.
pub(super) const fn integer(name: &'static str, min: i64) -> Property {
    Property::new(name, Kind::Integer(min, i64::MAX))
}

/// Creates a property with a whole number of milliseconds of at least `min`.
pub(super) const fn milliseconds(name: &'static str, min: i64) -> Property {
    Property::new(name, Kind::Milliseconds(min))
}

/// Creates a property with `true` or `false`.
pub(super) const fn boolean(name: &'static str) -> Property {
    Property::new(name, Kind::Boolean)
}

/// Creates a property with one of these texts.
pub(super) const fn choice(name: &'static str, values: &'static [&'static str]) -> Property {
    Property::new(name, Kind::OneOf(values))
}

/// A component without settings.
pub(super) static EMPTY: Type = Type::new("no settings", &[]);
