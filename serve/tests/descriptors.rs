//! When a program runs out of file descriptors, the server neither spins nor stays down.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use telemark_serve::http::Response;
use telemark_serve::http::request::Parts;
use telemark_serve::{Server, bind};

const CHILD: &str = "TELEMARK_TEST_FEW_DESCRIPTORS";

/// Measures the CPU time of the server's thread. Opens the file in advance, while descriptors are left.
struct Ticks(File);

impl Ticks {
    fn new() -> Self {
        let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("stat"));
        let is_server = |stat: &PathBuf| fs::read_to_string(stat).is_ok_and(|text| text.contains("(telemark-test)"));
        Ticks(File::open(tasks.into_iter().find(is_server).unwrap()).unwrap())
    }

    /// Reads the CPU time in clock ticks, of which there are a hundred per second.
    fn read(&mut self) -> u64 {
        let mut text = String::new();
        self.0.rewind().unwrap();
        self.0.read_to_string(&mut text).unwrap();
        let fields: Vec<_> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

#[test]
fn without_descriptors_the_server_pauses_and_then_recovers() {
    if std::env::var_os(CHILD).is_none() {
        // Rerun this test in a separate process with few descriptors.
        let this = std::env::current_exe().unwrap();
        let test = "without_descriptors_the_server_pauses_and_then_recovers";
        let script = "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture";
        let output = Command::new("sh").args(["-c", script]).arg(this).arg(test).env(CHILD, "1").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
        return;
    }
    let server = Server::builder("telemark-test", |_: &Parts| Response::new(b"page\n".to_vec()));
    let server = server.start(bind("127.0.0.1", 0).unwrap()).unwrap();
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    // Once the response has arrived, the thread has its name. Once the client has closed the connection, the server has
    // no connection left to close.
    let request = b"GET / HTTP/1.0\r\n\r\n";
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.write_all(request).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    drop(client);
    let started = Instant::now();
    while descriptors() > before {
        assert!(started.elapsed() < Duration::from_secs(20), "the connection stays open");
        std::thread::yield_now();
    }
    let mut ticks = Ticks::new();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    // The client takes the last descriptor, so none is left for the server's side.
    hoard.pop();
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.write_all(request).unwrap();
    let before = ticks.read();
    client.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let error = client.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
    let spent = ticks.read() - before;
    assert!(spent < 20, "{spent} ticks for nothing");

    drop(hoard);
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("page\n"), "{text:?}");
}
