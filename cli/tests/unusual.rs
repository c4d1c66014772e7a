//! `cargo telemark run` in workspaces that are hard to copy, and in situations that are hard to survive. Telemark is a double here, which says
//! that it is there and whose attribute changes nothing, so that a build takes no time.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[path = "support/workspace.rs"]
mod workspace;

use workspace::{Workspace, text};

const DOUBLE: [(&str, &str); 4] = [
    (
        "telemark/Cargo.toml",
        "[package]\nname = \"telemark\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[features]\nconsole = []\notlp = []\ntermination = []\n\
         [dependencies]\ntelemark-macros.path = \"macros\"\n[workspace]\n",
    ),
    (
        "telemark/src/lib.rs",
        "pub use telemark_macros::traced;\npub fn auto() -> Option<()> { eprintln!(\"telemetry is there\"); None }\n",
    ),
    (
        "telemark/macros/Cargo.toml",
        "[package]\nname = \"telemark-macros\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[lib]\nproc-macro = true\n",
    ),
    (
        "telemark/macros/src/lib.rs",
        "use proc_macro::TokenStream;\n#[proc_macro_attribute]\npub fn traced(_: TokenStream, item: TokenStream) -> TokenStream { item }\n",
    ),
];

/// A program below `program`, and what it needs.
struct Program(Workspace);

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    status: Option<i32>,
    stdout: String,
}

impl Program {
    fn new(name: &str, files: &[(&str, &str)]) -> Program {
        let all = Workspace::new(name, &DOUBLE);
        files.iter().for_each(|(path, text)| all.write(path, text));
        Program(all)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.0.join(path)
    }

    fn cargo(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var("CARGO").unwrap());
        command.args([verb, "--offline"]).args(arguments).current_dir(self.path("program"));
        clean(&mut command);
        command
    }

    fn telemark(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = self.0.command(&[verb, "--offline", "--telemark-path"]);
        command.arg(self.path("telemark")).args(arguments).current_dir(self.path("program"));
        clean(&mut command);
        command
    }

    /// Runs the program with telemetry and returns what it did, which is what it does without.
    #[track_caller]
    fn runs(&self, arguments: &[&str]) -> Ran {
        let plain = with_input(&mut self.cargo("run", arguments));
        let traced = with_input(&mut self.telemark("run", arguments));
        let said = text(&traced);
        assert!(said.contains("telemetry is there\n"), "{said}");
        assert!(!said.contains("goes without"), "{said}");
        let ran = |output: &Output| Ran {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        };
        assert_eq!(ran(&traced), ran(&plain), "{said}\n{}", text(&plain));
        ran(&plain)
    }
}

/// Removes what the cargo of this test has set.
fn clean(command: &mut Command) {
    let of_cargo =
        ["CARGO_TARGET_DIR", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"];
    of_cargo.iter().for_each(|name| _ = command.env_remove(name));
    command.env("RUST_BACKTRACE", "0");
}

fn with_input(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not start has no input.
    let _ = child.stdin.take().unwrap().write_all("line é\n".as_bytes());
    child.wait_with_output().unwrap()
}

const MANIFEST: &str = "[package]\nname = \"program\"\nversion = \"1.2.3\"\nedition = \"2021\"\n";
const MAIN: &str = "fn main() {\n    println!(\"ran\");\n}\n";

#[test]
fn a_program_has_its_arguments_its_input_its_variables_and_its_status() {
    let main = "use std::io::Read;\n\nfn main() {\n    let mut input = String::new();\n    std::io::stdin().read_to_string(&mut input).unwrap();\n    \
        let arguments: Vec<_> = std::env::args().skip(1).collect();\n    println!(\"{input:?} {arguments:?} {:?}\", std::env::current_dir());\n    \
        for name in [\"CARGO_MANIFEST_DIR\", \"CARGO_MANIFEST_PATH\", \"CARGO_PKG_VERSION\", \"SET\", \"RUSTC_WRAPPER\"] {\n        \
        println!(\"{name} {:?}\", std::env::var_os(name));\n    }\n    std::process::exit(7);\n}\n";
    let program = Program::new(
        "arguments",
        &[
            ("program/Cargo.toml", MANIFEST),
            ("program/src/main.rs", main),
            ("program/.cargo/config.toml", "[env]\nSET = \"by the configuration\"\n"),
        ],
    );
    let ran = program.runs(&["--", "--release", "a b", "é", ""]);
    assert_eq!(ran.status, Some(7));
    assert!(ran.stdout.starts_with("\"line é\\n\" [\"--release\", \"a b\", \"é\", \"\"]"), "{}", ran.stdout);

    // One start of cargo builds and runs, so nothing can take the place of the program in between.
    let log = program.path("log");
    let cargo = program.path("cargo");
    fs::write(&cargo, format!("#!/bin/sh\necho $1 >> {log:?}\nexec {:?} \"$@\"\n", std::env::var("CARGO").unwrap()))
        .unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let output = with_input(program.telemark("run", &[]).env("CARGO", &cargo));
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    assert_eq!(fs::read_to_string(&log).unwrap(), "metadata\nrun\n");
    // Cargo says what it runs, and not how.
    assert!(text(&output).contains("     Running `target/telemark/build/debug/program`\n"), "{}", text(&output));
    assert!(!program.path("program/target/debug/.fingerprint").join("telemark").exists());
}

#[test]
fn files_are_found_wherever_they_are() {
    let main = "mod linked;\nmod folder;\n#[path = \"../outside of src/é.rs\"]\nmod odd;\ninclude!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\n\
        fn main() {\n    println!(\"{} {} {} {MADE}\", linked::NAME, folder::inner::NAME, odd::NAME);\n    \
        println!(\"{:?} {:?}\", include_str!(\"../data/ü.txt\"), include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/data/ü.txt\")));\n    \
        println!(\"{} {} {}\", member::NAME, outside::NAME, nested::NAME);\n    println!(\"{}\", reads::read!());\n    \
        println!(\"{}\", std::fs::read_to_string(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/data/ü.txt\")).unwrap());\n    println!(\"{}\", file!());\n}\n";
    let package = |name: &str| format!("[package]\nname = \"{name}\"\nedition = \"2021\"\n");
    let library = |of: &str| {
        format!("pub const NAME: &str = {of:?};\npub async fn work() {{\n    let a = 1;\n    drop(a);\n}}\n")
    };
    let manifest = format!(
        "{MANIFEST}[dependencies]\nmember.path = \"memb er/ä\"\noutside.path = \"../out side/lib\"\nnested.path = \"nested/inner\"\nreads.path = \"reads\"\n\
         [workspace]\nmembers = [\"memb er/*\"]\nexclude = [\"nested\"]\n"
    );
    let build = "use std::{env, fs};\n\nfn main() {\n    println!(\"cargo:rerun-if-changed=data\");\n    let text = fs::read_to_string(\"data/ü.txt\").unwrap();\n    \
        let file = env::var(\"OUT_DIR\").unwrap() + \"/made.rs\";\n    fs::write(file, format!(\"const MADE: &str = {text:?};\")).unwrap();\n}\n";
    let reads = "use proc_macro::TokenStream;\n#[proc_macro]\npub fn read(_: TokenStream) -> TokenStream {\n    let folder = std::env::var(\"CARGO_MANIFEST_DIR\").unwrap();\n    \
        let of_crate = std::fs::read_to_string(folder + \"/data/ü.txt\").unwrap();\n    \
        let of_folder = std::fs::read_to_string(\"data/ü.txt\").unwrap();\n    format!(\"{:?}\", of_crate + &of_folder).parse().unwrap()\n}\n";
    let files = [
        ("program/Cargo.toml", manifest.as_str()),
        ("program/build.rs", build),
        ("program/data/ü.txt", "text of a file"),
        ("program/src/main.rs", main),
        ("program/outside of src/é.rs", &library("odd")),
        ("elsewhere/linked.rs", &library("linked")),
        ("elsewhere/folder/mod.rs", "pub mod inner;\n"),
        ("elsewhere/folder/inner.rs", &library("inner")),
        ("program/memb er/ä/Cargo.toml", &package("member")),
        ("program/memb er/ä/src/lib.rs", &library("member")),
        ("out side/lib/Cargo.toml", &package("outside")),
        ("out side/lib/src/lib.rs", &library("outside")),
        ("program/nested/Cargo.toml", "[workspace]\nmembers = [\"inner\"]\n"),
        ("program/nested/inner/Cargo.toml", &package("nested")),
        ("program/nested/inner/src/lib.rs", &library("nested")),
        ("program/reads/Cargo.toml", &(package("reads") + "[lib]\nproc-macro = true\n")),
        ("program/reads/src/lib.rs", reads),
    ];
    // Composed and decomposed letters, a quote and a sign that paths have in settings.
    let program = Program::new("a b é e\u{301} 'x", &files);
    for (target, link) in [
        ("elsewhere/linked.rs", "program/src/linked.rs"),
        ("elsewhere/folder", "program/src/folder"),
        ("program", "program/data/cycle"),
        ("nowhere", "program/data/broken"),
    ] {
        symlink(program.path(target), program.path(link)).unwrap();
    }
    let ran = program.runs(&[]);
    assert!(ran.stdout.starts_with("linked inner odd text of a file\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("src/main.rs\n"), "{}", ran.stdout);
    // The folder is a link itself.
    symlink(program.path("program"), program.path("link")).unwrap();
    let output = program.telemark("run", &[]).current_dir(program.path("link")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), ran.stdout, "{}", text(&output));
}

#[test]
fn a_program_is_run_for_the_target_that_it_is_built_for() {
    let program = Program::new("targets", &[("program/Cargo.toml", MANIFEST), ("program/src/main.rs", MAIN)]);
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = text(&version);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let built = format!("target/telemark/build/{host}/debug/program");
    let check = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(
            text(&output).contains(&format!("Running `{built}`")) && text(&output).contains("ran\n"),
            "{}",
            text(&output)
        );
        assert!(text(&output).contains("telemetry is there\n"), "{}", text(&output));
    };
    check(&mut program.telemark("run", &["--target", host]));
    check(program.telemark("run", &[]).env("CARGO_BUILD_TARGET", host));
    program.0.write("program/.cargo/config.toml", &format!("[build]\ntarget = {host:?}\n"));
    check(&mut program.telemark("run", &[]));
    // The user's own runner still runs programs.
    let runner = "[target.'cfg(unix)']\nrunner = [\"sh\", \"-c\", \"echo through $0; exec $0\"]\n";
    program.0.write("program/.cargo/config.toml", runner);
    let output = program.telemark("run", &[]).output().unwrap();
    let through = "through target/telemark/build/debug/program\nran\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), through, "{}", text(&output));
}

#[test]
fn a_checkout_that_depends_on_something_else_is_noticed() {
    let program = Program::new("checkout", &[("program/Cargo.toml", MANIFEST), ("program/src/main.rs", MAIN)]);
    program.runs(&[]);
    let (_, manifest) = DOUBLE[0];
    program.0.write(
        "telemark/more/Cargo.toml",
        "[package]\nname = \"telemark-more\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    program.0.write("telemark/more/src/lib.rs", "");
    let manifest = manifest.replace("[workspace]", "telemark-more.path = \"more\"\n[workspace]");
    program.0.write("telemark/Cargo.toml", &manifest);
    program.runs(&[]);
}

#[test]
fn a_panic_in_a_copy_of_a_dependency_names_the_original() {
    let library = "pub async fn fails() {\n    let a = std::env::args().count();\n    assert_eq!(a, 0);\n}\npub fn run() {\n    \
        let future = std::pin::pin!(fails());\n    let _ = std::future::Future::poll(future, &mut std::task::Context::from_waker(std::task::Waker::noop()));\n}\n";
    let program = Program::new(
        "copies",
        &[
            ("program/Cargo.toml", &format!("{MANIFEST}[dependencies]\nlibrary.path = \"../library\"\n")),
            ("program/src/main.rs", "fn main() {\n    library::run();\n}\n"),
            ("program/telemark.toml", "[[dependency]]\nname = \"library\"\n"),
            ("library/Cargo.toml", "[package]\nname = \"library\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
            ("library/src/lib.rs", library),
        ],
    );
    // Copies need a lock file.
    assert!(program.cargo("generate-lockfile", &[]).status().unwrap().success());
    let explained = text(&program.telemark("explain", &[]).output().unwrap());
    let place = |output: Output| {
        let said = text(&output);
        let (_, place) = said.split_once("panicked at ").unwrap_or_else(|| panic!("{said}"));
        place.lines().next().unwrap().to_owned()
    };
    let plain = place(program.cargo("run", &[]).output().unwrap());
    assert_eq!(plain, format!("{}:3:5:", program.path("library/src/lib.rs").display()));
    assert_eq!(place(program.telemark("run", &[]).output().unwrap()), plain, "{explained}");
    let copy =
        fs::read_to_string(program.path("program/target/telemark/dependencies/library-0.1.0/src/lib.rs")).unwrap();
    assert!(copy.contains("traced"), "{copy}\n{explained}");
    // A wrapper of all compilations stays.
    let wrapper = program.path("wrapper");
    fs::write(&wrapper, "#!/bin/sh\necho \"$@\" >> \"$0.log\"\nexec \"$@\"\n").unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    program.0.write("library/src/lib.rs", &format!("{library}// changed\n"));
    assert_eq!(place(program.telemark("run", &[]).env("RUSTC_WRAPPER", &wrapper).output().unwrap()), plain);
    let log = fs::read_to_string(program.path("wrapper.log")).unwrap();
    assert!(
        log.lines().any(|line| line.contains("--crate-name library ") && line.contains("--remap-path-prefix=")),
        "{log}"
    );
}

#[test]
fn what_plain_cargo_refuses_to_run_is_refused_in_its_words() {
    let two = [("program/Cargo.toml", MANIFEST), ("program/src/bin/a.rs", MAIN), ("program/src/bin/b.rs", MAIN)];
    let program = Program::new("two", &two);
    for arguments in [&[][..], &["--bin", "c"]] {
        let plain = program.cargo("run", arguments).output().unwrap();
        let traced = program.telemark("run", arguments).output().unwrap();
        let said = text(&traced);
        let said: String = said.split_inclusive('\n').filter(|line| !line.contains("Cargo.lock stays")).collect();
        assert_eq!(said, text(&plain), "{arguments:?}");
        assert_eq!(traced.status.code(), plain.status.code());
    }
}

#[test]
fn two_runs_at_once_run_both_programs() {
    let say = |name: &str| format!("fn main() {{\n    println!(\"{name}\");\n}}\n");
    let files =
        [("program/Cargo.toml", MANIFEST), ("program/src/bin/a.rs", &say("a")), ("program/src/bin/b.rs", &say("b"))];
    let program = Program::new("at-once", &files);
    let runs = ["a", "b", "a", "b"].map(|name| {
        let mut command = program.telemark("run", &["--quiet", "--bin", name]);
        (name, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    });
    for (name, run) in runs {
        let output = run.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{name}\n"), "{}", text(&output));
    }
}

#[test]
fn a_run_that_is_ended_in_the_middle_leaves_nothing_behind_that_matters() {
    let build = "fn main() {\n    println!(\"cargo:rerun-if-changed=gate\");\n    if std::path::Path::new(\"gate\").exists() {\n        \
        eprintln!(\"at the gate\");\n        std::fs::write(\"reached\", \"\").unwrap();\n        std::fs::read(\"gate\").unwrap();\n    }\n}\n";
    let files = [("program/Cargo.toml", MANIFEST), ("program/src/main.rs", MAIN), ("program/build.rs", build)];
    let program = Program::new("ended", &files);
    let (gate, reached) = (program.path("program/gate"), program.path("program/target/telemark/source/reached"));
    for signal in ["-KILL", "-INT"] {
        assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let mut command = program.telemark("run", &[]);
        let mut run = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        while !reached.exists() && run.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        // Ctrl-C reaches the whole group.
        let receiver = if signal == "-INT" { format!("-{}", run.id()) } else { run.id().to_string() };
        assert!(Command::new("kill").args([signal, "--", &receiver]).status().unwrap().success());
        assert!(!run.wait().unwrap().success());
        let mut stderr = BufReader::new(run.stderr.take().unwrap());
        if signal == "-KILL" {
            // The build script goes on.
            fs::write(&gate, "").unwrap();
        }
        let mut said = String::new();
        while stderr.read_line(&mut said).unwrap() > 0 {}
        stderr.read_to_string(&mut said).unwrap();
        fs::remove_file(&gate).unwrap();
        let _ = fs::remove_file(&reached);
        assert_eq!(program.runs(&[]).stdout, "ran\n", "{said}");
    }
}

#[test]
fn a_target_folder_elsewhere_lets_the_tree_be_read_only() {
    let program = Program::new("read-only", &[("program/Cargo.toml", MANIFEST), ("program/src/main.rs", MAIN)]);
    assert!(program.cargo("generate-lockfile", &[]).status().unwrap().success());
    let set = |mode| {
        for path in ["program", "program/src"] {
            fs::set_permissions(program.path(path), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o555);
    let target = program.path("target of it");
    let output = program.telemark("run", &["--target-dir"]).arg(&target).output();
    set(0o755);
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ran\n", "{}", text(&output));
    assert!(Path::new(&target).join("telemark/source").is_dir());
    assert!(!program.path("program/target").exists());
}
