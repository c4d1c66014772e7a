//! All kinds of misbehaving clients, none of which may delay other clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use telemark_sdk::time::Deadline;
use telemark_serve::http::request::Parts;
use telemark_serve::http::{Response, StatusCode};
use telemark_serve::{Handler, Server, bind};

/// The time after which a test fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// More bytes than fit into the buffers of two sockets.
const LARGE: usize = 12 << 20;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn pages(request: &Parts) -> Response<Vec<u8>> {
    match request.uri.path() {
        "/large" => Response::new(vec![b'x'; LARGE]),
        "/panic" => panic!("a handler that panics"),
        "/missing" => {
            let mut response = Response::new(Vec::new());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        path => Response::new(format!("{} {path}\n", request.method).into_bytes()),
    }
}

fn start() -> Server {
    Server::builder("telemark-test", pages).start(bind("127.0.0.1", 0).unwrap()).unwrap()
}

/// Starts a server at a port that the system does not choose by itself, so that no server of another test listens there afterwards.
fn start_at_own_port() -> Server {
    let first = std::process::id() as u16;
    let mut ports = (0..10_000).map(|step| 10_000 + first.wrapping_add(step) % 10_000);
    let listener = ports.find_map(|port| bind("127.0.0.1", port).ok()).unwrap();
    Server::builder("telemark-test", pages).start(listener).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects, sends bytes and returns the connection.
fn sent(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(server);
    stream.write_all(bytes).unwrap();
    stream
}

/// Reads until the connection ends, whether closed or reset.
fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => panic!("it stays open"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// Sends a request and reads the response. Fails on a reset, which might destroy a response in transit.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut bytes = Vec::new();
    sent(server, request).read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[track_caller]
fn check(server: &Server, request: &str, status: &str) {
    let response = exchange(server, request.as_bytes());
    let line = response.split("\r\n").next().unwrap_or_default();
    assert_eq!(line.split_once(' ').map(|(_, status)| status), Some(status), "{request:?}");
}

/// Returns how long a well-behaved client waits for its page.
fn scrape(server: &Server) -> Duration {
    let started = Instant::now();
    let response = exchange(server, GET);
    assert!(response.ends_with("\r\n\r\nGET /\n"), "{response}");
    started.elapsed()
}

#[test]
fn silent_clients_and_clients_that_never_read_delay_no_other() {
    let server = start();
    let unread: Vec<_> = (0..10).map(|_| sent(&server, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect();
    let silent: Vec<_> = (0..200).map(|index| sent(&server, &b"GET"[..index % 4])).collect();
    for _ in 0..5 {
        let waited = scrape(&server);
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }
    // At most 64 connections may be open at a time, and the oldest are closed first.
    let is_closed = |mut stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        stream.read(&mut [0; 1]).map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |length| length == 0)
    };
    let closed: Vec<_> = silent.iter().map(is_closed).collect();
    assert!(closed.iter().filter(|&&closed| !closed).count() <= 64, "{closed:?}");
    assert!(closed.iter().take(200 - 64).all(|&closed| closed), "{closed:?}");
    drop(unread);
}

#[test]
fn unread_responses_take_bounded_memory() {
    let server = start();
    // The responses total 120 MiB. The server keeps 32 MiB, in addition to those in the sockets' buffers.
    let clients: Vec<_> = (0..10)
        .map(|_| sent(&server, b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        .collect();
    scrape(&server);
    let lengths: Vec<_> = clients.into_iter().map(|client| read_all(client).len()).collect();
    let complete = lengths.iter().filter(|&&length| length > LARGE).count();
    assert!((1..=4).contains(&complete), "{lengths:?}");
    // A client that reads its response gets the whole page.
    assert!(exchange(&server, b"GET /large HTTP/1.0\r\n\r\n").len() > LARGE);
}

#[test]
fn a_client_that_sends_byte_by_byte_gets_a_response_or_is_closed_in_time() {
    let server = start();
    let mut stream = connect(&server);
    stream.set_nodelay(true).unwrap();
    GET.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
    assert!(read_all(stream).starts_with("HTTP/1.1 200 OK"));

    // An endless request: sends another byte each time no response has arrived for a moment.
    let started = Instant::now();
    let mut endless = sent(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nx: ");
    endless.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    loop {
        assert!(started.elapsed() < PATIENCE, "it is still served");
        match endless.read(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if endless.write_all(b"x").is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
    assert!(started.elapsed() > Duration::from_secs(4));
}

#[test]
fn requests_may_be_pipelined_and_connections_kept() {
    let server = start();
    let mut pipelined = Vec::new();
    for path in ["/a", "/b", "/c"] {
        pipelined.extend_from_slice(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    }
    let mut stream = sent(&server, &pipelined);
    let mut read = String::new();
    while !read.contains("GET /c\n") {
        let mut chunk = [0; 1024];
        let length = stream.read(&mut chunk).unwrap();
        assert_ne!(length, 0, "{read}");
        read.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    assert!(read.find("GET /a\n").unwrap() < read.find("GET /b\n").unwrap(), "{read}");
    // The connection can still serve another request.
    stream.write_all(GET).unwrap();
    assert!(read_all(stream).ends_with("\r\n\r\nGET /\n"));
}

#[test]
fn pipelined_requests_of_one_client_let_other_clients_in_between() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let (open, gate) = channel::<()>();
    let (gate, noted) = (Mutex::new(gate), order.clone());
    let server = Server::builder("telemark-test", move |request: &Parts| {
        // Wait until all requests have arrived.
        let _ = gate.lock().unwrap().recv();
        noted.lock().unwrap().push(request.uri.path().to_owned());
        Response::new(Vec::new())
    });
    let server = server.start(bind("127.0.0.1", 0).unwrap()).unwrap();
    let greedy = sent(&server, &b"GET /greedy HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50));
    let modest = sent(&server, b"GET /modest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    drop(open);
    assert!(read_all(modest).starts_with("HTTP/1.1 200 OK"));
    let before = order.lock().unwrap().iter().position(|path| path == "/modest").unwrap();
    assert!(before <= 3, "{before} requests of one client came first");
    drop(greedy);
}

#[test]
fn head_has_the_length_and_no_body() {
    let server = start();
    let response = exchange(&server, b"HEAD /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(response.contains("content-length: 8\r\n"), "{response}");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\n"), "{response}");
}

#[test]
fn forms_of_requests() {
    let server = start();
    let close = "Connection: close\r\n\r\n";
    check(&server, &format!("GET http://localhost:1/x HTTP/1.1\r\nHost: localhost\r\n{close}"), "200 OK");
    check(&server, &format!("GET HTTP://LOCALHOST/x HTTP/1.1\r\nhOsT: other.example\r\n{close}"), "200 OK");
    check(
        &server,
        &format!("GET http://other.example/ HTTP/1.1\r\nHost: localhost\r\n{close}"),
        "421 Misdirected Request",
    );
    check(&server, &format!("GET / HTTP/1.1\r\nHost: other.example\r\n{close}"), "421 Misdirected Request");
    check(&server, &format!("GET / HTTP/1.1\r\n{close}"), "400 Bad Request");
    check(&server, "GET /missing HTTP/1.0\r\n\r\n", "404 Not Found");
    check(&server, &format!("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n{close}abc"), "200 OK");
    check(
        &server,
        &format!("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{close}3\r\nabc\r\n0\r\n\r\n"),
        "200 OK",
    );
    for method in ["POST", "OPTIONS", "get"] {
        check(&server, &format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{close}"), "405 Method Not Allowed");
    }
    check(
        &server,
        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\n\r\n",
        "405 Method Not Allowed",
    );
    check(&server, &format!("GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n{close}"), "400 Bad Request");
    check(&server, "\u{16}\u{3}\u{1}\r\n\r\n", "400 Bad Request");
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {}", "x".repeat(32 << 10));
    check(&server, &long, "431 Request Header Fields Too Large");
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}{close}", "x: y\r\n".repeat(200));
    check(&server, &many, "431 Request Header Fields Too Large");
    scrape(&server);
}

#[test]
fn a_handler_that_panics_responds_with_500() {
    let server = start();
    check(&server, "GET /panic HTTP/1.0\r\n\r\n", "500 Internal Server Error");
    scrape(&server);
}

#[test]
fn an_endless_body_is_not_waited_for() {
    let server = start();
    let mut stream = sent(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n");
    while stream.write_all(&[b'x'; 65536]).is_ok() {}
    scrape(&server);
}

#[test]
fn bytes_after_the_last_response_do_not_cause_a_reset_that_destroys_it() {
    let server = start();
    let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n";
    let mut stream = sent(&server, &[head.as_slice(), &[b'x'; 40_000]].concat());
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nGET /\n"), "{response}");
    (0..4).for_each(|_| stream.write_all(&[b'x'; 1_000]).unwrap());
}

#[test]
fn shutdown_does_not_wait_for_open_connections() {
    let server = start_at_own_port();
    let silent: Vec<_> = (0..20).map(|_| sent(&server, b"GET")).collect();
    let unread = sent(&server, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    scrape(&server);
    let started = Instant::now();
    server.shutdown(Deadline::after(PATIENCE)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(TcpStream::connect(server.address()).is_err(), "it still listens");
    for stream in silent {
        assert_eq!(read_all(stream), "");
    }
    drop(unread);
}

#[test]
fn a_response_on_its_way_arrives_though_the_server_ends() {
    let (entered, enters) = channel();
    let (leave, leaves) = channel::<()>();
    let leaves = Mutex::new(leaves);
    let server = Server::builder("telemark-test", move |_: &Parts| {
        let _ = entered.send(());
        let _ = leaves.lock().unwrap().recv();
        Response::new(b"late\n".to_vec())
    });
    let server = server.start(bind("127.0.0.1", 0).unwrap()).unwrap();
    let client = sent(&server, GET);
    enters.recv_timeout(PATIENCE).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| server.shutdown(Deadline::after(PATIENCE)).unwrap());
        drop(leave);
        assert!(read_all(client).ends_with("\r\n\r\nlate\n"));
    });
}

/// The thread of a server must see that the server was dropped, even if it is slow to wake up.
#[test]
fn dropped_servers_drop_their_handlers() {
    let handlers = Arc::new(());
    for _ in 0..500 {
        let handler = handlers.clone();
        let handle = move |_: &_| Response::new(format!("{handler:?}").into_bytes());
        let server = Server::builder("telemark-test", handle).start(bind("127.0.0.1", 0).unwrap()).unwrap();
        // The thread waits for sockets by now.
        assert!(read_all(sent(&server, GET)).ends_with("()"));
        drop(server);
    }
    let deadline = Deadline::after(PATIENCE);
    while Arc::strong_count(&handlers) > 1 {
        assert!(!deadline.has_passed(), "{} servers go on", Arc::strong_count(&handlers) - 1);
        thread::yield_now();
    }
}

#[test]
fn a_dropped_server_is_gone() {
    let server = start();
    let address = server.address();
    let silent = sent(&server, b"");
    drop(server);
    assert_eq!(read_all(silent), "");
    let started = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(started.elapsed() < PATIENCE, "it still listens");
    }
}

#[test]
fn clients_that_leave_early_do_no_harm() {
    let server = start();
    drop(connect(&server));
    let half = sent(&server, b"GET /metr");
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(half), "");
    // A client that closes its side right after the request still gets a response.
    let half = sent(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    half.shutdown(Shutdown::Write).unwrap();
    assert!(read_all(half).starts_with("HTTP/1.1 200 OK"));
    drop(sent(&server, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    scrape(&server);
}

/// Responds to POST with the length of the body.
struct Lengths;

impl Handler for Lengths {
    fn handle(&self, request: &Parts) -> Response<Vec<u8>> {
        pages(request)
    }

    fn handle_post(&self, _: &Parts, body: &[u8]) -> Response<Vec<u8>> {
        Response::new(format!("{} bytes\n", body.len()).into_bytes())
    }
}

fn start_with_bodies() -> Server {
    Server::builder("telemark-test", Lengths).with_max_body(1000).start(bind("127.0.0.1", 0).unwrap()).unwrap()
}

#[test]
fn bodies_are_read_up_to_their_limit() {
    const POST: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let server = start_with_bodies();
    let exchange = |request: &str| exchange(&server, request.as_bytes());
    let sized = |length: usize| format!("{POST}Content-Length: {length}\r\n\r\n{}", "x".repeat(length));
    assert!(exchange(&sized(1000)).ends_with("\r\n\r\n1000 bytes\n"));
    assert!(exchange(&sized(0)).ends_with("\r\n\r\n0 bytes\n"));
    check(&server, &sized(1001), "413 Payload Too Large");
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let chunked = |chunks: usize| format!("{POST}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(chunks));
    assert!(exchange(&chunked(2)).ends_with("\r\n\r\n1000 bytes\n"));
    check(&server, &chunked(3), "413 Payload Too Large");
    // The size is known before a byte of the body arrives.
    check(&server, &format!("{POST}Content-Length: 1000000000\r\n\r\n"), "413 Payload Too Large");
    check(&server, &sized(1).replace("localhost", "evil.example"), "421 Misdirected Request");
    let put = exchange(&sized(1).replace("POST", "PUT"));
    assert!(put.starts_with("HTTP/1.1 405 ") && put.contains("allow: GET, HEAD, POST\r\n"), "{put}");
    // Without a limit, nothing is read.
    let refused = self::exchange(&start(), sized(1).as_bytes());
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD\r\n"), "{refused}");
}

#[test]
fn a_body_that_does_not_arrive_delays_no_other_client_and_is_given_up() {
    let server = start_with_bodies();
    let slow = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345";
    let clients: Vec<_> = (0..30).map(|_| sent(&server, slow)).collect();
    assert!(scrape(&server) < Duration::from_secs(4));
    let started = Instant::now();
    for client in clients {
        assert_eq!(read_all(client), "");
    }
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    // Bodies may follow each other on a connection.
    let mut twice = sent(&server, slow);
    twice.write_all(b"67890").unwrap();
    twice.write_all(&slow[..]).unwrap();
    twice.write_all(b"67890").unwrap();
    twice.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(twice).matches("10 bytes").count(), 2);
}
