//! IP addresses in their usual notations, except those of this host: loopback and unspecified.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// The longest address: IPv6 with an IPv4 address at its end.
const MAX: usize = 45;

pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(is_of_v6)?;
        let begins_run = at == from || !is_of_v6(&bytes[at - 1]);
        if let Some(found) = v6(text, at).filter(|_| begins_run) {
            return Some(found);
        }
        let end = at + bytes[at..].iter().take_while(|byte| is_of_v4(byte)).count();
        if let Some(found) = v4(text, at, end) {
            return Some(found);
        }
        at = end.max(at + 1);
    }
}

fn is_of_v6(byte: &u8) -> bool {
    *byte == b':' || is_of_v4(byte)
}

/// Letters are no part of an IPv4 address, but one that touches a number shows that the number is no address.
fn is_of_v4(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || *byte == b'.'
}

/// Returns the IPv6 address in the run of characters that begins here.
fn v6(text: &str, start: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let length = bytes[start..].iter().take(MAX + 2).take_while(|byte| is_of_v6(byte)).count();
    let run = &text[start..start + length];
    // The colon of a label, as in `client:2001:db8::1`, bounds the address.
    let (start, run, is_bounded) = match run.strip_prefix(':') {
        Some(rest) if !rest.starts_with(':') => (start + 1, rest, true),
        _ => (start, run, !is_word(start.checked_sub(1).and_then(|before| bytes.get(before)))),
    };
    if !is_bounded || is_word(bytes.get(start + run.len())) {
        return None;
    }
    let candidates = [run, run.trim_end_matches('.'), run.trim_end_matches(['.', ':'])];
    let address = candidates.into_iter().find(|address| is_v6(address))?;
    Some(start..start + address.len())
}

/// Returns the IPv4 address between these places.
fn v4(text: &str, start: usize, end: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let part = text.get(start..end)?;
    let address = part.trim_start_matches('.');
    let start = start + (part.len() - address.len());
    let address = address.trim_end_matches('.');
    let is_bounded = !is_word(start.checked_sub(1).and_then(|before| bytes.get(before)))
        && !is_word(bytes.get(start + address.len()));
    (is_bounded && is_v4(address)).then(|| start..start + address.len())
}

fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn is_v4(text: &str) -> bool {
    text.len() >= 7 && text.parse::<Ipv4Addr>().is_ok_and(|address| is_of_others(IpAddr::V4(address)))
}

/// A text without any digit is more likely a path, such as `abc::def`.
fn is_v6(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b':').count() >= 2
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.parse::<Ipv6Addr>().is_ok_and(|address| is_of_others(IpAddr::V6(address)))
}

fn is_of_others(address: IpAddr) -> bool {
    !address.is_loopback() && !address.is_unspecified()
}
