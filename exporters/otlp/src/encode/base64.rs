//! Base64, for bytes in JSON and for credentials.

const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the bytes in base64 with padding.
pub(crate) fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let symbol = SYMBOLS[(bits >> (18 - 6 * position) & 63) as usize];
            out.push(if position > chunk.len() { b'=' } else { symbol });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_4648() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            encode(&mut out, text.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foob", "Zm9vYg==");
        check("fooba", "Zm9vYmE=");
        check("foobar", "Zm9vYmFy");
        check("\u{3ff}\u{3ff}", "z7/Pvw==");
    }
}
