//! The description of an error: its message and the messages of its causes, limited in length.

use std::error::Error;
use std::fmt::{self, Display, Write as _};
use std::ops::Deref;

use crate::instrument::shield::shielded;
use crate::text::contains;
use crate::trace::{Failure, Source};

/// Maximum length of a description in bytes. Receivers truncate or reject longer descriptions.
pub(super) const MAX_LENGTH: usize = 4096;

/// Maximum number of causes to follow. Most chains are short, and a longer chain is probably a cycle.
pub(super) const MAX_CAUSES: usize = 16;

/// The description of an error, and the root by which the error is recognized in the functions through which it
/// propagates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    text: String,
    /// The last message of the source chain, if there is a source.
    root: Option<String>,
}

impl Description {
    /// Replaces the description with the error's output in another format. The root stays the same.
    pub fn shown_as(self, text: String) -> Self {
        let root = self.root.or(Some(self.text)).filter(|root| !root.is_empty());
        Description { text, root }
    }

    pub(in crate::instrument::spans) fn into_failure(self, error_type: &'static str, source: Source) -> Failure {
        Failure { description: bounded(self.text), root: self.root, error_type, source }
    }
}

impl From<String> for Description {
    fn from(text: String) -> Self {
        Description { text, root: None }
    }
}

impl Deref for Description {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Joins the messages of an error and its causes with `": "`. Skips messages already contained in the description, because
/// many wrappers repeat their cause.
pub(in crate::instrument) fn describe(error: &dyn Error) -> Description {
    let mut description = Message::default();
    let _ = write(&mut description, format_args!("{error}"));
    let (mut cause, mut root) = (source(error), None);
    for _ in 0..MAX_CAUSES {
        let Some(error) = cause else { break };
        let mut own = Message::default();
        let _ = write(&mut own, format_args!("{error}"));
        if !own.text.is_empty() && !contains(&description.text, &own.text) {
            let separator = if description.text.is_empty() { "" } else { ": " };
            if write!(description, "{separator}{}", own.text).is_err() {
                break;
            }
        }
        root = Some(own.text).filter(|text| !text.is_empty()).or(root);
        cause = source(error);
    }
    Description { text: description.text, root }
}

/// Formats a value that is not an [`Error`]. Uses the alternate form, in which `anyhow` and `eyre` print the whole chain,
/// even through a wrapper that forwards to them.
pub(super) fn print(value: &(impl Display + ?Sized)) -> Description {
    let mut message = Message::default();
    let _ = write(&mut message, format_args!("{value:#}"));
    message.text.into()
}

/// Truncates a description to [`MAX_LENGTH`].
fn bounded(text: String) -> String {
    if text.len() <= MAX_LENGTH {
        return text;
    }
    let mut cut = Message::default();
    let _ = cut.write_str(&text);
    cut.text
}

/// Returns the cause of `error`, or `None` if `source()` panics.
pub(super) fn source<'a>(error: &'a (dyn Error + '_)) -> Option<&'a (dyn Error + 'static)> {
    shielded(|| error.source()).flatten()
}

/// Writes to `to`. If the error's own formatting fails or panics, keeps the text written so far.
fn write(to: &mut Message, arguments: fmt::Arguments<'_>) -> fmt::Result {
    shielded(|| to.write_fmt(arguments)).unwrap_or(Err(fmt::Error))
}

/// A message of up to [`MAX_LENGTH`] bytes. A write beyond that limit fails, which stops the formatting, and the text
/// ends in `…`.
#[derive(Default)]
struct Message {
    text: String,
    is_cut: bool,
}

impl fmt::Write for Message {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        const CUT: char = '…';
        if self.is_cut {
            return Err(fmt::Error);
        }
        let room = MAX_LENGTH.saturating_sub(self.text.len());
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(&part[..boundary(part, room)]);
        self.text.truncate(boundary(&self.text, MAX_LENGTH - CUT.len_utf8()));
        self.text.push(CUT);
        self.is_cut = true;
        Err(fmt::Error)
    }
}

/// Returns the last character boundary of `text` at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with a message and a chain of causes.
    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|cause| &**cause as &(dyn Error + 'static))
        }
    }

    #[track_caller]
    fn check(messages: &[&'static str], expected: &str) {
        let chain = messages.iter().rev().fold(None, |cause, message| Some(Box::new(Link(message, cause))));
        assert_eq!(chain.map(|error| describe(&*error).text).as_deref(), Some(expected));
    }

    #[test]
    fn the_causes_follow_the_message() {
        check(&["broken"], "broken");
        check(
            &["error sending request", "client error (Connect)", "connection refused"],
            "error sending request: client error (Connect): connection refused",
        );
        check(&["", "only the cause speaks", ""], "only the cause speaks");
    }

    #[test]
    fn a_message_that_a_wrapper_repeats_stands_once() {
        check(&["the same", "the same"], "the same");
        check(&["outer: middle: inner", "middle: inner", "inner"], "outer: middle: inner");
        check(&["cannot save (disk full)", "disk full"], "cannot save (disk full)");
        check(&["see error 12", "error 1"], "see error 12: error 1");
        check(&["timeouts are configured", "timeout"], "timeouts are configured: timeout");
    }

    #[test]
    fn a_circle_and_a_long_chain_end() {
        /// An error that is its own cause.
        #[derive(Debug)]
        struct Circle;
        impl Display for Circle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("round and round")
            }
        }
        impl Error for Circle {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&Circle)
            }
        }
        assert_eq!(&*describe(&Circle), "round and round");

        let names: Vec<&'static str> = (0..100).map(|n| &*format!("link {n}").leak()).collect();
        let chain = names.iter().rev().fold(None, |cause, message| Some(Box::new(Link(message, cause)))).unwrap();
        assert_eq!(*describe(&*chain), *names[..=MAX_CAUSES].join(": "));
    }

    #[test]
    fn a_description_has_a_bound_and_ends_in_an_ellipsis() {
        let long: &'static str = "ä".repeat(3 * MAX_LENGTH).leak();
        check(&[long, "never reached"], &format!("{}…", "ä".repeat((MAX_LENGTH - 3) / 2)));
        assert_eq!(bounded(long.to_owned()).len(), MAX_LENGTH - 1);
        assert_eq!(print(long).len(), MAX_LENGTH - 1);

        let exact: &'static str = "x".repeat(MAX_LENGTH).leak();
        check(&[exact], exact);
        check(&[exact, "more"], &format!("{}…", &exact[3..]));
    }

    #[test]
    fn an_endless_message_is_stopped() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("more ")?;
                }
            }
        }
        assert_eq!(print(&Endless).len(), MAX_LENGTH);
    }

    #[test]
    fn a_panic_in_a_message_or_in_the_search_for_a_cause_is_contained() {
        #[derive(Debug)]
        struct Panics;
        impl Display for Panics {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("part")?;
                panic!("in Display")
            }
        }
        impl Error for Panics {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                panic!("in source")
            }
        }
        assert_eq!(&*describe(&Panics), "part");
        assert_eq!(&*print(&Panics), "part");
    }
}
