//! `cargo xtask minimal`: builds `telemark` with the lowest version of each dependency that the manifests allow.
//!
//! A version in our manifests that is higher than needed moves what users have in Cargo.lock, and one that is too low does not compile
//! for them. Cargo chooses the lowest versions of all packages, those of other libraries too.

use std::fs;

use crate::step::{Failure, Step, root};

/// The features of one build, and whether continuous integration runs it.
struct Build {
    name: &'static str,
    features: &'static [&'static str],
    /// Versions for packages of others that do not compile in the lowest version that their users accept.
    floors: &'static [(&'static str, &'static str)],
}

/// What `cargo telemark` adds to a program, and the default features.
const IN_CI: &[Build] = &[
    Build { name: "zero-code", features: &["console", "otlp", "termination"], floors: &[] },
    Build { name: "default", features: &["console", "grpc", "gzip", "http", "otlp", "termination"], floors: &[] },
];

/// All features that build with the Rust version of the workspace's other crates.
const REST: &[Build] = &[Build {
    name: "integrations",
    features: &[
        "aws",
        "axum",
        "azure",
        "config-file",
        "console",
        "container",
        "gcp",
        "grpc",
        "gzip",
        "http",
        "hyper",
        "otlp",
        "prometheus",
        "redaction",
        "reqwest",
        "reqwest-middleware",
        "runtime-metrics",
        "termination",
        "tls",
        "tokio",
        "tonic",
        "tower",
        "tracing",
        "tracing-fmt",
        "viewer",
        "xray",
    ],
    floors: &[("anyhow", "1.0.60"), ("bitflags", "2.4.0"), ("lazy_static", "1.4.0"), ("rustversion", "1.0.12")],
}];

/// Checks the builds of continuous integration, or all of them.
pub(crate) fn run(all: bool) -> Result<(), Failure> {
    for build in IN_CI.iter().chain(REST.iter().filter(|_| all)) {
        build.check()?;
    }
    Ok(())
}

impl Build {
    fn check(&self) -> Result<(), Failure> {
        let folder = root().join("target/minimal").join(self.name);
        let failed = |error: std::io::Error| Failure::new(format!("{} cannot be written: {error}", folder.display()));
        fs::create_dir_all(folder.join("src")).map_err(failed)?;
        fs::write(folder.join("src/lib.rs"), "").map_err(failed)?;
        fs::write(folder.join("Cargo.toml"), self.manifest()).map_err(failed)?;
        // Versions of an earlier run would stay.
        let _ = fs::remove_file(folder.join("Cargo.lock"));
        let manifest = format!("target/minimal/{}/Cargo.toml", self.name);
        // The option is unstable.
        Step::cargo(
            "lowest versions",
            &format!("generate-lockfile --quiet -Z minimal-versions --manifest-path {manifest}"),
        )
        .env("RUSTC_BOOTSTRAP", "1")
        .run()?;
        let check = format!("check --locked --quiet --manifest-path {manifest} --target-dir target/minimal/build");
        Step::cargo("the lowest versions", &check).run()
    }

    fn manifest(&self) -> String {
        let floors: String = self
            .floors
            .iter()
            .map(|(name, version)| format!("{name} = {{ version = \"{version}\", default-features = false }}\n"))
            .collect();
        format!(
            "[package]\nname = \"minimal\"\nversion = \"0.0.0\"\nedition = \"2024\"\nrust-version = \"1.85\"\n\n[workspace]\n\n\
             [dependencies]\ntelemark = {{ path = {:?}, default-features = false, features = {:?} }}\n{floors}",
            root(),
            self.features,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The features that no build has: sqlx needs a newer Rust than the other crates, which decides about the versions of all.
    const LEFT_OUT: [&str; 5] = ["default", "sqlx", "sqlx-mysql", "sqlx-postgres", "sqlx-sqlite"];

    #[test]
    fn every_feature_is_in_a_build() {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let declared = manifest.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
        let names = declared.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
        let mut missing: Vec<_> = names.map(|(name, _)| name).collect();
        missing.retain(|name| !LEFT_OUT.contains(name));
        missing.retain(|name| !IN_CI.iter().chain(REST).any(|build| build.features.contains(name)));
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_manifest_has_the_features_and_the_floors() {
        let build = Build { name: "a", features: &["otlp", "axum"], floors: &[("anyhow", "1.0.60")] };
        let manifest = build.manifest();
        let expected = "default-features = false, features = [\"otlp\", \"axum\"] }\nanyhow = { version = \"1.0.60\", \
                        default-features = false }\n";
        assert!(manifest.ends_with(expected), "{manifest}");
    }
}
