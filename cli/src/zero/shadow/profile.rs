//! The profile of the packages that only Telemark needs: without debug information, which every link after an edit would copy.

use std::path::{Path, PathBuf};

use super::lock::Lock;

/// Returns the file of cargo's configuration with the profile in the folder of a shadow.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("profile.toml")
}

/// Returns the configuration for the packages that are in the lock file of a shadow and not in that of the user. What the user has, and
/// other profiles than those of development, stay as they are.
pub(crate) fn config(of_user: &Lock, of_shadow: &Lock) -> String {
    let needed = of_shadow.reached_from("telemark");
    let is_ours = |name: &str| match of_user == &Lock::default() {
        // Any other package may be the user's as well.
        true => name.starts_with("telemark"),
        false => name == "telemark" || needed.contains(name),
    };
    let added = of_user.added(of_shadow).into_iter().filter(|(name, _)| is_ours(name));
    // Cargo refuses two names for one package, and the user's configuration may have the name without a version.
    let one_version = added.filter(|(name, _)| of_shadow.versions(name).len() == 1);
    one_version.map(|(name, _)| format!("[profile.dev.package.{name:?}]\ndebug = false\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_telemark_adds_has_no_debug_information() {
        let of_shadow = "[[package]]\nname = \"telemark\"\nversion = \"0.1.0\"\ndependencies = [\"telemark-sdk\", \"syn 3.0.0\", \"bytes\"]\n\
                         [[package]]\nname = \"telemark-sdk\"\nversion = \"0.1.0\"\n[[package]]\nname = \"syn\"\nversion = \"3.0.0\"\n\
                         [[package]]\nname = \"syn\"\nversion = \"2.0.0\"\n[[package]]\nname = \"bytes\"\nversion = \"1.0.0\"\n\
                         [[package]]\nname = \"new\"\nversion = \"1.0.0\"\n";
        let of_user =
            "[[package]]\nname = \"syn\"\nversion = \"2.0.0\"\n[[package]]\nname = \"bytes\"\nversion = \"1.0.0\"\n";
        let check = |of_user: &str, expected: &[&str]| {
            let tables = expected.iter().map(|package| format!("[profile.dev.package.{package:?}]\ndebug = false\n"));
            assert_eq!(config(&Lock::parse(of_user), &Lock::parse(of_shadow)), tables.collect::<String>());
        };
        check(of_user, &["telemark", "telemark-sdk"]);
        check("", &["telemark", "telemark-sdk"]);
    }
}
