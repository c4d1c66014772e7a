//! The real Prometheus started by `cargo xtask`: its targets, the data it scraped, and promtool.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::receiver::{skip, variable};

/// A Prometheus running on loopback.
#[derive(Clone, Debug)]
pub struct Prometheus {
    address: SocketAddr,
    targets: PathBuf,
    promtool: String,
}

/// A scrape target, removed when dropped.
#[derive(Debug)]
pub struct Target {
    file: PathBuf,
}

impl Prometheus {
    /// Returns the running Prometheus instance. If there is none, reports the test as skipped.
    ///
    /// # Panics
    /// Panics under `CI=true` if no instance is running.
    pub fn running() -> Option<Prometheus> {
        let running = Prometheus::from_env();
        if running.is_none() {
            skip("no Prometheus runs here; `cargo xtask test` starts it");
        }
        running
    }

    fn from_env() -> Option<Prometheus> {
        let variable = |what: &str| variable(&format!("TELEMARK_TEST_PROMETHEUS_{what}"));
        let (url, targets, promtool) = (variable("URL")?, variable("TARGETS")?, variable("PROMTOOL")?);
        let address = url.strip_prefix("http://")?.parse().ok()?;
        Some(Prometheus { address, targets: targets.into(), promtool })
    }

    /// Configures Prometheus to scrape `/metrics` at the address every second. Each series gets the label `test` with
    /// this value.
    ///
    /// # Errors
    /// Fails if the target file cannot be written.
    pub fn scrape(&self, address: SocketAddr, test: &str) -> io::Result<Target> {
        let file = self.targets.join(format!("{test}.json"));
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, format!(r#"[{{"targets": ["{address}"], "labels": {{"test": "{test}"}}}}]"#))?;
        std::fs::rename(&unfinished, &file)?;
        Ok(Target { file })
    }

    /// Returns the current result of a query: series with their labels and values.
    ///
    /// # Errors
    /// Fails if there is no response or if it is not JSON.
    pub fn query(&self, expression: &str) -> io::Result<Vec<Value>> {
        let answer = self.ask(&format!("/api/v1/query?query={}", escaped(expression)))?;
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// Returns the exemplars of the last ten minutes for the series that match a selector, each with labels, value and
    /// time.
    ///
    /// # Errors
    /// Fails if there is no response or if it is not JSON.
    #[allow(clippy::disallowed_methods, reason = "what the server compares with its own clock")]
    pub fn exemplars(&self, selector: &str) -> io::Result<Vec<Value>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
        let (start, end) = (now - 600, now + 60);
        let path = format!("/api/v1/query_exemplars?query={}&start={start}&end={end}", escaped(selector));
        let answer = self.ask(&path)?;
        let series = answer["data"].as_array().cloned().unwrap_or_default();
        Ok(series.iter().flat_map(|one| one["exemplars"].as_array().cloned().unwrap_or_default()).collect())
    }

    /// Returns the state of a test's target after the last scrape (`up`, `down` or `unknown`) and the error, if any.
    ///
    /// # Errors
    /// Fails if there is no response or if it is not JSON.
    pub fn health(&self, test: &str) -> io::Result<(String, String)> {
        let answer = self.ask("/api/v1/targets")?;
        let targets = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let target = targets.iter().find(|target| target["labels"]["test"] == test);
        let text = |name: &str| target.and_then(|target| target[name].as_str()).unwrap_or("unknown").to_owned();
        Ok((text("health"), text("lastError")))
    }

    fn ask(&self, path: &str) -> io::Result<Value> {
        let (_, body) = http_get(self.address, path, "")?;
        serde_json::from_str(&body).map_err(io::Error::other)
    }

    /// Polls until `ask` returns a value.
    ///
    /// # Panics
    /// Panics after half a minute.
    #[allow(clippy::disallowed_methods, reason = "tests have no clock of the sdk")]
    pub fn wait_for<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "Prometheus never had {what}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Runs promtool with `input` on its standard input. Returns its output as the inner error if it fails.
    ///
    /// # Errors
    /// Fails if promtool cannot be started.
    pub fn promtool(&self, arguments: &[&str], input: &str) -> io::Result<Result<(), String>> {
        let mut child = Command::new(&self.promtool)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // If this fails, Prometheus scrapes a target that no longer exists, which is harmless.
        drop(std::fs::remove_file(&self.file));
    }
}

/// Sends a GET request with additional header lines, each terminated by CRLF. Returns the head and the body of the
/// response.
///
/// # Errors
/// Fails if the connection fails or if no response arrives within ten seconds.
pub fn http_get(server: SocketAddr, path: &str, headers: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0 has no chunks, and the server closes the connection after the response.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n{headers}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).map_err(io::Error::other)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_owned(), body.to_owned()))
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
