//! A workspace in a folder of its own, on which tests run the command.
#![allow(dead_code, reason = "helpers, each used by some of the tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A workspace, which is removed at the end.
pub(crate) struct Workspace(pub(crate) PathBuf);

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Workspace {
    /// Writes the files into a folder for temporary files.
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Workspace {
        let folder = format!("telemark-{}-{}-{name}", env!("CARGO_CRATE_NAME"), std::process::id());
        Workspace::inside(std::env::temp_dir().join(folder), files)
    }

    pub(crate) fn inside(folder: PathBuf, files: &[(&str, &str)]) -> Workspace {
        let workspace = Workspace(folder);
        let _ = fs::remove_dir_all(&workspace.0);
        files.iter().for_each(|(path, text)| workspace.write(path, text));
        workspace
    }

    pub(crate) fn committed(self) -> Workspace {
        self.commit();
        self
    }

    pub(crate) fn commit(&self) {
        self.git(&["init", "--quiet"]);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=all"]);
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let output = Command::new("git").args(identity).args(arguments).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }

    /// Returns the command `cargo telemark` in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-telemark"));
        command.arg("telemark").args(arguments).current_dir(&self.0);
        command
    }

    pub(crate) fn telemark(&self, arguments: &[&str]) -> Output {
        self.command(arguments).arg("--offline").output().unwrap()
    }
}

/// Returns both streams.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
