//! The static description of a `#[traced]` function: its scope and its `code.*` attributes, created once.

use std::sync::OnceLock;

use opentelemetry::{InstrumentationScope, KeyValue};

/// The source location that starts a span. Each `#[traced]` function has its call site in a `static`, so that a span
/// stores one reference instead of three attributes.
#[derive(Debug)]
pub struct CallSite {
    package: &'static str,
    version: &'static str,
    function: &'static str,
    file: &'static str,
    line: u32,
    made: OnceLock<(InstrumentationScope, [KeyValue; 3])>,
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
        CallSite { package, version, function, file, line, made: OnceLock::new() }
    }

    /// Returns the instrumentation scope, which is the package that contains the function.
    #[inline]
    pub fn scope(&self) -> &InstrumentationScope {
        &self.made().0
    }

    /// Returns `code.function.name`, `code.file.path` and `code.line.number`.
    ///
    /// spec: semconv registry/attributes/code.md
    #[inline]
    pub fn attributes(&self) -> &[KeyValue; 3] {
        &self.made().1
    }

    #[inline]
    fn made(&self) -> &(InstrumentationScope, [KeyValue; 3]) {
        self.made.get_or_init(|| {
            let scope = InstrumentationScope::builder(self.package).with_version(self.version).build();
            let attributes = [
                KeyValue::new("code.function.name", self.function),
                KeyValue::new("code.file.path", self.file),
                KeyValue::new("code.line.number", i64::from(self.line)),
            ];
            (scope, attributes)
        })
    }
}
