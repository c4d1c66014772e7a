//! Method names, and which of them are known, so that a client's inventions do not become span names and metric series.

use std::borrow::Cow;
use std::cell::Cell;

use opentelemetry::StringValue;
use telemark_kit::Interner;

use super::status::Side;

/// The value of `rpc.method` for unknown methods.
pub(crate) const OTHER: &str = "_OTHER";
/// The value of `rpc.system.name`, and the span name of unknown methods.
pub(crate) const SYSTEM: &str = "grpc";
/// Methods with longer names are unknown.
const MAX_NAME_BYTES: usize = 256;

/// The methods that a server of this program has answered with success, and those that a client has called.
static SERVED: Interner<()> = Interner::new(1024, MAX_NAME_BYTES);
static CALLED: Interner<()> = Interner::new(1024, MAX_NAME_BYTES);
/// The methods of a server that have only failed so far. Requests that are rejected before their method is looked up can fill
/// this table with names that do not exist, but not the table of the methods that do.
static TRIED: Interner<()> = Interner::new(256, MAX_NAME_BYTES);

thread_local! {
    /// The methods that this thread has found most recently: eight as a client, eight as a server.
    static RECENT: [Cell<Option<&'static str>>; 16] = const { [const { Cell::new(None) }; 16] };
}

/// The method of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A known method, which lives as long as the program.
    Kept(&'static str),
    /// A method that may not exist. The first response decides.
    New(String),
    /// A method that does not exist, or one too many.
    Other,
}

impl Method {
    /// Returns the method of a path, without the leading slash: `pkg.Service/Method`.
    pub(crate) fn named(path: &str) -> &str {
        let name = path.strip_prefix('/').unwrap_or(path);
        // A prefix belongs to the place where the server is mounted.
        match name.rmatch_indices('/').nth(1) {
            Some((at, _)) => &name[at + 1..],
            None => name,
        }
    }

    /// Returns the method if it is known to this side, or else as a new one, or as unknown if its name is too long.
    pub(crate) fn find(name: &str, side: Side) -> Self {
        let place = 8 * usize::from(side == Side::Server) + name.len() % 8;
        let recent = RECENT.try_with(|recent| recent[place].get()).ok().flatten();
        if let Some(kept) = recent.filter(|kept| *kept == name) {
            return Method::Kept(kept);
        }
        match table(side).find(name) {
            Some((kept, ())) => {
                // The thread-local is not available while the thread is ending.
                let _ = RECENT.try_with(|recent| recent[place].set(Some(kept)));
                Method::Kept(kept)
            }
            None if name.len() > MAX_NAME_BYTES => Method::Other,
            None => Method::New(name.to_owned()),
        }
    }

    /// Returns a new method as a known one, or as unknown if there are too many or its name is too long.
    pub(crate) fn keep(name: &str, side: Side) -> Self {
        Method::in_table(table(side), name)
    }

    /// Returns a new method of a server whose call has failed. It is named, but within a limit of its own, because it may not
    /// exist.
    pub(crate) fn tried(name: &str) -> Self {
        Method::in_table(&TRIED, name)
    }

    fn in_table(table: &'static Interner<()>, name: &str) -> Self {
        match table.get(name, |_| ()) {
            Some((kept, ())) => Method::Kept(kept),
            None => Method::Other,
        }
    }

    /// Returns the value of `rpc.method`.
    pub(crate) fn attribute(&self) -> StringValue {
        match self {
            Method::Kept(name) => (*name).into(),
            Method::New(name) => name.clone().into(),
            Method::Other => OTHER.into(),
        }
    }

    /// spec: semconv rpc/rpc-spans.md#span-name
    pub(crate) fn span_name(&self) -> Cow<'static, str> {
        match self {
            Method::Kept(name) => Cow::Borrowed(name),
            Method::New(name) => Cow::Owned(name.clone()),
            Method::Other => Cow::Borrowed(SYSTEM),
        }
    }
}

fn table(side: Side) -> &'static Interner<()> {
    match side {
        Side::Client => &CALLED,
        Side::Server => &SERVED,
    }
}

/// A method, or all methods whose names start with a prefix: `grpc.health.v1.Health/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MethodPattern {
    text: Box<str>,
    is_prefix: bool,
}

impl MethodPattern {
    pub(crate) const ACCEPTED: &str = "a method such as `pkg.Service/Method`, or a prefix followed by `*`";

    /// Returns `None` unless `text` is a method or a prefix.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('/').unwrap_or(text);
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        let is_method =
            !text.contains('*') && (is_prefix || text.split('/').filter(|part| !part.is_empty()).count() == 2);
        is_method.then(|| MethodPattern { text: text.into(), is_prefix })
    }

    /// Returns the method, or `None` if this is a prefix.
    pub(crate) fn method(&self) -> Option<&str> {
        (!self.is_prefix).then_some(&*self.text)
    }

    pub(crate) fn matches(&self, method: &str) -> bool {
        if self.is_prefix { method.starts_with(&*self.text) } else { method == &*self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_paths() {
        for (path, expected) in [
            ("/pkg.Service/Method", "pkg.Service/Method"),
            ("/prefix/api/pkg.Service/Method", "pkg.Service/Method"),
            ("/Service", "Service"),
            ("/", ""),
            ("", ""),
            ("//", "/"),
            ("/a/b/", "b/"),
        ] {
            assert_eq!(Method::named(path), expected, "{path}");
        }
    }

    #[test]
    fn a_method_is_known_once_it_is_kept() {
        let name = "test.Known/Method";
        for _ in 0..2 {
            assert_eq!(Method::find(name, Side::Server), Method::New(name.to_owned()));
        }
        assert_eq!(Method::keep(name, Side::Server), Method::Kept(name));
        for _ in 0..2 {
            assert_eq!(Method::find(name, Side::Server), Method::Kept(name));
        }
        assert_eq!(Method::keep(&"x".repeat(257), Side::Server), Method::Other);
        assert_eq!(Method::find(&"x".repeat(257), Side::Server), Method::Other);
        assert_eq!(Method::find(&"x".repeat(256), Side::Server), Method::New("x".repeat(256)));
        assert_eq!(Method::Other.span_name(), "grpc");
        let tried = "test.Tried/Method";
        assert_eq!(Method::tried(tried), Method::Kept(tried));
        assert_eq!(Method::find(tried, Side::Server), Method::New(tried.to_owned()));
        assert_eq!(Method::find(name, Side::Client), Method::New(name.to_owned()), "the other side has its own");
    }

    #[test]
    fn patterns() {
        fn check(pattern: &str, method: &str, expected: Option<bool>) {
            assert_eq!(
                MethodPattern::parse(pattern).map(|pattern| pattern.matches(method)),
                expected,
                "{pattern} {method}"
            );
        }
        check("grpc.health.v1.Health/Check", "grpc.health.v1.Health/Check", Some(true));
        check("/grpc.health.v1.Health/Check", "grpc.health.v1.Health/Check", Some(true));
        check("grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", Some(false));
        check(" grpc.health.v1.Health/* ", "grpc.health.v1.Health/Watch", Some(true));
        check("grpc.reflection.*", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Some(true));
        check("grpc.reflection.*", "shop.Shop/Order", Some(false));
        check("*", "shop.Shop/Order", Some(true));
        for invalid in ["", "/", "shop.Shop", "shop.Shop/", "a/b/c", "a*b/c", "**"] {
            check(invalid, "shop.Shop/Order", None);
        }
    }
}
