//! The arguments of `build`, `run`, `test` and `explain`: ours, and those of cargo.

use std::ffi::OsString;
use std::path::PathBuf;

/// A request to build or run a program with telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) verb: Verb,
    /// Accepts versions in Cargo.lock that Telemark requires.
    pub(crate) allows_updates: bool,
    /// A checkout of Telemark, in place of the crate on crates.io.
    pub(crate) telemark: Option<PathBuf>,
    /// More features of `telemark`.
    pub(crate) features: Vec<String>,
    pub(crate) manifest: Option<PathBuf>,
    pub(crate) target: Option<PathBuf>,
    /// `--locked` or `--frozen`: the user's lock file must be complete.
    pub(crate) is_locked: bool,
    pub(crate) is_offline: bool,
    /// The remaining arguments.
    pub(crate) arguments: Vec<OsString>,
    /// All arguments but ours, for plain cargo.
    pub(crate) plain: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verb {
    #[default]
    Build,
    Run,
    Test,
    Explain,
}

/// Options of cargo that take a value in the next argument.
const WITH_VALUE: [&str; 18] = [
    "--bench",
    "--bin",
    "--color",
    "--config",
    "--example",
    "--exclude",
    "--features",
    "--jobs",
    "--message-format",
    "--package",
    "--profile",
    "--target",
    "--test",
    "-F",
    "-Z",
    "-j",
    "-p",
    "-C",
];

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Build => "build",
            Verb::Run => "run",
            Verb::Test => "test",
            Verb::Explain => "explain",
        }
    }
}

impl Command {
    /// Parses the arguments after the verb.
    ///
    /// # Errors
    /// Returns the option whose value is missing.
    pub(crate) fn parse(verb: Verb, arguments: &[OsString]) -> Result<Command, String> {
        let mut command = Command { verb, ..Command::default() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let shown = argument.to_string_lossy();
            let is_end = shown == "--" || (verb == Verb::Run && !shown.starts_with('-'));
            if is_end {
                // The arguments of the program.
                let program: Vec<_> = std::iter::once(argument).chain(rest.by_ref()).cloned().collect();
                command.arguments.extend(program.iter().cloned());
                command.plain.extend(program);
                break;
            }
            let (name, inline) = match shown.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
                _ => (&*shown, None),
            };
            let mut value = || inline.clone().or_else(|| rest.next().cloned()).ok_or(format!("{name} lacks its value"));
            match name {
                "--allow-updates" => command.allows_updates = true,
                "--telemark-path" => command.telemark = Some(PathBuf::from(value()?)),
                "--telemark-features" => {
                    let list = value()?.to_string_lossy().into_owned();
                    command.features.extend(list.split(',').filter(|word| !word.is_empty()).map(str::to_owned));
                }
                "--manifest-path" => {
                    let path = value()?;
                    command.plain.extend(["--manifest-path".into(), path.clone()]);
                    command.manifest = Some(PathBuf::from(path));
                }
                "--target-dir" => {
                    let path = value()?;
                    command.plain.extend(["--target-dir".into(), path.clone()]);
                    command.target = Some(PathBuf::from(path));
                }
                "--locked" | "--frozen" | "--offline" => {
                    command.is_locked |= name != "--offline";
                    command.is_offline |= name != "--locked";
                    command.plain.push(argument.clone());
                }
                _ => {
                    command.arguments.push(argument.clone());
                    command.plain.push(argument.clone());
                    if inline.is_none() && WITH_VALUE.contains(&name) {
                        let value = value()?;
                        command.arguments.push(value.clone());
                        command.plain.push(value);
                    }
                }
            }
        }
        Ok(command)
    }

    /// Returns the arguments with which cargo builds what it would run: without those of the program, and without a format of messages.
    pub(crate) fn to_build(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut rest = self.options(&self.arguments).iter();
        while let Some(argument) = rest.next() {
            if argument == "--message-format" {
                let _ = rest.next();
            } else if !argument.to_string_lossy().starts_with("--message-format=") {
                arguments.push(argument.clone());
            }
        }
        arguments
    }

    /// Returns the arguments of cargo, without those of the program.
    pub(crate) fn options<'a>(&self, arguments: &'a [OsString]) -> &'a [OsString] {
        let mut is_value = false;
        let end = arguments.iter().position(|argument| {
            let shown = argument.to_string_lossy();
            let is_end = shown == "--" || (self.verb == Verb::Run && !shown.starts_with('-') && !is_value);
            is_value = WITH_VALUE.contains(&&*shown) || matches!(&*shown, "--manifest-path" | "--target-dir");
            is_end
        });
        &arguments[..end.unwrap_or(arguments.len())]
    }

    /// Returns the arguments of the program.
    pub(crate) fn of_program(&self) -> &[OsString] {
        &self.arguments[self.options(&self.arguments).len()..]
    }

    /// Returns true if cargo compiles the examples in documentation: it is asked for them, or for nothing in particular.
    pub(crate) fn compiles_documentation(&self) -> bool {
        const OTHERS: [&str; 10] = [
            "--lib",
            "--bin",
            "--bins",
            "--example",
            "--examples",
            "--test",
            "--tests",
            "--bench",
            "--benches",
            "--all-targets",
        ];
        let is_other = |argument: &OsString| {
            let argument = argument.to_string_lossy();
            OTHERS.contains(&argument.split('=').next().unwrap_or_default()) || argument == "--no-run"
        };
        let options = self.options(&self.arguments);
        self.verb == Verb::Test && (self.tests_documentation() || !options.iter().any(is_other))
    }

    /// Returns true if cargo is asked for documentation tests only.
    pub(crate) fn tests_documentation(&self) -> bool {
        self.verb == Verb::Test && self.options(&self.arguments).iter().any(|argument| argument == "--doc")
    }

    /// Returns true if the user reads cargo's messages by a program.
    pub(crate) fn has_message_format(&self) -> bool {
        self.arguments.iter().any(|argument| argument.to_string_lossy().starts_with("--message-format"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[OsString]) -> String {
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(verb: Verb, text: &str, arguments: &str, to_build: &str, plain: &str) -> Command {
        let given: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        let command = Command::parse(verb, &given).unwrap();
        assert_eq!(words(&command.arguments), arguments);
        assert_eq!(words(&command.to_build()), to_build);
        assert_eq!(words(&command.plain), plain);
        command
    }

    #[test]
    fn the_arguments_of_the_program_stay_its_own() {
        let text = "--release -p shop --telemark-features viewer serve --allow-updates --port 1";
        let plain = "--release -p shop serve --allow-updates --port 1";
        let command = check(Verb::Run, text, plain, "--release -p shop", plain);
        assert!(!command.allows_updates);
        assert_eq!(command.features, ["viewer"]);
        let text = "--bin=a --allow-updates -- --locked";
        let command = check(Verb::Run, text, "--bin=a -- --locked", "--bin=a", "--bin=a -- --locked");
        assert!(command.allows_updates && !command.is_locked);
    }

    #[test]
    fn tests_are_selected_when_they_run() {
        check(
            Verb::Test,
            "--lib cart -- --nocapture",
            "--lib cart -- --nocapture",
            "--lib cart",
            "--lib cart -- --nocapture",
        );
    }

    #[test]
    fn folders_and_the_lock_file_are_those_of_the_shadow() {
        let text = "--manifest-path a/Cargo.toml --target-dir=t --frozen --message-format json -v";
        let plain = "--manifest-path a/Cargo.toml --target-dir t --frozen --message-format json -v";
        let command = check(Verb::Build, text, "--message-format json -v", "-v", plain);
        assert_eq!((command.manifest, command.target), (Some("a/Cargo.toml".into()), Some("t".into())));
        assert!(command.is_locked && command.is_offline);
    }

    #[test]
    fn documentation_is_tested_if_cargo_is_asked_for_it() {
        let is_asked = |verb, text: &str| {
            let given: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            Command::parse(verb, &given).unwrap().tests_documentation()
        };
        assert!(is_asked(Verb::Test, "--doc -p shop"));
        let is_compiled = |verb, text: &str| {
            let given: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            Command::parse(verb, &given).unwrap().compiles_documentation()
        };
        assert!(is_compiled(Verb::Test, "--doc") && is_compiled(Verb::Test, "-p shop -- --test"));
        let others = ["--lib", "--test=a", "--test a", "--no-run"];
        assert!(!others.iter().any(|text| is_compiled(Verb::Test, text)) && !is_compiled(Verb::Build, "-p shop"));
        // An argument of the program, which is built like any other.
        assert!(
            !is_asked(Verb::Test, "-- --doc")
                && !is_asked(Verb::Run, "render --doc")
                && !is_asked(Verb::Run, "-- --doc")
        );
    }

    #[test]
    fn a_value_that_is_missing_is_an_error() {
        let error = Command::parse(Verb::Build, &["--telemark-path".into()]).unwrap_err();
        assert_eq!(error, "--telemark-path lacks its value");
    }
}
