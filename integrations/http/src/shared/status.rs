//! Status codes as text.

use http::StatusCode;

/// Returns the digits of a status code without allocating.
pub(crate) fn code(status: StatusCode) -> &'static str {
    const CODES: usize = 900;
    static DIGITS: [u8; CODES * 3] = {
        let mut digits = [b'0'; CODES * 3];
        let mut at = 0;
        while at < CODES {
            let code = at + 100;
            digits[at * 3] += (code / 100) as u8;
            digits[at * 3 + 1] += (code / 10 % 10) as u8;
            digits[at * 3 + 2] += (code % 10) as u8;
            at += 1;
        }
        digits
    };
    let at = usize::from(status.as_u16()).saturating_sub(100) * 3;
    DIGITS.get(at..at + 3).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for status in 100..=999 {
            assert_eq!(code(StatusCode::from_u16(status).unwrap()), status.to_string());
        }
    }
}
