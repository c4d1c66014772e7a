//! The wrapper of rustc and the runner that the user has set, found as cargo finds them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::Document;

/// A wrapper of rustc: its setting in the table `build`, and the variable that comes before all other places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    key: &'static str,
    pub(super) variable: &'static str,
}

/// The wrapper for the packages of a workspace.
pub(crate) const OF_WORKSPACE: Kind = Kind { key: "rustc-workspace-wrapper", variable: "RUSTC_WORKSPACE_WRAPPER" };
/// The wrapper for all packages, which calls that of the workspace.
pub(crate) const OF_ALL: Kind = Kind { key: "rustc-wrapper", variable: "RUSTC_WRAPPER" };

/// The places in which cargo looks, except for its arguments.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) variables: &'a [(String, OsString)],
    /// The folder in which cargo starts to look for its files.
    pub(crate) folder: &'a Path,
}

impl Places<'_> {
    /// Returns the wrapper: of the variable, of `--config`, of the other variable, or of a file. An empty one is none.
    pub(crate) fn wrapper(&self, kind: Kind, options: &[OsString]) -> Option<OsString> {
        let variable = |name: &str| self.variable(name).map(|program| resolved(program, self.folder));
        let found = variable(kind.variable)
            .or_else(|| self.argument(kind.key, options))
            .or_else(|| variable(&format!("CARGO_BUILD_{}", kind.variable)))
            .or_else(|| self.files().find_map(|file| of_file(kind.key, &file)));
        found.filter(|program| !program.is_empty())
    }

    /// Returns the targets for which cargo builds; none for the host.
    pub(crate) fn targets(&self, options: &[OsString]) -> Vec<String> {
        let given: Vec<_> = values("--target", options).collect();
        let of_file = |file: &Path| strings("target", &fs::read_to_string(file).ok()?);
        let of_config = |config: String| strings("target", &config).or_else(|| of_file(&self.folder.join(config)));
        (Some(given).filter(|given| !given.is_empty()))
            .or_else(|| values("--config", options).filter_map(of_config).last())
            .or_else(|| self.variable("CARGO_BUILD_TARGET").map(|target| vec![target.to_string_lossy().into_owned()]))
            .or_else(|| self.files().find_map(|file| of_file(&file)))
            .unwrap_or_default()
    }

    /// Returns true if the user may have set a program that runs programs. Files are not understood, so that none is overlooked, in
    /// another file that a file includes, for example.
    pub(crate) fn may_have_runner(&self, options: &[OsString]) -> bool {
        let names = |text: &str| text.contains("runner") || text.contains("include");
        let file = |file: &Path| fs::read_to_string(file).is_ok_and(|text| names(&text));
        self.variables.iter().any(|(name, _)| name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER"))
            || values("--config", options).any(|config| names(&config) || file(&self.folder.join(config)))
            || self.files().any(|path| file(&path))
    }

    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// Returns the wrapper of the last `--config` that has one.
    fn argument(&self, key: &str, options: &[OsString]) -> Option<OsString> {
        let mut found = None;
        for config in values("--config", options) {
            let file = self.folder.join(&config);
            let program = if file.is_file() {
                of_file(key, &file)
            } else {
                of_text(key, &config).map(|program| resolved(program.as_ref(), self.folder))
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

/// Returns the values of an option, which may be given more than once.
fn values<'a>(name: &'a str, options: &'a [OsString]) -> impl Iterator<Item = String> + use<'a> {
    let mut rest = options.iter().map(|option| option.to_string_lossy());
    std::iter::from_fn(move || {
        loop {
            let option = rest.next()?;
            match option.strip_prefix(name) {
                Some("") => return Some(rest.next()?.into_owned()),
                Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
                _ => {}
            }
        }
    })
}

fn of_file(key: &str, file: &Path) -> Option<OsString> {
    let program = of_text(key, &fs::read_to_string(file).ok()?)?;
    // Paths are relative to the folder that contains `.cargo`.
    Some(resolved(program.as_ref(), file.parent()?.parent()?))
}

fn of_text(key: &str, text: &str) -> Option<String> {
    strings(key, text)?.into_iter().next()
}

/// Returns a setting in the table `build`: a text, or a list of texts.
fn strings(key: &str, text: &str) -> Option<Vec<String>> {
    let document = Document::parse(text).ok()?;
    let setting = document.get("build")?.get(key)?;
    let list = setting.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned()));
    Some(setting.as_str().map(str::to_owned).into_iter().chain(list).collect())
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
        let places = Places { variables: &variables, folder };
        let found = places.wrapper(OF_WORKSPACE, &options);
        assert_eq!(places.wrapper(OF_ALL, &options), None);
        let expected = expected.map(|expected| expected.replace("{}", &folder.display().to_string()));
        assert_eq!(found.map(|found| found.into_string().unwrap()), expected);
    }

    #[test]
    fn the_wrapper_is_the_one_that_cargo_would_use() {
        let folder = std::env::temp_dir().join(format!("telemark-configured-{}", std::process::id()));
        let write = |file: &str, program: &str| {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("[build]\n{} = {program:?}\n", OF_WORKSPACE.key)).unwrap();
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

    #[test]
    fn the_targets_are_those_for_which_cargo_builds() {
        let folder = std::env::temp_dir().join(format!("telemark-targets-{}", std::process::id()));
        fs::create_dir_all(folder.join("home")).unwrap();
        let home = folder.join("home").display().to_string();
        let check = |variables: &[(&str, &str)], options: &[&str], expected: &[&str]| {
            let variables = [("CARGO_HOME", home.as_str())].into_iter().chain(variables.iter().copied());
            let variables: Vec<_> = variables.map(|(name, value)| (name.to_owned(), value.into())).collect();
            let options: Vec<_> = options.iter().map(OsString::from).collect();
            assert_eq!(Places { variables: &variables, folder: &folder }.targets(&options), expected);
        };
        check(&[], &["--target-dir", "x"], &[]);
        fs::write(folder.join("home/config.toml"), "[build]\ntarget = ['a', 'b']\n").unwrap();
        check(&[], &[], &["a", "b"]);
        check(&[("CARGO_BUILD_TARGET", "c")], &[], &["c"]);
        check(&[("CARGO_BUILD_TARGET", "c")], &["--config", "build.target='d'"], &["d"]);
        check(
            &[("CARGO_BUILD_TARGET", "c")],
            &["--target=e", "--config=home/config.toml", "--target", "f"],
            &["e", "f"],
        );
        check(&[], &["--config=home/config.toml"], &["a", "b"]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_runner_is_found_wherever_it_is_set() {
        let folder = std::env::temp_dir().join(format!("telemark-runner-{}", std::process::id()));
        let home = folder.join("home");
        fs::create_dir_all(&home).unwrap();
        let found = |variables: &[(&str, &str)], options: &[&str]| {
            let home = [("CARGO_HOME", home.to_str().unwrap())];
            let variables = home.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), value.into()));
            let options: Vec<_> = options.iter().map(OsString::from).collect();
            Places { variables: &variables.collect::<Vec<_>>(), folder: &folder }.may_have_runner(&options)
        };
        assert!(!found(&[("CARGO_TARGET_DIR", "runner")], &["--config", "build.jobs=1", "--example", "runner"]));
        assert!(found(&[("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "qemu")], &[]));
        assert!(found(&[], &["--config=target.'cfg(unix)'.runner='sudo'"]));
        fs::write(folder.join("more.toml"), "[target.'cfg(unix)']\nrunner = 'sudo'\n").unwrap();
        assert!(found(&[], &["--config", "more.toml"]));
        fs::write(home.join("config.toml"), "include = 'more.toml'\n").unwrap();
        assert!(found(&[], &[]));
        fs::remove_dir_all(&folder).unwrap();
    }
}
