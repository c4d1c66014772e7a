//! The detectors `host` and `os`: the machine and its operating system.

use std::path::Path;

use opentelemetry::KeyValue;

use super::files::{first_line, read_text};

/// spec: semconv resource/host.md#collecting-hostid-from-non-containerized-systems
const ID_FILES: &[&str] = if cfg!(any(target_os = "freebsd", target_os = "netbsd", target_os = "openbsd")) {
    &["etc/hostid"]
} else {
    &["etc/machine-id", "var/lib/dbus/machine-id"]
};

/// The detector `host`: architecture, name and id of the host, and the type of its operating system.
pub(super) fn host(root: &Path) -> Vec<KeyValue> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    };
    let mut attributes = vec![KeyValue::new("host.arch", arch), os_type()];
    let name = first_line(root, &["proc/sys/kernel/hostname", "etc/hostname"]);
    attributes.extend(name.map(|name| KeyValue::new("host.name", name)));
    // systemd writes this word until the first start has ended.
    let id = first_line(root, ID_FILES).filter(|id| id != "uninitialized");
    attributes.extend(id.map(|id| KeyValue::new("host.id", id)));
    attributes
}

/// The detector `os`: the operating system, with its name and version where `/etc/os-release` has them.
pub(super) fn os(root: &Path) -> Vec<KeyValue> {
    const MAX: u64 = 16 * 1024;
    let mut attributes = vec![os_type()];
    let text = ["etc/os-release", "usr/lib/os-release"].iter().find_map(|file| read_text(root.join(file), MAX));
    let text = text.unwrap_or_default();
    for (variable, key) in [
        ("NAME", "os.name"),
        ("VERSION_ID", "os.version"),
        ("PRETTY_NAME", "os.description"),
        ("BUILD_ID", "os.build_id"),
    ] {
        let value = text.lines().filter_map(|line| line.trim().split_once('=')).find(|(name, _)| *name == variable);
        let value = value.map(|(_, value)| unquoted(value)).filter(|value| !value.is_empty());
        attributes.extend(value.map(|value| KeyValue::new(key, value)));
    }
    attributes
}

fn os_type() -> KeyValue {
    let os = match std::env::consts::OS {
        "macos" | "ios" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    };
    KeyValue::new("os.type", os)
}

/// Removes the quotes of a shell's word, and the backslashes that escape characters in it.
fn unquoted(word: &str) -> String {
    let inner = ['"', '\''].iter().find_map(|&quote| word.strip_prefix(quote)?.strip_suffix(quote));
    let mut text = String::new();
    let mut chars = inner.unwrap_or(word).chars();
    while let Some(char) = chars.next() {
        text.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// Creates the files below a root of their own.
    fn root(test: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("telemark-host-{}-{test}", std::process::id()));
        drop(fs::remove_dir_all(&root));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    /// Compares the attributes without those that this machine determines.
    fn check(test: &str, detect: fn(&Path) -> Vec<KeyValue>, files: &[(&str, &str)], expected: &str) {
        let root = root(test, files);
        let found = detect(&root);
        drop(fs::remove_dir_all(&root));
        let own = ["host.arch", "os.type"];
        assert!(own.iter().filter(|key| found.iter().any(|a| a.key.as_str() == **key)).count() > 0);
        let others = found.iter().filter(|attribute| !own.contains(&attribute.key.as_str()));
        let text: Vec<_> = others.map(|a| format!("{}={}", a.key, a.value)).collect();
        assert_eq!(text.join(" "), expected, "{test}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_host() {
        let id = "0123456789abcdef0123456789abcdef";
        let line = format!("{id}\n");
        check("no files", host, &[], "");
        let both = [("proc/sys/kernel/hostname", "web\n"), ("etc/hostname", "old"), ("etc/machine-id", &line)];
        check("files", host, &both, &format!("host.name=web host.id={id}"));
        let second = [("etc/hostname", " web \nmore"), ("etc/machine-id", ""), ("var/lib/dbus/machine-id", &line)];
        check("fallbacks", host, &second, &format!("host.name=web host.id={id}"));
        check("first boot", host, &[("etc/machine-id", "uninitialized\n")], "");
        let long = "x".repeat(100_000);
        check("huge", host, &[("etc/hostname", &long)], &format!("host.name={}", &long[..4096]));
    }

    #[test]
    fn the_operating_system() {
        let release =
            "# a comment\nNAME=Debian\nVERSION_ID='12'\nPRETTY_NAME=\"Debian \\\"bookworm\\\"\"\nID=debian\n=\n";
        let expected = "os.name=Debian os.version=12 os.description=Debian \"bookworm\"";
        check("no release", os, &[], "");
        check("release", os, &[("etc/os-release", release)], expected);
        check("vendor", os, &[("usr/lib/os-release", "NAME=\"\"\nBUILD_ID=rolling\n")], "os.build_id=rolling");
        for odd in ["NAME=\"", "NAME='a\"", "NAME=\\", "NAME", "\u{0}", "NAME=\"a\\"] {
            os(&root("odd", &[("etc/os-release", odd)]));
        }
        drop(fs::remove_dir_all(root("odd", &[])));
    }
}
