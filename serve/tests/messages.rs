//! Foreign text must not appear in any message or response.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemark_sdk::diag::{self, Level};
use telemark_serve::http::Response;
use telemark_serve::http::request::Parts;
use telemark_serve::{Server, bind};

#[test]
fn foreign_text_is_shown_nowhere() {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let sink = messages.clone();
    diag::set_max_level(Some(Level::Debug));
    assert!(diag::set_sink(move |_, message| sink.lock().unwrap().push(message.to_owned())));
    let server = Server::builder("telemark-test", |_: &Parts| Response::new(b"page\n".to_vec()));
    let server = server.start(bind("127.0.0.1", 0).unwrap()).unwrap();

    const STRANGE: &str = "\x1b[31mstranger";
    for request in [
        format!("{STRANGE} / HTTP/1.1\r\n\r\n"),
        format!("GET /{STRANGE} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {STRANGE}\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: stranger.example\r\n\r\n".to_owned(),
        "stranger / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET http://stranger.example/stranger HTTP/1.1\r\nHost: stranger\r\nstranger: stranger\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", format!("stranger: {STRANGE}\r\n").repeat(2000)),
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let response = String::from_utf8_lossy(&response).into_owned();
        assert!(response.starts_with("HTTP/1.1 ") && !response.contains("stranger"), "{response}");
    }
    // Open enough connections that some are closed, which logs a warning.
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    drop((silent, server));
    let messages = messages.lock().unwrap();
    assert!(!messages.iter().any(|message| message.contains("stranger")), "{messages:?}");
}
