//! `cargo telemark add` on programs that know nothing of telemetry: the patch, the files that it never touches, and a result that compiles.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]

use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "support/workspace.rs"]
mod workspace;

use workspace::{Workspace, text};

impl Workspace {
    #[track_caller]
    fn apply(&self, arguments: &[&str]) -> String {
        let output = self.telemark(&[&["add", "--apply"], arguments].concat());
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    /// Copies the programs of the tests.
    fn copy(&self, sources: &Path, inside: &Path) {
        for entry in fs::read_dir(sources.join(inside)).unwrap() {
            let path = inside.join(entry.unwrap().file_name());
            match sources.join(&path).is_dir() {
                true => self.copy(sources, &path),
                false => {
                    let text = fs::read_to_string(sources.join(&path)).unwrap();
                    self.write(path.to_str().unwrap().trim_end_matches(".txt"), &text);
                }
            }
        }
    }
}

const MANIFEST: &str =
    "[package]\nname = \"a\"\nedition = \"2024\"\n\n[dependencies]\naxum = \"0.8\" # the server\nreqwest = \"0.12\"\n";
const LOCK: &str =
    "[[package]]\nname = \"axum\"\nversion = \"0.8.9\"\n[[package]]\nname = \"reqwest\"\nversion = \"0.12.9\"\n";
const MAIN: &str = "use axum::Router;\n\nmod generated;\n\n#[tokio::main]\nasync fn main() -> anyhow::Result<()> {\n    let app = Router::new();\n    \
                    axum::serve(listener, app.into_make_service()).await?;\n    Ok(())\n}\n\n/// Waits.\n#[must_use]\npub async fn wait() {\n    a().await;\n    \
                    tokio::spawn(b());\n}\n";

fn small(name: &str) -> Workspace {
    let generated = "// @generated\nasync fn c() { a(); b(); }\n";
    let files = [
        ("Cargo.toml", MANIFEST),
        ("Cargo.lock", LOCK),
        ("src/main.rs", MAIN),
        ("src/generated.rs", generated),
        ("examples/use.rs", MAIN),
        ("build.rs", "fn main() { a(); }"),
    ];
    Workspace::new(name, &files)
}

#[test]
fn the_patch_is_what_is_applied() {
    let workspace = small("patch").committed();
    let output = workspace.telemark(&["add"]);
    let expected = r#"--- a/src/main.rs
+++ b/src/main.rs
@@ -4,14 +4,16 @@
 
 #[tokio::main]
 async fn main() -> anyhow::Result<()> {
+    let _telemetry = telemark::init()?;
     let app = Router::new();
-    axum::serve(listener, app.into_make_service()).await?;
+    axum::serve(listener, app.layer(telemark::axum::layer()).into_make_service()).await?;
     Ok(())
 }
 
 /// Waits.
+#[telemark::traced(below)]
 #[must_use]
 pub async fn wait() {
     a().await;
-    tokio::spawn(b());
+    tokio::spawn(telemark::propagate(b()));
 }
--- a/Cargo.toml
+++ b/Cargo.toml
@@ -5,3 +5,4 @@
 [dependencies]
 axum = "0.8" # the server
 reqwest = "0.12"
+telemark = { version = "0.1.0", features = ["axum"] }
"#;
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("note: reqwest 0.12.9 is left alone: Telemark knows reqwest 0.13.*\n"), "{said}");
    assert_eq!(workspace.git(&["status", "--porcelain"]), "");

    workspace.write(".git/patch", &String::from_utf8(output.stdout).unwrap());
    workspace.git(&["apply", ".git/patch"]);
    let patched = [workspace.read("src/main.rs"), workspace.read("Cargo.toml")];
    workspace.git(&["checkout", "--quiet", "."]);
    assert!(workspace.apply(&[]).starts_with("changed src/main.rs\nchanged Cargo.toml\n"));
    assert_eq!([workspace.read("src/main.rs"), workspace.read("Cargo.toml")], patched);
    // Generated files, examples, build scripts and the lock file stay as they are, and so does everything the second time.
    assert_eq!(workspace.git(&["status", "--porcelain"]), " M Cargo.toml\n M src/main.rs\n");
    assert!(workspace.apply(&[]).contains("nothing to add"));
}

#[test]
fn files_of_others_stay() {
    let others = "pub async fn a() {\n    b();\n    c();\n}\n";
    let outside = Workspace::new("others", &[("outside.rs", others)]);
    let path = outside.0.join("outside.rs");
    let main = format!("mod ignored; mod linked; #[path = {path:?}] mod outside;\nfn main() {{}}\n");
    let workspace = Workspace::new(
        "of-others",
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"a\"\nedition = \"2024\"\n[dependencies]\ndep = { path = \"vendor/dep\" }\n",
            ),
            ("Cargo.lock", LOCK),
            (".gitignore", "src/ignored.rs\n/target\n"),
            ("src/main.rs", &main),
            ("src/ignored.rs", others),
            ("target/debug/build/a/out/made.rs", others),
            ("vendor/dep/Cargo.toml", "[package]\nname = \"dep\"\nedition = \"2024\"\n"),
            ("vendor/dep/src/lib.rs", others),
        ],
    );
    std::os::unix::fs::symlink(&path, workspace.0.join("src/linked.rs")).unwrap();
    let workspace = workspace.committed();
    let said = workspace.apply(&[]);
    assert!(said.starts_with("changed src/main.rs\nchanged Cargo.toml\n"), "{said}");
    assert_eq!(workspace.git(&["status", "--porcelain"]), " M Cargo.toml\n M src/main.rs\n");
    for path in ["src/ignored.rs", "target/debug/build/a/out/made.rs", "src/linked.rs"] {
        assert_eq!(workspace.read(path), others, "{path}");
    }
}

#[test]
fn uncommitted_files_are_not_changed() {
    let workspace = small("dirty");
    // In a repository of its own, which has no commit yet.
    workspace.git(&["init", "--quiet"]);
    let output = workspace.telemark(&["add", "--apply"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(said.contains("cargo telemark: these files are not committed:\n  ?? Cargo.lock\n"), "{said}");
    assert_eq!(workspace.read("src/main.rs"), MAIN);
    assert!(workspace.telemark(&["add"]).status.success());
    assert!(workspace.apply(&["--allow-dirty"]).contains("changed src/main.rs"));

    let alone = small("alone");
    let refused = text(&alone.telemark(&["add", "--apply"]));
    let applied = text(&alone.telemark(&["add", "--apply", "--allow-no-vcs"]));
    assert!(refused.contains("is in no git repository") && refused.contains("--allow-no-vcs"), "{refused}");
    assert!(applied.starts_with("changed src/main.rs\n"), "{applied}");
}

#[test]
fn what_is_there_stays() {
    let source = "fn main() {\n    let _telemetry = start();\n    axum::serve(l, app());\n}\nfn start() -> Guard {\n    telemark::builder().init()\n}\n\
                  fn app() -> axum::Router {\n    axum::Router::new().layer(telemark::axum::layer())\n}\nasync fn a() {\n    b();\n    c();\n}\n\
                  async fn chosen() {\n    b();\n}\n";
    let manifest = "[package]\nname = \"a\"\n[dependencies]\naxum = \"0.8\"\ntelemark = \"0.1\"\n";
    let rules = "[[rule]]\npath = \"a::chosen\"\nspan = \"root\"\n";
    let files = [("Cargo.toml", manifest), ("Cargo.lock", LOCK), ("src/main.rs", source), ("telemark.toml", rules)];
    let workspace = Workspace::new("there", &files).committed();
    workspace.apply(&[]);
    let expected = source.replace("async fn chosen", "#[telemark::traced(root)]\nasync fn chosen");
    assert_eq!((workspace.read("src/main.rs"), workspace.read("Cargo.toml")), (expected, manifest.to_owned()));
}

#[test]
fn what_is_not_known_is_left_to_people() {
    let source =
        "fn main() {\n    tracing_subscriber::registry().with(layer).init();\n    axum::serve(l, made());\n}\n";
    let manifest = "[package]\nname = \"a\"\nedition = \"2021\"\n[dependencies]\naxum = \"0.8\"\ntracing = \"0.1\"\n";
    let lock = format!("{LOCK}[[package]]\nname = \"tracing\"\nversion = \"0.1.44\"\n");
    let files = [("Cargo.toml", manifest), ("Cargo.lock", lock.as_str()), ("src/main.rs", source)];
    let said = Workspace::new("people", &files).committed().apply(&[]);
    for note in [
        "note: src/main.rs:3: the type of what is served is not known here: if it is a router, it needs `.layer(telemark::axum::layer())`",
        "note: src/main.rs:1: add `.with(telemark::tracing::layer())` to the subscriber",
    ] {
        assert!(said.contains(note), "{note} is not in\n{said}");
    }
}

/// Programs in forms that those of the other test do not have.
const VARIANTS: [(&str, &str); 4] = [
    (
        "variants/Cargo.toml",
        "[package]\nname = \"variants\"\nedition = \"2024\"\n\n[dependencies]\naxum = { version = \"0.8\", default-features = false, features = [\"http1\", \"tokio\"] }\n\
         tokio = { version = \"1\", features = [\"macros\", \"net\", \"rt\"] }\ntonic = { version = \"0.14\", default-features = false, features = [\"router\", \"server\"] }\n\
         tracing = \"0.1\"\ntracing-subscriber = { version = \"0.3\", default-features = false, features = [\"fmt\"] }\n",
    ),
    (
        "variants/src/bin/lines.rs",
        "fn main() -> Result<(), Box<dyn std::error::Error>> {\n    tracing_subscriber::fmt().init();\n    tracing::info!(\"started\");\n    Ok(())\n}\n",
    ),
    (
        "variants/src/bin/grpc.rs",
        "use tonic::transport::Server;\n\n#[tokio::main(flavor = \"current_thread\")]\nasync fn main() -> Result<(), tonic::transport::Error> {\n    \
         let routes = tonic::service::Routes::default();\n    Server::builder().add_routes(routes).serve(([127, 0, 0, 1], 0).into()).await\n}\n",
    ),
    (
        "variants/src/bin/nested.rs",
        "use axum::{Router, routing::get};\n\nfn main() {\n    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();\n    \
         runtime.block_on(async {\n        let mut app = Router::new().route(\"/\", get(async || \"\"));\n        app = app.fallback(async || \"\");\n        \
         let listener = tokio::net::TcpListener::bind(\"127.0.0.1:0\").await.unwrap();\n        axum::serve(listener, app).await.unwrap();\n    });\n}\n",
    ),
];

#[test]
fn the_result_compiles() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = Workspace::inside(Path::new(env!("CARGO_TARGET_TMPDIR")).join("added"), &VARIANTS);
    workspace.copy(&sources, Path::new(""));
    // With telemetry, the author of `numbers` has to name a type.
    let members = workspace.read("Cargo.toml").replace(", \"numbers\"", "");
    let members = members.replace("\"web\"", "\"variants\", \"web\"");
    workspace.write("Cargo.toml", &members);
    workspace.write("Cargo.lock", &fs::read_to_string(repository.join("Cargo.lock")).unwrap());
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(std::env::var("CARGO").unwrap());
        cargo.args(arguments).arg("--offline").current_dir(&workspace.0);
        // The build of the other test has compiled C code and macros that these programs need.
        cargo.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs/target/telemark/build"));
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    cargo(&["update", "--workspace", "--quiet"]);
    workspace.commit();
    let checkout = repository.to_str().unwrap();
    let said = workspace.apply(&["--telemark-path", checkout]);
    let note =
        "tool/core/src/lib.rs:17: the function has no parameter `text` for the field of its rule, and gets no span";
    assert!(said.contains(note), "{said}");
    assert!(workspace.apply(&["--telemark-path", checkout]).contains("nothing to add"));

    let said = cargo(&["check", "--workspace", "--all-targets"]);
    assert!(!said.contains("warning: unused"), "{said}");
    let audit = text(&workspace.telemark(&["audit", "--min-coverage", "100"]));
    assert!(audit.contains("4 of 4 entry points have a span: 100 %"), "{audit}");
    for check in ["handler:", "client:", "pool:"] {
        assert!(!audit.contains(check), "{audit}");
    }
}
