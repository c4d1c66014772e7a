//! The `tracestate` header: parsing according to level 2, writing, and the members that the API's type cannot store.

use opentelemetry::trace::{TraceId, TraceState};

/// Optional whitespace in HTTP headers.
pub(super) const OWS: [char; 2] = [' ', '\t'];

const MAX_MEMBERS: usize = 32;
const MAX_LENGTH: usize = 256;

/// A valid `tracestate`.
pub(super) struct Parsed {
    /// Members that the API can store.
    pub(super) held: TraceState,
    /// All members, if the API cannot store some of them.
    pub(super) refused: Option<Vec<Member>>,
}

/// One member of a list that the API cannot store completely.
#[derive(Debug)]
pub(super) struct Member {
    key: String,
    value: String,
    is_held: bool,
}

/// Parses the header lines as one list. Returns `None` if any member is invalid or if there are too many.
///
/// If several members have the same key, only the first, which is the most recent, is kept.
pub(super) fn parse(lines: &[&str]) -> Option<Parsed> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    let mut number = 0;
    for member in lines.iter().flat_map(|line| line.split(',')) {
        let member = member.trim_matches(OWS);
        if member.is_empty() {
            continue;
        }
        // Members are counted before they are parsed, to limit the work that a hostile header can cause.
        number += 1;
        if number > MAX_MEMBERS {
            return None;
        }
        let (key, value) = member.split_once('=')?;
        if !is_key(key) || !is_value(value) {
            return None;
        }
        if !members.iter().any(|&(other, _)| other == key) {
            members.push((key, value));
        }
    }
    if let Ok(held) = TraceState::from_key_value(members.iter().copied()) {
        return Some(Parsed { held, refused: None });
    }
    let is_held = |&(key, value): &(&str, &str)| TraceState::from_key_value([(key, value)]).is_ok();
    let held = TraceState::from_key_value(members.iter().copied().filter(is_held)).unwrap_or_default();
    let to_member = |member: &(&str, &str)| Member {
        key: member.0.to_owned(),
        value: member.1.to_owned(),
        is_held: is_held(member),
    };
    Some(Parsed { held, refused: Some(members.iter().map(to_member).collect()) })
}

/// Returns the header value, or an empty string if there is nothing to send.
///
/// Omits values that the API accepts but the header does not allow, such as values with line breaks.
pub(super) fn write(state: &TraceState) -> String {
    let mut line = String::new();
    state.into_iter().for_each(|(key, value)| push(&mut line, key, value));
    line
}

fn push(line: &mut String, key: &str, value: &str) {
    if !is_key(key) || !is_value(value) {
        return;
    }
    line.reserve(key.len() + value.len() + 2);
    if !line.is_empty() {
        line.push(',');
    }
    line.push_str(key);
    line.push('=');
    line.push_str(value);
}

/// spec: key = ( lcalpha / DIGIT ) 0*255 ( lcalpha / DIGIT / "_" / "-" / "*" / "/" / "@" )
fn is_key(key: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match key.as_bytes() {
        [first, rest @ ..] => {
            is_alphanumeric(*first)
                && rest.len() < MAX_LENGTH
                && rest.iter().all(|&byte| is_alphanumeric(byte) || b"_-*/@".contains(&byte))
        }
        [] => false,
    }
}

/// spec: value = 0*255 ( nblk-chr / SP ) nblk-chr, neither of which includes `,` or `=`
fn is_value(value: &str) -> bool {
    match value.as_bytes() {
        bytes @ [.., last] => {
            bytes.len() <= MAX_LENGTH
                && *last != b' '
                && bytes.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
        }
        [] => false,
    }
}

/// A list that the API could not store completely, kept in the `Context` alongside the span with which it arrived.
#[derive(Debug)]
pub(super) struct Carried {
    trace_id: TraceId,
    members: Vec<Member>,
}

impl Carried {
    pub(super) fn new(trace_id: TraceId, members: Vec<Member>) -> Self {
        Carried { trace_id, members }
    }

    /// Returns true if the members belong to this trace. A context may outlive its span, and its members must not be
    /// sent with a different trace.
    pub(super) fn belongs_to(&self, trace_id: TraceId) -> bool {
        self.trace_id == trace_id
    }

    /// Returns the header value for `state`, which is an updated version of these members: first the new and changed
    /// members, then the unchanged ones in their original order. Deleted members are omitted.
    ///
    /// spec: mutating the tracestate field
    pub(super) fn merge(&self, state: &TraceState) -> String {
        let is_unchanged = |&(key, value): &(&str, &str)| {
            self.members.iter().any(|member| member.is_held && member.key == key && member.value == value)
        };
        let stays = |member: &&Member| !member.is_held || state.get(&member.key) == Some(&member.value);
        let changed = state.into_iter().filter(|member| !is_unchanged(member));
        let old = self.members.iter().filter(stays).map(|member| (&*member.key, &*member.value));
        let mut line = String::new();
        changed.chain(old).take(MAX_MEMBERS).for_each(|(key, value)| push(&mut line, key, value));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(lines: &[&str], expected: &str) {
        let text = match parse(lines) {
            None => "discarded".to_owned(),
            Some(Parsed { held, refused: None }) => write(&held),
            Some(Parsed { held, refused: Some(members) }) => Carried::new(TraceId::INVALID, members).merge(&held),
        };
        assert_eq!(text, expected, "{lines:?}");
    }

    #[test]
    fn members() {
        check(&[], "");
        check(&["a=1,b=2", "c=3"], "a=1,b=2,c=3");
        check(&[" a=1\t, ,\t,b= 2 ", "", ","], "a=1,b= 2");
        check(&["a=1,a=2,b=3", "a=4"], "a=1,b=3");
        for invalid in ["a", "=1", "a=", "a= ", "a=b=c", "A=1", "a.b=1", "@a=1", "a =1", "a=ü", "a=b\tc", "a=\n", "ü=1"]
        {
            check(&[invalid], "discarded");
            check(&["ok=1", invalid, "also=2"], "discarded");
        }
    }

    #[test]
    fn keys_of_level_2() {
        for key in ["1abc", "a@b", "a@", "a@@b", "a@b@c", "a/b*c-d_e", "t@vvvvvvvvvvvvvvvvvvvv"] {
            let line = format!("first=1,{key}=2,last=3");
            check(&[&line], &line);
        }
    }

    #[test]
    fn lengths_and_numbers_at_their_limits() {
        let list = |n: usize| (0..n).map(|i| format!("k{i}={i}")).collect::<Vec<_>>().join(",");
        check(&[&list(32)], &list(32));
        check(&[&list(33)], "discarded");
        check(&["a=1"; 33], "discarded");
        let key = |n: usize| format!("{}=1", "k".repeat(n));
        check(&[&key(256)], &key(256));
        check(&[&key(257)], "discarded");
        let value = |n: usize| format!("k={}", "v".repeat(n));
        check(&[&value(256)], &value(256));
        check(&[&value(257)], "discarded");
    }

    #[test]
    fn values_that_the_api_accepts_but_a_header_does_not_are_not_sent() {
        let state =
            TraceState::from_key_value([("a", "1"), ("b", "x\r\ny: z"), ("c", ""), ("f", "x "), ("", "d"), ("e", "é")])
                .unwrap();
        assert_eq!(write(&state), "a=1");
    }

    #[test]
    fn what_is_added_never_makes_the_list_longer_than_allowed() {
        let list: Vec<_> = (0..32).map(|i| format!("k{i}@@={i}")).collect();
        let parsed = parse(&[&list.join(",")]).unwrap();
        let carried = Carried::new(TraceId::INVALID, parsed.refused.unwrap());
        let merged = carried.merge(&parsed.held.insert("new", "1").unwrap());
        assert!(merged.starts_with("new=1,k0@@=0,") && merged.ends_with(",k30@@=30"), "{merged}");
    }

    proptest! {
        #[test]
        fn any_lines_are_survived(lines: Vec<String>) {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            parse(&lines);
        }
    }
}
