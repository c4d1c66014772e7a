//! Cargo.lock: second versions of crates that must exist once, who brings them, and features that are off.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// Crates whose versions share nothing: spans of one version have no parents of another, and a global of one is unknown to the other.
const ONCE: [&str; 3] = ["opentelemetry", "opentelemetry_sdk", "tracing-opentelemetry"];

/// The packages in a Cargo.lock.
#[derive(Debug, Default)]
pub(crate) struct Lockfile {
    packages: Vec<Package>,
}

#[derive(Debug, Default)]
struct Package {
    name: String,
    version: String,
    /// Names, or names with versions where the name alone is ambiguous.
    dependencies: Vec<String>,
}

/// A second version of a crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Second {
    pub(crate) finding: String,
    pub(crate) advice: String,
}

/// Returns the nearest Cargo.lock in this folder or one above.
pub(crate) fn nearest(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join("Cargo.lock")).find(|file| file.is_file())
}

impl Lockfile {
    pub(crate) fn read(path: &Path) -> std::io::Result<Self> {
        fs::read_to_string(path).map(|text| Lockfile::parse(&text))
    }

    /// Parses the format that cargo writes, with one value per line.
    fn parse(text: &str) -> Self {
        let mut packages: Vec<Package> = Vec::new();
        let mut is_package = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') && line.ends_with(']') {
                is_package = line == "[[package]]";
                packages.extend(is_package.then(Package::default));
            }
            let Some(package) = packages.last_mut().filter(|_| is_package) else { continue };
            let value =
                |key: &str| Some(line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().trim_matches('"'));
            if let Some(name) = value("name") {
                package.name = name.to_owned();
            } else if let Some(version) = value("version") {
                package.version = version.to_owned();
            } else if let Some(dependency) = line.strip_prefix('"') {
                package.dependencies.push(dependency.trim_end_matches(',').trim_end_matches('"').to_owned());
            }
        }
        Lockfile { packages }
    }

    /// Returns true if the package is there and lacks this dependency, which a feature adds.
    pub(crate) fn lacks(&self, package: &str, dependency: &str) -> bool {
        let mut versions = self.packages.iter().filter(|known| known.name == package).peekable();
        let has =
            |package: &Package| package.dependencies.iter().any(|entry| entry.split(' ').next() == Some(dependency));
        versions.peek().is_some() && !versions.any(has)
    }

    /// Returns every second version of a crate that must exist once, and the packages through which it comes.
    pub(crate) fn seconds(&self) -> Vec<Second> {
        ONCE.iter().flat_map(|name| self.seconds_of(name)).collect()
    }

    fn seconds_of(&self, name: &str) -> Vec<Second> {
        let versions: Vec<_> = (0..self.packages.len()).filter(|&index| self.packages[index].name == name).collect();
        if versions.len() < 2 {
            return Vec::new();
        }
        let is_telemark = |index: usize| self.packages[index].name.starts_with("telemark");
        let of_telemark = |&&index: &&usize| self.dependents(index).any(is_telemark);
        // Without Telemark, the newest is the one to keep.
        let newest = versions.iter().max_by_key(|&&index| key(&self.packages[index].version));
        let Some(&kept) = versions.iter().find(of_telemark).or(newest) else { return Vec::new() };
        let others = versions.into_iter().filter(|&index| index != kept);
        others.map(|index| self.second(name, index, kept)).collect()
    }

    fn second(&self, name: &str, other: usize, kept: usize) -> Second {
        let path = self.path_to(other);
        let shown: Vec<_> = path.iter().map(|&index| self.shown(index)).collect();
        let (kept, version) = (&self.packages[kept].version, &self.packages[other].version);
        // The first package of the path is the program, and the second one its dependency.
        let culprit = match &*path {
            [_, culprit, ..] if *culprit != other => {
                format!("Update {} to a version that uses {name} {}", self.shown(*culprit), minor(kept))
            }
            _ => format!("Set the version of {name} in Cargo.toml to {}", minor(kept)),
        };
        Second {
            finding: format!(
                "Cargo.lock has {name} {kept} and {version}; {version} comes through {}",
                shown.join(" → ")
            ),
            advice: format!("{culprit}. Spans, contexts and globals of one version do not exist for the other."),
        }
    }

    fn shown(&self, index: usize) -> String {
        format!("{} {}", self.packages[index].name, self.packages[index].version)
    }

    /// Returns the packages that depend on this one.
    fn dependents(&self, index: usize) -> impl Iterator<Item = usize> {
        let Package { name, version, .. } = &self.packages[index];
        let is_meant = move |entry: &String| {
            let mut words = entry.split(' ');
            words.next() == Some(name) && words.next().is_none_or(|given| given == version)
        };
        (0..self.packages.len()).filter(move |&index| self.packages[index].dependencies.iter().any(is_meant))
    }

    /// Returns the shortest path from a package on which nothing depends to this one.
    fn path_to(&self, index: usize) -> Vec<usize> {
        let mut seen = HashSet::from([index]);
        let mut paths = VecDeque::from([vec![index]]);
        let mut last = vec![index];
        while let Some(path) = paths.pop_front() {
            let Some(&first) = path.first() else { continue };
            let dependents: Vec<_> = self.dependents(first).collect();
            if dependents.is_empty() {
                return path;
            }
            for dependent in dependents.into_iter().filter(|dependent| seen.insert(*dependent)) {
                paths.push_back([&[dependent], &path[..]].concat());
            }
            last = path;
        }
        last
    }
}

/// Returns the numbers of a version, for comparisons.
fn key(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

/// Returns the part of a version that must agree.
fn minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a Cargo.lock from lines such as `shop 1.0.0: a, b 2.0.0`.
    fn lockfile(packages: &str) -> Lockfile {
        let mut text = String::from("# generated\nversion = 4\n");
        for line in packages.lines() {
            let (package, dependencies) = line.trim().split_once(':').unwrap();
            let (name, version) = package.split_once(' ').unwrap();
            text.push_str(&format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry\"\n"
            ));
            let dependencies: Vec<_> = dependencies.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            if !dependencies.is_empty() {
                let lines: String = dependencies.iter().map(|name| format!(" \"{name}\",\n")).collect();
                text.push_str(&format!("dependencies = [\n{lines}]\n"));
            }
        }
        Lockfile::parse(&(text + "\n[metadata]\nname = \"x\"\n"))
    }

    #[test]
    fn one_version_is_well() {
        let lockfile = lockfile("shop 1.0.0: telemark\ntelemark 0.1.0: opentelemetry\nopentelemetry 0.33.1:");
        assert_eq!(lockfile.seconds(), []);
    }

    #[test]
    fn a_second_version_is_said_with_the_path_on_which_it_comes() {
        let lockfile = lockfile(
            "shop 1.0.0: telemark, payments\n\
             telemark 0.1.0: telemark-sdk\n\
             telemark-sdk 0.1.0: opentelemetry 0.33.1\n\
             payments 2.3.4: tracing-opentelemetry\n\
             tracing-opentelemetry 0.31.0: opentelemetry 0.30.0\n\
             opentelemetry 0.30.0:\n\
             opentelemetry 0.33.1:",
        );
        let expected = Second {
            finding: "Cargo.lock has opentelemetry 0.33.1 and 0.30.0; 0.30.0 comes through shop 1.0.0 → payments 2.3.4 → \
                      tracing-opentelemetry 0.31.0 → opentelemetry 0.30.0"
                .to_owned(),
            advice: "Update payments 2.3.4 to a version that uses opentelemetry 0.33. Spans, contexts and globals of one version do not exist \
                     for the other."
                .to_owned(),
        };
        assert_eq!(lockfile.seconds(), [expected]);
    }

    #[test]
    fn a_second_version_of_the_program_itself_is_its_own_fault() {
        let lockfile = lockfile(
            "shop 1.0.0: tracing-opentelemetry 0.31.0, payments\n\
             payments 1.0.0: tracing-opentelemetry 0.34.0\n\
             tracing-opentelemetry 0.31.0:\n\
             tracing-opentelemetry 0.34.0:",
        );
        let seconds = lockfile.seconds();
        assert_eq!(seconds.len(), 1);
        assert!(
            seconds[0].advice.starts_with("Set the version of tracing-opentelemetry in Cargo.toml to 0.34. "),
            "{seconds:?}"
        );
    }

    #[test]
    fn a_circle_of_development_dependencies_ends() {
        let lockfile =
            lockfile("a 1.0.0: b, opentelemetry 0.1.0\nb 1.0.0: a\nopentelemetry 0.1.0:\nopentelemetry 0.2.0:");
        assert_eq!(lockfile.seconds().len(), 1);
    }

    #[test]
    fn a_feature_that_is_off_is_a_dependency_that_is_missing() {
        let lockfile = lockfile("telemark-otlp 0.1.0: hyper, rustls 0.23.0\ntelemark 0.1.0: telemark-otlp");
        assert!(!lockfile.lacks("telemark-otlp", "rustls"));
        assert!(lockfile.lacks("telemark", "telemark-config"));
        assert!(!lockfile.lacks("elsewhere", "rustls"), "nothing is known of a program without Telemark");
    }
}
