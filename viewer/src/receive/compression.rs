//! Compressed bodies. The size of what they contain is bounded, so a small body cannot fill the memory.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::MAX_REQUEST;

/// The compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Identity,
    Gzip,
    Deflate,
}

/// The reason why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is larger than [`MAX_REQUEST`].
    TooLarge,
    /// It does not follow its compression.
    Malformed,
}

/// The value of `Accept-Encoding` and `grpc-accept-encoding`.
pub(super) const ACCEPTED: &str = "gzip, deflate";

impl Compression {
    /// Returns the compression with the name that HTTP and gRPC use.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Some(Compression::Identity),
            b"gzip" | b"x-gzip" => Some(Compression::Gzip),
            b"deflate" => Some(Compression::Deflate),
            _ => None,
        }
    }

    /// Returns the decompressed body.
    pub(super) fn decompress(self, body: &[u8]) -> Result<Cow<'_, [u8]>, Refused> {
        match self {
            Compression::Identity => Ok(Cow::Borrowed(body)),
            Compression::Gzip => read(MultiGzDecoder::new(body), body.len()),
            Compression::Deflate => read(ZlibDecoder::new(body), body.len()),
        }
    }
}

fn read<'a>(decoder: impl Read, compressed: usize) -> Result<Cow<'a, [u8]>, Refused> {
    let mut body = Vec::with_capacity(compressed.saturating_mul(4).min(MAX_REQUEST));
    decoder.take(MAX_REQUEST as u64 + 1).read_to_end(&mut body).map_err(|_| Refused::Malformed)?;
    if body.len() > MAX_REQUEST { Err(Refused::TooLarge) } else { Ok(Cow::Owned(body)) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_decompressed() {
        let mut zlib = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"hello").unwrap();
        let zlib = zlib.finish().unwrap();
        let check = |name: &str, body: &[u8], expected: &[u8]| {
            let decoded = Compression::named(name.as_bytes()).unwrap().decompress(body).unwrap();
            assert_eq!(&*decoded, expected, "{name}");
        };
        check("", b"hello", b"hello");
        check("identity", b"hello", b"hello");
        check("GZIP", &gzip(b"hello"), b"hello");
        check("gzip", &[gzip(b"hel"), gzip(b"lo")].concat(), b"hello");
        check("deflate", &zlib, b"hello");
        assert_eq!(Compression::named(b"br"), None);
        assert_eq!(Compression::Gzip.decompress(b"hello"), Err(Refused::Malformed));
        assert_eq!(Compression::Gzip.decompress(&gzip(b"hello")[..12]), Err(Refused::Malformed));
    }

    #[test]
    fn a_zip_bomb_is_refused() {
        let bomb = gzip(&vec![0; MAX_REQUEST + 1]);
        assert!(bomb.len() < MAX_REQUEST / 100, "{} bytes", bomb.len());
        assert_eq!(Compression::Gzip.decompress(&bomb), Err(Refused::TooLarge));
        let nearly = gzip(&vec![0; MAX_REQUEST]);
        assert_eq!(Compression::Gzip.decompress(&nearly).unwrap().len(), MAX_REQUEST);
    }
}
