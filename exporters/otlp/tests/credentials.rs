//! Headers that change while the program runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::http::{Request, Server, Step};
use support::{PATIENCE, export, outcome, over_http, quick_retries};
use telemark_otlp::OtlpBuilder;
use telemark_sdk::Exporter;
use telemark_sdk::config::Env;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;

const TAKEN: &str = "taken, 0 rejected, 0 retries";
const RENEWED: &str = "taken, 0 rejected, 1 retries";

fn unauthorized() -> Step {
    Step::reply("401 Unauthorized", "", b"who is s3cret-1?")
}

fn builder(url: &str) -> OtlpBuilder<Traces> {
    over_http().with_base_endpoint(url).with_retry(quick_retries().with_max_retries(2))
}

fn tokens(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.header("authorization").unwrap_or("none")).collect()
}

/// A file that exists for one test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Temporary(std::env::temp_dir().join(format!("telemark-otlp-{}-{name}", std::process::id())))
    }

    fn write(&self, text: &str) {
        // As programs that rotate tokens do.
        let next = self.0.with_extension("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, &self.0).unwrap();
    }

    fn text(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_token_that_was_rotated_is_read_again_after_a_refusal_and_sent_once() {
    let file = Temporary::new("rotated");
    file.write("s3cret-1");
    let server = Server::start([Step::ok(), unauthorized(), Step::ok(), Step::ok()]);
    let mut exporter = builder(&server.url()).with_headers_from_file(&file.0).build().unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), TAKEN);
    file.write("s3cret-2");
    assert_eq!(outcome(&export(&mut exporter, "b")), RENEWED);
    assert_eq!(outcome(&export(&mut exporter, "c")), TAKEN);
    let requests = server.finish();
    let [first, second] = ["Bearer s3cret-1", "Bearer s3cret-2"];
    assert_eq!(tokens(&requests), [first, first, second, second]);
    assert!(requests.iter().all(|request| request.connection == 0));
    assert!(!format!("{exporter:?}").contains("s3cret"));
}

#[test]
fn a_second_refusal_and_an_unchanged_token_are_failures() {
    let file = Temporary::new("refused");
    file.write("authorization: s3cret-1");
    let server = Server::start([unauthorized(), unauthorized(), unauthorized(), Step::ok()]);
    let mut exporter = builder(&server.url()).with_headers_from_file(&file.0).build().unwrap();
    file.write("authorization: s3cret-2");
    // Read at the start, and again for the refusal.
    let error = export(&mut exporter, "a").unwrap_err();
    assert!(error.is_rejected() && error.retries() == 1 && !error.to_string().contains("s3cret-2"), "{error}");
    assert_eq!(outcome(&export(&mut exporter, "b")), "rejected, 0 retries", "the same token again");
    assert_eq!(outcome(&export(&mut exporter, "c")), TAKEN);
    let requests = server.finish();
    assert_eq!(tokens(&requests), ["s3cret-1", "s3cret-2", "s3cret-2", "s3cret-2"]);
}

#[cfg(feature = "grpc")]
#[test]
fn over_grpc() {
    use support::grpc::{Server, Step};
    use telemark_otlp::{OtlpExporter, Protocol};

    let file = Temporary::new("grpc");
    file.write("authorization=Bearer%20s3cret-1");
    let refused = Step::trailers_only(&[("grpc-status", "16"), ("grpc-message", "s3cret-1 has expired")]);
    let server = Server::start([refused, Step::ok()]);
    let endpoint = format!("http://{}", server.address);
    let builder = OtlpExporter::<Traces>::builder().with_protocol(Protocol::Grpc).with_endpoint(endpoint);
    let mut exporter = builder.with_headers_from_file(&file.0).build().unwrap();
    file.write("authorization=Bearer%20s3cret-2");
    assert_eq!(outcome(&export(&mut exporter, "a")), RENEWED);
    let tokens: Vec<_> = server.finish().iter().map(|call| call.headers["authorization"].clone()).collect();
    assert_eq!(tokens, ["Bearer s3cret-1", "Bearer s3cret-2"]);
}

#[test]
fn a_file_that_appears_later_is_waited_for_and_nothing_is_sent_before() {
    let file = Temporary::new("later");
    let server = Server::start([Step::ok()]);
    let mut exporter = builder(&server.url()).with_headers_from_file(&file.0).build().unwrap();
    let error = export(&mut exporter, "a").unwrap_err();
    let expected = format!("nothing was sent: headers_file: {} cannot be read (No such file", file.text());
    assert!(error.is_unavailable() && error.retries() == 2 && error.to_string().starts_with(&expected), "{error}");
    file.write("a=1");
    assert_eq!(outcome(&export(&mut exporter, "b")), TAKEN);
    assert_eq!(server.finish().len(), 1);
    assert_eq!(exporter.failed_refreshes(), 1);
}

#[test]
fn a_file_that_becomes_unusable_leaves_the_headers() {
    let file = Temporary::new("unusable");
    file.write("authorization: s3cret-1");
    let server = Server::start(vec![Step::ok(); 4]);
    let builder = builder(&server.url()).with_headers_from_file(&file.0).with_headers_refresh(Duration::ZERO);
    let mut exporter = builder.build().unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), TAKEN);
    file.write("a b c");
    assert_eq!(outcome(&export(&mut exporter, "b")), TAKEN);
    assert_eq!(outcome(&export(&mut exporter, "c")), TAKEN);
    assert_eq!(exporter.failed_refreshes(), 1, "counted once for each reason");
    file.write("authorization: s3cret-2");
    assert_eq!(outcome(&export(&mut exporter, "d")), TAKEN);
    let requests = server.finish();
    assert_eq!(tokens(&requests), ["s3cret-1", "s3cret-1", "s3cret-1", "s3cret-2"]);
}

#[test]
fn a_source_replaces_fixed_headers_except_for_those_in_code() {
    let file = Temporary::new("precedence");
    file.write("a: file\nb: file\nc: file");
    let path = file.text();
    let env = Env::from_pairs([
        ("OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE", &*path),
        ("OTEL_EXPORTER_OTLP_HEADERS", "b=variable,d=variable"),
    ]);
    let server = Server::start([Step::ok(), Step::ok()]);
    let both = || builder(&server.url()).with_header("a", "code");
    assert_eq!(outcome(&export(&mut both().with_env(&env).build().unwrap(), "a")), TAKEN);
    assert_eq!(outcome(&export(&mut both().with_headers_from_file(&file.0).build().unwrap(), "a")), TAKEN);
    let requests = server.finish();
    let sent = |index: usize| ["a", "b", "c", "d"].map(|name| requests[index].header(name).unwrap_or("none"));
    assert_eq!(sent(0), ["code", "file", "file", "variable"]);
    assert_eq!(sent(1), ["file", "file", "file", "none"]);
}

#[test]
fn code_is_called_on_the_exporters_thread_and_may_fail() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let source = move || match counter.fetch_add(1, Ordering::Relaxed) {
        0 => Err(std::io::Error::other("no token yet")),
        1 => panic!("s3cret"),
        call => Ok(vec![("authorization".to_owned(), format!("s3cret-{call}"))]),
    };
    let server = Server::start([Step::ok(), unauthorized(), Step::ok()]);
    let mut exporter = builder(&server.url()).with_header_source(source).build().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 0, "not while the program starts");
    // After each failure there is a pause, in which retries come too early.
    assert_eq!(outcome(&export(&mut exporter, "a")), "unavailable, 2 retries");
    let patience = Deadline::after(PATIENCE);
    while export(&mut exporter, "a").is_err() && !patience.has_passed() {
        std::thread::yield_now();
    }
    assert_eq!(outcome(&export(&mut exporter, "b")), RENEWED);
    let requests = server.finish();
    assert_eq!(tokens(&requests), ["s3cret-2", "s3cret-2", "s3cret-3"]);
    assert_eq!(exporter.failed_refreshes(), 2);
}

#[cfg(unix)]
mod commands {
    use support::export_by;

    use super::*;

    #[test]
    fn a_command_runs_at_the_first_export_and_after_a_refusal() {
        let file = Temporary::new("command");
        file.write("1");
        // Increments a number at each run.
        let script = format!("n=$(cat {0}); echo \"authorization: s3cret-$n\"; echo $((n + 1)) > {0}", file.text());
        let line = format!("sh -c '{script}'");
        let env = Env::from_pairs([("OTEL_RUST_EXPORTER_OTLP_HEADERS_COMMAND", &*line)]);
        let server = Server::start([Step::ok(), Step::ok(), unauthorized(), Step::ok()]);
        let mut exporter = builder(&server.url()).with_env(&env).build().unwrap();
        assert_eq!(std::fs::read_to_string(&file.0).unwrap(), "1", "not while the program starts");
        assert_eq!(["a", "b", "c"].map(|name| outcome(&export(&mut exporter, name))), [TAKEN, TAKEN, RENEWED]);
        let requests = server.finish();
        assert_eq!(tokens(&requests), ["s3cret-1", "s3cret-1", "s3cret-1", "s3cret-2"]);
        assert!(!format!("{exporter:?}").contains("authorization"), "{exporter:?}");
    }

    #[test]
    fn a_command_that_fails_or_hangs_costs_no_more_than_the_timeout() {
        let server = Server::start([Step::ok()]);
        let mut exporter = builder(&server.url()).with_headers_from_command("false", [""; 0]).build().unwrap();
        let error = export(&mut exporter, "a").unwrap_err().to_string();
        assert!(
            error.starts_with("nothing was sent: headers_command: `false` failed (exit status: 1); its error"),
            "{error}"
        );
        let mut exporter = builder(&server.url()).with_headers_from_command("sleep", ["1000"]).build().unwrap();
        let error = export_by(&mut exporter, "a", Deadline::after(Duration::from_millis(200))).unwrap_err();
        let expected = "nothing was sent: headers_command: `sleep …` did not end in time and was killed";
        assert!(error.to_string().starts_with(expected), "{error}");
        // The descriptors of the command do not disturb the connection.
        assert_eq!(outcome(&export(&mut builder(&server.url()).build().unwrap(), "a")), TAKEN);
    }
}
