//! Cargo.lock: its packages, and the differences between two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use toml_edit::Document;

/// The versions of each package, by its name, and what each of them depends on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock(BTreeMap<String, BTreeMap<String, Vec<String>>>);

/// A package that has other versions in the second lock file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Lock {
    /// Parses a lock file. One that cannot be parsed has no packages; cargo says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Lock {
        let mut lock = Lock::default();
        let parsed = Document::parse(text).ok();
        let packages = parsed.as_ref().and_then(|document| document.get("package")?.as_array_of_tables());
        for package in packages.into_iter().flatten() {
            let text = |key| package.get(key).and_then(|value| value.as_str()).map(str::to_owned);
            if let (Some(name), Some(version)) = (text("name"), text("version")) {
                let dependencies = package.get("dependencies").and_then(|value| value.as_array()).into_iter().flatten();
                let dependencies = dependencies.filter_map(|value| value.as_str().map(str::to_owned)).collect();
                lock.0.entry(name).or_default().insert(version, dependencies);
            }
        }
        lock
    }

    /// Returns true if all versions of a package begin with this one, and there is one.
    pub(crate) fn has_only(&self, name: &str, version: &str) -> bool {
        let versions = self.versions(name);
        !versions.is_empty() && versions.iter().all(|other| begins(other, version))
    }

    /// Returns the versions of a package that another one has: the one on which it depends, or else all.
    pub(crate) fn used(&self, (package, version): (&str, &str), name: &str) -> Vec<&str> {
        let dependencies = self.0.get(package).and_then(|versions| versions.get(version)).into_iter().flatten();
        // The entry has a version only if there is more than one.
        let mut words = dependencies.map(|entry| entry.split(' '));
        let named = words.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()).flatten());
        named.map_or_else(|| self.versions(name), |version| vec![version])
    }

    /// Returns the names of the packages on which one depends, also through others.
    pub(crate) fn reached_from<'a>(&'a self, name: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            let entries = self.0.get(name).into_iter().flat_map(BTreeMap::values).flatten();
            let names = entries.filter_map(|entry| entry.split(' ').next());
            waiting.extend(names.filter(|name| reached.insert(*name)));
        }
        reached
    }

    /// Returns all versions of a package.
    pub(crate) fn versions(&self, name: &str) -> Vec<&str> {
        self.0.get(name).into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }

    /// Returns the packages of which a version is missing in `new`, where another one is.
    pub(crate) fn moved(&self, new: &Lock) -> Vec<Moved> {
        let moved = self.0.iter().filter_map(|(name, old)| {
            let (old, new) = (keys(old), keys(new.0.get(name)?));
            let (lost, come) = (old.difference(&new), new.difference(&old));
            let (from, to) = (list(lost), list(come));
            (!from.is_empty() && !to.is_empty()).then(|| Moved { name: name.clone(), from, to })
        });
        moved.collect()
    }

    /// Returns the packages and versions that only `new` has.
    pub(crate) fn added<'a>(&self, new: &'a Lock) -> Vec<(&'a str, &'a str)> {
        let all =
            new.0.iter().flat_map(|(name, versions)| versions.keys().map(|version| (name.as_str(), version.as_str())));
        all.filter(|(name, version)| !self.0.get(*name).is_some_and(|old| old.contains_key(*version))).collect()
    }
}

/// Says which versions would move, and how they can be accepted.
pub(crate) fn refusal(moved: &[Moved]) -> String {
    let list: String = moved.iter().map(|moved| format!("\n  {} {} -> {}", moved.name, moved.from, moved.to)).collect();
    format!(
        "Telemark needs other versions than those in Cargo.lock:{list}\n\
         Nothing was built. With --allow-updates, this build has them; your Cargo.lock stays as it is."
    )
}

fn keys(versions: &BTreeMap<String, Vec<String>>) -> BTreeSet<&str> {
    versions.keys().map(String::as_str).collect()
}

/// Returns true if a version begins with this one.
pub(crate) fn begins(version: &str, with: &str) -> bool {
    version.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn list<'a>(versions: impl Iterator<Item = &'a &'a str>) -> String {
    let mut list = String::new();
    for version in versions {
        let separator = if list.is_empty() { "" } else { ", " };
        let _ = write!(list, "{separator}{version}");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &[(&str, &str)]) -> Lock {
        let text: String = packages
            .iter()
            .map(|(name, version)| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"))
            .collect();
        Lock::parse(&text)
    }

    #[test]
    fn a_version_that_gives_way_to_another_has_moved() {
        let old = lock(&[("tokio", "1.32.0"), ("syn", "2.0.1"), ("itoa", "1.0.0"), ("gone", "1.0.0")]);
        let new =
            lock(&[("tokio", "1.54.0"), ("syn", "2.0.1"), ("syn", "3.0.0"), ("itoa", "1.0.0"), ("telemark", "0.1.0")]);
        let expected = Moved { name: "tokio".to_owned(), from: "1.32.0".to_owned(), to: "1.54.0".to_owned() };
        assert_eq!(old.moved(&new), [expected]);
        assert_eq!(old.added(&new).len(), 3);
        assert_eq!(old.moved(&old), []);
    }

    #[test]
    fn a_package_has_the_version_on_which_it_depends() {
        let text = "[[package]]\nname = \"shop\"\nversion = \"1.0.0\"\ndependencies = [\"http 1.3.0\", \"axum\"]\n";
        let others = [("axum", "0.8.4"), ("http", "0.2.1"), ("http", "1.3.0"), ("shop", "2.0.0")];
        let others = others.map(|(name, version)| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"));
        let lock = Lock::parse(&format!("{text}{}", others.concat()));
        assert_eq!(lock.used(("shop", "1.0.0"), "http"), ["1.3.0"]);
        assert_eq!(lock.used(("shop", "1.0.0"), "axum"), ["0.8.4"]);
        assert_eq!(lock.used(("shop", "2.0.0"), "http"), ["0.2.1", "1.3.0"]);
        assert!(lock.used(("shop", "1.0.0"), "hyper").is_empty());
        assert_eq!(lock.reached_from("shop").into_iter().collect::<Vec<_>>(), ["axum", "http"]);
        assert_eq!(Lock::parse("[[package"), Lock::default());
        assert!(begins("0.13.2", "0.13") && begins("0.13.2", "0.13.2") && !begins("0.130.0", "0.13"));
    }

    #[test]
    fn other_versions_are_listed() {
        let moved = Moved { name: "tokio".to_owned(), from: "1.32.0".to_owned(), to: "1.54.1".to_owned() };
        let refusal = refusal(&[moved]);
        let expected =
            "Telemark needs other versions than those in Cargo.lock:\n  tokio 1.32.0 -> 1.54.1\nNothing was built.";
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}
