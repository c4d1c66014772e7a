//! A program without descriptors: the server neither spins nor stays away.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use telemark_serve::http::request::Parts;
use telemark_serve::http::Response;
use telemark_serve::{Server, bind};

const CHILD: &str = "TELEMARK_TEST_FEW_DESCRIPTORS";

/// The processor time of the server's thread in clock ticks, of which there are a hundred a second.
fn ticks() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let stats = tasks.map(|task| fs::read_to_string(task.join("stat")).unwrap_or_default());
    let stat = stats.into_iter().find(|stat| stat.contains("(telemark-test)")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_descriptors_the_server_rests_and_then_comes_back() {
    if std::env::var_os(CHILD).is_none() {
        // In a process of its own, which is given few.
        let this = std::env::current_exe().unwrap();
        let test = "without_descriptors_the_server_rests_and_then_comes_back";
        let script = "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture";
        let output = Command::new("sh").args(["-c", script]).arg(this).arg(test).env(CHILD, "1").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
        return;
    }
    let server = Server::builder("telemark-test", |_: &Parts| Response::new(b"page\n".to_vec()));
    let server = server.start(bind("127.0.0.1", 0).unwrap()).unwrap();
    // What reads the ticks needs descriptors as well.
    let spare: Vec<_> = (0..4).map(|_| File::open("/dev/null").unwrap()).collect();
    let mut client = TcpStream::connect(server.address()).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    let mut waiting = Vec::new();
    // Each takes the descriptor that its client had just given up.
    for _ in 0..3 {
        hoard.pop();
        waiting.push(TcpStream::connect(server.address()).unwrap());
    }
    drop(spare);
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    hoard.truncate(hoard.len() - 2);
    let before = ticks();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    // The wait: nobody answers the last of them.
    let last = waiting.last_mut().unwrap();
    last.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let unanswered = last.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(unanswered, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{unanswered:?}");
    hoard.truncate(hoard.len() - 2);
    let spent = ticks() - before;
    assert!(spent < 20, "{spent} ticks for nothing");
    // With descriptors, everybody who still waits is served.
    drop(hoard);
    last.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    last.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    last.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("page\n"), "{text:?}");
    let _ = client.write_all(b"");
}
