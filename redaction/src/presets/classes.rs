//! The classes of characters in a text, which tell within one pass which presets may find something.

/// The classes that occur in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Classes(u8);

impl Classes {
    /// `@`, or `%`, which may begin an escaped `@`.
    pub(super) const AT: Classes = Classes(1);
    pub(super) const DIGIT: Classes = Classes(1 << 1);
    /// `=` or `:`.
    pub(super) const ASSIGNMENT: Classes = Classes(1 << 2);
    /// A letter that is in every form of a token.
    pub(super) const TOKEN: Classes = Classes(1 << 3);

    /// Reads the text once.
    #[inline]
    pub(crate) fn in_text(text: &str) -> Classes {
        Classes(text.bytes().fold(0, |classes, byte| classes | TABLE[usize::from(byte)]))
    }

    #[inline]
    pub(super) fn has(self, class: Classes) -> bool {
        self.0 & class.0 != 0
    }
}

const TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'@' | b'%' => Classes::AT.0,
            b'0'..=b'9' => Classes::DIGIT.0,
            b'=' | b':' => Classes::ASSIGNMENT.0,
            b'b' | b'B' | b'J' => Classes::TOKEN.0,
            _ => 0,
        };
        byte += 1;
    }
    table
};
