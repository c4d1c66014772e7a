//! Comments in statements, by which the logs of a database lead to traces.
//!
//! spec: <https://google.github.io/sqlcommenter/spec>; db/database-spans.md#sql-commenter

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;

/// Adds a comment such as `/*application='shop',traceparent='00-…-01'*/` to the end of statements, before a final semicolon.
///
/// The trace is added only to statements that are not kept prepared. The client and the server find a prepared statement by its
/// text, and with a new trace in each text, every call would prepare it again. A prepared statement receives only the constant
/// tags.
///
/// A statement that already contains a comment at its end is left as it is.
#[derive(Clone, Debug, Default)]
pub struct Commenter {
    tags: BTreeMap<String, String>,
    propagator: Option<Arc<dyn TextMapPropagator + Send + Sync>>,
}

impl Commenter {
    /// Returns a commenter that adds `traceparent` and `tracestate`.
    pub fn new() -> Self {
        Commenter::default()
    }

    /// Adds a constant tag, also to prepared statements. The name and the value are encoded.
    pub fn with_tag(mut self, name: &str, value: &str) -> Self {
        self.tags.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Replaces `traceparent` and `tracestate` by the fields that this propagator injects.
    pub fn with_propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.propagator = Some(Arc::new(propagator));
        self
    }

    /// Returns the statement with its comment; `None` if it stays as it is.
    pub fn comment(&self, sql: &str, context: &Context, is_prepared: bool) -> Option<String> {
        let mut tags = Tags(self.tags.clone());
        if !is_prepared {
            match &self.propagator {
                Some(propagator) => propagator.inject_context(context, &mut tags),
                None => tags.add_trace(context),
            }
        }
        // MySQL answers a comment behind the last semicolon as a statement of its own.
        let end = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
        // spec: sqlcommenter: a statement with a comment is not changed
        if tags.0.is_empty() || end.is_empty() || end.ends_with("*/") {
            return None;
        }
        // A line comment at the end would hide this one. It may also contain the semicolons, which must not become real.
        let is_hidden = end.rsplit('\n').next().is_some_and(|line| line.contains("--") || line.contains('#'));
        let (separator, semicolons) = if is_hidden { ('\n', "") } else { (' ', sql[end.len()..].trim_end()) };
        let mut commented = String::with_capacity(sql.len() + 128);
        commented.push_str(end);
        commented.push(separator);
        commented.push_str("/*");
        for (position, (name, value)) in tags.0.iter().enumerate() {
            if position > 0 {
                commented.push(',');
            }
            encode(name, &mut commented);
            commented.push_str("='");
            encode(value, &mut commented);
            commented.push('\'');
        }
        commented.push_str("*/");
        commented.push_str(semicolons);
        Some(commented)
    }
}

struct Tags(BTreeMap<String, String>);

impl Tags {
    fn add_trace(&mut self, context: &Context) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let flags = span.trace_flags().to_u8();
        let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
        self.0.insert("traceparent".to_owned(), parent);
        let state = span.trace_state().header();
        if !state.is_empty() {
            self.0.insert("tracestate".to_owned(), state);
        }
    }
}

impl Injector for Tags {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

/// Encodes everything that could end the value or the comment.
fn encode(text: &str, encoded: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    fn context() -> Context {
        let state = TraceState::from_key_value([("congo", "t61rcWkgMzE")]).unwrap();
        let (trace, span) = (TraceId::from(1), SpanId::from(2));
        Context::new().with_remote_span_context(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state))
    }

    #[test]
    fn a_comment_is_added_at_the_end() {
        let check = |commenter: &Commenter, sql: &str, is_prepared: bool, expected: Option<&str>| {
            assert_eq!(commenter.comment(sql, &context(), is_prepared).as_deref(), expected, "{sql}");
        };
        const TRACE: &str = "traceparent='00-00000000000000000000000000000001-0000000000000002-01',\
                             tracestate='congo%3Dt61rcWkgMzE'";
        let plain = Commenter::new();
        check(&plain, "SELECT 1", false, Some(&format!("SELECT 1 /*{TRACE}*/")));
        check(&plain, "SELECT 1", true, None);
        check(&plain, "SELECT 1 -- x\n ", false, Some(&format!("SELECT 1 -- x\n/*{TRACE}*/")));
        check(&plain, "SELECT 1 /* own */", false, None);
        let tagged = Commenter::new().with_tag("application", "my 'shop'*/");
        check(&tagged, "SELECT 1", true, Some("SELECT 1 /*application='my%20%27shop%27%2A%2F'*/"));
        check(&tagged, "SELECT 1;", false, Some(&format!("SELECT 1 /*application='my%20%27shop%27%2A%2F',{TRACE}*/;")));
        for (sql, expected) in [
            ("SELECT 1; SELECT 2 ;\n; ", Some("SELECT 1; SELECT 2 /*a='b'*/ ;\n;")),
            ("SELECT '--';", Some("SELECT '--'\n/*a='b'*/")),
            ("SELECT 1; -- x;", Some("SELECT 1; -- x\n/*a='b'*/")),
            ("SELECT 1 -- x\n;", Some("SELECT 1 -- x\n/*a='b'*/")),
            ("SELECT 1 /* own */;", None),
            (" ;", None),
            ("", None),
        ] {
            check(&Commenter::new().with_tag("a", "b"), sql, true, expected);
        }
        assert_eq!(plain.comment("SELECT 1", &Context::new(), false), None, "there is no trace");
    }
}
