//! A redactor that the signals share, applied to lists, scopes and resources.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use opentelemetry::{InstrumentationScope, KeyValue};

use super::Redactor;
use crate::attributes::with_attributes;
use crate::error::{Contained, catch};
use crate::instrumentation_scope::Scope;
use crate::process::Generation;
use crate::resource::Resource;

/// The number of characters beyond the limit of a value's length that are recorded if there is a redactor, which therefore sees the
/// whole of a secret that the limit cuts. The value is cut once it is redacted.
pub(crate) const MARGIN: usize = 256;

/// Returns the limit of a value's length while the value is recorded.
pub(crate) fn widened(length: Option<usize>) -> Option<usize> {
    length.map(|length| length.saturating_add(MARGIN))
}

/// A redactor that the signals share.
#[derive(Clone)]
pub(crate) struct Redaction {
    redactor: Arc<Contained<Box<dyn Redactor>>>,
    /// A forked child exports nothing and must not call the redactor, which may hold a lock there forever.
    home: Generation,
}

thread_local! {
    /// True while this thread redacts a list, so that telemetry of a redactor does not lead to a recursion without end.
    static IS_REDACTING: Cell<bool> = const { Cell::new(false) };
}

impl Redaction {
    pub(crate) fn new(redactor: Box<dyn Redactor>) -> Self {
        Redaction { redactor: Arc::new(Contained::new(redactor)), home: Generation::current() }
    }

    #[inline]
    pub(crate) fn redactor(&self) -> &dyn Redactor {
        &***self.redactor
    }

    /// Redacts attributes in place. A panic of the redactor reaches the caller.
    #[inline]
    pub(crate) fn redact(&self, attributes: &mut Vec<KeyValue>) {
        if !attributes.is_empty() {
            let redactor = self.redactor();
            attributes.retain_mut(|attribute| redactor.attribute(attribute.key.as_str(), &mut attribute.value));
        }
    }

    /// Redacts a text in place. A panic of the redactor reaches the caller.
    #[inline]
    pub(crate) fn redact_text(&self, text: &mut Cow<'static, str>) {
        if text.is_empty() {
            return;
        }
        if let Some(redacted) = self.redactor().text(text) {
            *text = Cow::Owned(redacted);
        }
    }

    /// Returns a text as exporters may see it. If the redactor panics, and in a forked child, it is empty.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.home.is_past() {
            return Cow::Borrowed("");
        }
        match catch(|| self.redactor().text(text)) {
            Ok(None) => Cow::Borrowed(text),
            Ok(Some(redacted)) => Cow::Owned(redacted),
            Err(_) => {
                panicked("a text");
                Cow::Borrowed("")
            }
        }
    }

    /// Returns the attributes as exporters may see them. If the redactor panics, or calls this itself, and in a forked child, there are none.
    pub(crate) fn attributes<'a>(&self, given: &'a [KeyValue]) -> Cow<'a, [KeyValue]> {
        if given.is_empty() {
            return Cow::Borrowed(given);
        }
        if self.home.is_past() {
            return Cow::Owned(Vec::new());
        }
        let was_redacting = IS_REDACTING.try_with(|redacting| redacting.replace(true)).unwrap_or(true);
        if was_redacting {
            return Cow::Owned(Vec::new());
        }
        let redacted = catch(|| {
            let mut attributes = given.to_vec();
            self.redact(&mut attributes);
            attributes
        });
        let _ = IS_REDACTING.try_with(|redacting| redacting.set(false));
        Cow::Owned(redacted.unwrap_or_else(|_| {
            panicked("a list of attributes");
            Vec::new()
        }))
    }

    /// Returns what each rule has hidden so far. In a forked child, and if the redactor panics, this is nothing.
    pub(crate) fn hidden(&self) -> Vec<(Cow<'static, str>, u64)> {
        match self.home.is_past() {
            true => Vec::new(),
            false => catch(|| self.redactor().hidden()).unwrap_or_default(),
        }
    }

    pub(crate) fn resource(&self, resource: &Resource) -> Resource {
        let given: Vec<_> = resource.iter().cloned().collect();
        let redacted = self.attributes(&given).into_owned();
        Resource::with_schema_url(redacted, resource.schema_url().map(str::to_owned))
    }

    pub(crate) fn scope(&self, scope: InstrumentationScope) -> InstrumentationScope {
        let given: Vec<_> = scope.attributes().cloned().collect();
        match given.is_empty() {
            true => scope,
            false => with_attributes(&scope, self.attributes(&given).into_owned()),
        }
    }
}

/// Returns a scope as exporters may see it. Most scopes have no attributes and stay as they are.
pub(crate) fn shown(redaction: &Option<Redaction>, scope: Scope) -> Scope {
    match redaction {
        Some(redaction) if scope.attributes().next().is_some() => redaction.scope((*scope).clone()).into(),
        _ => scope,
    }
}

#[cold]
fn panicked(what: &str) {
    crate::__warn!("redaction.panic", "a redactor panicked; {what} that it was shown is left out");
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self.redactor, f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use opentelemetry::Value;
    use opentelemetry::logs::AnyValue;

    use super::*;

    /// Hides the text `secret`, removes the key `gone`, and panics at the key `panic`.
    #[derive(Debug)]
    struct Test;

    impl Redactor for Test {
        fn attribute(&self, key: &str, value: &mut Value) -> bool {
            assert_ne!(key, "panic");
            if let Some(text) = self.text(&value.as_str()) {
                *value = text.into();
            }
            key != "gone"
        }

        fn log_value(&self, _: &str, _: &mut AnyValue) -> bool {
            true
        }

        fn text(&self, text: &str) -> Option<String> {
            assert_ne!(text, "panic");
            text.contains("secret").then(|| text.replace("secret", "…"))
        }
    }

    fn text_of(attributes: &[KeyValue]) -> String {
        attributes.iter().map(|one| format!("{}={} ", one.key, one.value)).collect()
    }

    #[test]
    fn lists_scopes_and_resources_are_redacted() {
        let redaction = Redaction::new(Box::new(Test));
        let given = [KeyValue::new("a", "secret"), KeyValue::new("gone", 1), KeyValue::new("b", 2)];
        assert_eq!(text_of(&redaction.attributes(&given)), "a=… b=2 ");
        let resource = Resource::with_schema_url(given.clone(), Some("https://s".to_owned()));
        let resource = redaction.resource(&resource);
        assert_eq!(text_of(&resource.iter().cloned().collect::<Vec<_>>()), "a=… b=2 ");
        assert_eq!(resource.schema_url(), Some("https://s"));
        let scope = InstrumentationScope::builder("lib").with_version("1").with_attributes(given).build();
        let scope = redaction.scope(scope);
        assert_eq!(text_of(&scope.attributes().cloned().collect::<Vec<_>>()), "a=… b=2 ");
        assert_eq!((scope.name(), scope.version()), ("lib", Some("1")));
        assert_eq!(redaction.text("the secret"), "the …");
    }

    #[test]
    fn what_makes_a_redactor_panic_is_left_out() {
        let redaction = Redaction::new(Box::new(Test));
        let given = [KeyValue::new("a", "kept"), KeyValue::new("panic", 1)];
        assert_eq!(text_of(&redaction.attributes(&given)), "");
        assert_eq!(redaction.text("panic"), "");
        assert_eq!(text_of(&redaction.attributes(&given[..1])), "a=kept ");
    }

    #[test]
    fn a_forked_child_never_calls_the_redactor() {
        let redaction = Redaction { home: Generation::elsewhere(), ..Redaction::new(Box::new(Test)) };
        assert_eq!(text_of(&redaction.attributes(&[KeyValue::new("a", "secret")])), "");
        assert_eq!(redaction.text("the secret"), "");
    }

    /// Calls the redaction within itself, as the measurement of a redactor would.
    #[derive(Debug)]
    struct Recursive(std::sync::OnceLock<Redaction>);

    impl Redactor for &'static Recursive {
        fn attribute(&self, _: &str, value: &mut Value) -> bool {
            let inner = self.0.get().map(|redaction| redaction.attributes(&[KeyValue::new("inner", 1)]).len());
            *value = Value::I64(inner.map_or(-1, |count| i64::try_from(count).unwrap_or(-1)));
            true
        }

        fn log_value(&self, _: &str, _: &mut AnyValue) -> bool {
            true
        }

        fn text(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_redactor_that_causes_redaction_ends() {
        static RECURSIVE: Recursive = Recursive(std::sync::OnceLock::new());
        let redaction = Redaction::new(Box::new(&RECURSIVE));
        assert!(RECURSIVE.0.set(redaction.clone()).is_ok());
        assert_eq!(text_of(&redaction.attributes(&[KeyValue::new("a", 7)])), "a=0 ");
    }
}
