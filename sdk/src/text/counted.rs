//! Numbers of items in messages, in singular and plural.

use std::fmt;

/// A number of items, such as `1 span`, `2 spans` or, with [`Counted::more`], `2 more spans`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    number: u64,
    /// The word in plural, which ends in an `s`.
    items: &'static str,
    is_more: bool,
}

/// Returns a number of items. `items` is the plural and ends in an `s`.
pub(crate) fn counted(number: u64, items: &'static str) -> Counted {
    Counted { number, items, is_more: false }
}

impl Counted {
    /// Marks the items as additional to those of an earlier message, if `is_more` is true.
    pub(crate) fn more(self, is_more: bool) -> Self {
        Counted { is_more, ..self }
    }

    /// Returns the matching verb, `was` or `were`.
    pub(crate) fn were(self) -> &'static str {
        if self.number == 1 { "was" } else { "were" }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = if self.number == 1 { self.items.strip_suffix('s').unwrap_or(self.items) } else { self.items };
        let more = if self.is_more { " more" } else { "" };
        write!(f, "{}{more} {items}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_is_singular() {
        let said = |counted: Counted| format!("{counted} {}", counted.were());
        assert_eq!(said(counted(1, "log records")), "1 log record was");
        assert_eq!(said(counted(0, "spans")), "0 spans were");
        assert_eq!(said(counted(2, "spans").more(true)), "2 more spans were");
    }
}
