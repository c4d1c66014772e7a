//! The packages of the workspace as reported by cargo, and their sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The whole workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The packages.
    pub packages: Vec<Package>,
    /// Every Rust file of every package.
    pub files: Vec<SourceFile>,
}

/// A package of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// The name of the package.
    pub name: String,
    /// The folder relative to the root; empty for the root package.
    pub folder: String,
    /// The dependencies.
    pub dependencies: Vec<Dependency>,
}

/// One dependency of a package.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The name of the package, regardless of any rename.
    pub name: String,
    /// The kind of the dependency.
    pub kind: Kind,
}

/// The kind of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A dependency of the library itself.
    Normal,
    /// A dependency of the build script.
    Build,
    /// A dependency of tests and examples.
    Dev,
}

/// A Rust file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path relative to the root.
    pub path: String,
    /// The content of the file.
    pub text: String,
}

impl Workspace {
    /// Reads the workspace that this crate belongs to.
    ///
    /// # Errors
    /// Fails if running cargo or accessing the file system fails.
    pub fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("this crate is not in a workspace")?;
        // Use the cargo that builds these tests, which reads manifests more reliably than a custom parser.
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(root)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let packages = metadata["packages"].as_array().ok_or("no packages")?;
        let packages: Vec<_> = packages.iter().map(|package| Package::from_metadata(package, root)).collect();
        let mut files = Vec::new();
        for package in &packages {
            for part in ["src", "tests", "examples", "benches"] {
                read_folder(root, &root.join(&package.folder).join(part), &mut files)?;
            }
        }
        // Files of the packages in `tests`, `examples` and `benches` are read twice, once as files of the root package.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Workspace { packages, files })
    }
}

impl Package {
    fn from_metadata(json: &Value, root: &Path) -> Self {
        let text = |json: &Value| json.as_str().unwrap_or_default().to_owned();
        let manifest = PathBuf::from(text(&json["manifest_path"]));
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root).ok()).unwrap_or(Path::new(""));
        let dependency = |json: &Value| Dependency {
            name: text(&json["name"]),
            // A dependency for one target, even for `--cfg loom`, is in the lock file of every user.
            kind: match json["kind"].as_str() {
                Some("dev") => Kind::Dev,
                Some("build") => Kind::Build,
                _ => Kind::Normal,
            },
        };
        Package {
            name: text(&json["name"]),
            folder: folder.to_string_lossy().replace('\\', "/"),
            dependencies: json["dependencies"].as_array().into_iter().flatten().map(dependency).collect(),
        }
    }
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            // The root package's `tests` folder is itself a package, whose build output must not count as source.
            if path.file_name().is_none_or(|name| name != "target") {
                read_folder(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push(SourceFile { path: name, text: fs::read_to_string(&path)? });
        }
    }
    Ok(())
}
