//! What is captured and excluded: the choice of the code, and that of the variables, which may change while the program runs.

use http::HeaderMap;
use telemark_kit::{Attributes, ChangedText, Live};

use super::metadata::{Captured, capture};
use super::methods::MethodPattern;

/// The headers of requests, as an index of [`Choice::fields`].
pub(crate) const REQUEST_HEADERS: usize = 0;
/// The headers of responses.
pub(crate) const RESPONSE_HEADERS: usize = 1;
/// The trailers of responses.
pub(crate) const RESPONSE_TRAILERS: usize = 2;

/// The headers and trailers to capture, and the methods that are excluded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) fields: [Vec<Captured>; 3],
    pub(crate) excluded: Vec<MethodPattern>,
}

/// The part of the variables' choice that has changed while the program runs.
pub(crate) struct Changed {
    fields: [Option<Vec<Captured>>; 3],
    excluded: Option<Vec<MethodPattern>>,
}

/// The variables of a [`Choice`]: those of the fields, in their order, and that of the methods.
pub(crate) type Names = ([&'static str; 3], &'static str);

impl Changed {
    /// Returns the part of `choice`, which was read from the changed texts, whose variables have changed.
    pub(crate) fn new((fields, excluded): Names, choice: Choice, changed: &ChangedText<'_>) -> Self {
        let mut chosen = choice.fields.into_iter();
        Changed {
            fields: fields.map(|name| chosen.next().filter(|_| changed(name).is_some())),
            excluded: Some(choice.excluded).filter(|_| changed(excluded).is_some()),
        }
    }
}

/// The choices of one config. The code adds to the variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    pub(crate) own: Choice,
    pub(crate) of_variables: Choice,
}

impl Choices {
    /// Returns true if a pattern matches. `changed` is what has changed on this side.
    pub(crate) fn exclude(&self, changed: &'static Live<Changed>, method: &str) -> bool {
        let is_excluded = |patterns: &[MethodPattern]| patterns.iter().any(|pattern| pattern.matches(method));
        is_excluded(&self.own.excluded)
            || changed.with(|changed| {
                let changed = changed.and_then(|changed| changed.excluded.as_ref());
                is_excluded(changed.unwrap_or(&self.of_variables.excluded))
            })
    }

    /// Adds the headers or trailers that are captured.
    pub(crate) fn capture(
        &self,
        changed: &'static Live<Changed>,
        of: usize,
        fields: &HeaderMap,
        attributes: &mut Attributes,
    ) {
        let own = &self.own.fields[of];
        changed.with(|changed| {
            let changed = changed.and_then(|changed| changed.fields[of].as_ref());
            let others = changed.unwrap_or(&self.of_variables.fields[of]);
            let others = others.iter().filter(|other| !own.iter().any(|own| own.is_same(other)));
            capture(own.iter().chain(others), fields, attributes);
        });
    }

    /// Returns the number of fields that the config captures, not counting changes.
    pub(crate) fn len(&self, of: usize) -> usize {
        self.own.fields[of].len() + self.of_variables.fields[of].len()
    }

    /// Declares the present choice as that of the variables.
    pub(crate) fn are_of_variables(&mut self) {
        self.of_variables = std::mem::take(&mut self.own);
    }
}
