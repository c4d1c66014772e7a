//! The name of a family's samples, quoted only once.

use crate::names::NameKind;
use crate::text::quoting::escaped;

/// The sample name at the start of a line.
pub(super) struct SampleName {
    name: String,
    /// The name as it appears on the page, without a closing quote. A quoted name is written inside the braces,
    /// before the labels.
    text: Vec<u8>,
    is_quoted: bool,
}

impl SampleName {
    pub(super) fn new(name: &str) -> Self {
        let is_quoted = !NameKind::Metric.is_classic(name);
        let mut text = Vec::new();
        if is_quoted {
            text.extend_from_slice(b"{\"");
            escaped(&mut text, name);
        } else {
            text.extend_from_slice(name.as_bytes());
        }
        SampleName { name: name.to_owned(), text, is_quoted }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text between the name and the first label.
    fn opening(&self) -> &'static [u8] {
        if self.is_quoted { b"\"," } else { b"{" }
    }

    /// Writes the name and the labels of a sample. Each label must end with a comma.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>, suffix: &str, labels: &[u8]) {
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

    /// Writes the start of a bucket line, up to the value of the label `le`.
    pub(super) fn write_bucket_start(&self, out: &mut Vec<u8>, labels: &[u8]) {
        [&*self.text, b"_bucket", self.opening(), labels, b"le=\""].iter().for_each(|part| out.extend_from_slice(part));
    }
}
