//! The real Prometheus that `cargo xtask` started: what it is to scrape, what it scraped, and its checker of pages.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::receiver::{skip, variable};

/// A Prometheus that runs on loopback.
#[derive(Clone, Debug)]
pub struct Prometheus {
    address: SocketAddr,
    targets: PathBuf,
    promtool: String,
}

/// What is scraped as long as this lives.
#[derive(Debug)]
pub struct Target {
    file: PathBuf,
}

impl Prometheus {
    /// The Prometheus that runs. When none does, that is a loud skip, or under `CI=true` a failure.
    ///
    /// # Panics
    /// Under `CI=true`, when none runs.
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

    /// Lets it scrape `/metrics` at the address every second; each series gets the label `test` with this value.
    ///
    /// # Errors
    /// The file of the target cannot be written.
    pub fn scrape(&self, address: SocketAddr, test: &str) -> io::Result<Target> {
        let file = self.targets.join(format!("{test}.json"));
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, format!(r#"[{{"targets": ["{address}"], "labels": {{"test": "{test}"}}}}]"#))?;
        std::fs::rename(&unfinished, &file)?;
        Ok(Target { file })
    }

    /// The series that an expression gives now, each with its labels and its value.
    ///
    /// # Errors
    /// There is no answer, or it is no JSON.
    pub fn query(&self, expression: &str) -> io::Result<Vec<Value>> {
        let answer = self.ask(&format!("/api/v1/query?query={}", escaped(expression)))?;
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// The exemplars of the last ten minutes of the series that a selector gives, each with its labels, its value and its
    /// time.
    ///
    /// # Errors
    /// There is no answer, or it is no JSON.
    #[allow(clippy::disallowed_methods, reason = "what the server compares with its own clock")]
    pub fn exemplars(&self, selector: &str) -> io::Result<Vec<Value>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
        let (start, end) = (now - 600, now + 60);
        let path = format!("/api/v1/query_exemplars?query={}&start={start}&end={end}", escaped(selector));
        let answer = self.ask(&path)?;
        let series = answer["data"].as_array().cloned().unwrap_or_default();
        Ok(series.iter().flat_map(|one| one["exemplars"].as_array().cloned().unwrap_or_default()).collect())
    }

    /// How scraping a test's target went the last time: `up`, `down` or `unknown`, and the error, if there was one.
    ///
    /// # Errors
    /// There is no answer, or it is no JSON.
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

    /// Waits until there is an answer.
    ///
    /// # Panics
    /// When that takes longer than half a minute.
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

    /// Runs promtool with this on its standard input; what it said if it did not succeed.
    ///
    /// # Errors
    /// It cannot be started.
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
        // It is scraped in vain then.
        drop(std::fs::remove_file(&self.file));
    }
}

/// Asks a server with further header lines, each with its end; answers with the head and the body.
///
/// # Errors
/// There is no connection, or no answer within ten seconds.
pub fn http_get(server: SocketAddr, path: &str, headers: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0: no chunks, and the connection ends with the answer.
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
