//! The instrumentation scope of a static: a name and a version known at compile time.

/// The instrumentation scope of a metric in a static. [`scope!`](crate::scope) creates one for the calling crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

impl Scope {
    /// The scope used by statics that do not set one.
    pub(super) const TELEMARK: Scope = Scope::new("telemark", env!("CARGO_PKG_VERSION"));

    /// Creates a scope with this name and version.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Scope { name, version }
    }
}

/// Returns the instrumentation scope of the calling crate, with the name and version from its `Cargo.toml`.
///
/// ```
/// use telemark_sdk::{instrument::statics::Counter, scope};
///
/// static ORDERS: Counter<u64> = Counter::new("shop.orders").with_scope(scope!());
/// ```
#[macro_export]
macro_rules! scope {
    () => {
        $crate::instrument::statics::Scope::new(::core::env!("CARGO_PKG_NAME"), ::core::env!("CARGO_PKG_VERSION"))
    };
}
