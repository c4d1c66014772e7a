//! The dependencies that rules name: copies of their sources get telemetry and take the places of the originals.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lock::{Lock, begins};
use super::workspace::{Cargo, Package};
use crate::zero::rewrite::Role;
use crate::zero::rules::{Dependency, Rules};

/// A dependency whose copy gets telemetry.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) package: Package,
    /// The folder of the original.
    pub(crate) folder: PathBuf,
    /// The table of `patch` in which the copy replaces the original; `None` for a path.
    pub(crate) source: Option<String>,
}

impl Copied {
    /// Returns the name of the folder of the copy, with which the paths of its files begin.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.package.name, self.package.version)
    }
}

/// Returns the arguments with which cargo describes all packages that programs for these targets have; none is the host.
pub(crate) fn arguments(cargo: &Cargo, targets: &[String]) -> Result<Vec<OsString>, i32> {
    let mut arguments: Vec<OsString> = ["metadata", "--format-version=1", "--locked"].map(OsString::from).into();
    let filter = |target: &str| OsString::from(format!("--filter-platform={target}"));
    if !targets.is_empty() && targets.iter().all(|target| target != "host-tuple") {
        arguments.extend(targets.iter().map(|target| filter(target)));
        return Ok(arguments);
    }
    let version = cargo.output(&["--version".into(), "--verbose".into()])?;
    let version = String::from_utf8_lossy(&version);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    arguments.extend(host.map(filter));
    Ok(arguments)
}

/// Says that dependencies cannot be found before their versions are.
pub(crate) fn without_lock(rules: &Rules) -> Vec<String> {
    let note =
        |rule: &Dependency| note(rule, "the workspace has no Cargo.lock, which `cargo generate-lockfile` writes");
    rules.dependencies.iter().map(note).collect()
}

fn note(rule: &Dependency, reason: &str) -> String {
    format!("telemark.toml: line {}: {} is left alone: {reason}", rule.line, rule.name)
}

/// Finds the dependencies that rules name in the output of `cargo metadata`. Returns notes about those that are left alone.
pub(crate) fn find(metadata: &[u8], rules: &Rules, of_shadow: &Lock) -> (Vec<Copied>, Vec<String>) {
    let metadata: Value = serde_json::from_slice(metadata).unwrap_or_default();
    let graph = Graph::new(&metadata);
    let mut found = BTreeMap::new();
    let mut notes = Vec::new();
    for rule in &rules.dependencies {
        match graph.find(rule, of_shadow) {
            Ok(copied) => _ = found.entry(copied.name()).or_insert(copied),
            Err(reason) => notes.push(note(rule, &reason)),
        }
    }
    (found.into_values().collect(), notes)
}

/// The packages of a program and what they depend on.
struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Value>,
    members: Vec<&'a str>,
    /// The packages that are part of the program, and not only of build scripts and macros.
    linked: BTreeSet<&'a str>,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Value) -> Graph<'a> {
        let list = |value: &'a Value| value.as_array().into_iter().flatten();
        let packages = list(&metadata["packages"]).filter_map(|package| Some((package["id"].as_str()?, package)));
        let members: Vec<_> = list(&metadata["workspace_members"]).filter_map(Value::as_str).collect();
        let mut graph = Graph { packages: packages.collect(), members, linked: BTreeSet::new() };
        let nodes = list(&metadata["resolve"]["nodes"]).filter_map(|node| Some((node["id"].as_str()?, &node["deps"])));
        let nodes: BTreeMap<_, _> = nodes.collect();
        let mut waiting = graph.members.clone();
        while let Some(id) = waiting.pop() {
            if !graph.linked.insert(id) || graph.is_macro(id) {
                continue;
            }
            for dependency in nodes.get(id).into_iter().flat_map(|dependencies| list(dependencies)) {
                let is_linked = list(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "build");
                waiting.extend(dependency["pkg"].as_str().filter(|_| is_linked));
            }
        }
        graph
    }

    fn is_macro(&self, id: &str) -> bool {
        let targets = self.packages.get(id).and_then(|package| package["targets"].as_array());
        let mut kinds = targets.into_iter().flatten().flat_map(|target| target["kind"].as_array()).flatten();
        kinds.any(|kind| kind == "proc-macro")
    }

    /// Finds one dependency.
    ///
    /// # Errors
    /// Returns the reason for which it is left alone.
    fn find(&self, rule: &Dependency, of_shadow: &Lock) -> Result<Copied, String> {
        let is_meant = |package: &Value| {
            let version = package["version"].as_str().unwrap_or_default();
            package["name"] == *rule.name && rule.version.as_ref().is_none_or(|wanted| begins(version, wanted))
        };
        let candidates: Vec<_> = self.packages.iter().filter(|(_, package)| is_meant(package)).collect();
        let (id, package) = match candidates.as_slice() {
            [] => return Err("the program has no such package".to_owned()),
            [(id, package)] => (**id, **package),
            several => {
                let versions = several.iter().filter_map(|(_, package)| package["version"].as_str());
                let versions = versions.collect::<Vec<_>>().join(", ");
                return Err(format!("the program has the versions {versions}: name one with `version`"));
            }
        };
        if self.members.contains(&id) {
            return Err("it is a member of the workspace, and instrumented without this rule".to_owned());
        }
        if !package["links"].is_null() {
            return Err("it links a native library, which may be there once".to_owned());
        }
        let mut parsed = Package::parse(package).ok_or("the output of `cargo metadata` cannot be read")?;
        if let Some(reason) = parsed.left_alone {
            return Err(reason.to_owned());
        }
        if !self.linked.contains(id) {
            return Err("only build scripts and macros use it".to_owned());
        }
        if of_shadow.reached_from("telemark").contains(&*rule.name) {
            return Err("Telemark depends on it".to_owned());
        }
        parsed.roots.retain(|root| root.role == Role::Library);
        if parsed.roots.is_empty() {
            return Err("it has no library".to_owned());
        }
        let source = package["source"].as_str().map(table);
        let folder = parsed.manifest.parent().unwrap_or(Path::new("")).to_owned();
        // A registry's manifests refer to nothing outside of their folder.
        let manifest = std::fs::read_to_string(&parsed.manifest).map_err(|error| error.to_string())?;
        if inherits(&manifest) {
            return Err("its manifest takes values from another workspace".to_owned());
        }
        let is_git = package["source"].as_str().is_some_and(|source| source.starts_with("git+"));
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        if is_git && dependencies.into_iter().any(|dependency| dependency["path"].is_string()) {
            return Err("it depends on other packages of its repository by their paths".to_owned());
        }
        Ok(Copied { package: parsed, folder, source })
    }
}

/// Returns the table of `patch` for a source.
fn table(source: &str) -> String {
    match source.split_once('+') {
        Some((_, "https://github.com/rust-lang/crates.io-index")) => "crates-io".to_owned(),
        Some(("git", url)) => url.split(['?', '#']).next().unwrap_or(url).to_owned(),
        Some(("registry", url)) => url.to_owned(),
        _ => source.to_owned(),
    }
}

/// Returns true if a manifest has `workspace = true` anywhere.
fn inherits(manifest: &str) -> bool {
    fn has(item: &toml_edit::Item) -> bool {
        let Some(table) = item.as_table_like() else { return false };
        table.iter().any(|(key, item)| key == "workspace" && item.as_bool() == Some(true) || has(item))
    }
    manifest.parse::<toml_edit::DocumentMut>().is_ok_and(|document| has(document.as_item()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is found, and the notes about the rest, for packages with these manifests.
    #[track_caller]
    fn check(rules: &str, of_shadow: &str, expected: &[&str]) {
        static CHECKS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = CHECKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("telemark-copies-{}-{number}", std::process::id()));
        let package = |id: &str, name: &str, version: &str, source: &str, kind: &str, more: &str, manifest: &str| {
            let path = folder.join(id).join("Cargo.toml");
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, manifest).unwrap();
            format!(
                r#"{{"id": "{id}", "name": "{name}", "version": "{version}", "source": {source}, "manifest_path": {path:?},
                "targets": [{{"name": "{name}", "kind": ["{kind}"], "src_path": "/x/src/lib.rs", "edition": "2021"}}],
                "dependencies": [{{"name": "other", "kind": null, "features": [], {more}}}], "links": null}}"#
            )
        };
        let registry = "\"registry+https://github.com/rust-lang/crates.io-index\"";
        let git = "\"git+https://example.org/a?branch=main#abc\"";
        let packages = [
            package("shop", "shop", "1.0.0", "null", "bin", "\"path\": null", ""),
            package("a1", "a", "1.2.0", registry, "lib", "\"path\": null", ""),
            package("a2", "a", "2.0.0", "\"registry+https://example.org/index\"", "lib", "\"path\": null", ""),
            package("git", "git", "1.0.0", git, "lib", "\"path\": null", ""),
            package("parts", "parts", "1.0.0", git, "lib", "\"path\": \"/x\"", ""),
            package("path", "path", "1.0.0", "null", "lib", "\"path\": \"/x\"", ""),
            package("heir", "heir", "1.0.0", "null", "lib", "\"path\": null", "[package]\nedition.workspace = true\n"),
            package("macro", "macro", "1.0.0", registry, "proc-macro", "\"path\": null", ""),
            package("of_macro", "of-macro", "1.0.0", registry, "lib", "\"path\": null", ""),
            package("build", "build", "1.0.0", registry, "lib", "\"path\": null", ""),
            package("native", "native", "1.0.0", registry, "lib", "\"path\": null", "")
                .replace("\"links\": null", "\"links\": \"z\""),
            package("used", "used", "1.0.0", registry, "lib", "\"path\": null", ""),
        ];
        let linked = ["a1", "a2", "git", "parts", "path", "heir", "macro", "native", "used"]
            .map(|id| format!(r#"{{"pkg": "{id}", "dep_kinds": [{{"kind": null}}]}}"#));
        let metadata = format!(
            r#"{{"packages": [{}], "workspace_members": ["shop"], "resolve": {{"nodes": [
            {{"id": "shop", "deps": [{}, {{"pkg": "build", "dep_kinds": [{{"kind": "build"}}]}}]}},
            {{"id": "macro", "deps": [{{"pkg": "of_macro", "dep_kinds": [{{"kind": null}}]}}]}}]}}}}"#,
            packages.join(","),
            linked.join(",")
        );
        let rules: String = rules.split(' ').map(|rule| format!("[[dependency]]\nname = '{rule}'\n")).collect();
        let rules = Rules::parse(&rules.replace('=', " = ").replace("  =  ", " = ").replace(',', "\n")).unwrap();
        let (found, notes) = find(metadata.as_bytes(), &rules, &Lock::parse(of_shadow));
        std::fs::remove_dir_all(&folder).unwrap();
        let found = found.iter().map(|copied| format!("{} {:?}", copied.name(), copied.source));
        assert_eq!(found.chain(notes).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn dependencies_are_found_where_their_sources_are() {
        check(
            "a',version='1.2 git path",
            "",
            &["a-1.2.0 Some(\"crates-io\")", "git-1.0.0 Some(\"https://example.org/a\")", "path-1.0.0 None"],
        );
        check("a',version='2", "", &["a-2.0.0 Some(\"https://example.org/index\")"]);
    }

    #[test]
    fn what_cannot_be_copied_is_left_alone() {
        let of_shadow = "[[package]]\nname = \"telemark\"\nversion = \"1.0.0\"\ndependencies = [\"used\"]\n";
        check(
            "a absent shop macro of-macro build native heir parts used",
            of_shadow,
            &[
                "telemark.toml: line 1: a is left alone: the program has the versions 1.2.0, 2.0.0: name one with `version`",
                "telemark.toml: line 3: absent is left alone: the program has no such package",
                "telemark.toml: line 5: shop is left alone: it is a member of the workspace, and instrumented without this rule",
                "telemark.toml: line 7: macro is left alone: a proc-macro crate",
                "telemark.toml: line 9: of-macro is left alone: only build scripts and macros use it",
                "telemark.toml: line 11: build is left alone: only build scripts and macros use it",
                "telemark.toml: line 13: native is left alone: it links a native library, which may be there once",
                "telemark.toml: line 15: heir is left alone: its manifest takes values from another workspace",
                "telemark.toml: line 17: parts is left alone: it depends on other packages of its repository by their paths",
                "telemark.toml: line 19: used is left alone: Telemark depends on it",
            ],
        );
    }
}
