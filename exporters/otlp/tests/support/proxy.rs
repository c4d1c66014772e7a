//! A proxy on a raw socket: it forwards, opens tunnels, or misbehaves as the script says.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::http::{read_body, read_head};
use super::{PATIENCE, on_a_thread};

/// The proxy's reaction to a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes in response to `CONNECT`, then copies bytes between the client and `to`.
    Tunnel(&'static str, SocketAddr),
    /// Passes each request on to this receiver, and its response back.
    Forward(SocketAddr),
    /// Writes these bytes and closes the connection.
    Reply(&'static str),
    /// Closes the connection without a response.
    Close,
    /// Never responds.
    Hang,
    /// Writes one byte of an endless head after another.
    Drip,
    /// Writes an endless head as fast as it can.
    Flood,
}

pub const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";

pub struct Proxy {
    pub address: SocketAddr,
    heads: Receiver<String>,
}

impl Proxy {
    pub fn start(script: impl Into<Vec<Step>>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = script.into();
        let (sender, heads) = channel();
        on_a_thread(move || {
            for step in script {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut reader = BufReader::new(stream);
                let Some(head) = read_head(&mut reader) else { continue };
                let _ = sender.send(head.clone());
                match step {
                    Step::Forward(to) => forward(&mut reader, head, to, &sender),
                    Step::Tunnel(response, to) => {
                        let to = TcpStream::connect(to).unwrap();
                        reader.get_mut().write_all(response.as_bytes()).unwrap();
                        // A tunnel outlives the acceptance of the next connection.
                        tunnel(reader.into_inner(), to);
                    }
                    other => {
                        on_a_thread(move || misbehave(reader.into_inner(), &other));
                    }
                }
            }
        });
        Proxy { address, heads }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.try_iter().collect()
    }
}

fn forward(
    reader: &mut BufReader<TcpStream>,
    mut head: String,
    to: SocketAddr,
    sender: &std::sync::mpsc::Sender<String>,
) {
    loop {
        let body = read_body(reader, &head);
        let mut receiver = TcpStream::connect(to).unwrap();
        receiver.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        let mut response = BufReader::new(receiver);
        let Some(response_head) = read_head(&mut response) else { return };
        let response_body = read_body(&mut response, &response_head);
        reader.get_mut().write_all(&[response_head.as_bytes(), &response_body].concat()).unwrap();
        match read_head(reader) {
            Some(next) => head = next,
            None => return,
        }
        let _ = sender.send(head.clone());
    }
}

fn tunnel(client: TcpStream, receiver: TcpStream) {
    for (mut from, mut to) in [(client.try_clone().unwrap(), receiver.try_clone().unwrap()), (receiver, client)] {
        on_a_thread(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

fn misbehave(mut stream: TcpStream, step: &Step) {
    match step {
        Step::Reply(bytes) => stream.write_all(bytes.as_bytes()).unwrap(),
        Step::Hang => while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {},
        Step::Drip => {
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let head = b"HTTP/1.1 200 OK\r\n".iter().chain(b"a: b\r\n".iter().cycle());
            for byte in head {
                if stream.write_all(&[*byte]).is_err() || matches!(stream.read(&mut [0]), Ok(0)) {
                    return;
                }
            }
        }
        Step::Flood => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            while stream.write_all(&b"a: b\r\n".repeat(1000)).is_ok() {}
        }
        _ => {}
    }
}
