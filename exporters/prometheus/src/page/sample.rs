//! The name of a family's samples, looked at once for all of them.

use super::labels::escaped;
use crate::names::Kind;
use crate::text::line::Line;

/// A name that lines start with.
pub(crate) struct SampleName {
    name: String,
    /// The name as it is on the page, without the quote at its end. One that must be quoted stands among the labels.
    text: Vec<u8>,
    is_quoted: bool,
}

impl SampleName {
    pub(crate) fn new(name: &str) -> Self {
        let is_quoted = !Kind::Metric.is_classic(name);
        let mut text = Vec::new();
        if is_quoted {
            text.extend_from_slice(b"{\"");
            escaped(&mut text, name);
        } else {
            text.extend_from_slice(name.as_bytes());
        }
        SampleName { name: name.to_owned(), text, is_quoted }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What is between the name and the first label.
    fn opening(&self) -> &'static [u8] {
        if self.is_quoted { b"\"," } else { b"{" }
    }

    /// Writes a sample's name and labels, which have a comma after each of them.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>, suffix: &str, labels: &[u8]) {
        out.extend_from_slice(&self.text);
        out.extend_from_slice(suffix.as_bytes());
        if let Some((_, labels)) = labels.split_last() {
            out.extend_from_slice(self.opening());
            out.extend_from_slice(labels);
            out.push(b'}');
        } else if self.is_quoted {
            out.extend_from_slice(b"\"}");
        }
    }

    /// Sets what the lines of all buckets of a series start with.
    #[inline]
    pub(crate) fn start_buckets(&self, line: &mut Line, labels: &[u8]) {
        line.start_with([&self.text, b"_bucket", self.opening(), labels, b"le=\""]);
    }
}
