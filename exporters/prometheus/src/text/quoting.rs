//! Quoting and escaping of names and values.

use crate::names::NameKind;

/// Writes the start of a label, `name="`. Quotes the name if necessary.
pub(crate) fn label_start(out: &mut Vec<u8>, label: &str) {
    name(out, label, NameKind::Label);
    out.extend_from_slice(b"=\"");
}

/// Writes a name. Quotes it unless it consists only of classic characters.
pub(crate) fn name(out: &mut Vec<u8>, name: &str, kind: NameKind) {
    if kind.is_classic(name) {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.push(b'"');
        escaped(out, name);
        out.push(b'"');
    }
}

/// Writes text with the escapes needed between quotes.
#[inline]
pub(crate) fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..index]);
        out.extend_from_slice(escape);
        written = index + 1;
    }
    out.extend_from_slice(&bytes[written..]);
}
