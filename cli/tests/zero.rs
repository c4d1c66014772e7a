//! `cargo telemark build`, `run`, `test` and `explain` on programs that know nothing of telemetry: a web service with a database and a
//! client, a network server, a command in several packages, and a library whose source is hard to rewrite. Two more are real.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The time after which a server that was built does not listen any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The workspace of the programs, below the target folder, where its builds stay for the next run.
struct Programs(PathBuf);

/// A program from crates.io with its own tests.
struct Real {
    /// The folder of its source.
    source: PathBuf,
    /// Its folder among the programs.
    place: &'static str,
}

/// A network server, and a database that is served over HTTP.
const REAL: [(&str, &str); 2] =
    [("TELEMARK_TEST_MINI_REDIS", "mini-redis"), ("TELEMARK_TEST_SQLX_REMOTE_RUN", "sqlx-remote-run")];

impl Real {
    /// Returns the real programs. Otherwise reports their tests as skipped. Fails in continuous integration.
    fn all() -> Vec<Real> {
        let mut found = Vec::new();
        for (variable, place) in REAL {
            let Some(source) = std::env::var_os(variable) else {
                let why = format!("{variable} is not set; `cargo xtask test` sets it");
                assert!(
                    std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                    "in continuous integration nothing is skipped: {why}"
                );
                let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: the tests of {place}: {why}\n");
                continue;
            };
            found.push(Real { source: source.into(), place });
        }
        found
    }
}

impl Programs {
    fn new(real: &[Real]) -> Programs {
        let programs = Programs(Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs"));
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
        programs.copy(&sources, Path::new(""), Path::new(""));
        let mut members = String::from("members = [");
        for Real { source, place } in real {
            programs.copy(source, Path::new(""), Path::new(place));
            members.push_str(&format!("{place:?}, "));
        }
        let manifest = fs::read_to_string(sources.join("Cargo.toml.txt")).unwrap();
        let manifest = manifest.replace("members = [", &members);
        programs.write("Cargo.toml", manifest.as_bytes());
        programs.write(".gitignore", b"/target\n*.log\n");
        // The user has a wrapper of rustc, which writes down its arguments.
        programs.write(".cargo/config.toml", b"build.rustc-workspace-wrapper = \"./wrapper\"\n");
        programs.write("wrapper", b"#!/bin/sh\necho \"$@\" >> \"$0.log\"\nexec \"$@\"\n");
        fs::set_permissions(programs.0.join("wrapper"), fs::Permissions::from_mode(0o755)).unwrap();
        // An earlier run of this test knows already what does not compile, and which files the wrapper has seen.
        for file in ["target/telemark/left-out", "wrapper.log"] {
            let _ = fs::remove_file(programs.0.join(file));
        }
        let lock = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
        fs::write(programs.0.join("Cargo.lock"), lock).unwrap();
        // Leaves the packages that the programs need.
        programs.succeeds(programs.cargo("update", &["--workspace", "--quiet"]));
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
            programs.succeeds(programs.command("git").args(identity).args(arguments))
        };
        git(&["init", "--quiet"]);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--allow-empty", "--message=all"]);
        programs
    }

    /// Copies the files in the folder `inside` of the sources to the folder `place` of the programs.
    fn copy(&self, sources: &Path, inside: &Path, place: &Path) {
        for entry in fs::read_dir(sources.join(inside)).unwrap() {
            let name = entry.unwrap().file_name();
            let path = inside.join(&name);
            if path == Path::new("Cargo.toml.txt") {
                // The manifest of the workspace names those members that are there.
                continue;
            }
            if sources.join(&path).is_dir() {
                self.copy(sources, &path, place);
                continue;
            }
            let bytes = fs::read(sources.join(&path)).unwrap();
            let text = || String::from_utf8(bytes.clone()).unwrap();
            let bytes = match name.to_str().unwrap() {
                "carriage.rs" => text().replace('\n', "\r\n").into_bytes(),
                "marked.rs" => format!("\u{feff}{}", text()).into_bytes(),
                _ => bytes,
            };
            let path = place.join(path);
            let path = path.to_str().unwrap();
            self.write(
                path.strip_suffix("Cargo.toml.txt")
                    .map(|folder| format!("{folder}Cargo.toml"))
                    .as_deref()
                    .unwrap_or(path),
                &bytes,
            );
        }
    }

    /// Writes a file, unless it is there: the time of a file decides about its compilation.
    fn write(&self, path: &str, content: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if fs::read(&path).ok().as_deref() != Some(content) {
            fs::write(path, content).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.current_dir(&self.0).env_remove("CARGO_TARGET_DIR").env("RUST_BACKTRACE", "0");
        command
    }

    /// Plain cargo. It shares the libraries with the instrumented builds.
    fn cargo(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(&std::env::var("CARGO").unwrap());
        command.args([verb, "--offline"]).env("CARGO_TARGET_DIR", "target/telemark/build").args(arguments);
        command
    }

    fn telemark(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cargo-telemark"));
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        command.args(["telemark", verb, "--offline", "--telemark-path"]).arg(checkout).args(arguments);
        command
    }

    #[track_caller]
    fn succeeds(&self, mut command: impl std::borrow::BorrowMut<Command>) -> String {
        let output = command.borrow_mut().output().unwrap();
        assert!(output.status.success(), "{:?}\n{}", command.borrow_mut(), text(&output));
        text(&output)
    }

    #[track_caller]
    fn are_clean(&self) {
        let status = self.succeeds(self.command("git").args(["status", "--porcelain"]));
        assert_eq!(status, "", "the user's files stay as they are");
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Returns the lines with the results of tests.
fn results(output: &str) -> Vec<&str> {
    let mut lines: Vec<_> = output.lines().filter(|line| line.starts_with("test ") && line.contains(" ... ")).collect();
    lines.sort_unstable();
    lines
}

/// A server that has printed its address.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(command: Command) -> Running {
        let mut child = Running::spawn(command);
        let mut address = String::new();
        let mut stdout = BufReader::new(child.stdout.as_mut().unwrap());
        stdout.read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "{}", text(&child.wait_with_output().unwrap()));
        Running { child, address: address.trim().to_owned() }
    }

    /// Starts a server that has been built, and returns the first connection.
    fn start_at(command: Command, address: SocketAddr) -> (Running, TcpStream) {
        let mut child = Running::spawn(command);
        let start = Instant::now();
        // The server says nothing when it listens, so there is nothing to wait for but the connection.
        loop {
            if let Ok(stream) = TcpStream::connect(address) {
                return (Running { child, address: address.to_string() }, stream);
            }
            let is_over = child.try_wait().unwrap().is_some() || start.elapsed() > PATIENCE;
            if is_over {
                let _ = child.kill();
            }
            assert!(!is_over, "no server on {address}: {}", text(&child.wait_with_output().unwrap()));
            std::thread::yield_now();
        }
    }

    fn spawn(mut command: Command) -> Child {
        let exporters =
            [("OTEL_TRACES_EXPORTER", "console"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];
        let command = command.envs(exporters).env("NO_COLOR", "1").env("COLUMNS", "300").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Presses Ctrl-C, and returns what the program has written.
    fn interrupted(self) -> String {
        let interrupt = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(interrupt.success());
        text(&self.child.wait_with_output().unwrap())
    }
}

/// Returns the names in the trees that the console exporter draws, without times and attributes.
fn trees(output: &str) -> String {
    let name = |line: &str| {
        let start = line.find(char::is_alphanumeric)?;
        let end = line[start..].find("  ").map_or(line.len(), |end| start + end);
        Some(format!("{}\n", &line[..end]))
    };
    output.lines().filter_map(name).collect()
}

/// A command is one trace of at most six spans, as the rule says.
fn commands_of_mini_redis_have_few_spans(programs: &Programs) {
    // A port that nobody listens on is nobody else's, and the server can listen on it.
    let kept = tokio::net::TcpSocket::new_v4().unwrap();
    kept.set_reuseaddr(true).unwrap();
    kept.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = kept.local_addr().unwrap();
    let port = address.port().to_string();
    programs.succeeds(programs.telemark("build", &["--bin", "mini-redis-server"]));
    let command = programs.telemark("run", &["--bin", "mini-redis-server", "--", "--port", &port]);
    let (server, mut stream) = Running::start_at(command, address);
    let commands =
        [("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n7\r\n", "+OK\r\n"), ("*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "$1\r\n7\r\n")];
    for (command, expected) in commands {
        stream.write_all(command.as_bytes()).unwrap();
        let mut response = vec![0; expected.len()];
        stream.read_exact(&mut response).unwrap();
        assert_eq!(String::from_utf8_lossy(&response), expected);
    }
    drop(stream);
    let output = server.interrupted();
    let set = "Command::apply\n└─ Connection::write_frame\n   └─ Connection::write_value\n";
    let get = format!("{set}      └─ Connection::write_decimal\n");
    let trees = trees(&output);
    assert!(trees.contains(&get) && trees.replacen(&get, "", 1).contains(set), "{output}");
    let explained = programs.succeeds(programs.telemark("explain", &[]));
    let costs = explained.split_once("\nThe last run had 2 traces in this process, with ");
    assert!(costs.is_some(), "{explained}");
    let costs = costs.unwrap().1;
    let each: f64 = costs.split(' ').next().unwrap().parse().unwrap();
    assert!((2.0..=6.0).contains(&each), "{costs}");
}

#[test]
fn programs_that_know_nothing_of_telemetry_have_it() {
    let real = Real::all();
    let programs = Programs::new(&real);

    // Their own tests find no difference.
    let has = |place| real.iter().any(|real| real.place == place);
    let mut arguments = vec!["--no-fail-fast"];
    if has("sqlx-remote-run") {
        arguments.extend(["--features", "sqlx_remote_run/axum"]);
    }
    let plain = programs.cargo("test", &arguments).output().unwrap();
    let traced = programs.telemark("test", &arguments).output().unwrap();
    let (status, plain, traced_status, traced) = (plain.status, text(&plain), traced.status, text(&traced));
    assert_eq!(results(&traced), results(&plain));
    assert_eq!(traced_status, status);
    let results = results(&plain);
    let failed: Vec<_> = results.iter().copied().filter(|line| line.ends_with("FAILED")).collect();
    let is_there = |test: &str| assert!(results.contains(&test), "{test} is not in\n{plain}");
    is_there("test values_are_kept ... ok");
    is_there("test tests::numbers_are_parsed ... ok");
    // A test of mini-redis, which newer versions of tokio than its own make fail.
    assert_eq!(failed, if has("mini-redis") { &["test key_value_timeout ... FAILED"][..] } else { &[] }, "{plain}");
    if has("sqlx-remote-run") {
        is_there("test axum_router_returns_query_rows ... ok");
    }
    // The programs of this repository have 7 tests.
    let of_real = [("mini-redis", 21), ("sqlx-remote-run", 25)].iter().filter(|(place, _)| has(place));
    assert_eq!(results.len(), 7 + of_real.map(|(_, count)| count).sum::<usize>(), "{plain}");
    // Plain cargo has not taken over.
    assert!(!traced.contains("goes without"), "{traced}");
    // The field of the rule is no argument of `version`, which is left out.
    let left_out = "left out what does not compile with telemetry, tool/core/src/lib.rs:";
    assert!(traced.contains(left_out), "{traced}");
    // Nothing in this package can be left out alone.
    let left_out = "numbers is not instrumented, because it does not compile with telemetry: numbers/src/main.rs:8: \
                    type annotations needed";
    assert!(traced.contains(left_out), "{traced}");
    programs.are_clean();

    // A request is one trace.
    let web = Running::start(programs.telemark("run", &["--bin", "web"]));
    let mut stream = TcpStream::connect(&web.address).unwrap();
    stream.write_all(b"GET /products/7 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("cup: 3 in stock"), "{response}");
    let output = web.interrupted();
    let expected = "GET /products/{sku}\n└─ Shop::describe\n   ├─ Shop::name\n   │  └─ SELECT products\n   └─ GET\n      └─ GET /stock/{sku}\n";
    assert!(trees(&output).contains(expected), "{output}");

    if has("mini-redis") {
        commands_of_mini_redis_have_few_spans(&programs);
    }

    // A command of the server is one trace, as the rule says.
    let server = Running::start(programs.telemark("run", &["--bin", "server"]));
    let mut stream = BufReader::new(TcpStream::connect(&server.address).unwrap());
    for command in ["SET a 1\n", "GET a\n"] {
        stream.get_mut().write_all(command.as_bytes()).unwrap();
        stream.read_line(&mut String::new()).unwrap();
    }
    let output = server.interrupted();
    for expected in ["Connection::command\n└─ Connection::set\n", "Connection::command\n└─ Connection::get\n"] {
        assert!(trees(&output).contains(expected), "{output}");
    }
    assert_eq!(output.matches("Connection::run").count(), 0, "{output}");
    let costs = "\nThe last run had 2 traces in this process, with 2.0 spans each on average:\n       2 Connection::command\n       1 ";
    let explained = programs.succeeds(programs.telemark("explain", &[]));
    assert!(explained.contains(costs), "{explained}");

    // The status and a panic are the program's.
    let run = |command: &mut Command| {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a b").unwrap();
        child.wait_with_output().unwrap()
    };
    let silent = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"].map(|name| (name, "none"));
    let with_telemetry = |arguments: &[&str]| {
        let mut command = programs.telemark("run", arguments);
        run(command.envs(silent))
    };
    let output = with_telemetry(&["--bin", "tool"]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b"2\n"[..]), "{}", text(&output));
    // A call is wrapped and a path replaced, as the rules say, by a crate that the program does not have.
    let said = text(&output);
    for expected in ["observed 2\n", "612062 a version in place of the original\n"] {
        assert!(said.contains(expected), "{said}");
    }
    // A dependency has a span, in a copy of its source.
    let mut command = programs.telemark("run", &["--bin", "tool"]);
    let output = run(command.env("OTEL_TRACES_EXPORTER", "console"));
    assert!(trees(&text(&output)).lines().any(|line| line == "encode"), "{}", text(&output));
    let panic = |output: &Output| {
        let said = text(output);
        said.lines().find_map(|line| line.split_once("panicked at ")).unwrap_or_else(|| panic!("{said}")).1.to_owned()
    };
    let plain = run(&mut programs.cargo("run", &["--bin", "tool", "--", "--fail"]));
    let traced = with_telemetry(&["--bin", "tool", "--", "--fail"]);
    assert!(panic(&plain).starts_with("tool/core/src/lib.rs:"), "{}", panic(&plain));
    let line = |output: &Output| panic(output).rsplit_once(':').unwrap().0.rsplit_once(':').unwrap().0.to_owned();
    assert_eq!(line(&traced), line(&plain));

    // A mistake is shown as cargo shows it, and nothing else is.
    let core = fs::read_to_string(programs.0.join("tool/core/src/lib.rs")).unwrap();
    programs.write("tool/core/src/lib.rs", core.replace("words.count()", "wrods.count()").as_bytes());
    let plain = programs.cargo("build", &["--bin", "tool", "--quiet"]).env_remove("CARGO_TARGET_DIR").output().unwrap();
    let traced = programs.telemark("build", &["--bin", "tool", "--quiet"]).output().unwrap();
    programs.write("tool/core/src/lib.rs", core.as_bytes());
    assert_eq!(traced.status.code(), plain.status.code());
    // Cargo may wait for a build of another workspace.
    let without_waiting = |stderr: &[u8]| {
        let said = String::from_utf8_lossy(stderr).into_owned();
        said.lines().filter(|line| !line.starts_with("    Blocking waiting")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_waiting(&traced.stderr), without_waiting(&plain.stderr));

    // The user's wrapper runs below Telemark's.
    let log = fs::read_to_string(programs.0.join("wrapper.log")).unwrap();
    let is_traced = |line: &str| line.contains("--crate-name tool_core ") && line.contains("--remap-path-prefix=");
    assert!(log.lines().any(is_traced), "{log}");

    // A run waits for another one.
    let turn = fs::File::options().append(true).open(programs.0.join("target/telemark/.lock")).unwrap();
    rustix::fs::flock(&turn, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut waiting = programs.telemark("build", &["--bin", "tool"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    let mut message = String::new();
    stderr.read_line(&mut message).unwrap();
    let expected = format!("    Blocking waiting for file lock on {}\n", programs.0.join("target/telemark").display());
    assert_eq!(message, expected);
    drop(turn);
    stderr.read_to_string(&mut message).unwrap();
    assert!(waiting.wait().unwrap().success(), "{message}");

    // The report says what is instrumented, and why the rest is not.
    let report = programs.succeeds(&mut programs.telemark("explain", &[]));
    for line in [
        "  web/src/main.rs:16: telemark::auto() in main\n",
        "a span for each request of axum::serve\n",
        "span server::Connection::command (the rule in line 2 of telemark.toml)\n",
        "tool_core::version does not compile with a span\n",
        "  functions that are never instrumented, extern: 1\n",
        "  tool/src/main.rs:9: observers::observed around the call (the rule in line 15 of telemark.toml)\n",
        "  paths lead to observers::version in place of tool_core::version (the rule in line 19 of telemark.toml): 1\n",
        "  the rule in line 25 of telemark.toml needs tokio 0.2: Cargo.lock has 1.",
        "telemark.toml: the rule in line 25 decides nothing: it matches nothing, earlier rules decide first, or \
         what it chooses does not compile\n",
        "hex 0.4.3, a copy of the dependency\n  hex-0.4.3/src/lib.rs:",
        "span hex::encode (the rule in line 41 of telemark.toml)\n",
        "  macros in place of items are not looked into, so functions that they define are not seen: 1 define!\n",
        "telemark.toml: line 37: tokio is left alone: Telemark depends on it\n",
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
    programs.are_clean();
}

#[test]
fn a_program_runs_without_a_telemark_that_does_not_compile() {
    let programs = Programs(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broken-{}", std::process::id())));
    programs.write("Cargo.toml", b"[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\nexclude = [\"telemark\"]\n");
    programs.write("src/main.rs", b"fn main() {\n    println!(\"hello\");\n}\n");
    let features = "[features]\nconsole = []\notlp = []\ntermination = []\n";
    let telemark =
        format!("[package]\nname = \"telemark\"\nversion = \"0.9.0\"\nedition = \"2024\"\n[workspace]\n{features}");
    programs.write("telemark/Cargo.toml", telemark.as_bytes());
    programs.write("telemark/src/lib.rs", b"compile_error!(\"out of order\");\n");
    // With a lock file and without one.
    for has_lock in [false, true] {
        assert_eq!(programs.0.join("Cargo.lock").exists(), has_lock);
        let mut command = programs.command(env!("CARGO_BIN_EXE_cargo-telemark"));
        let output = command.args(["telemark", "run", "--offline", "--telemark-path", "telemark"]).output().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"hello\n"[..]), "{}", text(&output));
        let expected = "cargo telemark: telemark 0.9.0, which only telemetry needs, does not compile, and the program goes without: out of order\n";
        assert!(text(&output).contains(expected), "{}", text(&output));
        assert!(!text(&output).contains("error"), "{}", text(&output));
    }
    fs::remove_dir_all(&programs.0).unwrap();
}
