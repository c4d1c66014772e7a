//! The description of a `#[traced]` function: its scope and its `code.*` attributes, created once, and its fields.

use std::sync::OnceLock;

use opentelemetry::{InstrumentationScope, KeyValue};

use super::TracerConfig;
use crate::control::ConfigOf;

/// The source location that starts a span. Each `#[traced]` function has its call site in a `static`, so that a span
/// stores one reference instead of three attributes.
#[derive(Debug)]
pub struct CallSite {
    package: &'static str,
    version: &'static str,
    function: &'static str,
    file: &'static str,
    line: u32,
    made: OnceLock<(InstrumentationScope, Box<[KeyValue]>)>,
    pub(super) config: ConfigOf<TracerConfig>,
}

impl CallSite {
    /// Creates the call site of `function`, a full path such as `shop::cart::checkout`, in the package `package`.
    pub const fn new(
        package: &'static str,
        version: &'static str,
        function: &'static str,
        file: &'static str,
        line: u32,
    ) -> Self {
        CallSite { package, version, function, file, line, made: OnceLock::new(), config: ConfigOf::new() }
    }

    /// Creates a call site of another instrumentation library, of which only the target is known, such as a module path, and
    /// possibly the place. The target becomes the scope, without a version.
    pub const fn for_target(target: &'static str, file: &'static str, line: u32) -> Self {
        CallSite::new(target, "", "", file, line)
    }

    /// Returns the instrumentation scope, which is the package that contains the function.
    #[inline]
    pub fn scope(&self) -> &InstrumentationScope {
        &self.made().0
    }

    /// Returns `code.function.name`, `code.file.path` and `code.line.number`, as far as they are known.
    ///
    /// spec: semconv registry/attributes/code.md
    #[inline]
    pub fn attributes(&self) -> &[KeyValue] {
        &self.made().1
    }

    /// Returns `code.function.name`.
    pub(crate) fn function_attribute(&self) -> KeyValue {
        KeyValue::new("code.function.name", self.function)
    }

    #[inline]
    fn made(&self) -> &(InstrumentationScope, Box<[KeyValue]>) {
        self.made.get_or_init(|| {
            let mut scope = InstrumentationScope::builder(self.package);
            if !self.version.is_empty() {
                scope = scope.with_version(self.version);
            }
            let mut attributes = Vec::with_capacity(3);
            if !self.function.is_empty() {
                attributes.push(self.function_attribute());
            }
            if !self.file.is_empty() {
                attributes.push(KeyValue::new("code.file.path", self.file));
                attributes.push(KeyValue::new("code.line.number", i64::from(self.line)));
            }
            (scope.build(), attributes.into_boxed_slice())
        })
    }
}

/// The fields of a call site, which become attributes.
pub trait Fields {
    /// Adds the fields whose values are at hand, so that a sampler can look at them. Called at most once, and only for a sampler that
    /// wants attributes. They are not kept.
    fn show(&self, list: &mut Vec<KeyValue>);

    /// Adds all fields. Called at most once, and only if the span is recorded.
    fn add(&mut self, list: &mut Vec<KeyValue>);
}
