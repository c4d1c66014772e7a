//! The page in Chromium: `tests/browser/*.mjs` drives it, and this test serves it from a store with the telemetry of a small shop.
//!
//! Requires `node` and `chromium` (the Debian packages of these names), or the program that `TELEMARK_TEST_CHROMIUM` names. With
//! `TELEMARK_TEST_PICTURES`, a case that fails leaves a picture in that folder.
#![allow(clippy::disallowed_methods, reason = "a test reads the time, the environment and starts programs")]
#![allow(clippy::unwrap_used, reason = "a test helper")]

#[path = "browser/sample.rs"]
mod sample;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use sample::Shop;
use telemark_viewer::{Limits, Store, Viewer};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

#[test]
fn the_page_in_a_browser() {
    let chromium = std::env::var("TELEMARK_TEST_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    if let Some(missing) = [&*chromium, "node"].into_iter().find(|program| !is_there(program)) {
        assert!(std::env::var("CI").is_err(), "{missing} is missing, and CI must not skip a test");
        // Written directly, because the test harness captures what `eprintln!` prints.
        drop(writeln!(
            std::io::stderr(),
            "\n!!! SKIPPED: {missing} is missing, so the page was not tested in a browser"
        ));
        return;
    }

    let store = Store::new(Limits::default().with_bytes(256 << 20));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let viewer = Viewer::builder(store.clone()).with_receiver("http", "127.0.0.1:4318").start(listener).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/run.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .arg(chromium)
        .arg(format!("http://{}", viewer.address()))
        .args(std::env::var("TELEMARK_TEST_ONLY").ok())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to_node = node.stdin.take().unwrap();
    for request in BufReader::new(node.stdout.take().unwrap()).lines() {
        let request = request.unwrap();
        match request.split_once(' ') {
            None if request == "fill" => Shop::new(&store, now()).fill(),
            Some(("live", name)) => Shop::new(&store, now()).live(name),
            Some(("starts", name)) => Shop::new(&store, now()).starts(name),
            Some(("ends", name)) => Shop::new(&store, now()).ends(name),
            Some(("records", number)) => Shop::new(&store, now()).more_records(number.parse().unwrap()),
            _ => panic!("the script said {request:?}"),
        }
        writeln!(to_node, "done").unwrap();
    }
    assert!(node.wait().unwrap().success(), "a case failed; see above");
}
