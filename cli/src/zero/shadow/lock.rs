//! Cargo.lock: its packages, and the differences between two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use toml_edit::Document;

/// The versions of each package, by its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock(BTreeMap<String, BTreeSet<String>>);

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
        let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
        let parsed = Document::parse(text).ok();
        let packages = parsed.as_ref().and_then(|document| document.get("package")?.as_array_of_tables());
        for package in packages.into_iter().flatten() {
            let text = |key| package.get(key).and_then(|value| value.as_str()).map(str::to_owned);
            if let (Some(name), Some(version)) = (text("name"), text("version")) {
                versions.entry(name).or_default().insert(version);
            }
        }
        Lock(versions)
    }

    /// Returns true if all versions of a package begin with this text, and there is one.
    pub(crate) fn has_only(&self, name: &str, prefix: &str) -> bool {
        let versions = self.0.get(name).into_iter().flatten();
        versions.clone().next().is_some() && versions.clone().all(|version| version.starts_with(prefix))
    }

    /// Returns the other versions of a package that must exist once.
    pub(crate) fn versions(&self, name: &str) -> Vec<&str> {
        self.0.get(name).into_iter().flatten().map(String::as_str).collect()
    }

    /// Returns the packages of which a version is missing in `new`, where another one is.
    pub(crate) fn moved(&self, new: &Lock) -> Vec<Moved> {
        let moved = self.0.iter().filter_map(|(name, old)| {
            let new = new.0.get(name)?;
            let (lost, come) = (old.difference(new), new.difference(old));
            let (from, to) = (list(lost), list(come));
            (!from.is_empty() && !to.is_empty()).then(|| Moved { name: name.clone(), from, to })
        });
        moved.collect()
    }

    /// Returns the number of packages and versions that only `new` has.
    pub(crate) fn added(&self, new: &Lock) -> usize {
        let count = |(name, versions): (&String, &BTreeSet<String>)| {
            versions.iter().filter(|version| !self.0.get(name).is_some_and(|old| old.contains(*version))).count()
        };
        new.0.iter().map(count).sum()
    }
}

fn list<'a>(versions: impl Iterator<Item = &'a String>) -> String {
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
        assert_eq!(old.added(&new), 3);
        assert_eq!(old.moved(&old), []);
    }

    #[test]
    fn all_versions_must_fit() {
        let lock = lock(&[("axum", "0.8.4"), ("http", "0.2.1"), ("http", "1.3.0")]);
        assert!(lock.has_only("axum", "0.8."));
        assert!(!lock.has_only("http", "1."));
        assert!(!lock.has_only("hyper", "1."));
        assert_eq!(lock.versions("http"), ["0.2.1", "1.3.0"]);
        assert_eq!(Lock::parse("[[package"), Lock::default());
    }
}
