//! Tokens of HTTP authorization: what follows `Bearer` or `Basic`, and JSON web tokens anywhere.

use std::ops::Range;

/// A shorter word is no token.
const MIN_TOKEN: usize = 8;
/// A shorter word of small letters alone is taken for prose, as in "bearer authentication".
const MIN_WORD: usize = 16;
/// Bytes in which the colon of a name and a password is searched.
const MAX_BASIC: usize = 512;
/// Characters between the scheme and the token.
const MAX_GAP: usize = 8;
/// A text that begins like a JSON web token and ends before the first dot is one that was cut, from this length on.
const MIN_CUT: usize = 12;

pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| matches!(byte, b'b' | b'B' | b'e'))?;
        let found = match bytes[at] {
            b'e' => web_token(bytes, at),
            _ => after_scheme(bytes, at),
        };
        if found.is_some() {
            return found;
        }
        at += 1;
    }
}

/// Returns true if a header with this name has credentials, whatever their scheme. The key may end with the name.
pub(super) fn is_header(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or_default();
    ["authorization", "proxy-authorization", "proxy_authorization"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn after_scheme(text: &[u8], at: usize) -> Option<Range<usize>> {
    let is = |scheme: &[u8]| text.get(at..at + scheme.len()).is_some_and(|own| own.eq_ignore_ascii_case(scheme));
    let (start, is_basic) = if is(b"bearer") {
        (gap_end(text, at + 6)?, false)
    } else if is(b"basic") {
        (gap_end(text, at + 5)?, true)
    } else {
        return None;
    };
    let token = || text[start..].iter().take_while(|byte| is_of_token(byte));
    let is_token = match is_basic {
        true => has_password(token().take(MAX_BASIC)),
        false => {
            let seen = token().take(MIN_WORD).count();
            seen >= MIN_WORD || seen >= MIN_TOKEN && !token().all(u8::is_ascii_lowercase)
        }
    };
    is_token.then(|| start..start + token().count())
}

/// Returns the end of what separates a scheme from its token; `None` if nothing does.
fn gap_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < from + MAX_GAP {
        match text.get(at..)? {
            [b' ' | b'\t' | b'+' | b':' | b'=' | b'"' | b'\'', ..] => at += 1,
            [b'%', b'2', b'0', ..] => at += 3,
            _ => break,
        }
    }
    (at > from).then_some(at)
}

/// The characters of a token68, and `%`, which escapes them in a URL.
///
/// spec: RFC 9110, section 11.2
fn is_of_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b'%')
}

/// Returns true if the text is base64 of a name, a colon and a password.
fn has_password<'a>(token: impl Iterator<Item = &'a u8>) -> bool {
    let (mut bits, mut count) = (0u32, 0);
    for byte in token {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            if (bits >> count) as u8 == b':' {
                return true;
            }
        }
    }
    false
}

/// Returns the JSON web token that begins here: base64 of `{"`, and further parts behind dots.
fn web_token(text: &[u8], at: usize) -> Option<Range<usize>> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let begins = text[at..].starts_with(b"eyJ") && !at.checked_sub(1).is_some_and(|before| is_part(&text[before]));
    if !begins {
        return None;
    }
    let part_end = |from: usize| from + text[from..].iter().take_while(|byte| is_part(byte)).count();
    let mut end = part_end(at);
    let mut parts = 1;
    while parts < 5 && text.get(end) == Some(&b'.') {
        let next = part_end(end + 1);
        if next == end + 1 && parts > 1 {
            break;
        }
        (end, parts) = (next, parts + 1);
    }
    let is_cut = end == text.len() && end - at >= MIN_CUT;
    (parts > 1 && end - at >= MIN_CUT || is_cut).then_some(at..end)
}
