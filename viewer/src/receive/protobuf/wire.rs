//! The wire format of Protocol Buffers: reads the fields of a message without copying them.

use crate::receive::Malformed;

/// The value of a field, as its wire type delimits it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    /// Returns the bytes of a string, of bytes or of a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed("a field has another type than its definition")),
        }
    }

    /// Returns an integer with a variable length.
    pub(super) fn varint(self) -> Result<u64, Malformed> {
        match self {
            Wire::Varint(value) => Ok(value),
            _ => Err(Malformed("a field has another type than its definition")),
        }
    }

    /// Returns a `uint32`. Like other readers, keeps the lower bits of a larger number.
    pub(super) fn uint32(self) -> Result<u32, Malformed> {
        self.varint().map(|value| value as u32)
    }

    /// Returns a `sint32`.
    pub(super) fn sint32(self) -> Result<i32, Malformed> {
        let value = self.uint32()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    pub(super) fn fixed64(self) -> Result<u64, Malformed> {
        match self {
            Wire::Fixed64(value) => Ok(value),
            _ => Err(Malformed("a field has another type than its definition")),
        }
    }

    pub(super) fn double(self) -> Result<f64, Malformed> {
        self.fixed64().map(f64::from_bits)
    }
}

/// The fields of a message, in the order in which they were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Fields(message)
    }

    /// Returns the number and the value of the next field.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.0)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or(Malformed("a field has an invalid number"))?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Fixed64(fixed64(&mut self.0)?),
            2 => {
                let len = usize::try_from(varint(&mut self.0)?).map_err(|_| CUT)?;
                Wire::Bytes(take(&mut self.0, len)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(array(take(&mut self.0, 4)?)?)),
            _ => return Err(Malformed("a field has an unknown wire type")),
        };
        Ok(Some((number, value)))
    }
}

const CUT: Malformed = Malformed("the message is cut short");

/// Reads an integer with a variable length.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = bytes.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { CUT } else { Malformed("an integer is longer than ten bytes") })
}

/// Reads eight bytes.
pub(super) fn fixed64(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    Ok(u64::from_le_bytes(array(take(bytes, 8)?)?))
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(CUT)?;
    *bytes = rest;
    Ok(taken)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| CUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &[u8]) -> String {
        let (mut fields, mut out) = (Fields::new(message), String::new());
        loop {
            match fields.next() {
                Ok(Some((number, value))) => out += &format!("{number}={value:?} "),
                Ok(None) => return out.trim_end().to_owned(),
                Err(Malformed(why)) => return out + why,
            }
        }
    }

    #[test]
    fn fields_of_each_wire_type() {
        assert_eq!(shown(b""), "");
        assert_eq!(shown(&[0x08, 0x96, 0x01]), "1=Varint(150)");
        assert_eq!(shown(&[0x12, 2, b'h', b'i', 0x1d, 1, 0, 0, 0]), "2=Bytes([104, 105]) 3=Fixed32(1)");
        assert_eq!(shown(&[0x21, 1, 0, 0, 0, 0, 0, 0, 0x80]), "4=Fixed64(9223372036854775809)");
        assert_eq!(shown(&[&[0x08][..], &[0xff; 9], &[1]].concat()), format!("1=Varint({})", u64::MAX));
    }

    #[test]
    fn malformed_fields_are_errors() {
        for cut in [&[0x08][..], &[0x08, 0x80], &[0x12, 3, 0], &[0x1d, 0, 0, 0], &[0x21, 0], &[0x80]] {
            assert_eq!(shown(cut), "the message is cut short", "{cut:?}");
        }
        assert_eq!(shown(&[0x00, 0]), "a field has an invalid number");
        assert_eq!(shown(&[0x0b]), "a field has an unknown wire type");
        assert_eq!(shown(&[0xff; 11]), "an integer is longer than ten bytes");
        let huge = [&[0x12][..], &[0xff; 9], &[1]].concat();
        assert_eq!(shown(&huge), "the message is cut short");
    }

    #[test]
    fn signed_numbers_are_zigzag() {
        for (encoded, expected) in [(0, 0), (1, -1), (2, 1), (4_294_967_294, i32::MAX), (4_294_967_295, i32::MIN)] {
            assert_eq!(Wire::Varint(encoded).sint32(), Ok(expected));
        }
    }
}
