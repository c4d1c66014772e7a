//! `cargo telemark audit` on small programs, which are only read.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]

use std::fs;
use std::process::{Command, Output};

#[path = "support/workspace.rs"]
mod workspace;

use workspace::{Workspace, text};

const LOCK: &str = "axum 0.8.9, hyper 1.8.1, hyper-util 0.1.19, reqwest 0.13.5, sqlx 0.9.0, tonic 0.14.5";

/// Writes a package with these files, which uses the libraries.
fn package(name: &str, files: &[(&str, &str)]) -> Workspace {
    let (manifest, lock) = (manifest(name), lock(LOCK));
    let common = [("Cargo.toml", manifest.as_str()), ("Cargo.lock", lock.as_str())];
    Workspace::new(name, &[&common, files].concat())
}

impl Workspace {
    fn audit(&self, arguments: &[&str]) -> Output {
        self.telemark(&[&["audit"], arguments].concat())
    }

    /// Returns the lines with findings and the share, after checking that the exit status fits to them.
    #[track_caller]
    fn findings(&self) -> Vec<String> {
        let output = self.audit(&[]);
        let text = text(&output);
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("   ")).map(str::to_owned).collect();
        let is_clean = lines.last().is_some_and(|last| last == "no findings");
        assert_eq!(output.status.code(), Some(i32::from(!is_clean)), "{text}");
        lines
    }
}

fn manifest(name: &str) -> String {
    let used = ["axum", "hyper", "hyper-util", "reqwest", "sqlx", "tonic"].map(|name| format!("{name} = \"*\"\n"));
    format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[dependencies]\ntelemark = \"*\"\n{}", used.concat())
}

fn lock(packages: &str) -> String {
    let packages = packages.split(", ").map(|package| {
        let (name, version) = package.split_once(' ').unwrap();
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
    });
    packages.collect()
}

/// Checks the findings in a source: the line, the check, and the start of the sentence.
#[track_caller]
fn check(name: &str, source: &str, expected: &[&str]) {
    let workspace = package(name, &[("src/main.rs", source)]);
    let found = workspace.findings();
    let expected: Vec<_> = expected.iter().map(|line| line.replace("main:", "src/main.rs:")).collect();
    assert_eq!(found[..found.len() - 1], expected, "{source}");
}

const NONE: &str = "no entry points are known";

#[test]
fn handlers_are_below_a_layer() {
    let all = "1 of 1 entry points have a span: 100 %";
    let none = "0 of 1 entry points have a span: 0 %";
    let finding = "main:3: handler: the handler of /a, `list`, has no span";
    let source = |app: &str, rest: &str| {
        format!(
            "use axum::{{Router, routing::get}};\nfn app() -> Router {{\n    Router::new().route(\"/a\", get(list)){app}\n}}\n{rest}"
        )
    };
    let list = "async fn list() {}\n";
    check("bare", &source("", list), &[finding, none]);
    check("layer", &source(".layer(telemark::axum::layer())", list), &[all]);
    check("imported", &source(".layer(layer())", &format!("use telemark::axum::layer;{list}")), &[all]);
    check(
        "before",
        "fn a() { axum::Router::new().layer(telemark::axum::layer()).route(\"/\", axum::routing::get(b)); }",
        &["main:1: handler: the handler of /, `b`, has no span", none],
    );
    check("span", &source("", "#[telemark::traced]\nasync fn list() {}"), &[all]);
    check(
        "in-function",
        &source(
            "",
            "async fn list() {}\nfn b() { serve(app()) }\nfn serve(app: Router) { axum::serve(l, app.layer(telemark::axum::layer())); }",
        ),
        &[all],
    );
    check(
        "in-variable",
        &source(
            "",
            "async fn list() {}\nfn b() { let layer = telemark::axum::layer(); let mut a = app(); a = a.layer(layer); }",
        ),
        &[all],
    );
    check(
        "merged",
        &source(
            "",
            "async fn list() {}\nfn b() -> Router { Router::new().nest(\"/x\", app()).layer(telemark::axum::layer()) }",
        ),
        &[all],
    );
    check(
        "merged-after",
        &source(
            "",
            "async fn list() {}\nfn b() -> Router { Router::new().layer(telemark::axum::layer()).merge(app()) }",
        ),
        &[finding, none],
    );
    let of_tracing = ".layer(ServiceBuilder::new().layer(tower_http::trace::TraceLayer::new_for_http()))";
    check("other-spans", &source(of_tracing, list), &[finding, none]);
    let installed = format!("fn a() {{ telemark::tracing::install(t); }} {list}");
    check("installed", &source(of_tracing, &installed), &[all]);
    check("other-layer", &source(".layer(cors())", list), &[finding, none]);
    check(
        "own-function",
        &source(".layer(observed())", &format!("fn observed() -> L {{ telemark::axum::layer() }}\n{list}")),
        &[all],
    );
    check("tests", &format!("#[cfg(test)] mod tests {{ {} }}", source("", list)), &[NONE]);
}

#[test]
fn grpc_methods_are_below_a_layer() {
    let service = "#[tonic::async_trait]\nimpl Greeter for Mine {\n    async fn greet(&self, of: Request<A>) -> Result<Response<B>, Status> { self.greeting(of) }\n}\n";
    let finding = "main:3: handler: the handler, `Mine::greet`, has no span";
    check(
        "grpc",
        &format!("{service}fn a() {{ tonic::transport::Server::builder(); }}"),
        &[finding, "0 of 1 entry points have a span: 0 %"],
    );
    check(
        "grpc-layer",
        &format!("{service}fn a() {{ Server::builder().layer(telemark::tonic::server_layer()); }}"),
        &["1 of 1 entry points have a span: 100 %"],
    );
}

#[test]
fn tasks_of_a_request_keep_its_context() {
    check(
        "spawn",
        "#[traced]\nasync fn a() {\n    tokio::spawn(b());\n    tokio::spawn(telemark::propagate(b()));\n    std::thread::spawn(|| ());\n    \
         telemark::spawn(b());\n    loop { let c = listener.accept().await; tokio::spawn(c); }\n}\nasync fn other() { tokio::spawn(b()); }",
        &[
            "main:3: spawn: `tokio::spawn` leaves the trace of its request",
            "main:5: spawn: `std::thread::spawn` leaves the trace of its request",
            NONE,
        ],
    );
    check(
        "spawn-blocking",
        "use tokio::task;\nfn app() { axum::Router::new().route(\"/\", axum::routing::get(list)).layer(telemark::axum::layer()); }\n\
         async fn list() {\n    task::spawn_blocking(|| 1);\n}",
        &[
            "main:4: spawn: `tokio::task::spawn_blocking` leaves the trace of its request",
            "1 of 1 entry points have a span: 100 %",
        ],
    );
}

#[test]
fn clients_and_pools_are_observed() {
    check(
        "clients",
        "fn a() {\n    reqwest::Client::new();\n    telemark::reqwest::Client::new();\n    sqlx::sqlite::SqlitePoolOptions::new();\n    \
         telemark::sqlx::SqlitePool::connect(\"\");\n    tonic::transport::Channel::from_static(\"\");\n    \
         hyper_util::client::legacy::Client::builder(e);\n    shop::shop_client::ShopClient::connect(\"\");\n    sqlx::AnyPool::connect(\"\");\n}",
        &[
            "main:2: client: calls through `reqwest::Client::new` have no span and send no context",
            "main:4: pool: statements behind `sqlx::sqlite::SqlitePoolOptions::new` have no span",
            "main:6: client: calls through `tonic::transport::Channel::from_static` have no span and send no context",
            "main:7: client: calls through `hyper_util::client::legacy::Client::builder` have no span and send no context",
            "main:8: client: calls through `shop::shop_client::ShopClient::connect` have no span and send no context",
            NONE,
        ],
    );
    check("imported-client", "use telemark::reqwest;\nfn a() { reqwest::Client::new(); }", &[NONE]);
    check(
        "wrapped",
        "fn a() { telemark::hyper::client(hyper_util::client::legacy::Client::builder(e)); }\n\
         fn b() { layer(telemark::tonic::client_layer(t)).service(tonic::transport::Channel::from_static(\"\")); }",
        &[NONE],
    );
    check(
        "logged",
        "fn main() { with(telemark::tracing::install); }\nfn b() { sqlx::SqlitePool::connect(\"\"); }",
        &[NONE],
    );
}

#[test]
fn printing_belongs_to_commands() {
    let source = "fn main() {\n    println!();\n}\nasync fn a() {\n    println!();\n    dbg!(1);\n}\n#[traced]\nfn b() {\n    eprintln!();\n}";
    let left = "main:6: print: `dbg!` is left over";
    let request = "main:10: print: `eprintln!` writes past the logs";
    check("print", source, &[left, request, NONE]);
    let workspace = package("print-lib", &[("src/lib.rs", source)]);
    assert!(workspace.findings().contains(&"src/lib.rs:5: print: `println!` writes past the logs".to_owned()));
    let everywhere = ("telemark.toml", "[audit]\nprint = \"everywhere\"");
    let workspace = package("print-all", &[("src/main.rs", source), everywhere]);
    assert_eq!(workspace.findings().len(), 4 + 2);
}

#[test]
fn errors_that_matter_are_not_dropped() {
    check(
        "errors",
        "async fn a() {\n    let _ = transaction.commit().await;\n    save().ok();\n    let _ = save();\n    _ = save();\n    let _ = sender.send(1);\n    \
         let _ = number();\n    let _ = save()?;\n    let kept = save();\n    let _ = write!(text, \"\");\n}\n\
         fn save() -> io::Result<()> { let _ = save(); Ok(()) }\nfn number() -> u32 { 1 }\nimpl Drop for A { fn drop(&mut self) { save().ok(); } }",
        &[
            "main:2: error: the error of `commit` is dropped",
            "main:3: error: the error of `save` is dropped",
            "main:4: error: the error of `save` is dropped",
            "main:5: error: the error of `save` is dropped",
            NONE,
        ],
    );
}

#[test]
fn findings_can_be_allowed() {
    let source = "fn app() {\n    // telemark: allow(handler): only the scraper asks\n    axum::Router::new().route(\"/metrics\", axum::routing::get(page));\n    \
                  reqwest::Client::new(); // telemark: allow(client)\n    dbg!(1); // telemark: allow(prints)\n    a(); // telemark: allow(pool)\n}";
    let workspace = package("allowed", &[("src/main.rs", source)]);
    let expected = [
        "src/main.rs:5: print: `dbg!` is left over",
        "note: src/main.rs:5: allow(prints) names no check: expected handler, spawn, client, pool, print, error",
        "note: src/main.rs:6: allow(pool) allows nothing",
        NONE,
        "1 finding",
    ];
    assert_eq!(workspace.findings(), expected);
    workspace.write("telemark.toml", "[audit]\noff = [\"print\", \"pool\"]\n");
    assert_eq!(workspace.findings()[1..], [NONE.to_owned(), "no findings".to_owned()]);
    workspace.write("telemark.toml", "[audit]\nfile = \"src/**\"\n");
    assert_eq!(workspace.findings(), [NONE, "no findings"]);
    workspace.write("telemark.toml", "[audit]\noff = [\"prints\"]\nmin-coverage = 101\n");
    let output = workspace.audit(&[]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "cargo telemark: telemark.toml: line 2, column 7: \"prints\" is not known: expected \"handler\", \"spawn\", \"client\", \
                    \"pool\", \"print\", \"error\"\n\
                    cargo telemark: telemark.toml: line 3, column 16: expected a whole number from 0 to 100\n";
    assert_eq!(text(&output), expected);
}

#[test]
fn the_share_of_entry_points_decides_in_ci() {
    let source = "use axum::routing::get;\nfn a() { axum::Router::new().route(\"/a\", get(a)).route(\"/b\", get(b)); }\n#[traced]\nfn a() {}\nfn b() {}";
    let rules = |min| format!("[audit]\noff = \"handler\"\n{min}");
    let workspace = package("share", &[("src/main.rs", source), ("telemark.toml", &rules(""))]);
    let status = |arguments: &[&str]| workspace.audit(arguments).status.code();
    assert_eq!(status(&["--min-coverage", "50"]), Some(0));
    let output = workspace.audit(&["--min-coverage", "51"]);
    assert_eq!(output.status.code(), Some(1));
    let expected =
        "1 of 2 entry points have a span: 50 %\nat least 51 % of the entry points must have one\nno findings\n";
    assert_eq!(text(&output), expected);
    assert_eq!(status(&["--min-coverage", "101"]), Some(2));
    assert_eq!(status(&["--package", "other"]), Some(1));
    workspace.write("telemark.toml", &rules("min-coverage = 60"));
    assert_eq!(status(&[]), Some(1));

    let json: serde_json::Value = serde_json::from_slice(&workspace.audit(&["--json"]).stdout).unwrap();
    let expected = serde_json::json!({
        "version": 1, "ok": false, "entry_points": {"covered": 1, "all": 2, "percent": 50}, "min_coverage": 60,
        "findings": [], "notes": [],
    });
    assert_eq!(json, expected);
    workspace.write("telemark.toml", "");
    let json: serde_json::Value = serde_json::from_slice(&workspace.audit(&["--json"]).stdout).unwrap();
    let expected = serde_json::json!([{
        "check": "handler", "file": "src/main.rs", "line": 2, "finding": "the handler of /b, `b`, has no span",
        "advice": "put `.layer(telemark::axum::layer())` after the last route of its router, or `#[telemark::traced]` on the handler",
    }]);
    assert_eq!(json["findings"], expected);
}

#[test]
fn only_the_source_of_the_authors_is_read() {
    let source = "fn a() { dbg!(1); }";
    let elsewhere = package("elsewhere", &[("outside.rs", source)]);
    let outside = elsewhere.0.join("outside.rs");
    let root = format!(
        "mod generated; mod ignored; #[path = {outside:?}] mod outside; mod linked; mod broken;
{source}"
    );
    let workspace = package(
        "authors",
        &[
            ("src/lib.rs", &root),
            ("src/generated.rs", &format!("// @generated by a tool\n{source}")),
            ("src/ignored.rs", source),
            ("src/broken.rs", "fn ("),
            ("examples/use.rs", "fn main() { dbg!(1); }"),
            ("tests/all.rs", source),
            (".gitignore", "src/ignored.rs\n"),
            ("Cargo.lock", &lock("axum 0.7.9, reqwest 0.13.5")),
        ],
    );
    let git = Command::new("git").args(["init", "--quiet"]).current_dir(&workspace.0).status().unwrap();
    assert!(git.success());
    std::os::unix::fs::symlink(&outside, workspace.0.join("src/linked.rs")).unwrap();
    let expected = [
        "src/lib.rs:2: print: `dbg!` is left over",
        "note: axum 0.7.9 is left alone: Telemark knows axum 0.8.*",
        "note: hyper of no version in Cargo.lock is left alone: Telemark knows hyper 1.*",
        "note: hyper-util of no version in Cargo.lock is left alone: Telemark knows hyper-util 0.1.*",
        "note: sqlx of no version in Cargo.lock is left alone: Telemark knows sqlx 0.9.*",
        "note: tonic of no version in Cargo.lock is left alone: Telemark knows tonic 0.14.*",
        "note: src/broken.rs is not read: line 1: cannot parse string into token stream",
        "note: src/generated.rs is not read: generated",
        "note: src/ignored.rs is not read: generated",
        NONE,
        "1 finding",
    ];
    assert_eq!(workspace.findings(), expected);
}

#[test]
fn the_shop_has_no_findings() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let arguments = ["telemark", "audit", "--offline", "--package", "telemark-examples", "--min-coverage", "100"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-telemark"));
    let output = command.args(arguments).current_dir(repository).output().unwrap();
    assert_eq!(text(&output), "8 of 8 entry points have a span: 100 %\nno findings\n");
}

#[test]
fn versions_that_are_not_known_are_an_error() {
    let workspace = package("no-lock", &[("src/main.rs", "fn main() {}")]);
    fs::remove_file(workspace.0.join("Cargo.lock")).unwrap();
    let output = workspace.audit(&["--min-coverage", "100"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("has no Cargo.lock, whose versions decide"), "{}", text(&output));
}

#[test]
fn a_program_without_telemark_gets_it_from_add() {
    let workspace = package("without", &[("src/main.rs", "fn main() { dbg!(1); }")]);
    workspace.write("Cargo.toml", "[package]\nname = \"without\"\nedition = \"2024\"\n");
    let note = "note: no package depends on telemark: `cargo telemark add` shows a patch with most of these changes";
    assert!(workspace.findings().contains(&note.to_owned()));
    workspace.write("src/main.rs", "fn main() {}");
    assert!(!workspace.findings().contains(&note.to_owned()));
}
