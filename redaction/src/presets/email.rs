//! E-mail addresses: a local part, `@` or `%40`, and a domain with at least two labels.

use std::ops::Range;

use super::password::REDACTED;

/// Bytes of the local part that are looked at. The standard allows 64, of which each may be escaped in a URL.
const MAX_LOCAL: usize = 192;
const MAX_DOMAIN: usize = 255;

pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    loop {
        let (sign, after) = next_sign(text.as_bytes(), at)?;
        at = after;
        let Some(start) = local_start(text, from, sign) else { continue };
        let Some(end) = domain_end(text, after) else { continue };
        return Some(start..end);
    }
}

/// Returns the start and the end of the next `@`, which may be escaped.
fn next_sign(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        at += text.get(at..)?.iter().position(|byte| matches!(byte, b'@' | b'%'))?;
        if text[at] == b'@' {
            return Some((at, at + 1));
        }
        if text[at + 1..].starts_with(b"40") {
            return Some((at, at + 3));
        }
        at += 1;
    }
}

fn local_start(text: &str, from: usize, end: usize) -> Option<usize> {
    let is_local = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'');
    let mut start = end;
    for c in text.get(from..end)?.chars().rev().take_while(is_local) {
        if end - start >= MAX_LOCAL {
            break;
        }
        start -= c.len_utf8();
    }
    let local = &text[start..end];
    let trimmed = local.trim_start_matches(['.', '-', '\'']);
    // The password of a URL that another preset has replaced already, in front of the host.
    let is_name = !trimmed.is_empty() && trimmed != REDACTED;
    is_name.then_some(end - trimmed.len())
}

fn domain_end(text: &str, start: usize) -> Option<usize> {
    let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let rest = &text[start..];
    let length =
        rest.char_indices().find(|&(at, c)| at >= MAX_DOMAIN || !is_domain(c)).map_or(rest.len(), |(at, _)| at);
    let mut domain = rest[..length].trim_end_matches(['.', '-']);
    // What follows the last label, such as the number of a sentence, may look like another one.
    while let Some((before, last)) = domain.rsplit_once('.') {
        let is_top = last.chars().nth(1).is_some() && last.starts_with(char::is_alphabetic);
        if is_top && !before.is_empty() && !before.starts_with('.') {
            return Some(start + domain.len());
        }
        domain = before;
    }
    None
}
