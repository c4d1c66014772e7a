//! A receiver on a raw socket that follows a script of responses and failures.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::{PATIENCE, on_a_thread};

/// The receiver's reaction to a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes these bytes and waits for the next request on the connection.
    Reply(Vec<u8>),
    /// Writes these bytes and closes the connection, with a reset if there is more to read.
    ReplyAndClose(Vec<u8>),
    /// Closes the connection while the body is still arriving, which resets it. The body must be larger than the socket
    /// buffers.
    Reset,
    /// Writes nothing until the client goes away.
    Hang,
    /// Writes the first bytes, and then one byte of the second after another, again and again, until the client goes away.
    Drip(&'static str, &'static str),
    /// Writes the same as fast as it can.
    Flood(&'static str, &'static str),
}

impl Step {
    pub fn reply(status: &str, headers: &str, body: &[u8]) -> Step {
        Step::Reply(response(status, headers, body))
    }

    pub fn ok() -> Step {
        Step::reply("200 OK", "", b"")
    }
}

pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The number of its connection, starting at zero.
    pub connection: usize,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the value of the header with this lowercase name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub struct Server {
    pub address: SocketAddr,
    requests: Receiver<Request>,
}

impl Server {
    pub fn start(script: impl Into<Vec<Step>>) -> Server {
        Server::start_at("127.0.0.1:0".parse().unwrap(), script)
    }

    /// Starts at an address that was free a moment ago.
    pub fn start_at(address: SocketAddr, script: impl Into<Vec<Step>>) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let mut script = script.into().into_iter();
        let (sender, requests) = channel();
        on_a_thread(move || {
            let mut next = script.next();
            for connection in 0.. {
                if next.is_none() {
                    return;
                }
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                while let Some(step) = next.take() {
                    let Some(head) = read_head(&mut reader) else {
                        next = Some(step);
                        break;
                    };
                    let body = if matches!(step, Step::Reset) { Vec::new() } else { read_body(&mut reader, &head) };
                    // The test may have stopped receiving.
                    let _ = sender.send(Request { connection, head, body });
                    next = script.next();
                    match step {
                        Step::Reply(bytes) => reader.get_mut().write_all(&bytes).unwrap(),
                        Step::ReplyAndClose(bytes) => {
                            reader.get_mut().write_all(&bytes).unwrap();
                            break;
                        }
                        Step::Reset => break,
                        Step::Hang => {
                            wait_for_end(reader.get_mut());
                            break;
                        }
                        Step::Drip(start, repeated) => {
                            drip(reader.get_mut(), start, repeated);
                            break;
                        }
                        Step::Flood(start, repeated) => {
                            let stream = reader.get_mut();
                            let _ = stream.write_all(start.as_bytes());
                            while stream.write_all(repeated.repeat(1000).as_bytes()).is_ok() {}
                            break;
                        }
                    }
                }
            }
        });
        Server { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the end of the script and returns all requests. By then, the receiver has stopped.
    pub fn finish(self) -> Vec<Request> {
        let mut requests = Vec::new();
        loop {
            match self.requests.recv_timeout(PATIENCE) {
                Ok(request) => requests.push(request),
                Err(RecvTimeoutError::Disconnected) => return requests,
                Err(RecvTimeoutError::Timeout) => panic!("the script is not over after {requests:?}"),
            }
        }
    }
}

/// Reads the head of a request. Returns `None` at the end of the connection.
pub fn read_head(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::InvalidData) => return None,
            Err(error) => panic!("{error}"),
        }
    }
    Some(head)
}

pub fn read_body(reader: &mut BufReader<TcpStream>, head: &str) -> Vec<u8> {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    body
}

fn drip(stream: &mut TcpStream, start: &str, repeated: &str) {
    let _ = stream.write_all(start.as_bytes());
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    for byte in repeated.bytes().cycle() {
        if stream.write_all(&[byte]).is_err() || matches!(stream.read(&mut [0]), Ok(0)) {
            return;
        }
    }
}

fn wait_for_end(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 64];
    while stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
}
