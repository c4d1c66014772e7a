//! What the outcome of a probe means, in plain words, and what to do.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ResponseStatus};

use crate::connection;
use crate::encryption::{self, Names};
use crate::probe::{Outcome, Target};

/// The maximum time for finding out whether a server expects TLS.
const TLS_TIMEOUT: Duration = Duration::from_secs(2);

/// The names of settings, which differ between variables and a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) is_file: bool,
}

impl Words {
    fn endpoint(self) -> &'static str {
        if self.is_file { "the exporter's `endpoint`" } else { "OTEL_EXPORTER_OTLP_ENDPOINT" }
    }

    fn headers(self) -> &'static str {
        if self.is_file { "the exporter's `headers`" } else { "OTEL_EXPORTER_OTLP_HEADERS" }
    }

    /// Returns the setting that has the effect of one of our variables for OTLP.
    fn of_otlp(self, variable: &str) -> String {
        let Some(rest) = variable.strip_prefix("OTEL_RUST_EXPORTER_OTLP_").filter(|_| self.is_file) else {
            return variable.to_owned();
        };
        let rest = rest.to_ascii_lowercase();
        let path = match rest.split_once("_headers_") {
            Some((signal, kind)) => format!("{signal}.headers_{kind}"),
            None => rest,
        };
        format!("`distribution.telemark.otlp.{path}`")
    }

    fn certificate(self) -> &'static str {
        if self.is_file { "the exporter's `tls.ca_file`" } else { "OTEL_EXPORTER_OTLP_CERTIFICATE" }
    }

    fn client(self) -> &'static str {
        if self.is_file {
            "the exporter's `tls.cert_file` and `tls.key_file`"
        } else {
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
        }
    }

    /// Returns how to choose the protocol that is not in use.
    fn other_protocol(self, is_grpc: bool) -> &'static str {
        match (self.is_file, is_grpc) {
            (true, true) => "replace `otlp_grpc` by `otlp_http`",
            (true, false) => "replace `otlp_http` by `otlp_grpc`",
            (false, true) => "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            (false, false) => "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        }
    }
}

/// The meaning of an outcome that is not simply good.
#[derive(Debug)]
pub(crate) struct Advice {
    /// The exporter's own words.
    pub(crate) finding: String,
    /// What the finding means and what to do.
    pub(crate) text: String,
    /// True if telemetry arrives nevertheless.
    pub(crate) is_note: bool,
}

pub(crate) fn advice(outcome: &Outcome, target: &Target<'_>, words: Words) -> Option<Advice> {
    let (finding, text, is_note) = match outcome {
        Outcome::Accepted => return None,
        Outcome::Partial { rejected: true, message } => (
            format!("{} rejected the probe: {message}", target.destination),
            "The receiver reads the requests, but its rules reject the data. Look for limits, filters and required attributes there."
                .to_owned(),
            false,
        ),
        Outcome::Partial { rejected: false, message } if message.starts_with("accepted, but") => (
            format!("{} {message}", target.destination),
            format!("A web server that accepts everything answers like this. Check that {} is an OTLP receiver.", words.endpoint()),
            false,
        ),
        Outcome::Partial { rejected: false, message } => {
            (format!("{} accepted the probe with a warning: {message}", target.destination), String::new(), true)
        }
        Outcome::Failed(error) => (error.to_string(), failed(error, target, words), false),
    };
    Some(Advice { finding, text, is_note })
}

fn failed(error: &ExportError, target: &Target<'_>, words: Words) -> String {
    match error.response() {
        Some(ResponseStatus::Http(status)) => refused_over_http(status, target, words),
        Some(ResponseStatus::Rpc(status)) => refused_over_grpc(status, error, target, words),
        _ => unanswered(error, target, words),
    }
}

/// Returns true if the path of a URL begins with two slashes.
fn has_two_slashes(url: &str) -> bool {
    let host_and_path = url.split_once("://").map_or("", |(_, rest)| rest);
    host_and_path.find('/').is_some_and(|path| host_and_path[path..].starts_with("//"))
}

fn refused_over_http(status: u16, target: &Target<'_>, words: Words) -> String {
    let endpoint = words.endpoint();
    match status {
        300..=399 => format!("Exporters follow no redirects. Set {endpoint} to the address that the receiver names."),
        400 if expects_tls(target) => encrypted(target, words),
        400 => format!(
            "The server cannot read OTLP. Check that {endpoint} is an OTLP receiver and that no proxy changes the body."
        ),
        401 | 403 => credentials(target, words),
        404 if has_two_slashes(&target.destination) => {
            format!(
                "The path begins with two slashes, because {endpoint} ends with one to which a path is appended. Remove it."
            )
        }
        404 => format!(
            "The server has no such path. Receivers take {}; a path that the vendor documents belongs into {endpoint}. \
             A receiver may also lack this signal.",
            "/v1/traces, /v1/metrics and /v1/logs"
        ),
        407 => proxy_credentials(),
        405 => format!("The path takes no POST, so it is not that of an OTLP receiver. Check {endpoint}."),
        408 | 502 | 503 | 504 => unavailable(),
        413 => too_large(),
        415 => {
            "The receiver does not take this encoding. Use http/protobuf, which every OTLP receiver takes.".to_owned()
        }
        429 => limited(),
        500..=599 => "The receiver has failed. Its own log says why.".to_owned(),
        _ => format!("The receiver refuses the request for good. Check {endpoint} and the receiver's log."),
    }
}

fn refused_over_grpc(status: &str, error: &ExportError, target: &Target<'_>, words: Words) -> String {
    match status {
        // A server that does not speak gRPC answers with an HTTP status alone.
        _ if error.to_string().contains("without a gRPC status") => other_protocol(target, words),
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => credentials(target, words),
        "UNIMPLEMENTED" => "The server speaks gRPC, but does not take this signal over OTLP. Enable it there, or turn the signal's exporter off \
             with none."
            .to_owned(),
        "UNAVAILABLE" => unavailable(),
        "RESOURCE_EXHAUSTED" if error.is_too_large() => too_large(),
        "OUT_OF_RANGE" if error.is_too_large() => too_large(),
        "RESOURCE_EXHAUSTED" => limited(),
        "DEADLINE_EXCEEDED" => "The receiver ran out of time. It is overloaded, or its own exporter is stuck.".to_owned(),
        "INVALID_ARGUMENT" => "The receiver reads the requests, but its rules reject the data. Its log says why.".to_owned(),
        _ => format!("The receiver refuses the request. Check {} and the receiver's log.", words.endpoint()),
    }
}

fn credentials(target: &Target<'_>, words: Words) -> String {
    let setting = words.headers();
    if let Some(source) = &target.source {
        return format!(
            "The receiver refuses the credentials from {}, also after they were read again. Check that they are complete, have not expired \
             and may write this signal.",
            words.of_otlp(source)
        );
    }
    match &*target.headers() {
        [] => format!(
            "The receiver wants credentials and none are sent. Set {setting}, for example to authorization=Bearer%20TOKEN."
        ),
        names => format!(
            "The receiver refuses the credentials in {}. Check in {setting} that the value is complete, has not expired and may write this \
             signal. Blanks are written as %20 in variables.",
            names.join(", ")
        ),
    }
}

fn unavailable() -> String {
    "The receiver, or a proxy in front of it, cannot take data now. The exporter tries again until its timeout. If this lasts, look at the \
     receiver's load and at the server behind it."
        .to_owned()
}

fn too_large() -> String {
    "Even a single item is too large for the receiver or for a proxy in front of it. Raise the limit there, such as max_recv_msg_size_mib or \
     client_max_body_size."
        .to_owned()
}

fn limited() -> String {
    "The receiver limits how much it takes. Send less, with a sampler for example, or raise the quota.".to_owned()
}

fn proxy_credentials() -> String {
    "Write the credentials into the URL of the proxy, as in http://user:password@proxy:3128, with % escapes for special characters. Only \
     the scheme Basic is supported."
        .to_owned()
}

/// Returns the advice for a problem on the way to the receiver: headers that cannot be read, or the proxy.
fn on_the_way(message: &str, error: &ExportError, target: &Target<'_>, words: Words) -> Option<String> {
    let direct = format!("To reach {} without it, add the host to NO_PROXY or set {} to none.", target.host, {
        words.of_otlp("OTEL_RUST_EXPORTER_OTLP_PROXY")
    });
    if message.starts_with("nothing was sent: ") {
        let source = target.source.as_deref().unwrap_or_default();
        let setting = words.of_otlp(source);
        return Some(match source.ends_with("COMMAND") {
            true => format!(
                "Run the command in {setting} by hand, as the same user: it must print lines such as `name: value` or a token alone, and end \
                 within the exporter's timeout."
            ),
            false => format!(
                "Check the path in {setting}, that this user may read the file, and that its lines are `name: value` or that it has a token \
                 alone."
            ),
        });
    }
    if message.starts_with("cannot connect to the proxy") {
        return Some(match cause(error) {
            Some(ErrorKind::ConnectionRefused) => {
                format!("Nothing listens at the address of the proxy. Check the variable in brackets. {direct}")
            }
            _ => format!("The proxy cannot be reached. Check the variable in brackets. {direct}"),
        });
    }
    if message.contains(" through the proxy ") && connection::refusal(error).is_none() {
        let problem = match error.is_timeout() {
            true => format!("Neither the proxy nor the receiver behind it has responded within {:?}.", target.limit()),
            false => "The proxy, or the receiver behind it, does not answer as HTTP servers do.".to_owned(),
        };
        return Some(format!("{problem} Check the variable in brackets and the log of the proxy. {direct}"));
    }
    if !message.starts_with("the proxy ") {
        return None;
    }
    Some(match message.contains("answered 407") {
        true => proxy_credentials(),
        false => format!("The proxy does not lead to the receiver. Its log and its rules say why. {direct}"),
    })
}

/// Returns the advice for a server that speaks another protocol.
fn other_protocol(target: &Target<'_>, words: Words) -> String {
    let (ours, theirs, port) = if target.is_grpc() { ("gRPC", "HTTP", 4317) } else { ("HTTP", "gRPC", 4318) };
    format!(
        "The server at {} does not speak OTLP over {ours}. If it takes OTLP over {theirs}, {}; if not, set {} to the port for {ours}, \
         usually {port}.",
        place(target),
        words.other_protocol(target.is_grpc()),
        words.endpoint()
    )
}

fn unanswered(error: &ExportError, target: &Target<'_>, words: Words) -> String {
    let message = error.to_string();
    let place = place(target);
    let endpoint = words.endpoint();
    if let Some(advice) = on_the_way(&message, error, target, words) {
        return advice;
    }
    if let Some(refusal) = connection::refusal(error) {
        let names = Names {
            place: &place,
            host: &target.host,
            url: endpoint,
            trusted: words.certificate(),
            client: Some(words.client()),
        };
        return encryption::meaning(refusal, names);
    }
    if message.contains(" is larger than ") {
        return format!("An OTLP receiver responds with a few bytes. Check that {endpoint} is one.");
    }
    if message.starts_with("no TLS connection") {
        return format!(
            "The server at {place} broke the connection off before there was TLS. Write http:// in {endpoint} if the receiver has no TLS; if it \
             has, its log says why."
        );
    }
    if !message.starts_with("cannot connect") && !error.is_timeout() && expects_tls(target) {
        return encrypted(target, words);
    }
    // A server that speaks first, as one for HTTP/2 does, sends a message that HTTP/1.1 does not expect.
    if message.contains("is not HTTP/") || message.contains("received unexpected message") {
        return other_protocol(target, words);
    }
    if message.starts_with("cannot connect") {
        return match (cause(error), listens_on_the_other_port(target)) {
            (_, Some(other)) => format!(
                "Nothing listens at {place}, but port {other} does, which is usually that of OTLP over {}. To use it, {} and name that port in {endpoint}.",
                if target.is_grpc() { "HTTP" } else { "gRPC" },
                words.other_protocol(target.is_grpc())
            ),
            (Some(ErrorKind::ConnectionRefused), None) => format!(
                "Nothing listens at {place}. Start a receiver there, such as the OpenTelemetry Collector or `telemark-viewer`, or set {endpoint} \
                 to its address. In a container, localhost is the container itself."
            ),
            (Some(ErrorKind::TimedOut), None) => {
                format!(
                    "{place} does not respond at all. Check {endpoint}, and whether a firewall or a network policy drops packets."
                )
            }
            (_, None) => format!(
                "The host cannot be reached. Check the name in {endpoint}, and whether it resolves on this machine."
            ),
        };
    }
    if error.is_timeout() {
        return format!(
            "The server accepts connections, but has not responded within {:?}. It is overloaded or stuck, or {} is not the port of an OTLP \
             receiver.",
            target.limit(),
            target.port
        );
    }
    format!(
        "The server closed the connection without a response. Typical causes are a proxy that limits connections, and a receiver for another \
         protocol. Check {endpoint} and the server's log."
    )
}

/// Returns the advice for a server that wants TLS.
fn encrypted(target: &Target<'_>, words: Words) -> String {
    format!("The server at {} expects TLS. Write https:// in {}.", place(target), words.endpoint())
}

/// Returns true if the exporter uses no TLS, but the server begins it.
fn expects_tls(target: &Target<'_>) -> bool {
    !target.uses_tls() && connection::speaks_tls((&target.host, target.port), Deadline::after(TLS_TIMEOUT))
}

fn place(target: &Target<'_>) -> String {
    if target.host.contains(':') {
        format!("[{}]:{}", target.host, target.port)
    } else {
        format!("{}:{}", target.host, target.port)
    }
}

/// Returns the kind of the innermost input or output error.
fn cause(error: &ExportError) -> Option<ErrorKind> {
    let mut next = error.source();
    let mut kind = None;
    while let Some(source) = next {
        kind = source.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        next = source.source();
    }
    kind
}

/// Returns the default port of the other protocol if the exporter uses the default port of its own and only the other one is open.
fn listens_on_the_other_port(target: &Target<'_>) -> Option<u16> {
    let other = match (target.is_grpc(), target.port) {
        (true, 4317) => 4318,
        (false, 4318) => 4317,
        _ => return None,
    };
    let mut addresses = (&*target.host, other).to_socket_addrs().ok()?;
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()).then_some(other)
}
