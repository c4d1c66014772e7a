//! Reads the few protobuf messages that receivers respond with.

use std::time::Duration;

use super::values::{PartialSuccess, Status};

/// The value of a field.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A value of a wire type that none of these messages uses.
    Other,
}

/// Calls `field` with the number and the value of every field. Returns `None` if the bytes are not a message.
fn read<'a>(mut bytes: &'a [u8], mut field: impl FnMut(u64, Value<'a>) -> Option<()>) -> Option<()> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Value::Other)?,
            2 => {
                let len = varint(&mut bytes)?;
                Value::Bytes(take(&mut bytes, usize::try_from(len).ok()?)?)
            }
            5 => take(&mut bytes, 4).map(|_| Value::Other)?,
            _ => return None,
        };
        let number = tag >> 3;
        if number == 0 {
            return None;
        }
        field(number, value)?;
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads `Export…ServiceResponse { partial_success = 1 { rejected_… = 1, error_message = 2 } }`
pub(crate) fn partial_success(bytes: &[u8]) -> Option<PartialSuccess> {
    let mut found = PartialSuccess::default();
    read(bytes, |field, value| match (field, value) {
        (1, Value::Bytes(inner)) => read(inner, |field, value| {
            match (field, value) {
                // A negative number makes no sense. If it were read as unsigned, quintillions of spans would be counted as
                // dropped.
                (1, Value::Number(rejected)) => found.rejected = (rejected as i64).max(0) as u64,
                (2, Value::Bytes(message)) => found.message = text(message),
                _ => {}
            }
            Some(())
        }),
        _ => Some(()),
    })?;
    Some(found)
}

/// Reads `Status { code = 1, message = 2, details = 3 Any { type_url = 1, value = 2 } }`
pub(super) fn status(bytes: &[u8]) -> Option<Status> {
    let mut found = Status::default();
    read(bytes, |field, value| {
        match (field, value) {
            (2, Value::Bytes(message)) => found.message = text(message),
            // Skip malformed details and details of other types, because the status itself is still valid.
            (3, Value::Bytes(any)) => found.retry_delay = found.retry_delay.or(retry_info(any)),
            _ => {}
        }
        Some(())
    })?;
    Some(found)
}

/// Reads an `Any` that holds `RetryInfo { retry_delay = 1 Duration { seconds = 1, nanos = 2 } }`
fn retry_info(any: &[u8]) -> Option<Duration> {
    let (mut type_url, mut info) = (&[][..], &[][..]);
    read(any, |field, value| {
        match (field, value) {
            (1, Value::Bytes(bytes)) => type_url = bytes,
            (2, Value::Bytes(bytes)) => info = bytes,
            _ => {}
        }
        Some(())
    })?;
    if !type_url.ends_with(b"google.rpc.RetryInfo") {
        return None;
    }
    let (mut seconds, mut nanos) = (0i64, 0i64);
    read(info, |field, value| match (field, value) {
        (1, Value::Bytes(duration)) => read(duration, |field, value| {
            match (field, value) {
                (1, Value::Number(value)) => seconds = value as i64,
                (2, Value::Number(value)) => nanos = value as i64,
                _ => {}
            }
            Some(())
        }),
        _ => Some(()),
    })?;
    let nanos = u32::try_from(nanos).ok().filter(|&nanos| nanos < 1_000_000_000).unwrap_or(0);
    Some(Duration::new(u64::try_from(seconds).unwrap_or(0), nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use proptest::prelude::*;
    use prost::Message;

    #[test]
    fn retry_infos() {
        let check = |bytes: &[u8], expected: Option<Option<u64>>| {
            let delay = status(bytes).map(|status| status.retry_delay.map(|delay| delay.as_millis() as u64));
            assert_eq!(delay, expected, "{bytes:?}");
        };
        let any = |url: &[u8], info: &[u8]| {
            let any = [&[0x0a, url.len() as u8], url, &[0x12, info.len() as u8], info].concat();
            [&[0x08, 14, 0x1a, any.len() as u8], &any[..]].concat()
        };
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        check(&any(url, &[0x0a, 2, 0x08, 3]), Some(Some(3000)));
        check(&any(url, &[0x0a, 7, 0x08, 1, 0x10, 0x80, 0xa3, 0xc3, 0x47]), Some(Some(1150)));
        check(&any(url, &[]), Some(Some(0)));
        check(&any(b"type.googleapis.com/google.rpc.ErrorInfo", &[0x0a, 2, 0x08, 3]), Some(None));
        check(&any(url, &[0xff]), Some(None));
        check(&[0x1a], None);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = partial_success(&bytes);
            let _ = status(&bytes);
        }

        #[test]
        fn partial_successes_read_back(rejected: i64, message: String) {
            let response = ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess { rejected_spans: rejected, error_message: message.clone() }),
            };
            let expected = PartialSuccess { rejected: rejected.max(0) as u64, message };
            prop_assert_eq!(partial_success(&response.encode_to_vec()), Some(expected));
        }
    }
}
