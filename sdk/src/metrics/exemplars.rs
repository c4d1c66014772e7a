//! The exemplars of a point: a list that is shared with the reservoir that keeps it, until one of them changes it.

use std::ops::Deref;
use std::sync::Arc;

use super::Exemplar;

/// The exemplars of a point. Cheap to clone, and free when there are none.
///
/// ```
/// use telemark_sdk::metrics::{Exemplar, Exemplars};
/// use telemark_sdk::time::Timestamp;
///
/// let exemplars: Exemplars = [Exemplar::new(0.25, Timestamp::default())].into_iter().collect();
/// assert_eq!(exemplars.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Exemplars(Option<Arc<Vec<Exemplar>>>);

impl Exemplars {
    /// None.
    pub const fn none() -> Self {
        Exemplars(None)
    }

    /// The list, of which this is the only owner then: if somebody else has it, too, it is copied.
    pub fn to_mut(&mut self) -> &mut Vec<Exemplar> {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl Deref for Exemplars {
    type Target = [Exemplar];

    #[inline]
    fn deref(&self) -> &[Exemplar] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl PartialEq for Exemplars {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<Vec<Exemplar>> for Exemplars {
    fn from(list: Vec<Exemplar>) -> Self {
        Exemplars((!list.is_empty()).then(|| Arc::new(list)))
    }
}

impl FromIterator<Exemplar> for Exemplars {
    fn from_iter<T: IntoIterator<Item = Exemplar>>(exemplars: T) -> Self {
        exemplars.into_iter().collect::<Vec<_>>().into()
    }
}

impl Extend<Exemplar> for Exemplars {
    fn extend<T: IntoIterator<Item = Exemplar>>(&mut self, exemplars: T) {
        self.to_mut().extend(exemplars);
    }
}

impl<'a> IntoIterator for &'a Exemplars {
    type Item = &'a Exemplar;
    type IntoIter = std::slice::Iter<'a, Exemplar>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Exemplars {
    type Item = Exemplar;
    type IntoIter = std::vec::IntoIter<Exemplar>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_or_else(Vec::new, Arc::unwrap_or_clone).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_list_that_two_have_is_copied_by_who_changes_it() {
        let one = |value: u64| Exemplar::new(value, Timestamp::default());
        let mut kept: Exemplars = vec![one(1)].into();
        let collected = kept.clone();
        kept.to_mut()[0] = one(2);
        assert_eq!((&*collected, &*kept), (&[one(1)][..], &[one(2)][..]));
        let alone = kept.as_ptr();
        kept.to_mut()[0] = one(3);
        assert_eq!((kept.as_ptr(), kept.into_iter().collect()), (alone, vec![one(3)]));
        assert_eq!(Exemplars::from(Vec::new()), Exemplars::none());
    }
}
