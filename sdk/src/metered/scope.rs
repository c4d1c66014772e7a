//! The instrumentation scope of a static: a name and a version that are known when the program is compiled.

/// The instrumentation scope of a metric in a static; [`scope!`](crate::scope) makes that of your crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

impl Scope {
    /// The scope of statics that name none.
    pub(super) const TELEMARK: Scope = Scope::new("telemark", env!("CARGO_PKG_VERSION"));

    /// A scope with this name and version.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Scope { name, version }
    }
}

/// The instrumentation scope of the crate that calls this: its name and version in `Cargo.toml`.
///
/// ```
/// use telemark_sdk::{metered::Counter, scope};
///
/// static ORDERS: Counter<u64> = Counter::new("shop.orders").with_scope(scope!());
/// ```
#[macro_export]
macro_rules! scope {
    () => {
        $crate::metered::Scope::new(::core::env!("CARGO_PKG_NAME"), ::core::env!("CARGO_PKG_VERSION"))
    };
}
