//! The wrapper of rustc that the user has set, found as cargo finds it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::Document;

/// The setting in the table `build`.
const KEY: &str = "rustc-workspace-wrapper";

/// The places in which cargo looks, except for its arguments.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) variables: &'a [(String, OsString)],
    /// The folder in which cargo starts to look for its files.
    pub(crate) folder: &'a Path,
}

impl Places<'_> {
    /// Returns the wrapper: of the variable, of `--config`, of the other variable, or of a file. An empty one is none.
    pub(crate) fn wrapper(&self, options: &[OsString]) -> Option<OsString> {
        let found = (self.variable("RUSTC_WORKSPACE_WRAPPER").map(|program| resolved(program, self.folder)))
            .or_else(|| self.argument(options))
            .or_else(|| {
                self.variable("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER").map(|program| resolved(program, self.folder))
            })
            .or_else(|| self.files().find_map(|file| of_file(&file)));
        found.filter(|program| !program.is_empty())
    }

    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// Returns the wrapper of the last `--config` that has one.
    fn argument(&self, options: &[OsString]) -> Option<OsString> {
        let mut found = None;
        let mut rest = options.iter().map(|option| option.to_string_lossy());
        while let Some(option) = rest.next() {
            let config = match option.strip_prefix("--config=") {
                Some(config) => Some(config.to_owned()),
                None if option == "--config" => rest.next().map(|config| config.into_owned()),
                None => None,
            };
            let Some(config) = config else { continue };
            let file = self.folder.join(&config);
            let program = if file.is_file() {
                of_file(&file)
            } else {
                of_text(&config).map(|program| resolved(program.as_ref(), self.folder))
            };
            found = program.or(found);
        }
        found
    }

    /// Returns the files of cargo's configuration, the nearest one first.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let home = self.variable("CARGO_HOME").map(|home| self.folder.join(home));
        let home = home.or_else(|| self.variable("HOME").map(|home| Path::new(home).join(".cargo")));
        let folders = self.folder.ancestors().map(|folder| folder.join(".cargo")).chain(home);
        // Cargo prefers the old name.
        let file = |folder: PathBuf| {
            ["config", "config.toml"].into_iter().map(move |name| folder.join(name)).find(|file| file.is_file())
        };
        folders.filter_map(file)
    }
}

fn of_file(file: &Path) -> Option<OsString> {
    let program = of_text(&fs::read_to_string(file).ok()?)?;
    // Paths are relative to the folder that contains `.cargo`.
    Some(resolved(program.as_ref(), file.parent()?.parent()?))
}

fn of_text(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    Some(document.get("build")?.get(KEY)?.as_str()?.to_owned())
}

/// A name without a folder is looked up in `PATH`.
fn resolved(program: &OsStr, folder: &Path) -> OsString {
    let has_folder = program.to_string_lossy().contains('/');
    if has_folder { folder.join(program).into_os_string() } else { program.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(folder: &Path, variables: &[(&str, &str)], options: &[&str], expected: Option<&str>) {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        let options: Vec<_> = options.iter().map(OsString::from).collect();
        let found = Places { variables: &variables, folder }.wrapper(&options);
        let expected = expected.map(|expected| expected.replace("{}", &folder.display().to_string()));
        assert_eq!(found.map(|found| found.into_string().unwrap()), expected);
    }

    #[test]
    fn the_wrapper_is_the_one_that_cargo_would_use() {
        let folder = std::env::temp_dir().join(format!("telemark-configured-{}", std::process::id()));
        let write = |file: &str, program: &str| {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("[build]\n{KEY} = {program:?}\n")).unwrap();
        };
        write("home/config.toml", "of-home");
        write("more/other.toml", "bin/other");
        let home = folder.join("home").display().to_string();
        let home = ("CARGO_HOME", home.as_str());
        check(&folder, &[], &[], None);
        check(&folder, &[home], &["--release"], Some("of-home"));
        let inner = folder.join("a/b");
        write("a/.cargo/config.toml", "tools/wrapper");
        check(&inner, &[home], &[], folder.join("a/tools/wrapper").to_str());
        let build = ("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER", "./of-build");
        check(&folder, &[home, build], &[], Some("{}/./of-build"));
        let option = "--config=build.rustc-workspace-wrapper='of-option'";
        check(&folder, &[home, build], &[option], Some("of-option"));
        check(&folder, &[build], &[option, "--config", "more/other.toml"], Some("{}/bin/other"));
        let variable = ("RUSTC_WORKSPACE_WRAPPER", "of-variable");
        check(&folder, &[home, build, variable], &[option], Some("of-variable"));
        check(&folder, &[home, ("RUSTC_WORKSPACE_WRAPPER", "")], &[], None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
