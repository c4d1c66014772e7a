//! Decompresses responses.

use telemark_sdk::text;

/// The encoding that requests accept for their responses.
pub(crate) const ACCEPTED: Option<&str> = if cfg!(feature = "gzip") { Some("gzip") } else { None };

/// The reason why a response cannot be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Undecoded {
    /// The decompressed response exceeds the limit.
    #[cfg_attr(not(feature = "gzip"), allow(dead_code, reason = "nothing is inflated without the feature"))]
    TooLarge,
    /// The response is malformed or has an unsupported encoding. Contains a description for an error message.
    Unknown(String),
}

/// Removes a content coding and returns up to `limit` bytes. `encoding` is a case-insensitive HTTP or gRPC token; if it
/// is empty, the body is not encoded.
///
/// spec: protocol/exporter.md — the limit holds after decompression as well
pub(crate) fn decode(encoding: &str, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Undecoded> {
    let is = |token: &str| encoding.trim().eq_ignore_ascii_case(token);
    if is("") || is("identity") {
        Ok(body)
    } else if ACCEPTED.is_some() && (is("gzip") || is("x-gzip")) {
        inflate(&body, limit)
    } else {
        Err(Undecoded::Unknown(format!("compressed with {:?}", text::foreign(encoding).cut_at(40))))
    }
}

#[cfg(feature = "gzip")]
fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, Undecoded> {
    use std::io::Read;
    let mut inflated = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(body).take((limit as u64).saturating_add(1));
    match decoder.read_to_end(&mut inflated) {
        Ok(len) if len > limit => Err(Undecoded::TooLarge),
        Ok(_) => Ok(inflated),
        Err(_) => Err(Undecoded::Unknown("broken gzip".to_owned())),
    }
}

#[cfg(not(feature = "gzip"))]
fn inflate(_: &[u8], _: usize) -> Result<Vec<u8>, Undecoded> {
    Err(Undecoded::Unknown("compressed, and the feature `gzip` of telemark-otlp is off".to_owned()))
}

#[cfg(all(test, feature = "gzip"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test")]

    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn encodings_ignore_case() {
        for encoding in ["gzip", "GZIP", " GZip ", "x-gzip"] {
            assert_eq!(decode(encoding, gzip(b"text"), 4), Ok(b"text".to_vec()), "{encoding:?}");
        }
        for encoding in ["", "identity", "Identity"] {
            assert_eq!(decode(encoding, b"text".to_vec(), 4), Ok(b"text".to_vec()), "{encoding:?}");
        }
        let unknown = |description: &str| Err(Undecoded::Unknown(description.to_owned()));
        assert_eq!(decode("br\u{1b}", b"text".to_vec(), 4), unknown(r#"compressed with "br\u{1b}""#));
        assert_eq!(decode("gzip", b"text".to_vec(), 4), unknown("broken gzip"));
    }

    #[test]
    fn inflation_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 50 << 20]);
        let counted = allocation_counter::measure(|| assert_eq!(decode("gzip", bomb, 1000), Err(Undecoded::TooLarge)));
        assert!(counted.bytes_max < 200_000, "{counted:?}");
    }
}
