//! What is captured and excluded: the choice of the code, and that of the variables, which may change while the program runs.

use http::HeaderMap;
use telemark_kit::{Attributes, ChangedText, Live};

use super::headers::{CapturedHeader, capture};

/// The headers of requests, as an index of [`Choice::headers`].
pub(crate) const REQUEST: usize = 0;
/// The headers of responses.
pub(crate) const RESPONSE: usize = 1;

/// The headers to capture, and the patterns of what is excluded.
#[derive(Clone, Debug)]
pub(crate) struct Choice<P> {
    pub(crate) headers: [Vec<CapturedHeader>; 2],
    pub(crate) excluded: Vec<P>,
}

impl<P> Default for Choice<P> {
    fn default() -> Self {
        Choice { headers: [Vec::new(), Vec::new()], excluded: Vec::new() }
    }
}

/// The part of the variables' choice that has changed while the program runs.
pub(crate) struct Changed<P> {
    headers: [Option<Vec<CapturedHeader>>; 2],
    excluded: Option<Vec<P>>,
}

/// The variables of a [`Choice`]: of the headers of requests and responses, and of the patterns.
pub(crate) type Names = [&'static str; 3];

impl<P> Changed<P> {
    /// Returns the part of `choice`, which was read from the changed texts, whose variables have changed.
    pub(crate) fn new(names: Names, choice: Choice<P>, changed: &ChangedText<'_>) -> Self {
        let Choice { headers: [requests, responses], excluded } = choice;
        let [of_requests, of_responses, of_patterns] = names.map(|name| changed(name).is_some());
        Changed {
            headers: [of_requests.then_some(requests), of_responses.then_some(responses)],
            excluded: of_patterns.then_some(excluded),
        }
    }
}

/// The choices of one config. The code adds to the variables.
#[derive(Debug)]
pub(crate) struct Choices<P: 'static> {
    pub(crate) own: Choice<P>,
    pub(crate) of_variables: Choice<P>,
    changed: &'static Live<Changed<P>>,
}

impl<P: Clone> Clone for Choices<P> {
    fn clone(&self) -> Self {
        Choices { own: self.own.clone(), of_variables: self.of_variables.clone(), changed: self.changed }
    }
}

impl<P: Send + Sync> Choices<P> {
    pub(crate) fn new(changed: &'static Live<Changed<P>>) -> Self {
        Choices { own: Choice::default(), of_variables: Choice::default(), changed }
    }

    /// Returns true if a pattern matches.
    #[inline]
    pub(crate) fn exclude(&self, matches: impl Fn(&P) -> bool) -> bool {
        self.own.excluded.iter().any(&matches)
            || self.changed.with(|changed| {
                let changed = changed.and_then(|changed| changed.excluded.as_ref());
                changed.unwrap_or(&self.of_variables.excluded).iter().any(&matches)
            })
    }

    /// Adds the headers of a request or a response that are captured.
    #[inline]
    pub(crate) fn capture(&self, of: usize, headers: &HeaderMap, attributes: &mut Attributes) {
        let own = &self.own.headers[of];
        self.changed.with(|changed| {
            let changed = changed.and_then(|changed| changed.headers[of].as_ref());
            let others = changed.unwrap_or(&self.of_variables.headers[of]);
            let others = others.iter().filter(|other| !own.iter().any(|own| own.is_same(other)));
            capture(own.iter().chain(others), headers, attributes);
        });
    }

    /// Returns the number of headers that the config captures, not counting changes.
    pub(crate) fn len(&self, of: usize) -> usize {
        self.own.headers[of].len() + self.of_variables.headers[of].len()
    }

    /// Declares the present choice as that of the variables.
    pub(crate) fn are_of_variables(&mut self) {
        self.of_variables = std::mem::take(&mut self.own);
    }
}
