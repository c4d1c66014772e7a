//! Renders bucket bounds as text.

use crate::text::numbers::canonical;

/// The rendered bounds of the last series, since the next series usually has the same bounds.
#[derive(Default)]
pub(super) struct Bounds {
    values: Vec<f64>,
    /// The text from the first digit of each bound, including `+Inf`, to the space before the count.
    texts: Vec<Vec<u8>>,
}

impl Bounds {
    /// Returns the text of each bound and of `+Inf`, or `None` if the bounds are not strictly increasing.
    #[inline]
    pub(super) fn texts(&mut self, bounds: &[f64]) -> Option<&[Vec<u8>]> {
        let is_known = !self.texts.is_empty() && self.values == bounds;
        (is_known || self.learn(bounds)).then_some(&*self.texts)
    }

    /// Renders new bounds. Returns false and changes nothing if they are not strictly increasing.
    fn learn(&mut self, bounds: &[f64]) -> bool {
        if !are_in_order(bounds) {
            return false;
        }
        // Keep the text of the leading bounds that both series share.
        let same = self.values.iter().zip(bounds).take_while(|(known, bound)| known == bound).count();
        self.values.truncate(same);
        self.texts.truncate(same);
        for &bound in bounds.get(same..).unwrap_or_default().iter().chain(&[f64::INFINITY]) {
            let mut text = Vec::new();
            canonical(&mut text, bound);
            text.extend_from_slice(b"\"} ");
            self.texts.push(text);
        }
        self.values.extend_from_slice(bounds.get(same..).unwrap_or_default());
        true
    }
}

/// Returns true if the bounds are finite and strictly increasing.
pub(super) fn are_in_order(bounds: &[f64]) -> bool {
    bounds.iter().all(|bound| bound.is_finite()) && bounds.windows(2).all(|pair| pair[0] < pair[1])
}
