//! The grammar of the header: `Root=…;Parent=…;Sampled=…;Lineage=…`.

use opentelemetry::trace::{SpanId, TraceId};

/// The parts of a header that are of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'h> {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// `None` if the caller leaves the decision to the receiver.
    pub(crate) is_sampled: Option<bool>,
    pub(crate) lineage: Option<&'h str>,
}

impl<'h> Header<'h> {
    /// Parses a header. Returns `None` if a part is invalid, or if there is no span context.
    pub(crate) fn parse(line: &'h str) -> Option<Self> {
        let (mut trace_id, mut span_id, mut is_sampled, mut lineage) = (None, None, None, None);
        for part in line.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=')?;
            match (key.trim(), value.trim()) {
                ("Root", root) => trace_id = Some(parse_root(root)?),
                ("Parent", parent) => span_id = Some(parse_parent(parent)?),
                ("Sampled", "1") => is_sampled = Some(true),
                ("Sampled", "0") => is_sampled = Some(false),
                ("Sampled", "?") => is_sampled = None,
                ("Sampled", _) => return None,
                ("Lineage", value) => lineage = Some(value).filter(|value| is_lineage(value)),
                _ => {}
            }
        }
        Some(Header { trace_id: trace_id?, span_id: span_id?, is_sampled, lineage })
    }

    /// Writes the header, which has at most 101 of the 256 bytes that X-Ray allows.
    pub(crate) fn write(&self) -> String {
        let trace_id = self.trace_id.to_string();
        let (time, unique) = trace_id.split_at(8);
        let mut line = format!("Root=1-{time}-{unique};Parent={}", self.span_id);
        if let Some(is_sampled) = self.is_sampled {
            line.push_str(if is_sampled { ";Sampled=1" } else { ";Sampled=0" });
        }
        if let Some(lineage) = self.lineage {
            line.push_str(";Lineage=");
            line.push_str(lineage);
        }
        line
    }
}

/// Parses `1-{time}-{24 digits}`, where the time has 8 digits, or fewer without its leading zeros.
fn parse_root(root: &str) -> Option<TraceId> {
    let (time, unique) = root.strip_prefix("1-")?.split_once('-')?;
    ((1..=8).contains(&time.len()) && unique.len() == 24).then_some(())?;
    let id = digits(time)? << 96 | digits(unique)?;
    Some(TraceId::from(id)).filter(|&id| id != TraceId::INVALID)
}

fn parse_parent(parent: &str) -> Option<SpanId> {
    (parent.len() == 16).then_some(())?;
    let id = u64::try_from(digits(parent)?).ok()?;
    Some(SpanId::from(id)).filter(|&id| id != SpanId::INVALID)
}

/// Returns true for `{0 to 32767}:{8 digits}:{0 to 255}`.
pub(crate) fn is_lineage(text: &str) -> bool {
    let mut parts = text.split(':');
    let (Some(first), Some(hash), Some(second), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_number = |text: &str, max: u32| {
        (1..=5).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|number| number <= max)
    };
    (12..=18).contains(&text.len())
        && is_number(first, 32767)
        && hash.len() == 8
        && digits(hash).is_some()
        && is_number(second, 255)
}

fn digits(text: &str) -> Option<u128> {
    // The conversion alone would accept a sign.
    text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";
    const PARENT: &str = "Parent=53995c3f42cd8ad8";

    /// Parses a header and compares what is written then with `expected`; empty if the header is not valid.
    fn check(line: &str, expected: &str) {
        assert_eq!(Header::parse(line).map(|header| header.write()).unwrap_or_default(), expected, "{line:?}");
    }

    #[test]
    fn the_parts_come_in_any_order_and_with_blanks() {
        let whole = format!("{ROOT};{PARENT};Sampled=1");
        check(&whole, &whole);
        check(&format!("Sampled=1;{PARENT};{ROOT}"), &whole);
        check(&format!("  Sampled = 1 ; {PARENT} ;{ROOT} ; "), &whole);
        check(&format!("Self=1-67891234-12456789abcdef012345678;{whole};Other=a=b"), &whole);
        check(&format!("{ROOT};{PARENT};Sampled=0"), &format!("{ROOT};{PARENT};Sampled=0"));
    }

    #[test]
    fn the_decision_may_be_left_open() {
        let open = format!("{ROOT};{PARENT}");
        check(&open, &open);
        check(&format!("{open};Sampled=?"), &open);
    }

    #[test]
    fn the_time_may_lack_leading_zeros() {
        let unique = "bd862e3fe1be46a994272793";
        for (time, padded) in [("1", "00000001"), ("759e988", "0759e988"), ("5759E988", "5759e988")] {
            check(&format!("Root=1-{time}-{unique};{PARENT}"), &format!("Root=1-{padded}-{unique};{PARENT}"));
        }
    }

    #[test]
    fn the_lineage() {
        let whole = format!("{ROOT};{PARENT};Sampled=1");
        for lineage in ["1:5f3abcde:2", "32767:e65a2c4d:255", "0:00000000:0"] {
            check(&format!("{whole};Lineage={lineage}"), &format!("{whole};Lineage={lineage}"));
        }
        for not in [
            "",
            "1:5f3abcde",
            "1:5f3abcde:2:3",
            "32768:e65a2c4d:2",
            "1:e65a2c4d:256",
            "1:e65a2c4g:2",
            "-1:e65a2c4d:2",
            "1:+65a2c4d:2",
        ] {
            check(&format!("{whole};Lineage={not}"), &whole);
        }
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        let long = "0".repeat(65536);
        for line in [
            "",
            ";",
            ROOT,
            PARENT,
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            &format!("{ROOT};{PARENT};Sampled"),
            &format!("{ROOT};{PARENT};Sampled="),
            &format!("{ROOT};{PARENT};Sampled=true"),
            &format!("{ROOT};{PARENT};Sampled=2"),
            &format!("{ROOT};{PARENT}0"),
            &format!("{ROOT};Parent=53995c3f42cd8ad"),
            &format!("{ROOT};Parent=0000000000000000"),
            &format!("{ROOT};Parent=+3995c3f42cd8ad8"),
            &format!("Root=2-5759e988-bd862e3fe1be46a994272793;{PARENT}"),
            &format!("Root=1-5759e988bd862e3fe1be46a994272793;{PARENT}"),
            &format!("Root=1-5759e9880-bd862e3fe1be46a994272793;{PARENT}"),
            &format!("Root=1--bd862e3fe1be46a994272793;{PARENT}"),
            &format!("Root=1-5759e988-bd862e3fe1be46a99427279;{PARENT}"),
            &format!("Root=1-5759e988-bd862e3fe1be46a9942727930;{PARENT}"),
            &format!("Root=1-5759e988-bd862e3fe1be46a99427279-;{PARENT}"),
            &format!("Root=1-00000000-000000000000000000000000;{PARENT}"),
            &format!("{};{PARENT}", ROOT.to_lowercase()),
            &format!("Root=1-{long}-{long};Parent={long};Lineage={long}"),
        ] {
            check(line, "");
        }
    }

    #[test]
    fn a_header_is_never_too_long_for_x_ray() {
        let lineage = "32767:e65a2c4d:255";
        let line = format!("{ROOT};{PARENT};Sampled=1;Lineage={lineage}");
        check(&line, &line);
        assert_eq!(line.len(), 101);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(line: String, parts in "(Root=1-[0-9a-f]{0,9}-[0-9a-f]{24}|Parent=[0-9a-f]{16}|Sampled=.|[=;]){0,9}") {
            for line in [line, parts] {
                if let Some(header) = Header::parse(&line) {
                    let written = header.write();
                    prop_assert_eq!(Header::parse(&written).map(|header| header.write()), Some(written));
                }
            }
        }
    }
}
