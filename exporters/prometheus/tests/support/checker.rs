//! A strict reader of pages, based on the grammar and the rules of OpenMetrics and the text format rather than
//! on the writer under test. It accepts less than scrapers do.

use std::collections::HashSet;
use std::fmt::Write;

use telemark_prometheus::{Escaping, Format, Protocol};

#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub exemplar: Option<Exemplar>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub timestamp: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

type Result<T> = std::result::Result<T, String>;

/// Reads a page. Errors name the line.
pub fn check(format: Format, page: &str) -> Result<Vec<Family>> {
    let mut body = page;
    if format.is_open_metrics() {
        body = page.strip_suffix("# EOF\n").ok_or("no # EOF at the end")?;
    }
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let mut families: Vec<Family> = Vec::new();
    let mut seen_metadata: Vec<&str> = Vec::new();
    for line in body.split_terminator('\n') {
        let at = |problem: String| format!("{problem}: {line:?}");
        if let Some(metadata) = line.strip_prefix("# ") {
            let (keyword, rest) = metadata.split_once(' ').ok_or_else(|| at("metadata".into()))?;
            let mut reader = Reader { rest, format };
            let (name, _) = reader.metric_name().map_err(at)?;
            let text = reader.rest.strip_prefix(' ').ok_or_else(|| at("no space after the name".into()))?;
            if keyword == "TYPE" {
                families.push(Family {
                    name,
                    kind: text.to_owned(),
                    unit: String::new(),
                    help: String::new(),
                    samples: Vec::new(),
                });
                seen_metadata = vec!["TYPE"];
            } else {
                let family = families.last_mut().filter(|family| family.name == name && family.samples.is_empty());
                let family = family.ok_or_else(|| at("metadata of no family".into()))?;
                let allowed: &[&str] = match keyword {
                    "UNIT" if format.is_open_metrics() => &["TYPE"],
                    "HELP" => &["TYPE", "UNIT"],
                    _ => return Err(at("unknown metadata".into())),
                };
                if seen_metadata.iter().any(|seen| !allowed.contains(seen)) {
                    return Err(at("metadata twice or out of order".into()));
                }
                seen_metadata.push(if keyword == "UNIT" { "UNIT" } else { "HELP" });
                match keyword {
                    "UNIT" => family.unit = text.to_owned(),
                    _ => family.help = unescape(text, format.is_open_metrics()).map_err(at)?,
                }
            }
        } else {
            let sample = Reader { rest: line, format }.sample().map_err(at)?;
            let family = families.last_mut().ok_or_else(|| at("a sample before any family".into()))?;
            family.samples.push(sample);
        }
    }
    let mut names = HashSet::new();
    let mut series = HashSet::new();
    for family in &families {
        check_family(format, family, &mut names, &mut series).map_err(|problem| format!("{problem}: {family:#?}"))?;
    }
    Ok(families)
}

fn check_family(
    format: Format,
    family: &Family,
    names: &mut HashSet<String>,
    series: &mut HashSet<(String, Vec<(String, String)>)>,
) -> Result<()> {
    let open = format.is_open_metrics();
    let suffixes: &[&str] = match family.kind.as_str() {
        "counter" if open => &["_total"],
        "counter" | "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        "info" if open => &["_info"],
        _ => return Err("unknown type".into()),
    };
    for suffix in suffixes.iter().chain(&[""]).collect::<HashSet<_>>() {
        if !names.insert(format!("{}{suffix}", family.name)) {
            return Err(format!("the name with {suffix:?} is taken"));
        }
    }
    if !family.unit.is_empty()
        && (!family.name.ends_with(&format!("_{}", family.unit))
            || !family.unit.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    {
        return Err("the unit is no suffix".into());
    }
    for sample in &family.samples {
        let suffix = sample.name.strip_prefix(&*family.name).ok_or("a sample of another family")?;
        if !suffixes.contains(&suffix) {
            return Err(format!("a sample with {suffix:?}"));
        }
        let mut labels = sample.labels.clone();
        labels.sort();
        if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("a label twice".into());
        }
        if !series.insert((sample.name.clone(), labels)) {
            return Err(format!("a series twice: {sample:?}"));
        }
        if sample.exemplar.is_some() && !matches!(suffix, "_total" | "_bucket") {
            return Err("an exemplar where there may be none".into());
        }
        match family.kind.as_str() {
            "counter" if open && (sample.value.is_nan() || sample.value < 0.0) => return Err("no counter".into()),
            "info" if sample.value != 1.0 => return Err("an info that is not 1".into()),
            _ => {}
        }
    }
    if family.kind == "histogram" { check_histogram(open, &family.samples) } else { Ok(()) }
}

fn check_histogram(open: bool, samples: &[Sample]) -> Result<()> {
    let mut rest = samples;
    while let Some(first) = rest.first() {
        let of_series = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            labels.retain(|(label, _)| label != "le");
            labels
        };
        let labels = of_series(first);
        let len = rest.iter().position(|sample| of_series(sample) != labels).unwrap_or(rest.len());
        // The buckets of a series must be consecutive, starting with the lowest.
        let (series, after) = rest.split_at(len);
        rest = after;
        let buckets = series.iter().take_while(|sample| sample.name.ends_with("_bucket")).count();
        let (buckets, others) = series.split_at(buckets);
        let (mut below, mut count) = (f64::NEG_INFINITY, 0.0);
        for bucket in buckets {
            let text = bucket.label("le").ok_or("a bucket without le")?;
            let le: f64 = text.parse().map_err(|_| "le is no number")?;
            // A number may have two shortest representations.
            let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
            if shape(text) != shape(&canonical(le)) {
                return Err(format!("le {text:?} is not canonical"));
            }
            if le <= below && below != f64::NEG_INFINITY || bucket.value < count || bucket.value.fract() != 0.0 {
                return Err("buckets out of order".into());
            }
            if let Some(exemplar) = &bucket.exemplar
                && (exemplar.value > le || exemplar.value <= below && below != f64::NEG_INFINITY)
            {
                return Err("an exemplar of another bucket".into());
            }
            (below, count) = (le, bucket.value);
        }
        if below != f64::INFINITY {
            return Err("no bucket +Inf".into());
        }
        let ends: Vec<_> = others.iter().map(|sample| sample.name.rsplit('_').next().unwrap_or_default()).collect();
        let value = |end: &str| ends.iter().position(|&other| other == end).map(|index| others[index].value);
        if value("count").is_some_and(|of_all| of_all != count) {
            return Err("the count is not that of +Inf".into());
        }
        let negative = buckets[0].label("le").is_some_and(|le| le.starts_with('-'));
        match (open, &*ends) {
            (true, ["sum", "count"]) if !negative && value("sum") >= Some(0.0) => {}
            (true, []) | (false, ["sum", "count"] | ["count"]) => {}
            _ => return Err(format!("samples {ends:?} after the buckets")),
        }
        if others.iter().any(|sample| sample.label("le").is_some()) {
            return Err("le where it does not belong".into());
        }
    }
    Ok(())
}

/// Formats a number as Go does, and adds a decimal point if the result has neither a point nor an exponent.
pub fn canonical(value: f64) -> String {
    if value == f64::INFINITY {
        return "+Inf".into();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    if (-4..6).contains(&exponent) || value == 0.0 {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let mut text = String::new();
    write!(text, "{mantissa}e{sign}{:02}", exponent.abs()).unwrap();
    text
}

struct Reader<'a> {
    rest: &'a str,
    format: Format,
}

impl<'a> Reader<'a> {
    fn token(&mut self, token: &str) -> Result<()> {
        self.rest = self.rest.strip_prefix(token).ok_or_else(|| format!("no {token:?}"))?;
        Ok(())
    }

    fn while_matches(&mut self, matches: impl Fn(usize, char) -> bool) -> &'a str {
        let end = self.rest.char_indices().find(|&(at, c)| !matches(at, c)).map_or(self.rest.len(), |(at, _)| at);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn word(&mut self, colons: bool) -> Result<String> {
        let word = self.while_matches(|at, c| {
            c.is_ascii_alphabetic() || c == '_' || c == ':' && colons || c.is_ascii_digit() && at > 0
        });
        if word.is_empty() { Err("no name".into()) } else { Ok(word.to_owned()) }
    }

    fn quoted(&mut self) -> Result<String> {
        self.token("\"")?;
        let mut escape = false;
        let text = self.while_matches(|_, c| c != '\n');
        let end = text
            .char_indices()
            .find(|&(_, c)| {
                let ends = c == '"' && !escape;
                escape = c == '\\' && !escape;
                ends
            })
            .map(|(at, _)| at)
            .ok_or("no end of the quotes")?;
        self.rest = &text[end + 1..];
        unescape(&text[..end], true)
    }

    fn quoted_name(&mut self) -> Result<String> {
        let allowed = matches!(self.format.protocol(), Protocol::Text1_0_0 | Protocol::OpenMetrics1_0_0);
        if !allowed || self.format.escaping() != Escaping::AllowUtf8 {
            return Err("a quoted name that the escaping scheme excludes".into());
        }
        let name = self.quoted()?;
        if name.is_empty() { Err("an empty name".into()) } else { Ok(name) }
    }

    /// Returns the name, and true if it is quoted.
    fn metric_name(&mut self) -> Result<(String, bool)> {
        if self.rest.starts_with('"') { Ok((self.quoted_name()?, true)) } else { Ok((self.word(true)?, false)) }
    }

    fn labels(&mut self, first: bool) -> Result<Vec<(String, String)>> {
        let mut labels = Vec::new();
        if self.token("}").is_ok() {
            return Ok(labels);
        }
        let mut first = first;
        loop {
            if !std::mem::take(&mut first) {
                self.token(",")?;
            }
            let name = if self.rest.starts_with('"') { self.quoted_name()? } else { self.word(false)? };
            if name.starts_with("__") {
                return Err("a label of Prometheus' own".into());
            }
            self.token("=")?;
            labels.push((name, self.quoted()?));
            if self.token("}").is_ok() {
                return Ok(labels);
            }
        }
    }

    fn number(&mut self) -> Result<f64> {
        let word = self.while_matches(|_, c| c != ' ');
        let is_real = word.chars().all(|c| c.is_ascii_digit() || "+-.e".contains(c))
            && word.contains(|c: char| c.is_ascii_digit());
        if is_real || matches!(word, "NaN" | "+Inf" | "-Inf") {
            word.parse().map_err(|_| format!("the number {word:?}"))
        } else {
            Err(format!("the number {word:?}"))
        }
    }

    fn sample(&mut self) -> Result<Sample> {
        let (name, labels) = if self.rest.starts_with('{') {
            self.token("{")?;
            let name = self.quoted_name()?;
            (name, self.labels(false)?)
        } else {
            let name = self.word(true)?;
            let labels = if self.token("{").is_ok() { self.labels(true)? } else { Vec::new() };
            (name, labels)
        };
        self.token(" ")?;
        let value = self.number()?;
        let exemplar = if self.rest.is_empty() { None } else { Some(self.exemplar()?) };
        Ok(Sample { name, labels, value, exemplar })
    }

    fn exemplar(&mut self) -> Result<Exemplar> {
        if !self.format.is_open_metrics() {
            return Err("an exemplar in the text format".into());
        }
        self.token(" # {")?;
        let labels = self.labels(true)?;
        let length: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if length > 128 {
            return Err(format!("an exemplar of {length} characters"));
        }
        self.token(" ")?;
        let value = self.number()?;
        self.token(" ")?;
        let timestamp = self.number()?;
        if self.rest.is_empty() {
            Ok(Exemplar { labels, value, timestamp })
        } else {
            Err("more after an exemplar".into())
        }
    }
}

fn unescape(text: &str, quotes: bool) -> Result<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\\') => plain.push('\\'),
                Some('n') => plain.push('\n'),
                Some('"') if quotes => plain.push('"'),
                other => return Err(format!("the escape {other:?}")),
            },
            '"' if quotes => return Err("a quote without an escape".into()),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{OPEN_METRICS, TEXT};

    #[test]
    fn pages_that_are_wrong_are_refused() {
        let refused = |format: Format, page: &str| assert!(check(format, page).is_err(), "{page}");
        let valid = "# TYPE a counter\na_total 1\n# EOF\n";
        assert!(check(OPEN_METRICS, valid).is_ok());
        refused(OPEN_METRICS, "# TYPE a counter\na_total 1\n");
        refused(OPEN_METRICS, &valid.replace("a_total", "a"));
        refused(OPEN_METRICS, &valid.replace(" 1", " -1"));
        refused(OPEN_METRICS, &valid.replace(" 1", "  1"));
        refused(OPEN_METRICS, &valid.replace(" 1", " 0x1"));
        refused(OPEN_METRICS, &valid.replace("# EOF", "a_total 1\n# EOF"));
        refused(OPEN_METRICS, &valid.replace("# EOF", "# TYPE a_total gauge\n# EOF"));
        refused(OPEN_METRICS, &valid.replace("# EOF", "# HELP a x\n# EOF"));
        refused(OPEN_METRICS, &valid.replace("a_total", "a_total{b=\"1\",b=\"2\"}"));
        refused(OPEN_METRICS, &valid.replace("a_total", "a_total{b=\"\\x\"}"));
        refused(OPEN_METRICS, &valid.replace("a_total", "{\"a_total\"}"));
        refused(TEXT, "# TYPE a counter\na 1 # {} 1.0 1\n");
        let histogram =
            "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n# EOF\n";
        assert!(check(OPEN_METRICS, histogram).is_ok());
        refused(OPEN_METRICS, &histogram.replace("1.0", "1"));
        refused(OPEN_METRICS, &histogram.replace("count 2", "count 3"));
        refused(OPEN_METRICS, &histogram.replace("h_sum 1\n", ""));
        refused(OPEN_METRICS, &histogram.replace("1.0\"} 1", "-1.0\"} 1"));
        refused(OPEN_METRICS, &histogram.replace("1.0\"} 1", "1.0\"} 1 # {} 2.0 1"));
        let long = format!("1.0\"}} 1 # {{a=\"{}\"}} 1.0 1", "x".repeat(128));
        refused(OPEN_METRICS, &histogram.replace("1.0\"} 1", &long));
    }
}
