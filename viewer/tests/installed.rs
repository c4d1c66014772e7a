//! The viewer of an installed program: it follows spans while a page is open, and nothing keeps its store after the end.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::install::{Factory, Pipeline, Telemetry};
use telemark_sdk::instrument::spans::span;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_viewer::{InProcess, Limits, RunningSpans, Store, ViewerExporter};

fn names(store: &Store) -> Vec<String> {
    let mut names: Vec<_> = store.spans().iter().map(|span| span.name.to_string()).collect();
    names.sort();
    names
}

/// Both tests would install telemetry, which a program does once.
#[test]
fn spans_are_followed_while_a_page_is_open_and_the_store_ends_with_the_telemetry() {
    // A factory is a plain function, so the store reaches it through a static.
    static STORE: Mutex<Option<Arc<Store>>> = Mutex::new(None);
    let store = Store::new(Limits::default());
    *STORE.lock().unwrap() = Some(store.clone());
    let factory = Factory::new("viewer", |_| {
        let store = STORE.lock().unwrap().take().unwrap();
        let pipeline = Pipeline::<Traces>::new(ViewerExporter::<Traces>::new(store.clone()));
        Ok(pipeline.with_processor(move |resource| RunningSpans::new(&store, resource)))
    });
    let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "viewer")]);
    let telemetry = Telemetry::builder(env).with_span_exporter_factory(factory).init().unwrap();

    let running = store.running().clone();
    let count = || {
        let page = telemark_viewer::Viewer::builder(store.clone());
        let viewer = page.start(telemark_serve::bind("127.0.0.1", 0).unwrap()).unwrap();
        let status = get(&viewer.link());
        let (_, count) = status.split_once("\"running\":").unwrap();
        count.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    span("root").in_scope(|| {
        span("before a page").in_scope(|| {
            assert!(!running.attention().is_on());
            assert_eq!(count(), "0");
            // Below a sampled span, spans take the fastest path unless a processor wants their start.
            span("shown").in_scope(|| assert_eq!(count(), "1"));
            assert_eq!(count(), "0");
        });
    });
    let forgotten = span("forgotten").enter();
    assert_eq!(count(), "1");
    telemetry.flush(Duration::from_secs(60)).unwrap();
    assert_eq!(names(&store), ["before a page", "root", "shown"]);

    let kept = Arc::downgrade(&store);
    drop(telemetry);
    assert_eq!(count(), "0", "no end is reported after the shutdown");
    drop(forgotten);
    drop(store);
    // Threads that end may be the last to hold it.
    let deadline = Deadline::after(Duration::from_secs(60));
    while kept.strong_count() > 0 {
        assert!(!deadline.has_passed(), "the store outlives the telemetry");
        std::thread::yield_now();
    }
}

fn get(link: &str) -> String {
    use std::io::{Read, Write};

    let host = link.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET /status.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn the_link_is_said_outside_of_the_lock_and_without_the_token() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    const TOKEN: &str = "correct-horse-battery";
    // A sink that asks for the link would wait for itself.
    assert!(diag::set_sink(|_, message| {
        if let Some(page) = message.strip_prefix("the viewer is at ") {
            assert_eq!(telemark_viewer::link(), Some(format!("{page}?token={TOKEN}")));
            SAID.lock().unwrap().push(message.to_owned());
        }
    }));
    let variables = [("OTEL_RUST_VIEWER_ADDRESS", "127.0.0.1:0"), ("OTEL_RUST_VIEWER_TOKEN", TOKEN)];
    let viewer = InProcess::shared(&Env::from_pairs(variables)).unwrap();
    assert_eq!(viewer.link().split_once("?token=").map(|(_, token)| token), Some(TOKEN));
    let said = SAID.lock().unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(!said[0].contains("token") && !said[0].contains(TOKEN), "{said:?}");
}
