//! Lines with a common start: the start is written once, and each line is then a single copy into the page.

/// Destination of text.
pub(crate) trait Sink {
    /// Writes the first `length` bytes of `text`. May copy all of `text`: one copy of a fixed size beats a shorter one whose
    /// size is not known to the compiler.
    fn put<const N: usize>(&mut self, text: [u8; N], length: usize);

    /// Writes text of any length.
    fn put_slice(&mut self, text: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline]
    fn put<const N: usize>(&mut self, text: [u8; N], length: usize) {
        self.extend_from_slice(text.get(..length).unwrap_or(&text));
    }

    #[inline]
    fn put_slice(&mut self, text: &[u8]) {
        self.extend_from_slice(text);
    }
}

/// Room for the end of a line: a bound (27 bytes), a count (20), an exemplar with a span (76, a number of 24, a space and a time
/// of 21), the newline, and the bytes that [`Sink::put`] copies beyond the length of a text.
const ROOM: usize = 256;

/// The lines of one series.
#[derive(Default)]
pub(crate) struct Line {
    /// The start, followed by room for the end.
    bytes: Vec<u8>,
    start: usize,
}

impl Line {
    /// Sets the common start of the next lines.
    pub(crate) fn start_with(&mut self, parts: [&[u8]; 5]) {
        self.bytes.clear();
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.start = self.bytes.len();
        self.bytes.resize(self.start + ROOM, 0);
    }

    /// Appends a line to the page; `write` gives its end.
    #[inline(always)]
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut End<'_>)) {
        let Some(bytes) = self.bytes.get_mut(self.start..).and_then(|rest| rest.first_chunk_mut()) else { return };
        let mut end = End { bytes, length: 0 };
        write(&mut end);
        let length = self.start + end.length;
        out.extend_from_slice(self.bytes.get(..length).unwrap_or(&self.bytes));
    }
}

/// The end of a line. Text beyond [`ROOM`] is cut off.
pub(crate) struct End<'a> {
    bytes: &'a mut [u8; ROOM],
    length: usize,
}

impl Sink for End<'_> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, text: [u8; N], length: usize) {
        if let Some(room) = self.bytes.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut()) {
            *room = text;
            self.length += length;
        }
    }

    #[inline(always)]
    fn put_slice(&mut self, text: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..).and_then(|rest| rest.get_mut(..text.len())) {
            room.copy_from_slice(text);
            self.length += text.len();
        }
    }
}
