//! The tools, with their descriptions and parameters.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::text;
use crate::api::{Api, Params, Refused};
use crate::model::TraceId;

/// The maximum number of traces, log records or instruments of a result.
const MAX_ITEMS: u64 = 100;
const QUERY: &str = "Terms that one span of the trace must fulfil: service:NAME, name:\"EXACT NAME\", status:error, status:ok, \
    kind:server, attribute=value, attribute!=value, attribute~part, attribute>=number, plain words; and for the whole trace >100ms or <2s.";
const RECORD_QUERY: &str =
    "Terms: service:NAME, >=warn, severity:error, trace:ID, span:ID, attribute=value, plain words.";

/// Returns the descriptions of all tools.
pub(super) fn list() -> Vec<Json> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let number = |description: &str| json!({ "type": "integer", "description": description });
    let minutes = || number("Only the last minutes. All that is held by default.");
    let limit = || number("The maximum number of results, 20 by default, at most 100.");
    let trace_id = || text("The trace id: 32 hexadecimal digits.");
    let tool = |name: &str, description: &str, properties: Json, required: &[&str]| {
        json!({
            "name": name,
            "description": description,
            "inputSchema": { "type": "object", "properties": properties, "required": required },
            "annotations": { "readOnlyHint": true },
        })
    };
    vec![
        tool(
            "search_traces",
            "Finds traces, newest first.",
            json!({ "query": text(QUERY), "minutes": minutes(), "limit": limit() }),
            &[],
        ),
        tool(
            "slowest",
            "Finds the slowest traces that match, the slowest first.",
            json!({ "query": text(QUERY), "minutes": minutes(), "limit": limit() }),
            &[],
        ),
        tool(
            "get_trace",
            "Shows a trace as a tree of spans with start, duration, critical path and errors, and the likely origin of a failure.",
            json!({ "trace_id": trace_id() }),
            &["trace_id"],
        ),
        tool(
            "get_span",
            "Shows one span with all attributes, events, links and log records.",
            json!({ "trace_id": trace_id(), "span_id": text("The span id: 16 hexadecimal digits.") }),
            &["trace_id", "span_id"],
        ),
        tool(
            "error_origin",
            "Names the span in which a failure likely began. Without a trace id, looks at the newest failing traces.",
            json!({ "trace_id": trace_id(), "query": text(QUERY) }),
            &[],
        ),
        tool(
            "logs_of_trace",
            "Lists the log records of a trace, by time.",
            json!({ "trace_id": trace_id(), "query": text(RECORD_QUERY) }),
            &["trace_id"],
        ),
        tool(
            "metrics",
            "Lists the instruments, or shows the recent values of one.",
            json!({
                "query": text("Words of the instrument's name or description, or service:NAME."),
                "instrument": text("The id of an instrument, from the list."),
                "by": text("The attribute by which the values are split."),
                "minutes": minutes(),
            }),
            &[],
        ),
        tool(
            "findings",
            "Lists what is likely worth a change: N+1 queries, repeated calls, retries, missing parents, calls that are slower than usual.",
            json!({}),
            &[],
        ),
    ]
}

/// Calls a tool. Returns `None` if there is no such tool.
pub(super) fn call(api: &Api, name: &str, arguments: &Json) -> Option<Result<String, String>> {
    let arguments = Arguments(arguments);
    let result = match name {
        "search_traces" => search(api, &arguments, false),
        "slowest" => search(api, &arguments, true),
        "get_trace" => arguments.trace().and_then(|id| api.trace_json(id)).map(|view| text::trace(&view)),
        "get_span" => span(api, &arguments),
        "error_origin" => error_origin(api, &arguments),
        "logs_of_trace" => logs(api, &arguments),
        "metrics" => metrics(api, &arguments),
        "findings" => Ok(api.findings().to_string()),
        _ => return None,
    };
    Some(result.map_err(|refused| refused.message))
}

type Answer = Result<String, Refused>;

fn search(api: &Api, arguments: &Arguments<'_>, slowest: bool) -> Answer {
    let limit = arguments.number("limit").unwrap_or(20).clamp(1, MAX_ITEMS);
    let mut request = arguments.request(api, "query");
    if slowest {
        return api.slowest(Params(&request), limit as usize).map(|found| found.to_string());
    }
    let _ = write!(request, "&limit={limit}");
    let mut found = api.traces(Params(&request))?;
    if let Some(found) = found.as_object_mut() {
        found.remove("points");
    }
    Ok(found.to_string())
}

fn span(api: &Api, arguments: &Arguments<'_>) -> Answer {
    let id = arguments.text("span_id").parse().map_err(|_| Refused::new(400, "span_id has 16 hexadecimal digits"))?;
    api.span(arguments.trace()?, id).map(|span| span.to_string())
}

fn error_origin(api: &Api, arguments: &Arguments<'_>) -> Answer {
    if !arguments.text("trace_id").is_empty() {
        return Ok(text::origin(&api.trace_json(arguments.trace()?)?));
    }
    let request = format!("q={}&limit=5", encoded(&format!("status:error {}", arguments.text("query"))));
    let found = api.traces(Params(&request))?;
    let ids = found.get("traces").and_then(Json::as_array).into_iter().flatten();
    let ids = ids.filter_map(|trace| trace.get("id")?.as_str()?.parse().ok());
    let origins: Vec<String> = ids.filter_map(|id| Some(text::origin(&api.trace_json(id).ok()?))).collect();
    Ok(if origins.is_empty() { "No failing trace matches.".to_owned() } else { origins.join("\n\n") })
}

fn logs(api: &Api, arguments: &Arguments<'_>) -> Answer {
    let query = format!("trace:{} {}", arguments.trace()?, arguments.text("query"));
    let found = api.records(Params(&format!("q={}&limit={MAX_ITEMS}", encoded(&query))))?;
    let mut records = found.get("records").and_then(Json::as_array).cloned().unwrap_or_default();
    records.sort_by_key(|record| record.get("time").and_then(Json::as_u64));
    Ok(Json::from(records).to_string())
}

fn metrics(api: &Api, arguments: &Arguments<'_>) -> Answer {
    let id = arguments.text("instrument");
    if id.is_empty() {
        return api.instruments(Params(&arguments.request(api, "query"))).map(|found| found.to_string());
    }
    let id = u64::from_str_radix(id, 16).map_err(|_| Refused::new(400, "instrument is the id of an instrument"))?;
    let request = format!("{}&by={}", arguments.request(api, ""), encoded(arguments.text("by")));
    let mut found = api.instrument(id, Params(&request))?;
    if let Some(found) = found.as_object_mut() {
        // Quantiles say the same in fewer words.
        found.remove("heat");
    }
    Ok(found.to_string())
}

/// The arguments of a call.
struct Arguments<'a>(&'a Json);

impl<'a> Arguments<'a> {
    fn text(&self, name: &str) -> &'a str {
        self.0.get(name).and_then(Json::as_str).unwrap_or_default().trim()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Json::as_u64)
    }

    fn trace(&self) -> Result<TraceId, Refused> {
        self.text("trace_id").parse().map_err(|_| Refused::new(400, "trace_id has 32 hexadecimal digits"))
    }

    /// Returns the parameters of a request: the query, and the range of times.
    fn request(&self, api: &Api, query: &str) -> String {
        let mut request = format!("q={}", encoded(self.text(query)));
        if let Some(minutes) = self.number("minutes") {
            let from = (api.store.now() / 1_000).saturating_sub(minutes.saturating_mul(60_000_000));
            let _ = write!(request, "&from={from}");
        }
        request
    }
}

/// Encodes a parameter.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        // Writing to a `String` cannot fail.
        let _ = if byte.is_ascii_alphanumeric() {
            write!(encoded, "{}", char::from(byte))
        } else {
            write!(encoded, "%{byte:02X}")
        };
        encoded
    })
}
