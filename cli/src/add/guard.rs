//! The state of the repository in which files may change: everything is committed, as `cargo fix` asks for.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Request;

/// The number of files that a refusal names.
const SHOWN: usize = 10;

/// Refuses to change files whose present state git cannot restore.
///
/// # Errors
/// Returns the refusal.
pub(crate) fn check(root: &Path, request: &Request) -> Result<(), String> {
    let status = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["status", "--porcelain", "--", "."])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Some(status) = status.ok().filter(|output| output.status.success()) else {
        let shown = root.display();
        let refusal =
            format!("{shown} is in no git repository, so the changes could not be undone: --allow-no-vcs makes them");
        return if request.allows_no_vcs { Ok(()) } else { Err(refusal) };
    };
    let status = String::from_utf8_lossy(&status.stdout);
    if request.allows_dirty || status.trim().is_empty() {
        return Ok(());
    }
    let mut files: Vec<_> = status.lines().take(SHOWN).map(|line| format!("\n  {}", line.trim())).collect();
    files.extend((status.lines().count() > SHOWN).then(|| "\n  and others".to_owned()));
    Err(format!("these files are not committed:{}\n--allow-dirty changes files all the same", files.concat()))
}
